"""Ask every broker of the fleet at the same time, each in person, and put together what they answered.

No broker is asked about another: each says which partitions it leads and which replicas it holds, so a dead or
hung broker costs its own answers and nothing else. Where views differ (a broker that was just resumed still knows
the old ISR), :func:`freshest` decides.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obsctl.checks.ask.failure import NO_ANSWER
from obsctl.checks.kafka.snapshot import Broker, Committed, Group, KafkaSnapshot, LogDir, Partition, Quorum, Voter
from obsctl.core.report import Fault
from obsctl.fleet.model import Fleet, Host

#: From the beginning of the collection to the last answer, in seconds. With the start of the process and a table to
#: draw, the whole command stays under three seconds although a broker hangs.
DEADLINE_S = 1.6
#: What the brokers get of it even where loading the codec took long, as on a machine that is busy itself.
_LEAST_S = 1.2
#: What a thread needs to notice that its time is over.
_GRACE_S = 0.1
_NO_ERROR = 0
_NO_LEADER = -1
#: A message that is older has had the time to be read, also right after the consumer's start, in seconds.
_SETTLED_S = 300
#: A log directory that is offline has its own finding.
_STORAGE_ERROR = 56
#: Parts named in a fault; more would hide the next one.
_NAMED = 4
#: Protocol types of groups that read: members that share partitions, and programs that only commit.
_READERS = ("consumer", "")


@dataclass(frozen=True)
class PartitionView:
    """One partition in one broker's metadata."""

    topic: str
    partition: int
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    internal: bool = False


@dataclass
class BrokerAnswers:
    """What one broker answered, filled in as the answers arrive.

    Attributes:
        failure: why nothing is known: silence, until its metadata is here and clears it.
        broken_off: why not everything is known; cleared when the offsets are here.
        refused: request and error code to what was refused with it.
    """

    node_id: int
    failure: str = NO_ANSWER
    broken_off: str = NO_ANSWER
    answer_ms: int | None = None
    cluster_id: str = ""
    listed: tuple[int, ...] = ()
    log_dirs: tuple[LogDir, ...] = ()
    views: list[PartitionView] = field(default_factory=list)
    leo: dict[tuple[str, int], int] = field(default_factory=dict)
    start: dict[tuple[str, int], int] = field(default_factory=dict)
    lso: dict[tuple[str, int], int] = field(default_factory=dict)
    hw: dict[tuple[str, int], int] = field(default_factory=dict)
    settled: dict[tuple[str, int], int] = field(default_factory=dict)
    refused: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    min_isr: dict[str, int] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    quorum: Quorum | None = None
    quorum_refused: int = 0


def collect_cluster(fleet: Fleet, *, deadline_s: float = DEADLINE_S) -> KafkaSnapshot:
    """Ask for everything: brokers, disks, quorum, partitions, groups."""
    return _collect(fleet, deadline_s, whole=True)


def collect_partitions(fleet: Fleet, *, deadline_s: float = DEADLINE_S) -> KafkaSnapshot:
    """Ask for brokers and partitions only."""
    return _collect(fleet, deadline_s, whole=False)


def _collect(fleet: Fleet, deadline_s: float, *, whole: bool) -> KafkaSnapshot:
    latest = time.monotonic() + deadline_s
    # Here and not in the threads: it takes longer than a healthy cluster's answers.
    import obsctl.checks.kafka.wire  # noqa: F401

    hosts = [host for host in fleet.group("kafka") if host.kafka and "broker" in host.kafka.roles]
    deadline = max(latest, time.monotonic() + _LEAST_S)
    broker_answers: list[BrokerAnswers] = []
    threads = []
    for host in hosts:
        assert host.kafka is not None  # noqa: S101 - filtered above
        answers = BrokerAnswers(host.kafka.node_id)
        broker_answers.append(answers)
        # Daemons: a name server that hangs must not keep the process alive after the deadline.
        threads.append(threading.Thread(target=_question, args=(host, answers, deadline, whole), daemon=True))
    controller_answers: list[BrokerAnswers] = []
    if whole:
        for host in _controllers(fleet):
            answers = BrokerAnswers(host.kafka.node_id if host.kafka else 0)
            controller_answers.append(answers)
            threads.append(threading.Thread(target=_ask_controller, args=(host, answers, deadline), daemon=True))
    for thread in threads:
        thread.start()
    for _, thread in zip(broker_answers, threads, strict=False):
        thread.join(max(0.0, deadline + _GRACE_S - time.monotonic()))
    return assemble(hosts, broker_answers, [answers.quorum for answers in controller_answers if answers.quorum])


def _controllers(fleet: Fleet) -> list[Host]:
    return [host for host in fleet.group("kafka") if host.kafka and "controller" in host.kafka.roles]


def _ask_controller(host: Host, answers: BrokerAnswers, deadline: float) -> None:
    """Ask a controller itself, where its port is open to us.

    Brokers pass the question on over one connection, which a hung controller blocks for half a minute after its
    successor has been elected. This answer is not waited for when a broker has given one: the port is usually
    closed to all but the cluster.
    """
    from obsctl.checks.kafka import wire

    assert host.kafka is not None  # noqa: S101 - only controllers are asked
    # Whatever goes wrong here, brokers were asked the same.
    with (
        contextlib.suppress(Exception),
        contextlib.closing(wire.Conversation(host.address, host.kafka.controller_port, deadline)) as conversation,
    ):
        _read_quorum(answers, conversation.ask([wire.quorum()])[0])


def _question(host: Host, answers: BrokerAnswers, deadline: float, whole: bool) -> None:
    from obsctl.checks.kafka import wire

    assert host.kafka is not None  # noqa: S101 - only brokers are asked
    started = time.monotonic()
    try:
        with contextlib.closing(wire.Conversation(host.address, host.kafka.broker_port, deadline)) as conversation:
            group_states = _ask_overview(conversation, answers, whole=whole)
            answers.failure = ""
            _ask_offsets(conversation, answers, group_states)
            answers.broken_off = ""
            answers.answer_ms = round((time.monotonic() - started) * 1000)
            if whole:
                # Last, because the broker forwards it to the controller and answers nothing that follows until that
                # answers.
                _read_quorum(answers, conversation.ask([wire.quorum()])[0])
    except wire.BrokerSilentError as silence:
        _break_off(answers, str(silence))
    except Exception as error:
        # What could be decoded need not make sense.
        _break_off(answers, f"its answer cannot be decoded ({type(error).__name__})")


def _break_off(answers: BrokerAnswers, why: str) -> None:
    """Note why the answers that are missing are missing."""
    answers.failure = answers.failure and why
    answers.broken_off = answers.broken_off and why


def _note_refusals(answers: BrokerAnswers, question: str, answer: Any, *, but: int = _NO_ERROR) -> None:
    from obsctl.checks.kafka import wire

    for what, code in wire.refusals(answer):
        if code != but:
            answers.refused.setdefault((question, code), []).append(what)


def _ask_overview(conversation: Any, answers: BrokerAnswers, *, whole: bool) -> dict[str, str]:
    from obsctl.checks.kafka import wire

    requests = [wire.metadata(), wire.log_dirs(), wire.groups()] if whole else [wire.metadata()]
    metadata, *rest = conversation.ask(requests)
    answers.cluster_id = metadata.cluster_id or ""
    answers.listed = tuple(broker.node_id for broker in metadata.brokers)
    answers.views = [
        PartitionView(
            topic=topic.name,
            partition=entry.partition_index,
            leader=entry.leader_id,
            leader_epoch=entry.leader_epoch,
            replicas=tuple(entry.replica_nodes),
            isr=tuple(entry.isr_nodes),
            internal=topic.is_internal,
        )
        for topic in metadata.topics
        for entry in topic.partitions
        if topic.error_code == _NO_ERROR
    ]
    if not whole:
        return {}
    directories, groups = rest
    _note_refusals(answers, "DescribeLogDirs", directories, but=_STORAGE_ERROR)
    _note_refusals(answers, "ListGroups", groups)
    answers.log_dirs = tuple(_log_dir(result) for result in directories.results)
    return {group.group_id: group.group_state for group in groups.groups if group.protocol_type in _READERS}


def _ask_offsets(conversation: Any, answers: BrokerAnswers, group_states: Mapping[str, str]) -> None:
    from obsctl.checks.kafka import wire

    me = answers.node_id
    topics = sorted({view.topic for view in answers.views})
    held = [(view.topic, view.partition) for view in answers.views if me in view.replicas]
    led = [(view.topic, view.partition) for view in answers.views if view.leader == me]
    client = wire.CLIENT_REPLICA
    debug, plain, stable = wire.DEBUG_REPLICA, wire.READ_UNCOMMITTED, wire.READ_COMMITTED
    requests = [
        wire.min_isr(topics),
        wire.offsets(held, replica=debug, timestamp=wire.LATEST, isolation=plain),
        wire.offsets(led, replica=client, timestamp=wire.EARLIEST, isolation=plain),
        wire.offsets(led, replica=client, timestamp=wire.LATEST, isolation=stable),
        wire.offsets(led, replica=client, timestamp=wire.LATEST, isolation=plain),
        wire.offsets(led, replica=client, timestamp=int((time.time() - _SETTLED_S) * 1000), isolation=plain),
    ]
    if group_states:
        requests.append(wire.committed(sorted(group_states)))
    settings, *replies = conversation.ask(requests)
    offsets = replies[:5]
    _note_refusals(answers, "DescribeConfigs", settings)
    for answer in offsets:
        _note_refusals(answers, "ListOffsets", answer)
    answers.min_isr = wire.read_min_isr(settings)
    answers.leo, answers.start, answers.lso, answers.hw, younger = map(wire.read_offsets, offsets)
    # Where there is no younger message, none is named.
    answers.settled = answers.hw | younger
    if group_states:
        _note_refusals(answers, "OffsetFetch", replies[5])
        committed = wire.read_committed(replies[5])
        answers.groups = [
            Group(
                name=name,
                state=state,
                coordinator=me,
                committed=tuple(Committed(topic=t, partition=p, offset=o) for t, p, o in committed.get(name, [])),
            )
            for name, state in sorted(group_states.items())
        ]


def _log_dir(result: Any) -> LogDir:
    return LogDir(
        path=result.log_dir,
        healthy=result.error_code == _NO_ERROR,
        log_bytes=sum(entry.partition_size for topic in result.topics for entry in topic.partitions),
        total_bytes=result.total_bytes if result.total_bytes >= 0 else None,
        usable_bytes=result.usable_bytes if result.usable_bytes >= 0 else None,
    )


def _read_quorum(answers: BrokerAnswers, answer: Any) -> None:
    entries = [entry for topic in answer.topics for entry in topic.partitions]
    refusal = answer.error_code or next((entry.error_code for entry in entries if entry.error_code), _NO_ERROR)
    if refusal or not entries:
        answers.quorum_refused = refusal
        return
    (entry,) = entries
    leader = next((voter for voter in entry.current_voters if voter.replica_id == entry.leader_id), None)
    log_end = leader.log_end_offset if leader else entry.high_watermark
    now_ms = leader.last_caught_up_timestamp if leader else -1
    answers.quorum = Quorum(
        leader=entry.leader_id,
        epoch=entry.leader_epoch,
        high_watermark=entry.high_watermark,
        voters=tuple(
            Voter(
                node_id=voter.replica_id,
                log_end_offset=voter.log_end_offset,
                lag=max(0, log_end - voter.log_end_offset),
                behind_ms=_behind(now_ms, voter.last_caught_up_timestamp),
            )
            for voter in sorted(entry.current_voters, key=lambda voter: int(voter.replica_id))
        ),
    )


def _behind(leader_ms: int, voter_ms: int) -> int | None:
    return max(0, leader_ms - voter_ms) if leader_ms >= 0 and voter_ms >= 0 else None


def assemble(
    hosts: Sequence[Host], broker_answers: Sequence[BrokerAnswers], from_controllers: Sequence[Quorum] = ()
) -> KafkaSnapshot:
    """Put the answers together; ``hosts`` and ``broker_answers`` belong together by position.

    Args:
        from_controllers: the quorum as controllers described it in person.
    """
    answered = [answers for answers in broker_answers if not answers.failure]
    quorums = [answers.quorum for answers in answered if answers.quorum] + list(from_controllers)
    return KafkaSnapshot(
        brokers=tuple(_broker(host, answers, answered) for host, answers in zip(hosts, broker_answers, strict=True)),
        quorum=max(quorums, key=lambda quorum: quorum.epoch, default=None),
        partitions=_partitions(answered),
        groups=tuple(sorted((group for t in answered for group in t.groups), key=lambda group: group.name)),
        errors=tuple(_faults(answered, quorum_known=bool(quorums))),
    )


def freshest(views: Mapping[int, PartitionView]) -> PartitionView:
    """Return the newest of several brokers' views of one partition (``views``: broker id to its view).

    The highest leader epoch wins. Within it the leader's own view: it is the one that changes the ISR. Without it
    the ISR that most of them name, so that a broker which was just resumed does not count for more than the others.
    """
    epoch = max(view.leader_epoch for view in views.values())
    newest = {node: view for node, view in views.items() if view.leader_epoch == epoch}
    for node, view in newest.items():
        if view.leader == node:
            return view
    counts = Counter(frozenset(view.isr) for view in newest.values())
    # Of two equally frequent ones the smaller: it is better to warn of a replica that has just come back.
    isr = min(counts, key=lambda members: (-counts[members], len(members), sorted(members)))
    return next(view for view in newest.values() if frozenset(view.isr) == isr)


def _partitions(answered: Sequence[BrokerAnswers]) -> tuple[Partition, ...]:
    views: dict[tuple[str, int], dict[int, PartitionView]] = {}
    for answers in answered:
        for view in answers.views:
            views.setdefault((view.topic, view.partition), {})[answers.node_id] = view
    by_node = {answers.node_id: answers for answers in answered}
    min_isr = {topic: value for answers in answered for topic, value in answers.min_isr.items()}
    return tuple(_partition(key, freshest(views[key]), by_node, min_isr) for key in sorted(views))


def _partition(
    key: tuple[str, int], view: PartitionView, by_node: Mapping[int, BrokerAnswers], min_isr: Mapping[str, int]
) -> Partition:
    leader = by_node.get(view.leader)
    replicas = {node: by_node[node].leo.get(key) if node in by_node else None for node in sorted(view.replicas)}
    return Partition(
        topic=view.topic,
        partition=view.partition,
        leader=None if view.leader == _NO_LEADER else view.leader,
        leader_epoch=view.leader_epoch,
        replicas=view.replicas,
        isr=tuple(sorted(view.isr)),
        internal=view.internal,
        min_isr=min_isr.get(view.topic),
        start=leader.start.get(key) if leader else None,
        lso=leader.lso.get(key) if leader else None,
        hw=leader.hw.get(key) if leader else None,
        settled=leader.settled.get(key) if leader else None,
        leo=replicas,
    )


def _broker(host: Host, answers: BrokerAnswers, answered: Sequence[BrokerAnswers]) -> Broker:
    others = [t for t in answered if t.node_id != answers.node_id] or [t for t in answered if t is answers]
    seen = sum(answers.node_id in other.listed for other in others)
    return Broker(
        node_id=answers.node_id,
        host=host.name,
        address=f"{host.address}:{host.kafka.broker_port if host.kafka else 0}",
        failure=answers.failure,
        answer_ms=answers.answer_ms,
        registered=bool(others) and 2 * seen > len(others),
        cluster_id=answers.cluster_id,
        log_dirs=answers.log_dirs,
    )


def _faults(answered: Sequence[BrokerAnswers], *, quorum_known: bool) -> Iterable[Fault]:
    for answers in answered:
        if answers.broken_off:
            yield Fault(
                code="KAFKA_ANSWER_CUT",
                object=f"broker/{answers.node_id}",
                summary=f"answered only in part: {answers.broken_off}",
            )
        for (question, code), parts in answers.refused.items():
            yield Fault(
                code="KAFKA_ANSWER_REFUSED",
                object=f"broker/{answers.node_id}",
                summary=_refusal(question, code, list(dict.fromkeys(filter(None, parts)))),
            )
    refusal = next((t.quorum_refused for t in answered if t.quorum_refused), 0)
    if refusal and not quorum_known:
        yield Fault(
            code="KAFKA_QUORUM_UNREADABLE",
            object="kafka/quorum",
            summary=f"the brokers refuse to describe the quorum (Kafka error {refusal})",
        )


def _refusal(question: str, code: int, parts: Sequence[str]) -> str:
    from obsctl.checks.kafka import wire

    named = f" for {', '.join(parts[:_NAMED])}" if parts else ""
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f"refuses {question}{named}{more}: {wire.error_name(code)} (error {code})"
