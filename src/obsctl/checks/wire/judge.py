"""Judges how far each test got: the first hop that was not reached is the one that failed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from obsctl.checks.wire.snapshot import RuleSeen, WireSnapshot
from obsctl.core.report import Finding, Severity
from obsctl.core.rule_test import Arrival, RunOnPage
from obsctl.fleet.model import Fleet

#: The hops, in order, each with the code of its failure.
HOPS: Mapping[str, str] = {
    "answered": "ALERT_TEST_NOT_ANSWERED",
    "shipped": "ALERT_TEST_NOT_SHIPPED",
    "read": "ALERT_TEST_NOT_READ",
    "fired": "ALERT_TEST_NOT_FIRED",
    "decided": "ALERT_TEST_NOT_DECIDED",
    "accepted": "ALERT_TEST_NOT_ACCEPTED",
}
_DELIVERED = "delivered"
_THROTTLED = "throttled"


class Why(NamedTuple):
    """The texts for a failed hop.

    Attributes:
        summary: what did not happen.
        hint: the next command, and what it shows.
    """

    summary: str
    hint: str


def times(seen: RuleSeen) -> dict[str, float | None]:
    """Return when each hop was reached, seconds since the first request; None if it was not, or if unknown."""
    run = seen.run or RunOnPage()
    accepted = max((arrival.at for arrival in run.channels), default=0.0) if not _missing(run) else 0.0
    read = run.seen_at if run.rule else 0.0
    reached = {
        "answered": seen.answered_at,
        # A line that the alerter has read was in Kafka before, even if this machine saw it there later.
        "shipped": min(seen.shipped_at, read) if seen.shipped_at and read else seen.shipped_at,
        "read": read,
        "fired": run.true_at,
        "decided": run.decided_at,
        "accepted": accepted,
    }
    return {hop: round(max(0.0, at - seen.began), 3) if at and seen.began else None for hop, at in reached.items()}


def failed_hop(seen: RuleSeen) -> str:
    """Return the first hop that was not reached; empty if every channel accepted the message."""
    reached = times(seen)
    if reached["accepted"] is not None:
        return ""
    if reached["fired"] is None:
        # The failed hop is the one that too few of the needed lines reached, not the one that noticed it.
        read = seen.run.lines if seen.run is not None else 0
        if seen.answered < seen.planned:
            return "answered"
        if max(seen.lines, read) < seen.planned:
            return "shipped"
    last = max((place for place, hop in enumerate(HOPS) if reached[hop] is not None), default=-1)
    return list(HOPS)[last + 1]


def judge_wire(fleet: Fleet, seen: WireSnapshot) -> list[Finding]:
    """Return a finding for each rule whose message did not arrive."""
    findings = []
    for rule in seen.rules:
        hop = failed_hop(rule)
        if not hop:
            continue
        why = _WHY[hop](fleet, seen, rule)
        late = _missing(rule.run or RunOnPage())
        throttled = hop == "accepted" and bool(late) and all(arrival.verdict == _THROTTLED for arrival in late)
        findings.append(
            Finding(
                code=HOPS[hop],
                severity=Severity.WARNING if throttled else Severity.CRITICAL,
                object=f"rule/{rule.rule}",
                summary=why.summary,
                evidence={
                    "hop": hop,
                    "hops": times(rule),
                    "requests": rule.planned,
                    "sent": rule.sent,
                    "answered": rule.answered,
                    "lines": rule.lines,
                    "lines_read": rule.run.lines if rule.run is not None else 0,
                    "mark": rule.mark,
                },
                hint=why.hint,
            )
        )
    return findings


def describe_wire(seen: WireSnapshot) -> dict[str, Any]:
    """Return the report's data: a row for each rule, untested ones last."""
    rows = [_row(rule) for rule in seen.rules]
    rows += [
        {
            "name": one.rule,
            "passed": None,
            "failed_hop": None,
            "result": f"not tested: {one.reason}",
            "why_not": one.reason,
            "hops": {},
        }
        for one in seen.left_out
    ]
    return {
        "metrics": {
            "tested": len(seen.rules),
            "passed": sum(not failed_hop(rule) for rule in seen.rules),
            "left_out": len(seen.left_out),
        },
        "target": seen.target,
        "rules": rows,
    }


def _row(seen: RuleSeen) -> dict[str, Any]:
    hop = failed_hop(seen)
    run = seen.run or RunOnPage()
    return {
        "name": seen.rule,
        "passed": not hop,
        "failed_hop": hop or None,
        "result": f"failed: not {hop}" if hop else "passed",
        "why_not": None,
        "hops": times(seen),
        "requests": seen.planned,
        "answered": seen.answered,
        "lines": max(seen.lines, run.lines),
        "mark": seen.mark,
        "channels": {arrival.channel: _state(arrival) for arrival in run.channels},
    }


def _missing(run: RunOnPage) -> list[Arrival]:
    return [arrival for arrival in run.channels if arrival.state != _DELIVERED]


def _state(arrival: Arrival) -> str:
    return arrival.state if arrival.state == _DELIVERED else arrival.verdict or arrival.state


def _not_answered(fleet: Fleet, seen: WireSnapshot, rule: RuleSeen) -> Why:
    answers = ", ".join(f"{what} ({count}x)" for what, count in rule.wrong.items())
    reason = answers or seen.stopped or "the time was over"
    return Why(
        f"{rule.answered} of {rule.planned} requests got the requested answer: {reason}",
        "obsctl verify vip shows who holds the address and whether its nginx answers; where a back end answered: "
        f"{fleet.playbook('nginx')} gives the balancers the secret of tests",
    )


def _not_shipped(fleet: Fleet, seen: WireSnapshot, rule: RuleSeen) -> Why:
    del fleet, seen
    return Why(
        f"{rule.lines} of {rule.planned} lines reached Kafka within {rule.deadline_s:g} s of the first request",
        "obsctl kafka status shows whether the topic accepts records; on the balancers: journalctl -u filebeat -n 50",
    )


def _not_read(fleet: Fleet, seen: WireSnapshot, rule: RuleSeen) -> Why:
    del seen
    if rule.run is not None and not rule.run.rule:
        return Why(
            "the alerter has no rule with this name and these options: it runs others than the inventory has",
            f"{fleet.playbook('consumer')} gives it the inventory's rules",
        )
    return Why(
        "no alerter has read a line of the test although they are in Kafka",
        "obsctl health shows which alerter is active and how far it is behind",
    )


def _not_fired(fleet: Fleet, seen: WireSnapshot, rule: RuleSeen) -> Why:
    del fleet, seen
    run = rule.run or RunOnPage()
    left_out = f"; {run.left_out} lines were left out: too many of tests at a time" if run.left_out else ""
    return Why(
        f"the alerter has read {run.lines} lines of {rule.planned} requests, and the condition did not begin{left_out}",
        f"obsctl alert test --rule {shlex.quote(rule.rule)} --dry-run shows the requests; lines that come too late "
        "count nowhere: obsctl health shows whether the alerter is behind",
    )


def _not_decided(fleet: Fleet, seen: WireSnapshot, rule: RuleSeen) -> Why:
    del seen
    held = (rule.run or RunOnPage()).held
    stage, _, cause = held.partition(" ")
    if stage == "route":
        return Why(
            f"the condition began, and its route {cause} has no channel",
            f"consumer_alert_notifications in the inventory names the routes; then {fleet.playbook('consumer')}",
        )
    return Why(
        f"the condition began, and no message was decided within {rule.deadline_s:g} s"
        + (f": held by {held}" if held else ""),
        f"obsctl alert test --rule {shlex.quote(rule.rule)} --deadline {2 * rule.deadline_s:.0f}s gives it more time",
    )


def _not_accepted(fleet: Fleet, seen: WireSnapshot, rule: RuleSeen) -> Why:
    del fleet, seen
    late = _missing(rule.run or RunOnPage())
    told = "; ".join(f"{one.channel}: {_state(one)}{f': {one.summary}' if one.summary else ''}" for one in late)
    channels = "".join(f" --channel {shlex.quote(one.channel)}" for one in late)
    return Why(
        f"the message was decided and not accepted within {rule.deadline_s:g} s: {told or 'it is in no outbox'}",
        f"obsctl alert test{channels} shows the vendor's answer to a message of its own",
    )


_WHY: Mapping[str, Callable[[Fleet, WireSnapshot, RuleSeen], Why]] = {
    "answered": _not_answered,
    "shipped": _not_shipped,
    "read": _not_read,
    "fired": _not_fired,
    "decided": _not_decided,
    "accepted": _not_accepted,
}
