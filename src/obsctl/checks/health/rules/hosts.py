"""Hosts that ssh does not reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from obsctl.checks.health.snapshot import HostProbe
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet


def not_answering(fleet: Fleet, probe: HostProbe, answers: Mapping[str, str]) -> Iterator[Finding]:
    """A host that could not be asked over ssh: it is down, or it does not let us log in.

    Args:
        answers: what on the host answered otherwise, as text.
    """
    host = fleet.host(probe.name)
    silent = probe.failure_kind is not None and probe.failure_kind.may_be_down
    alive = probe.failure_kind is not None and probe.failure_kind.means_alive
    if answers or not silent:
        up = f"is up ({', '.join(answers.values())} answered), but " if answers else "is up, but " if alive else ""
        # The hint for a silent ssh asks whether the host is switched on, but its services have answered.
        login = "" if silent else probe.hint
        yield Finding(
            code="HEALTH_HOST_NOT_ASKED",
            severity=Severity.UNKNOWN,
            object=f"host/{probe.name}",
            summary=f"{up}ssh login fails: {probe.failure}",
            evidence={"ssh": probe.failure, "kind": probe.failure_kind, "answered": list(answers)},
            hint=login or (fleet.login_hint(host) if host else ""),
        )
        return
    # It is not known what a host runs that is not in the inventory.
    runs = ", ".join(host.groups if host is not None else ("?",))
    single = host is not None and any(len(fleet.group(group)) == 1 for group in host.groups)
    yield Finding(
        code="HEALTH_HOST_DOWN",
        severity=Severity.CRITICAL if single else Severity.WARNING,
        object=f"host/{probe.name}",
        summary=f"{probe.failure}{f'; it runs {runs}' * bool(runs)}",
        evidence={"ssh": probe.failure, "kind": probe.failure_kind},
        hint=probe.hint,
    )
