"""Runs a drill: check the fleet's health, send traffic, break, restore, wait for health again, count rows."""

from __future__ import annotations

import collections
import secrets
import shlex
import time
from collections.abc import Callable

from obsctl.checks.health.collect import collect_health
from obsctl.checks.health.judge import judge_health
from obsctl.checks.health.snapshot import HealthSnapshot
from obsctl.core.errors import RefusedError
from obsctl.core.report import Fault, Finding, Severity, Status
from obsctl.drill.faults import KINDS, Aim, Target, bound
from obsctl.drill.inject import broken
from obsctl.drill.record import Drill, Event
from obsctl.drill.traffic import PER_SECOND, Stored, Traffic, count_stored
from obsctl.fleet.model import Fleet

#: How long requests are sent before the fault, to see that all is well, seconds.
_BEFORE_S = 3.0
#: How much later than this program the host's timer restores, seconds.
_GRACE_S = 20.0
#: How long to wait for the fleet to be healthy after it was restored, and for the last row, seconds.
_HEALTHY_S = 180.0
_ROWS_S = 120.0
_EVERY_S = 1.0
#: How long requests continue after the fleet is healthy again, seconds.
_AFTER_S = 3.0

#: Shows a text to a person.
Say = Callable[[str], None]


def wrong(fleet: Fleet, snapshot: HealthSnapshot) -> list[Finding | Fault]:
    """Return what is wrong with the fleet, the worst first; empty if it is healthy."""
    findings = [one for one in judge_health(fleet, snapshot) if one.severity.status is not Status.OK]
    findings.sort(key=lambda one: one.severity is not Severity.CRITICAL)
    return [*findings, *snapshot.errors]


def host_of(snapshot: HealthSnapshot, fleet: Fleet, target: Target) -> str:
    """Return the host whose loss matters most: the VIP's holder, the busiest broker, the active alerter.

    Args:
        snapshot: of a healthy fleet.
        fleet: the inventory.
        target: what will be broken.
    """
    names = [host.name for host in fleet.group(KINDS[target].group)]
    if target in (Target.VIP, Target.NGINX) and snapshot.vip is not None:
        names = [node.name for node in snapshot.vip.nodes if node.holds_vip] or names
    elif target is Target.BROKER and snapshot.kafka is not None:
        leads = collections.Counter(part.leader for part in snapshot.kafka.partitions)
        busiest = max(snapshot.kafka.brokers, key=lambda broker: leads[broker.node_id], default=None)
        names = [busiest.host] if busiest is not None else names
    elif target is Target.ALERTER:
        active = [one.name for one in snapshot.hosts if one.alerter is not None and one.alerter.role == "active"]
        names = active or names
    return names[0] if names else ""


def require_healthy(fleet: Fleet) -> HealthSnapshot:
    """Return the snapshot of the healthy fleet.

    Raises:
        RefusedError: something is wrong already, so a drill would prove nothing.
    """
    snapshot = collect_health(fleet)
    bad = wrong(fleet, snapshot)
    if bad:
        raise RefusedError(
            "the fleet is not healthy, so a drill would be meaningless: "
            f"{bad[0].code} {bad[0].object}: {bad[0].summary}",
            hint=f"obsctl -i {shlex.quote(fleet.inventory)} health shows all of it",
        )
    return snapshot


def run_drill(
    fleet: Fleet, at: Aim, *, lasts_s: float, say: Say = lambda _: None, progress: Say = lambda _: None
) -> Drill:
    """Break a target, restore it, and return the record. It is restored whatever happens.

    Args:
        fleet: healthy, with a VIP.
        at: what is broken.
        lasts_s: for how long, seconds.
        say: shows a person what happened.
        progress: shows the progress regularly.

    Raises:
        RefusedError: another drill is in progress on the host.
        ObsctlError: the target could not be broken.
        KeyboardInterrupt: the person interrupted the drill; the target is restored.
    """
    drill_id = secrets.token_hex(6)
    allowed = bound(fleet, at, lasts_s)
    events: list[Event] = []
    with Traffic(fleet, drill_id, alerters=at.target is Target.ALERTER) as traffic:

        def happened(text: str) -> None:
            events.append(Event(traffic.at, text))
            say(text)

        say(f"{PER_SECOND} requests a second for {_BEFORE_S:g} s before anything is broken")
        time.sleep(_BEFORE_S)
        _require_answers(fleet, traffic)
        happened(at.words)
        with broken(at, lasts_s + _GRACE_S, happened) as fault:
            _wait(lasts_s, lambda left: progress(f"{at.words}: restored in {left:.0f} s"))
        healthy = _wait_healthy(fleet, progress)
        happened("healthy again" if healthy else f"not healthy {_HEALTHY_S:g} s after it was restored")
        time.sleep(_AFTER_S)
        traffic.stop()
        answered = {number for number, probe in traffic.numbered.items() if probe.status}
        stored = _stored(fleet, drill_id, traffic.begun_at, answered, progress)
    return Drill(
        id=drill_id,
        target=at.target,
        how=at.how,
        host=at.host.name,
        unit=at.unit,
        begun_at=traffic.begun_at,
        lasts_s=lasts_s,
        bound_s=allowed.outage_s,
        stall_bound_s=allowed.stall_s,
        probes=tuple(traffic.numbered.values()),
        rows=traffic.rows,
        alerter=traffic.pages,
        events=tuple(events),
        expected=len(answered),
        stored=len(answered & stored.numbers) if stored is not None else 0,
        doubled=stored.surplus if stored is not None else 0,
        counted=stored is not None,
        restored=fault.restored,
        healthy=healthy,
    )


def _require_answers(fleet: Fleet, traffic: Traffic) -> None:
    probes = traffic.numbered.values()
    if not any(probe.good for probe in probes):
        why = next((probe.error or f"status {probe.status}" for probe in probes), "no answer")
        raise RefusedError(
            f"no request through the VIP is answered, although nothing has been broken yet: {why}",
            hint=f"obsctl -i {shlex.quote(fleet.inventory)} verify vip",
        )


def _wait(seconds: float, say: Callable[[float], None]) -> None:
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        say(left)
        time.sleep(min(_EVERY_S, left))


def _wait_healthy(fleet: Fleet, progress: Say) -> bool:
    ends = time.monotonic() + _HEALTHY_S
    while True:
        bad = wrong(fleet, collect_health(fleet))
        if not bad:
            return True
        if time.monotonic() > ends:
            return False
        progress(f"waiting for the fleet to be healthy: {bad[0].code} {bad[0].object}")
        time.sleep(_EVERY_S)


def _stored(fleet: Fleet, drill_id: str, begun_at: float, answered: set[int], progress: Say) -> Stored | None:
    """Return the stored lines of the drill once all are stored, or after a time limit."""
    ends = time.monotonic() + _ROWS_S
    while True:
        stored = count_stored(fleet, drill_id, begun_at)
        if (stored is not None and answered <= stored.numbers) or time.monotonic() > ends:
            return stored
        found = len(answered & stored.numbers) if stored is not None else 0
        progress(f"{found} of {len(answered)} lines are stored")
        time.sleep(_EVERY_S)
