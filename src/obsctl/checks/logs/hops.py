"""How far each followed line got, and how long each hop took; the first hop that was not reached is where it got
stuck."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from obsctl.checks.logs.snapshot import LineSeen, LogsSnapshot
from obsctl.checks.percentile import percentile
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

#: The hops, in order, each with the code of its failure: nginx has answered, its log has the line, Filebeat has read
#: it, Kafka has it, it has its row, the alerter has evaluated it.
HOPS: Mapping[str, str] = {
    "nginx": "LOGS_NOT_ANSWERED",
    "file": "LOGS_NOT_WRITTEN",
    "filebeat": "LOGS_NOT_READ",
    "kafka": "LOGS_NOT_DELIVERED",
    "row": "LOGS_NOT_STORED",
    "alerter": "LOGS_NOT_EVALUATED",
}
#: The hops up to the row, which `trace` measures.
TRACED = ("nginx", "file", "filebeat", "kafka", "row")
#: nginx's cached time does not advance while it handles a batch of events, seconds.
_TICK_S = 0.005


class Clock(NamedTuple):
    """By how much a host's clock is ahead of this machine's, seconds.

    Attributes:
        ahead_s: the middle of what is possible.
        error_s: the largest possible error of this; infinite if nothing is known.
    """

    ahead_s: float
    error_s: float


def clock_of(lines: Sequence[LineSeen]) -> Clock:
    """Return a host's clock as shown by its lines: each was written between its request and its answer."""
    known = [line for line in lines if line.written and line.answered]
    if not known:
        return Clock(0.0, math.inf)
    # A log in combined format only has whole seconds.
    grain = 1.0 if all(line.written == int(line.written) for line in known) else 0.001
    least = max(line.written - line.answered for line in known) - _TICK_S
    most = min(line.written + grain - line.sent for line in known) + _TICK_S
    return Clock((least + most) / 2, abs(most - least) / 2)


def clocks(seen: LogsSnapshot) -> dict[str, Clock]:
    """Return each host's clock."""
    hosts = dict.fromkeys(line.host for line in seen.lines)
    return {host: clock_of([line for line in seen.lines if line.host == host]) for host in hosts}


def times(line: LineSeen, clock: Clock) -> dict[str, float | None]:
    """Return when each hop was reached, seconds since the request by this machine's clock; None if it was not.

    If a clock's difference is within its error, the clock is taken for right.
    """
    ahead = 0.0 if abs(clock.ahead_s) <= clock.error_s else clock.ahead_s
    reached = {
        "nginx": line.answered,
        "file": line.written and line.written - ahead,
        "filebeat": line.read and line.read - ahead,
        "kafka": line.kafka,
        "row": line.stored,
        "alerter": line.evaluated,
    }
    return {hop: round(max(0.0, at - line.sent), 3) if at else None for hop, at in reached.items()}


def missing_hop(line: LineSeen, wanted: Sequence[str], unknown: Sequence[str]) -> str:
    """Return the first hop that was not reached and could be examined; empty if there is none.

    Args:
        wanted: hops that the line must reach.
        unknown: those that could not be examined.
    """
    if line.failure:
        return "nginx"
    if not line.kafka and not line.stored and "kafka" not in unknown:
        if line.in_file is False:
            return "file"
        return "filebeat" if line.read_by_shipper is False else "kafka"
    if not line.stored and "row" not in unknown:
        return "row"
    return "alerter" if "alerter" in wanted and not line.evaluated and "alerter" not in unknown else ""


def unknown_hops(fleet: Fleet, seen: LogsSnapshot) -> tuple[str, ...]:
    """Return the hops that could not be examined."""
    objects = {fault.object.partition("/")[0]: fault for fault in seen.errors}
    silent = {fault.object for fault in seen.errors if fault.object.startswith("obsctl-alerter/")}
    hops = []
    if "topic" in objects:
        hops += ["kafka", "alerter"]
    if "database" in objects:
        hops.append("row")
    alerters = fleet.group("consumer")
    if alerters and len(silent) >= len(alerters):
        hops.append("alerter")
    return tuple(hops)


def _wanted(fleet: Fleet, *, traced: bool) -> tuple[str, ...]:
    """Return the hops that a line must reach."""
    return tuple(HOPS) if fleet.group("consumer") and not traced else TRACED


def judge_lines(fleet: Fleet, seen: LogsSnapshot, *, traced: bool = False) -> Iterator[Finding]:
    """Yield a finding for each host and first hop that some of its lines did not reach."""
    wanted, unknown = _wanted(fleet, traced=traced), unknown_hops(fleet, seen)
    lost: dict[tuple[str, str], list[LineSeen]] = {}
    for line in seen.lines:
        if hop := missing_hop(line, wanted, unknown):
            lost.setdefault((hop, line.host), []).append(line)
    for hop in HOPS:
        for (missed, host), lines in lost.items():
            if missed == hop:
                yield _missing(seen, hop, host, lines)
    answered = {line.backend for line in seen.lines if not line.failure}
    if seen.lines and answered:
        for backend in fleet.group("backend"):
            if backend.name not in answered and not traced:
                yield Finding(
                    code="LB_BACKEND_SILENT",
                    severity=Severity.CRITICAL,
                    object=f"backend/{backend.name}",
                    summary=f"answered none of {len(seen.lines)} requests",
                    evidence={"requests": len(seen.lines)},
                    hint="obsctl verify lb measures each back end's share",
                )


def _missing(seen: LogsSnapshot, hop: str, host: str, lines: Sequence[LineSeen]) -> Finding:
    total = sum(line.host == host for line in seen.lines)
    what = f"{len(lines)} of {total} lines of {host or lines[0].target}"
    on = f"on {host}: " if host else ""
    deadline = f"within {seen.deadline_s:g} s"
    summary, hint = {
        "nginx": (
            f"{len(lines)} of {total} requests to {host or lines[0].target} were not answered: {lines[0].failure}",
            f"{on}systemctl status nginx; from here: obsctl verify vip",
        ),
        "file": (
            f"{what} are in no access log that nginx has open there",
            f"{on}nginx -T | grep access_log shows where it writes; df -h /var/log shows whether the disk is full",
        ),
        "filebeat": (
            f"{what} were not read by Filebeat {deadline}",
            "obsctl verify logs --passive shows why: frozen, no permission, other paths configured, a symbolic link",
        ),
        "kafka": (
            f"{what} did not reach Kafka {deadline}"
            + (", although Filebeat has read them" if lines[0].read_by_shipper else ""),
            f"obsctl kafka status shows whether the topic accepts records; {on}journalctl -u filebeat -n 50",
        ),
        "row": (
            f"{what} {'are in Kafka and ' if lines[0].kafka else ''}have no row {deadline}",
            "obsctl consumer status shows whether the consumer is behind or waits; a line that cannot be stored is in "
            "its quarantine",
        ),
        "alerter": (
            f"{what} have their row but were not evaluated by the alerter {deadline}",
            "obsctl health shows which alerter is active and how far it is behind",
        ),
    }[hop]
    return Finding(
        code=HOPS[hop],
        severity=Severity.CRITICAL,
        object=f"host/{host}" if host else f"vip/{lines[0].target.partition(':')[0]}",
        summary=summary,
        evidence={"hop": hop, "lines": len(lines), "of": total, "ids": [line.id for line in lines]},
        hint=hint,
    )


def describe_lines(fleet: Fleet, seen: LogsSnapshot, *, traced: bool = False) -> list[dict[str, Any]]:
    """Return a row for each line: its host, its first missing hop or its last one, and its state."""
    wanted, unknown = _wanted(fleet, traced=traced), unknown_hops(fleet, seen)
    known = clocks(seen)
    rows = []
    for line in seen.lines:
        missing = missing_hop(line, wanted, unknown)
        clock = known[line.host]
        hops = times(line, clock)
        reached = [hop for hop, at in hops.items() if at is not None]
        certain = all(hops[hop] is not None for hop in wanted)
        rows.append(
            {
                "host": line.host,
                "backend": line.backend or None,
                "hop": missing or (reached[-1] if reached else "nginx"),
                "state": "missing" if missing else "ok" if certain else "unknown",
                "hops": hops,
                "total_s": max((at for at in hops.values() if at is not None), default=None),
                "clock_s": None if math.isinf(clock.error_s) else round(clock.ahead_s, 3),
                "clock_error_s": None if math.isinf(clock.error_s) else round(clock.error_s, 3),
                "status": line.status or None,
                "mark": line.id,
            }
        )
    return rows


def describe_hops(seen: LogsSnapshot) -> list[dict[str, Any]]:
    """Return a row for each hop: its time since the previous hop, and since the request."""
    known = clocks(seen)
    all_times = [times(line, known[line.host]) for line in seen.lines]
    rows = []
    for hop in TRACED:
        at = sorted(float(one[hop] or 0.0) for one in all_times if one[hop] is not None)
        took = sorted(_took(one, hop) for one in all_times if one[hop] is not None)
        rows.append(
            {
                "hop": hop,
                "lines": len(at),
                "p50_ms": _percentile_ms(took, 0.50),
                "p95_ms": _percentile_ms(took, 0.95),
                "max_ms": _percentile_ms(took, 1.0),
                "since_request_p50_ms": _percentile_ms(at, 0.50),
                "since_request_p95_ms": _percentile_ms(at, 0.95),
            }
        )
    return rows


def _took(one: Mapping[str, float | None], hop: str) -> float:
    """Return a hop's time since the previous one, except for nginx's line, which is written during the answer."""
    before = {"nginx": None, "file": None, "filebeat": "file", "kafka": "filebeat", "row": "kafka"}[hop]
    start = one[before] if before else 0.0
    return max(0.0, (one[hop] or 0.0) - (start or 0.0))


def _percentile_ms(seconds: Sequence[float], share: float) -> float | None:
    """Return the percentile of seconds in milliseconds; None for none."""
    found = percentile(seconds, share)
    return None if found is None else round(found * 1000, 1)
