"""The consumer and the alerter, judged by their health pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from obsctl.checks.health.answers import STOPPED
from obsctl.checks.health.layers import PAGED
from obsctl.checks.health.rules.units import thaw
from obsctl.checks.health.snapshot import AlerterPage, HealthSnapshot, HostProbe, NoPage, Page
from obsctl.core.consumer_page import ConsumerPage
from obsctl.core.report import Finding, Severity
from obsctl.core.utc import calendar


class _Codes(NamedTuple):
    """The codes for a page that cannot be fetched, and for one that is not ok."""

    down: str
    waiting: str


_CODES = {
    "consumer": _Codes("HEALTH_CONSUMER_DOWN", "HEALTH_CONSUMER_WAITING"),
    "alerter": _Codes("HEALTH_ALERTER_DOWN", "HEALTH_ALERTER_WAITING"),
}


def pages(probe: HostProbe) -> Iterator[Finding]:
    """Pages that cannot be fetched although the unit is active, and those that are not ok."""
    for service, page in probe.pages.items():
        if probe.units.get(PAGED[service]) == "active":
            yield from _page(probe, service, page)


def none_active(snapshot: HealthSnapshot) -> Iterator[Finding]:
    """No alerter is active: all that were asked are on standby."""
    alerters = {probe.name: probe.alerter for probe in snapshot.hosts if probe.alerter is not None}
    if alerters and all(page.role == "standby" for page in alerters.values()):
        names = sorted(alerters)
        yield Finding(
            code="HEALTH_ALERTER_WAITING",
            severity=Severity.CRITICAL,
            object="obsctl-alerter",
            summary=f"no alerter is active: {', '.join(names)} {'stand' if len(names) > 1 else 'stands'} by",
            evidence={"standby": names},
            hint="one should take over within 30 s; if none does: obsctl kafka status, and on one of these hosts "
            "journalctl -u obsctl-alerter -n 50",
        )


def _page(probe: HostProbe, service: str, page: Page) -> Iterator[Finding]:
    host, unit, codes = probe.name, PAGED[service], _CODES[service]
    if isinstance(page, NoPage):
        stopped = probe.processes.get(unit, "") in STOPPED
        yield Finding(
            code=codes.down,
            severity=Severity.CRITICAL,
            object=f"{unit}/{host}",
            summary=f"the unit is active, but its health page {page.why}"
            + (": its main process is stopped (state T)" if stopped else ""),
            evidence={"stopped": stopped},
            hint=f"{thaw(host, unit)}; journalctl -u {unit} -n 50",
        )
    elif isinstance(page, ConsumerPage) and _only_replaced(page):
        yield Finding(
            code="HEALTH_CONSUMER_RESTARTED",
            severity=Severity.WARNING,
            object=f"{unit}/{host}",
            summary=f"a worker process was replaced within the last minute; all are running again: {_reason(page)}",
            evidence={"restarts": [worker.restarts for worker in page.workers]},
            hint=f"on {host}: journalctl -u {unit} -n 200 | grep worker; dmesg, if the kernel killed it",
        )
    elif page.status != "ok":
        yield Finding(
            code=codes.waiting,
            severity=Severity.CRITICAL,
            object=f"{unit}/{host}",
            summary=f"reports {repr(page.status) if page.status else 'no status'}: {_reason(page)}",
            evidence={
                **{
                    key: value
                    for key, value in msgspec.structs.asdict(page).items()
                    if isinstance(value, int | float | str) and value != ""
                },
                **({"troubles": list(page.troubles)} if isinstance(page, ConsumerPage) else {}),
            },
            since=_began(page),
            hint=_advice(host, page),
        )


def _began(page: ConsumerPage | AlerterPage) -> str:
    """Return since when a service waits, according to its page; empty if it does not say."""
    troubles = page.troubles.values() if isinstance(page, ConsumerPage) else ()
    return min((trouble.since for trouble in troubles if _is_moment(trouble.since)), default="")


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _reason(page: ConsumerPage | AlerterPage) -> str:
    if isinstance(page, AlerterPage):
        tries = [channel for channel in page.channels if channel.failures and channel.next_try > 0]
        # A channel that works again stays a trouble until then.
        again = "".join(f"; {c.name} is retried at {_clock(c.next_try)}" for c in tries)
        return (page.reason or "no reason given") + again
    return "; ".join(f"{name}: {trouble.message}" for name, trouble in page.troubles.items()) or "no reason given"


def _clock(moment: float) -> str:
    """Return a moment (seconds since the epoch) as people read it."""
    return f"{calendar(moment):%H:%M:%S} UTC"


def _advice(host: str, page: ConsumerPage | AlerterPage) -> str:
    """The service's own hints, each once: it knows its troubles best."""
    if isinstance(page, AlerterPage):
        return (
            f"on {host}: journalctl -u obsctl-alerter -n 50; if a channel fails: obsctl alert test, and after the fix "
            f"on {host}: systemctl restart obsctl-alerter, which sends at once"
        )
    hints = dict.fromkeys(trouble.hint for trouble in page.troubles.values() if trouble.hint)
    return "; ".join(hints) or f"on {host}: journalctl -u obsctl-consumer -n 50"


def _only_replaced(page: ConsumerPage) -> bool:
    """Return whether a consumer's only trouble is a worker that was replaced and works again."""
    return (
        bool(page.troubles and page.workers)
        and all(subject.startswith("worker ") for subject in page.troubles)
        and all(worker.state == "running" for worker in page.workers)
    )
