"""Elects the preferred leaders of partitions, with Kafka's own request (KIP-460)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from obsctl.checks.kafka.collect import collect_partitions
from obsctl.checks.kafka.denial import may_be_hidden
from obsctl.checks.kafka.rules.leaders import is_preferred
from obsctl.checks.kafka.snapshot import KafkaSnapshot, Partition
from obsctl.checks.kafka.view import ClusterView, no_topic
from obsctl.core.errors import RefusedError
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet
from obsctl.kafka.access import open_access

#: Size of a batch: a change of leader interrupts its producers and consumers for a moment, so not all change at once.
BATCH = 50
#: Time limit of the controller for one batch, seconds.
_ELECTION_S = 10.0
#: How long to wait until the brokers know the last new leaders, seconds.
_HEARD_S = 2.0
#: Kafka's codes for: done, and not needed.
_DONE = (0, 84)


class Move(NamedTuple):
    """A partition that its first replica does not lead.

    Attributes:
        why_not: why it cannot lead now; empty where it can.
    """

    partition: Partition
    preferred: int
    why_not: str = ""


class Election(NamedTuple):
    """The result of a move: ``error`` is Kafka's name of the reason; empty if the leader changed."""

    move: Move
    error: str = ""


def plan(view: ClusterView, topics: Sequence[str] = ()) -> list[Move]:
    """Return the partitions (of these topics, or all) whose leader is not their first replica.

    Raises:
        RefusedError: there is no controller, or the brokers' metadata is not current.
        UsageError: a topic does not exist.
    """
    if not view.answered:
        raise RefusedError("no broker answers, so no leader can be moved", hint="obsctl kafka status")
    if view.seen.quorum is None or view.stale:
        raise RefusedError(
            f"no leader can be elected now: {view.metadata.why or 'no controller answers'}", hint="obsctl kafka quorum"
        )
    unknown = [name for name in topics if name not in view.topics]
    if unknown and not may_be_hidden(view.seen):
        raise no_topic(unknown, view.topics)
    partitions = [p for name, members in view.topics.items() if not topics or name in topics for p in members]
    return [Move(p, p.replicas[0], _why_not(view, p)) for p in partitions if p.replicas and not is_preferred(p)]


def _why_not(view: ClusterView, partition: Partition) -> str:
    first = partition.replicas[0]
    if first in view.silent:
        return f"broker {first} does not answer"
    if first not in partition.isr:
        return f"broker {first} is not in the ISR"
    return ""


def elect(
    fleet: Fleet, view: ClusterView, moves: Iterable[Move], progress: Callable[[int, int], None]
) -> list[Election]:
    """Request the elections, in batches, and return the result of each move.

    Args:
        progress: called after each batch with the number done and the total.

    Raises:
        RefusedError: nothing was done, because no broker forwards the request.
    """
    possible = [move for move in moves if not move.why_not]
    done: list[Election] = []
    for at in range(0, len(possible), BATCH):
        batch = possible[at : at + BATCH]
        codes = _ask(fleet, view, [(move.partition.topic, move.partition.partition) for move in batch], begun=bool(at))
        done += [Election(move, _error(codes.get((move.partition.topic, move.partition.partition)))) for move in batch]
        progress(len(done), len(possible))
    return done


def _error(code: int | None) -> str:
    from obsctl.checks.kafka import wire

    if code is None:
        return "no answer"
    return "" if code in _DONE else wire.error_name(code)


def _ask(
    fleet: Fleet, view: ClusterView, partitions: Sequence[tuple[str, int]], *, begun: bool
) -> dict[tuple[str, int], int]:
    from obsctl.checks.kafka import wire

    why = "no broker answers"
    access = open_access(fleet.kafka.client)
    for broker in view.answered:
        host = fleet.host(broker.host)
        if host is None or host.kafka is None:
            continue
        deadline = time.monotonic() + _ELECTION_S
        try:
            with contextlib.closing(
                wire.Conversation(host.address, host.kafka.broker_port, deadline, access)
            ) as conversation:
                (answer,) = conversation.ask([wire.elect_preferred(partitions, _ELECTION_S)])
        except wire.BrokerSilentError as silence:
            why = f"broker {broker.node_id}: {silence}"
            continue
        if answer.error_code not in _DONE:
            why = f"broker {broker.node_id} refuses: {wire.error_name(answer.error_code)}"
            continue
        return wire.read_elections(answer)
    if begun:
        return {}
    raise RefusedError(f"no leader was moved: {why}", hint="obsctl kafka quorum")


def look(fleet: Fleet) -> ClusterView:
    """Return the present snapshot of the cluster."""
    return ClusterView(fleet, collect_partitions(fleet))


def look_after(fleet: Fleet, elections: Iterable[Election]) -> ClusterView:
    """Return a snapshot once the brokers know all new leaders, or after a short wait."""
    wanted = {done.move.partition.name: done.move.preferred for done in elections if not done.error}
    latest = time.monotonic() + _HEARD_S
    while True:
        view = look(fleet)
        heard = {p.name for p in view.seen.partitions if wanted.get(p.name) == p.leader}
        if heard.issuperset(wanted) or time.monotonic() > latest:
            return view


def judge_elections(moves: Sequence[Move], elections: Sequence[Election]) -> list[Finding]:
    """Return a finding where partitions keep a leader that is not their first replica."""
    left = [f"{move.partition.name} ({move.why_not})" for move in moves if move.why_not]
    left += [f"{done.move.partition.name} ({done.error})" for done in elections if done.error]
    if not left:
        return []
    return [
        Finding(
            code="KAFKA_LEADER_NOT_MOVED",
            severity=Severity.WARNING,
            object="kafka",
            summary=f"{len(left)} partitions are not led by their first replica: {listed(left, 4)}",
            evidence={"partitions": left},
            hint="obsctl kafka partitions shows which replica is missing from the ISR; when it is back, run this again",
        )
    ]


def rows(moves: Sequence[Move], elections: Sequence[Election], after: KafkaSnapshot | None) -> list[dict[str, object]]:
    """Return a row for each move: the present leader, the preferred one, and the result."""
    errors = {done.move.partition.name: done.error for done in elections}
    now = {p.name: p.leader for p in after.partitions} if after is not None else {}
    found: list[dict[str, object]] = []
    for move in moves:
        name = move.partition.name
        result = move.why_not or ("would move" if name not in errors else errors[name] or "moved")
        found.append(
            {
                "topic": move.partition.topic,
                "partition": move.partition.partition,
                "leader": now.get(name, move.partition.leader),
                "preferred": move.preferred,
                "result": result,
            }
        )
    return found
