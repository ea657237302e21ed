"""The worst of a report in one line: what is broken, since when, what follows from it, and what this means. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from obsctl.checks.causes import host_of
from obsctl.core.report import Fault, Finding, Severity, following, in_order, roots
from obsctl.core.utc import calendar
from obsctl.fleet.model import Fleet

_SEPARATOR = " · "
#: How many characters of a summary are quoted if its code has no text of its own here.
_QUOTED = 80
#: The same for the second cause: a monitoring system shows 200 characters for both together.
_QUOTED_SECOND = 50


def headline(
    fleet: Fleet,
    findings: Sequence[Finding],
    meaning: str,
    now: datetime,
    errors: Sequence[Fault] = (),
    *,
    command: str = "",
) -> str:
    """Return the line; empty if nothing is wrong and everything could be found out.

    It names the worst cause, and a second one of the same severity. If there are three or more, or others, it gives
    their number and the command that lists them.

    Args:
        findings: with their causes.
        meaning: what it all means for the fleet; may be empty.
        now: when they were found.
        errors: what could not be found out.
        command: to see the rest; empty for a command that would do something again, such as a test or a drill.
    """
    causes = [finding for finding in roots(in_order(findings)) if finding.severity is not Severity.INFO]
    if not causes:
        more = [_count(len(errors) - 1, "more question", "more questions")] if len(errors) > 1 else []
        return _SEPARATOR.join([_quoted(f"{errors[0].object}: {errors[0].summary}"), *more]) if errors else ""
    events = _events(causes)
    worst = [event for event in events if event[0].severity is causes[0].severity]
    named = worst if len(worst) == 2 else worst[:1]
    parts = [
        " and ".join(
            _what(fleet, event, room) + _since([*event, *following(event, findings)], now)
            for event, room in zip(named, (_QUOTED, _QUOTED_SECOND), strict=False)
        )
    ]
    subjects = [cause for event in named for cause in event]
    if follow := following(subjects, findings):
        parts.append(
            f"{_count(len(follow), 'finding follows', 'findings follow')} from {'it' if len(subjects) == 1 else 'them'}"
        )
    if others := len(causes) - len(subjects):
        parts.append(_count(others, "more finding", "more findings") + (f": {command}" if command else ""))
    if errors and causes[0].severity is Severity.WARNING:
        # They decide the verdict, so the line must mention them beside a mere warning.
        besides = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        parts.append(_quoted(f"not known: {errors[0].object}{besides}"))
    return _SEPARATOR.join([*parts, *([meaning] if meaning else [])])


#: Codes for a host that is unreachable.
_DOWN = ("HEALTH_HOST_DOWN", "LB_NODE_UNREACHABLE")
_NOT_ASKED = "HEALTH_HOST_NOT_ASKED"


def _events(causes: Sequence[Finding]) -> list[list[Finding]]:
    """Return the causes, with hosts that are down together as one event."""
    events: list[list[Finding]] = []
    for cause in causes:
        same = [event for event in events if event[0].code == cause.code and cause.code in (*_DOWN, _NOT_ASKED)]
        if same:
            same[0].append(cause)
        else:
            events.append([cause])
    return events


def _what(fleet: Fleet, same: Sequence[Finding], room: int) -> str:
    first = same[0]
    kind, _, name = first.object.partition("/")
    host = host_of(fleet, first)
    names = _joined([finding.object.partition("/")[2] for finding in same])
    if first.code in _DOWN:
        return f"{names} {'is' if len(same) == 1 else 'are'} down"
    if first.code == _NOT_ASKED:
        return f"{names} {'is' if len(same) == 1 else 'are'} up, but obsctl cannot log in over ssh"
    if first.code == "HEALTH_SERVICE_FROZEN":
        return f"{kind} on {name} {'is frozen' if first.evidence.get('stopped') else 'runs but does not answer'}"
    if first.code == "KAFKA_BROKER_DOWN" and host:
        return f"broker {name} on {host} does not answer"
    if first.code == "HEALTH_DISK_FULL":
        return f"{first.evidence.get('mount')} on {name} has {first.evidence.get('free_share', 0):.0%} free"
    if first.code == "VIP_SPLIT_BRAIN" and first.evidence.get("holders"):
        return f"{_joined(first.evidence['holders'])} hold {name} at once{_why_several(first)}"
    if "state" in first.evidence and host and kind != "group":
        return f"{kind} on {name} is {first.evidence['state']}"
    if kind == "host":
        return _quoted(f"{name}: {first.summary}", room)
    return _quoted(f"{_where(first, host)}: {first.summary}", room)


def _why_several(split: Finding) -> str:
    """Return why several balancers hold the address, if known."""
    seen = split.evidence
    reasons = [
        f"{words} {_joined(nodes)}"
        for key, words in (
            ("hanging", "keepalived hangs on"),
            ("left_behind", "it was left behind on"),
            ("by_hand", "it was added by hand on"),
        )
        if (nodes := seen.get(key))
    ]
    if not reasons and set(seen.get("vrrp", {}).values()) == {"MASTER"}:
        reasons = ["they do not hear each other"]
    return ": " * bool(reasons) + ", ".join(reasons)


def _where(finding: Finding, host: str) -> str:
    """Return the object of a finding, with the host's name if known: people do not know hosts by ids and addresses."""
    kind, _, name = finding.object.partition("/")
    if not host:
        return finding.object
    return f"{kind} {name} on {host}" if kind in ("broker", "controller") else f"{kind} on {host}"


def _quoted(words: str, room: int = _QUOTED) -> str:
    return words if len(words) <= room else f"{words[: room - 1].rstrip()}…"


def _since(findings: Sequence[Finding], now: datetime) -> str:
    """Return the earliest beginning that the findings have; empty if none has one."""
    known = [datetime.fromisoformat(finding.since) for finding in findings if finding.since]
    # For a missing voter, the quorum's leader knows the time at which the voter was last up to date.
    known += [
        calendar(now.timestamp() - behind / 1000)
        for finding in findings
        if isinstance(behind := finding.evidence.get("behind_ms"), int)
    ]
    if not known:
        return ""
    began = min(known).astimezone(UTC)
    return (
        f" since {began:%H:%M} UTC"
        if began.date() == now.astimezone(UTC).date()
        else f" since {began:%Y-%m-%d %H:%M} UTC"
    )


def _joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
