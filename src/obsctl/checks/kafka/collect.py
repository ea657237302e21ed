"""Queries every broker of the fleet directly and in parallel, and combines the answers.

No broker is asked about another: each reports which partitions it leads and which replicas it holds, so only the
answers of a dead or hung broker are missing. If their metadata differ (a broker that was just resumed still has the
old ISR), :func:`freshest` decides. If the replicas of a partition do not end at the same offset, it matters whether
they advance, so those partitions are sampled again (:mod:`obsctl.checks.kafka.second_look`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obsctl.checks.kafka.denial import RESOURCES, denied
from obsctl.checks.kafka.snapshot import (
    UNASKED,
    Aged,
    Broker,
    Committed,
    Group,
    KafkaSnapshot,
    LogDir,
    Partition,
    Quorum,
    Sample,
    TopicSettings,
    Voter,
)
from obsctl.checks.lag.retention import is_abandoned
from obsctl.checks.silence import NO_ANSWER
from obsctl.core.errors import ConfigError
from obsctl.core.listed import listed
from obsctl.core.report import Fault
from obsctl.fleet.model import Fleet, Host
from obsctl.kafka.access import UNPROTECTED, Access, open_access

#: Time limit from the beginning of the collection to the last answer, seconds. Including the start of the process and
#: the output, the whole command takes less than three seconds even if a broker hangs.
DEADLINE_S = 1.6
#: The least time left for the brokers, even if loading the codec took long, as on a busy machine.
_LEAST_S = 1.2
#: How long a thread needs to notice its deadline.
_GRACE_S = 0.1
#: How long the second look waits for the brokers' first offsets, seconds.
_FIRST_LOOK_S = 0.5
#: A topic of every cluster with groups: a user who may not see it may not see other topics, either.
ALWAYS_THERE = "__consumer_offsets"
_NO_ERROR = 0
_NO_LEADER = -1
#: Older messages should have been read, even right after the consumer's start, seconds.
SETTLED_S = 300
#: Kafka's codes for a leader that has moved since the metadata were read: no such partition, no leader, or another
#: leader. If asked again, the broker answers properly.
_MOVED = (3, 5, 6)
#: How often the questions are repeated then, and after how long, seconds.
_MOVES, _MOVING_S = 2, 0.1
#: The code of an offline log directory, which has its own finding.
_STORAGE_ERROR = 56
#: The most parts that a fault names; more would hide the next one.
_NAMED = 4


@dataclass(frozen=True)
class Wanted:
    """What a broker is asked for.

    Attributes:
        topics: of the inventory, asked for by name where the list leaves them out.
        groups: the same.
        whole: disks and groups too.
    """

    topics: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class PartitionView:
    """A partition in a broker's metadata."""

    topic: str
    partition: int
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    internal: bool = False
    topic_id: str = ""


@dataclass
class BrokerAnswers:
    """The answers of one broker, filled in as they arrive.

    Attributes:
        failure: why nothing is known; cleared when its metadata arrives.
        silence: the kind of this failure.
        broken_off: why some answers are missing; cleared when the offsets arrive.
        sampled: set when the offsets have arrived, or will not come.
        sampled_at: when they arrived, on the monotonic clock; ``later_at``: those of the second look.
        hidden: topics that it refuses to describe to us.
        aged: age in milliseconds and the first younger offset, for the partitions that were asked about.
        moving: the partitions that are being reassigned; ``None`` if no controller reported them.
        refused: request and error code to what was refused with it.
    """

    node_id: int
    failure: str = NO_ANSWER
    silence: str = ""
    broken_off: str = NO_ANSWER
    sampled: threading.Event = field(default_factory=threading.Event)
    sampled_at: float = 0.0
    later_at: float = 0.0
    answer_ms: int | None = None
    cluster_id: str = ""
    listed: dict[int, str] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    log_dirs: tuple[LogDir, ...] = ()
    sizes: dict[tuple[str, int], int] = field(default_factory=dict)
    views: list[PartitionView] = field(default_factory=list)
    leo: dict[tuple[str, int], int] = field(default_factory=dict)
    start: dict[tuple[str, int], int] = field(default_factory=dict)
    lso: dict[tuple[str, int], int] = field(default_factory=dict)
    hw: dict[tuple[str, int], int] = field(default_factory=dict)
    settled: dict[tuple[str, int], int] = field(default_factory=dict)
    later_leo: dict[tuple[str, int], int] = field(default_factory=dict)
    later_hw: dict[tuple[str, int], int] = field(default_factory=dict)
    aged: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    refused: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)
    quorum: Quorum | None = None
    quorum_refused: int = 0
    moving: dict[tuple[str, int], tuple[tuple[int, ...], tuple[int, ...]]] | None = None


def collect_cluster(fleet: Fleet, *, deadline_s: float = DEADLINE_S) -> KafkaSnapshot:
    """Query everything: brokers, disks, quorum, partitions, groups."""
    return _collect(fleet, deadline_s, whole=True)


def collect_partitions(fleet: Fleet, *, deadline_s: float = DEADLINE_S) -> KafkaSnapshot:
    """Query only brokers, quorum and partitions."""
    return _collect(fleet, deadline_s, whole=False)


def _collect(fleet: Fleet, deadline_s: float, *, whole: bool) -> KafkaSnapshot:
    latest = time.monotonic() + deadline_s
    # Imported here and not in the threads, because it takes longer than a healthy cluster's answers.
    from obsctl.checks.kafka.ages import ask_ages
    from obsctl.checks.kafka.second_look import look_again

    hosts = [host for host in fleet.group("kafka") if host.kafka and "broker" in host.kafka.roles]
    started = time.monotonic()
    deadline = max(latest, started + _LEAST_S)
    wanted = Wanted(tuple(topic.name for topic in fleet.kafka.topics), our_groups(fleet), whole)
    try:
        access = open_access(fleet.kafka.client)
    except ConfigError as error:
        return not_asked(hosts, error)
    broker_answers: list[BrokerAnswers] = []
    threads = []
    for host in hosts:
        assert host.kafka is not None  # noqa: S101 - filtered above
        answers = BrokerAnswers(host.kafka.node_id)
        broker_answers.append(answers)
        # Daemons: a name server that hangs must not keep the process alive after the deadline.
        threads.append(threading.Thread(target=_question, args=(host, answers, deadline, wanted, access), daemon=True))
    controller_answers: list[BrokerAnswers] = []
    for host in _controllers(fleet):
        answers = BrokerAnswers(host.kafka.node_id if host.kafka else 0)
        controller_answers.append(answers)
        threads.append(threading.Thread(target=_ask_controller, args=(host, answers, deadline, access), daemon=True))
    for thread in threads:
        thread.start()
    for answers in broker_answers:
        answers.sampled.wait(max(0.0, started + _FIRST_LOOK_S - time.monotonic()))
    abandoned = {
        group.name for t in broker_answers for group in t.groups if is_abandoned(fleet, group.name, group.state)
    }
    ages = threading.Thread(target=ask_ages, args=(hosts, broker_answers, abandoned, deadline, access), daemon=True)
    ages.start()
    look_again(hosts, broker_answers, access)
    for thread in (*threads[: len(broker_answers)], ages):
        thread.join(max(0.0, deadline + _GRACE_S - time.monotonic()))
    return assemble(hosts, broker_answers, controller_answers)


def _controllers(fleet: Fleet) -> list[Host]:
    return [host for host in fleet.group("kafka") if host.kafka and "controller" in host.kafka.roles]


def our_groups(fleet: Fleet) -> tuple[str, ...]:
    """Return the groups of our own readers, if the inventory has these."""
    return (fleet.consumer.group, fleet.alerter.group) if fleet.group("consumer") else ()


def not_asked(hosts: Sequence[Host], error: ConfigError) -> KafkaSnapshot:
    """Return the snapshot if the password or a certificate cannot be read here: nothing is known."""
    why = f"not asked: {error}" + (f" ({error.hint})" if error.hint else "")
    answers = [BrokerAnswers(host.kafka.node_id if host.kafka else 0, failure=why, silence=UNASKED) for host in hosts]
    return assemble(hosts, answers)


def _ask_controller(host: Host, answers: BrokerAnswers, deadline: float, access: Access = UNPROTECTED) -> None:
    """Ask a controller directly, if its port is open to us.

    Brokers pass the question on over one connection, which a hung controller blocks for half a minute after its
    successor has been elected. If a broker has answered, this answer is not waited for: the port is usually only open
    to the cluster.
    """
    from obsctl.checks.kafka import wire

    assert host.kafka is not None  # noqa: S101 - only controllers are asked
    # Errors here do not matter, because the brokers were asked the same.
    with (
        contextlib.suppress(Exception),
        contextlib.closing(
            wire.Conversation(host.address, host.kafka.controller_port, deadline, access)
        ) as conversation,
    ):
        _ask_quorum(conversation, answers, deadline)


def _question(
    host: Host, answers: BrokerAnswers, deadline: float, wanted: Wanted, access: Access = UNPROTECTED
) -> None:
    from obsctl.checks.kafka import wire

    assert host.kafka is not None  # noqa: S101 - only brokers are asked
    started = time.monotonic()
    try:
        with contextlib.closing(
            wire.Conversation(host.address, host.kafka.broker_port, deadline, access)
        ) as conversation:
            _ask_all(conversation, answers, wanted)
            for _ in range(_MOVES):
                if not _leader_has_moved(answers):
                    break
                time.sleep(_MOVING_S)
                answers.refused.clear()
                answers.hidden.clear()
                _ask_all(conversation, answers, wanted)
            answers.broken_off = ""
            answers.answer_ms = round((time.monotonic() - started) * 1000)
            answers.sampled.set()
            # Last, because the broker forwards it to the controller, and answers nothing further until the controller
            # has answered.
            _ask_quorum(conversation, answers, deadline)
    except wire.BrokerSilentError as silence:
        answers.silence = silence.kind if answers.failure else ""
        _break_off(answers, str(silence))
    except Exception as error:
        # An answer that could be decoded may still be nonsense.
        _break_off(answers, f"its answer cannot be decoded ({type(error).__name__})")
    finally:
        answers.sampled.set()


def _ask_all(conversation: Any, answers: BrokerAnswers, wanted: Wanted) -> None:
    groups = _ask_overview(conversation, answers, wanted)
    answers.failure = ""
    _ask_offsets(conversation, answers, groups, wanted.groups if wanted.whole else ())


def _leader_has_moved(answers: BrokerAnswers) -> bool:
    return any(question == "ListOffsets" and code in _MOVED for question, code in answers.refused)


def _break_off(answers: BrokerAnswers, why: str) -> None:
    """Record why answers are missing."""
    answers.failure = answers.failure and why
    answers.broken_off = answers.broken_off and why


def _note_refusals(answers: BrokerAnswers, question: str, answer: Any, *, but: int = _NO_ERROR) -> None:
    from obsctl.checks.kafka import wire

    for what, code in wire.refusals(answer):
        if code != but:
            answers.refused.setdefault((question, code), []).append(what)


def _ask_overview(conversation: Any, answers: BrokerAnswers, wanted: Wanted) -> dict[str, tuple[str, str]]:
    from obsctl.checks.kafka import wire

    requests = [wire.metadata(), wire.log_dirs(), wire.groups()] if wanted.whole else [wire.metadata()]
    metadata, *rest = conversation.ask(requests)
    answers.cluster_id = metadata.cluster_id or ""
    answers.listed = {broker.node_id: f"{broker.host}:{broker.port}" for broker in metadata.brokers}
    answers.views = [
        PartitionView(
            topic=topic.name,
            partition=entry.partition_index,
            leader=entry.leader_id,
            leader_epoch=entry.leader_epoch,
            replicas=tuple(entry.replica_nodes),
            isr=tuple(entry.isr_nodes),
            internal=topic.is_internal,
            topic_id=wire.topic_id(topic),
        )
        for topic in metadata.topics
        for entry in topic.partitions
        if topic.error_code == _NO_ERROR
    ]
    seen = {view.topic for view in answers.views}
    if unseen := [name for name in (*wanted.topics, ALWAYS_THERE) if name not in seen]:
        # A topic that we may not describe is left out of the answer for all topics, as if it did not exist.
        (named,) = conversation.ask([wire.named(unseen)])
        for name in wire.hidden_topics(named):
            answers.hidden.append(name)
            answers.refused.setdefault(("Metadata", wire.TOPIC_HIDDEN), []).append(name)
    if not wanted.whole:
        return {}
    directories, groups = rest
    _note_refusals(answers, "DescribeLogDirs", directories, but=_STORAGE_ERROR)
    _note_refusals(answers, "ListGroups", groups)
    answers.log_dirs = tuple(_log_dir(result) for result in directories.results)
    answers.sizes = {
        (topic.name, entry.partition_index): entry.partition_size
        for result in directories.results
        for topic in result.topics
        for entry in topic.partitions
        if not entry.is_future_key
    }
    return wire.read_groups(groups)


def _ask_offsets(
    conversation: Any, answers: BrokerAnswers, groups: Mapping[str, tuple[str, str]], ours: Sequence[str]
) -> None:
    from obsctl.checks.kafka import wire

    me = answers.node_id
    topics = sorted({view.topic for view in answers.views})
    held = [(view.topic, view.partition) for view in answers.views if me in view.replicas]
    led = [(view.topic, view.partition) for view in answers.views if view.leader == me]
    client = wire.CLIENT_REPLICA
    debug, plain, stable = wire.DEBUG_REPLICA, wire.READ_UNCOMMITTED, wire.READ_COMMITTED
    requests = [
        wire.settings(topics),
        wire.offsets(held, replica=debug, timestamp=wire.LATEST, isolation=plain),
        wire.offsets(led, replica=client, timestamp=wire.EARLIEST, isolation=plain),
        wire.offsets(led, replica=client, timestamp=wire.LATEST, isolation=stable),
        wire.offsets(led, replica=client, timestamp=wire.LATEST, isolation=plain),
        wire.offsets(led, replica=client, timestamp=int((time.time() - SETTLED_S) * 1000), isolation=plain),
    ]
    # A share group has no committed offsets: its progress is stored record by record.
    committing = sorted(name for name, (kind, _) in groups.items() if kind != wire.SHARE)
    if committing:
        requests.append(wire.committed(committing))
    # A group that we may not describe is missing in the list as if it did not exist; a request by its name is refused.
    unlisted = [name for name in ours if name not in groups]
    if unlisted:
        requests.append(wire.committed(unlisted))
    settings, *replies = conversation.ask(requests)
    offsets = replies[:5]
    _note_refusals(answers, "DescribeConfigs", settings)
    for answer in offsets:
        _note_refusals(answers, "ListOffsets", answer)
    answers.settings = wire.read_settings(settings)
    answers.sampled_at = time.monotonic()
    answers.leo, answers.start, answers.lso, answers.hw, younger = map(wire.read_offsets, offsets)
    # If there is no younger message, the answer names none.
    answers.settled = answers.hw | younger
    if committing:
        _note_refusals(answers, "OffsetFetch", replies[5])
    for name in wire.hidden_groups(replies[-1]) if unlisted else ():
        answers.refused.setdefault(("OffsetFetch", wire.GROUP_HIDDEN), []).append(name)
    committed = wire.read_committed(replies[5]) if committing else {}
    answers.groups = [
        Group(
            name=name,
            state=state,
            kind=kind,
            coordinator=me,
            committed=tuple(Committed(topic=t, partition=p, offset=o) for t, p, o in committed.get(name, [])),
        )
        for name, (kind, state) in sorted(groups.items())
    ]


def _log_dir(result: Any) -> LogDir:
    return LogDir(
        path=result.log_dir,
        healthy=result.error_code == _NO_ERROR,
        log_bytes=sum(entry.partition_size for topic in result.topics for entry in topic.partitions),
        total_bytes=result.total_bytes if result.total_bytes >= 0 else None,
        usable_bytes=result.usable_bytes if result.usable_bytes >= 0 else None,
    )


def _ask_quorum(conversation: Any, answers: BrokerAnswers, deadline: float) -> None:
    from obsctl.checks.kafka import wire

    left = max(0.0, deadline - time.monotonic())
    quorum, moving = conversation.ask([wire.quorum(), wire.reassignments(left)])
    _read_quorum(answers, quorum)
    if moving.error_code == _NO_ERROR:
        answers.moving = wire.read_reassignments(moving)
    elif moving.error_code in RESOURCES:
        _note_refusals(answers, "ListPartitionReassignments", moving)


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

    def described(replicas: Iterable[Any]) -> tuple[Voter, ...]:
        return tuple(
            Voter(
                node_id=replica.replica_id,
                log_end_offset=replica.log_end_offset,
                lag=max(0, log_end - replica.log_end_offset),
                behind_ms=_behind(now_ms, replica.last_caught_up_timestamp),
            )
            for replica in sorted(replicas, key=lambda replica: int(replica.replica_id))
        )

    answers.quorum = Quorum(
        leader=entry.leader_id,
        epoch=entry.leader_epoch,
        high_watermark=entry.high_watermark,
        voters=described(entry.current_voters),
        observers=described(entry.observers),
    )


def _behind(leader_ms: int, voter_ms: int) -> int | None:
    return max(0, leader_ms - voter_ms) if leader_ms >= 0 and voter_ms >= 0 else None


def assemble(
    hosts: Sequence[Host], broker_answers: Sequence[BrokerAnswers], controller_answers: Sequence[BrokerAnswers] = ()
) -> KafkaSnapshot:
    """Put the answers together; ``hosts`` and ``broker_answers`` belong together by position.

    Args:
        controller_answers: direct answers of controllers about the quorum and reassignments.
    """
    answered = [answers for answers in broker_answers if not answers.failure]
    everyone = [*answered, *controller_answers]
    quorums = [answers.quorum for answers in everyone if answers.quorum]
    quorum = max(quorums, key=lambda quorum: quorum.epoch, default=None)
    moving = [answers.moving for answers in everyone if answers.moving is not None]
    seen = {view.topic for answers in answered for view in answers.views}
    return KafkaSnapshot(
        brokers=tuple(_broker(host, answers, answered) for host, answers in zip(hosts, broker_answers, strict=True)),
        quorum=quorum,
        partitions=_partitions(answered, {key: move for moves in moving for key, move in moves.items()}),
        settings=_settings(answered),
        groups=tuple(sorted((group for t in answered for group in t.groups), key=lambda group: group.name)),
        listed={node: address for answers in answered for node, address in sorted(answers.listed.items())},
        hidden=tuple(sorted({name for answers in answered for name in answers.hidden} - seen)),
        reassignments_known=bool(moving),
        denied=denied(_refused(answers, quorum_known=bool(quorums)) for answers in answered),
        errors=tuple(_faults(answered, quorum_known=bool(quorums))),
    )


def views_of(answered: Iterable[BrokerAnswers]) -> dict[tuple[str, int], PartitionView]:
    """Return the freshest view of each partition (topic, number), sorted."""
    views: dict[tuple[str, int], dict[int, PartitionView]] = {}
    for answers in answered:
        for view in answers.views:
            views.setdefault((view.topic, view.partition), {})[answers.node_id] = view
    return {key: freshest(views[key]) for key in sorted(views)}


def freshest(views: Mapping[int, PartitionView]) -> PartitionView:
    """Return the newest of several brokers' views of one partition (``views``: broker id to its view).

    The highest leader epoch wins. Within it the leader's own view wins, because the leader changes the ISR. Without
    the leader's view, the ISR that most brokers name wins, so that one broker that was just resumed does not decide.
    """
    epoch = max(view.leader_epoch for view in views.values())
    newest = {node: view for node, view in views.items() if view.leader_epoch == epoch}
    for node, view in newest.items():
        if view.leader == node:
            return view
    counts = Counter(frozenset(view.isr) for view in newest.values())
    # Of two equally frequent ones the smaller wins: a warning about a replica that has just come back does less harm.
    isr = min(counts, key=lambda members: (-counts[members], len(members), sorted(members)))
    return next(view for view in newest.values() if frozenset(view.isr) == isr)


def _partitions(
    answered: Sequence[BrokerAnswers], moving: Mapping[tuple[str, int], tuple[tuple[int, ...], tuple[int, ...]]]
) -> tuple[Partition, ...]:
    by_node = {answers.node_id: answers for answers in answered}
    min_isr = {topic: values.get("min.insync.replicas") for t in answered for topic, values in t.settings.items()}
    return tuple(
        _partition(key, view, by_node, _number(min_isr.get(view.topic)), moving.get(key, ((), ())))
        for key, view in views_of(answered).items()
    )


def _partition(
    key: tuple[str, int],
    view: PartitionView,
    by_node: Mapping[int, BrokerAnswers],
    min_isr: int | None,
    moving: tuple[tuple[int, ...], tuple[int, ...]],
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
        topic_id=view.topic_id,
        min_isr=min_isr,
        start=leader.start.get(key) if leader else None,
        lso=leader.lso.get(key) if leader else None,
        hw=leader.hw.get(key) if leader else None,
        settled=leader.settled.get(key) if leader else None,
        leo=replicas,
        later=_later(key, view, by_node),
        adding=moving[0],
        removing=moving[1],
        aged=tuple(Aged(age_ms=age, offset=offset) for age, offset in leader.aged.get(key, ())) if leader else (),
        sizes={node: by_node[node].sizes[key] for node in replicas if node in by_node and key in by_node[node].sizes},
    )


def _later(key: tuple[str, int], view: PartitionView, by_node: Mapping[int, BrokerAnswers]) -> Sample | None:
    """Return the last look at a partition; ``None`` if there was no further look."""
    again = [by_node[node] for node in view.replicas if node in by_node and key in by_node[node].later_leo]
    if not again:
        return None
    leader = by_node.get(view.leader)
    return Sample(
        # The shortest time between the looks over all compared replicas.
        after_s=round(min(answers.later_at for answers in again) - max(answers.sampled_at for answers in again), 3),
        hw=leader.later_hw.get(key) if leader else None,
        leo={node: by_node[node].later_leo.get(key) if node in by_node else None for node in sorted(view.replicas)},
    )


def _settings(answered: Iterable[BrokerAnswers]) -> dict[str, TopicSettings]:
    found = {topic: values for answers in answered for topic, values in answers.settings.items()}
    return {topic: settings_of(values) for topic, values in sorted(found.items())}


def settings_of(values: Mapping[str, str]) -> TopicSettings:
    """Return a topic's settings as numbers; ``values``: the broker's texts by name."""
    return TopicSettings(
        retention_ms=_number(values.get("retention.ms")),
        retention_bytes=_number(values.get("retention.bytes")),
        cleanup=values.get("cleanup.policy", ""),
        unclean={"true": True, "false": False}.get(values.get("unclean.leader.election.enable", "")),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _broker(host: Host, answers: BrokerAnswers, answered: Sequence[BrokerAnswers]) -> Broker:
    others = [t for t in answered if t.node_id != answers.node_id] or [t for t in answered if t is answers]
    seen = sum(answers.node_id in other.listed for other in others)
    return Broker(
        node_id=answers.node_id,
        host=host.name,
        address=f"{host.address}:{host.kafka.broker_port if host.kafka else 0}",
        failure=answers.failure,
        silence=answers.silence if answers.failure else "",
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
                summary=f"its answer is incomplete: {answers.broken_off}",
            )
        for (question, code), parts in answers.refused.items():
            if code in RESOURCES:
                continue
            yield Fault(
                code="KAFKA_ANSWER_REFUSED",
                object=f"broker/{answers.node_id}",
                summary=_refusal(question, code, list(dict.fromkeys(filter(None, parts)))),
            )
    refusal = next((t.quorum_refused for t in answered if t.quorum_refused), 0)
    if refusal and refusal not in RESOURCES and not quorum_known:
        yield Fault(
            code="KAFKA_QUORUM_UNREADABLE",
            object="kafka/quorum",
            summary=f"the brokers refuse to describe the quorum (Kafka error {refusal})",
        )


def _refused(answers: BrokerAnswers, *, quorum_known: bool) -> Mapping[tuple[str, int], Sequence[str]]:
    """Return what a broker refused; for the quorum only if no other broker answered."""
    if quorum_known or not answers.quorum_refused:
        return answers.refused
    return answers.refused | {("DescribeQuorum", answers.quorum_refused): [""]}


def _refusal(question: str, code: int, parts: Sequence[str]) -> str:
    from obsctl.checks.kafka import wire

    named = f" for {listed(parts, _NAMED)}" if parts else ""
    return f"refuses {question}{named}: {wire.error_name(code)} (error {code})"
