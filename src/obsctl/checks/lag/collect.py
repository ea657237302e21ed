"""Watches the groups for a window: asks every broker once a second for the end offsets and positions that it has.

As for ``kafka status``, each broker is queried directly over its own connection, so if one hangs only its answers are
missing. Three more queries run in parallel: the storing consumer's positions in the database; the commits in
``__consumer_offsets``, because no broker reports when groups committed; and at the end the timestamps of the first
unread records.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from obsctl.checks.ask import database
from obsctl.checks.ask.acknowledged import ask_acknowledged
from obsctl.checks.ask.by_deadline import ask_until
from obsctl.checks.consumer.collect import ask_sources
from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.consumer.snapshot import StoredSource
from obsctl.checks.consumer.sources import present
from obsctl.checks.kafka.collect import ALWAYS_THERE, Wanted, not_asked, our_groups, settings_of
from obsctl.checks.kafka.denial import RESOURCES, denied
from obsctl.checks.kafka.snapshot import Broker
from obsctl.checks.lag import rules
from obsctl.checks.lag.snapshot import EndLook, GroupTrack, LagSnapshot, PartitionTrack, PositionLook, PositionTrack
from obsctl.checks.silence import NO_ANSWER
from obsctl.core.errors import ConfigError
from obsctl.core.report import Fault
from obsctl.fleet.model import Fleet, Host
from obsctl.kafka.access import Access, open_access
from obsctl.kafka.partition import TopicPartition

#: Default, shortest and longest window (seconds): clients commit every five seconds by default.
WINDOW_S = 10.0
SHORTEST_S = 6.0
LONGEST_S = 600.0
#: Time between two looks (seconds).
_STEP_S = 1.0
#: How long before the window reading of the groups' commits begins (seconds): enough for a group that commits each
#: minute.
_HISTORY_S = 180.0
#: Time limit for the answers to the first and to the last look (seconds).
_GRACE_S = 2.0
#: Time limit for the timestamps of records (seconds).
_TIMES_S = 3.0
_CLIENT_ID = "obsctl"

Part = TopicPartition


class _Question(NamedTuple):
    """The query for every broker: which groups (all if empty), what to ask for by name, and how to connect."""

    only: Collection[str]
    named: Wanted
    access: Access


@dataclass
class _Looks:
    """The answers of one broker, look by look; ``failure`` is cleared by its first answer."""

    node_id: int
    failure: str = NO_ANSWER
    silence: str = ""
    answer_ms: int | None = None
    cluster_id: str = ""
    ids: dict[Part, str] = field(default_factory=dict)
    retention: dict[str, int | None] = field(default_factory=dict)
    ends: dict[Part, list[EndLook]] = field(default_factory=dict)
    groups: dict[str, tuple[str, str]] = field(default_factory=dict)
    listed: tuple[str, ...] = ()
    positions: dict[str, dict[Part, list[PositionLook]]] = field(default_factory=dict)
    refused: dict[tuple[str, int], list[str]] = field(default_factory=dict)


@dataclass
class _Stored:
    """The database's answers: the sources at each look (seconds since the window's beginning)."""

    asked: bool = False
    failure: str = ""
    looks: list[tuple[float, tuple[StoredSource, ...]]] = field(default_factory=list)
    losses: tuple[StoredLoss, ...] | None = None


@dataclass
class _Commits:
    """When the groups committed, by group and partition (seconds since the epoch); ``known``: whether it was read."""

    known: bool = False
    at: dict[tuple[str, Part], list[float]] = field(default_factory=dict)


def collect_lag(fleet: Fleet, *, window_s: float = WINDOW_S, groups: Collection[str] = ()) -> LagSnapshot:
    """Watch the groups.

    Args:
        window_s: for how long (seconds).
        groups: only these; all without any.
    """
    # Imported here and not in the threads, because it takes longer than a healthy cluster's answers.
    import obsctl.checks.kafka.wire  # noqa: F401

    hosts = [host for host in fleet.group("kafka") if host.kafka and "broker" in host.kafka.roles]
    begin, wall = time.monotonic(), time.time()
    moments = [begin + step * _STEP_S for step in range(int(window_s / _STEP_S) + 1)]
    answers = [_Looks(host.kafka.node_id if host.kafka else 0) for host in hosts]
    stored, commits = _Stored(), _Commits()
    try:
        access = open_access(fleet.kafka.client)
    except ConfigError as error:
        return LagSnapshot(window_s=window_s, brokers=not_asked(hosts, error).brokers)
    topics = tuple(topic.name for topic in fleet.kafka.topics)
    question = _Question(groups, Wanted(topics, tuple(groups) or our_groups(fleet)), access)
    questions: list[Callable[[], None]] = [
        *(partial(_follow, host, looks, moments, question) for host, looks in zip(hosts, answers, strict=True)),
        partial(_read_commits, fleet.brokers(), commits, wall - _HISTORY_S, moments[-1]),
    ]
    if fleet.database.host and (not groups or fleet.consumer.group in groups):
        questions.append(partial(_ask_database, fleet, stored, moments))
    ask_until(moments[-1] + _GRACE_S + 0.1, questions)
    snapshot = assemble(fleet, hosts, answers, stored, commits, window_s=window_s, begin=wall, groups=groups)
    return _with_times(fleet, snapshot)


def _follow(host: Host, looks: _Looks, moments: Sequence[float], question: _Question) -> None:
    from obsctl.checks.kafka import wire

    assert host.kafka is not None  # noqa: S101 - only brokers are asked
    begin = moments[0]
    try:
        with contextlib.closing(
            wire.Conversation(host.address, host.kafka.broker_port, moments[-1] + _GRACE_S, question.access)
        ) as conversation:
            led, internal = _overview(conversation, looks, question.only)
            _note_hidden(conversation, looks, question.named)
            committing = sorted(name for name, (kind, _) in looks.groups.items() if kind != wire.SHARE)
            for moment in moments:
                time.sleep(max(0.0, moment - time.monotonic()))
                _look(conversation, looks, [part for part in led if part.topic not in internal], committing, begin)
    except wire.BrokerSilentError as silence:
        looks.silence = silence.kind if looks.failure else ""
        looks.failure = looks.failure and str(silence)
    except Exception as error:
        # An answer that could be decoded may still be nonsense.
        looks.failure = looks.failure and f"its answer cannot be decoded ({type(error).__name__})"


def _overview(conversation: Any, looks: _Looks, only: Collection[str]) -> tuple[list[Part], set[str]]:
    from obsctl.checks.kafka import wire

    asked = time.monotonic()
    metadata, listed = conversation.ask([wire.metadata(), wire.groups()])
    looks.answer_ms = round((time.monotonic() - asked) * 1000)
    looks.failure = ""
    looks.cluster_id = metadata.cluster_id or ""
    _note_refusals(looks, "ListGroups", listed)
    found = wire.read_groups(listed)
    looks.listed = tuple(found)
    looks.groups = {name: found[name] for name in found if not only or name in only}
    topics = [topic for topic in metadata.topics if not topic.error_code]
    internal = {topic.name for topic in topics if topic.is_internal}
    led = []
    for topic in topics:
        for entry in topic.partitions:
            part = Part(topic.name, entry.partition_index)
            looks.ids[part] = wire.topic_id(topic)
            if entry.leader_id == looks.node_id:
                led.append(part)
    names = sorted({part.topic for part in led} - internal)
    if names:
        (settings,) = conversation.ask([wire.settings(names)])
        _note_refusals(looks, "DescribeConfigs", settings)
        found_settings = wire.read_settings(settings)
        looks.retention = {topic: settings_of(one).deleted_after_ms for topic, one in found_settings.items()}
    return led, internal


def _note_hidden(conversation: Any, looks: _Looks, named: Wanted) -> None:
    """Ask by name for topics and groups that are not listed: the broker refuses those that our user may not see."""
    from obsctl.checks.kafka import wire

    seen = {part.topic for part in looks.ids}
    topics = [name for name in (*named.topics, ALWAYS_THERE) if name not in seen]
    groups = [name for name in named.groups if name not in looks.groups]
    requests = [wire.named(topics)] if topics else []
    requests += [wire.committed(groups)] if groups else []
    answers = conversation.ask(requests) if requests else []
    for name in wire.hidden_topics(answers[0]) if topics else ():
        looks.refused.setdefault(("Metadata", wire.TOPIC_HIDDEN), []).append(name)
    for name in wire.hidden_groups(answers[-1]) if groups else ():
        looks.refused.setdefault(("OffsetFetch", wire.GROUP_HIDDEN), []).append(name)


def _look(conversation: Any, looks: _Looks, led: Sequence[Part], committing: Sequence[str], begin: float) -> None:
    from obsctl.checks.kafka import wire

    client, plain = wire.CLIENT_REPLICA, wire.READ_UNCOMMITTED
    # Positions before ends: a position that is read after an end offset may be beyond it without a fault.
    requests = [wire.committed(committing)] if committing else []
    requests += [
        wire.offsets(led, replica=client, timestamp=wire.EARLIEST, isolation=plain),
        wire.offsets(led, replica=client, timestamp=wire.LATEST, isolation=plain),
        wire.offsets(led, replica=wire.DEBUG_REPLICA, timestamp=wire.LATEST, isolation=plain),
    ]
    at = round(time.monotonic() - begin, 3)
    *first, starts, ends, log_ends = conversation.ask(requests)
    for answer in first:
        _note_refusals(looks, "OffsetFetch", answer)
        for name, places in wire.read_committed(answer).items():
            for topic, number, offset in places:
                track = looks.positions.setdefault(name, {}).setdefault(Part(topic, number), [])
                track.append(PositionLook(at=at, offset=offset))
    for name, answer in (("ListOffsets", starts), ("ListOffsets", ends)):
        _note_refusals(looks, name, answer)
    start_at, end_at, log_end_at = map(wire.read_offsets, (starts, ends, log_ends))
    for key in start_at.keys() & end_at.keys():
        end = end_at[key]
        found = EndLook(at=at, start=start_at[key], end=end, log_end=max(end, log_end_at.get(key, end)))
        looks.ends.setdefault(Part(*key), []).append(found)


def _note_refusals(looks: _Looks, question: str, answer: Any) -> None:
    from obsctl.checks.kafka import wire

    for what, code in wire.refusals(answer):
        if code not in wire.MOVED:
            looks.refused.setdefault((question, code), []).append(what)


def _ask_database(fleet: Fleet, stored: _Stored, moments: Sequence[float]) -> None:
    """Query at each look; not again after a failure, because it takes seconds to notice that a database hangs."""
    for moment in moments:
        time.sleep(max(0.0, moment - time.monotonic()))
        at = round(time.monotonic() - moments[0], 3)
        try:
            if not stored.asked:
                stored.losses = database.ask(fleet, database.losses)
            stored.looks.append((at, database.ask(fleet, ask_sources)))
        except (database.NotAskedError, database.SilentError) as error:
            stored.failure = str(error)
            return
        finally:
            stored.asked = True


def _read_commits(bootstrap: Sequence[str], commits: _Commits, since: float, until: float) -> None:
    """Follow the topic of the commits to the window's end; if it cannot be read, the rules do without it."""
    from obsctl.core.errors import ObsctlError
    from obsctl.kafka import group_commits
    from obsctl.kafka.topic_log import TopicLog

    if not bootstrap:
        return
    with contextlib.suppress(ObsctlError):
        log = TopicLog(bootstrap, group_commits.TOPIC, _CLIENT_ID, since=since)
        try:
            while time.monotonic() < until:
                for record in log.poll(min(0.2, max(0.01, until - time.monotonic()))):
                    one = group_commits.decode(record.key, record.value)
                    if one is not None and one.at >= since:
                        commits.at.setdefault((one.group, one.part), []).append(one.at)
            commits.known = log.at_end
        finally:
            log.close()


def assemble(
    fleet: Fleet,
    hosts: Sequence[Host],
    answers: Sequence[_Looks],
    stored: _Stored,
    commits: _Commits,
    *,
    window_s: float,
    begin: float,
    groups: Collection[str],
) -> LagSnapshot:
    """Put the answers together; ``hosts`` and ``answers`` belong together by position, ``begin`` is wall-clock time."""
    answered = [looks for looks in answers if not looks.failure]
    ends = {part: looks.ends[part] for looks in answered for part in looks.ends}
    ids = {part: name for looks in answered for part, name in looks.ids.items()}
    retention = {topic: limit for looks in answered for topic, limit in looks.retention.items()}
    tracks = [track for looks in answered for track in _groups(looks, commits, begin)]
    ours = _in_database(fleet, answered, stored, ids, tracks)
    named = {part for track in (*tracks, *ours) for part in _parts(track)}
    by_name = {track.name: track for track in (*tracks, *ours)}
    return LagSnapshot(
        window_s=window_s,
        ended_ms=round((begin + window_s) * 1000),
        history_s=_HISTORY_S + window_s if commits.known else None,
        brokers=tuple(
            Broker(
                node_id=looks.node_id,
                host=host.name,
                address=f"{host.address}:{host.kafka.broker_port if host.kafka else 0}",
                failure=looks.failure,
                silence=looks.silence if looks.failure else "",
                answer_ms=looks.answer_ms,
                registered=not looks.failure,
                cluster_id=looks.cluster_id,
            )
            for host, looks in zip(hosts, answers, strict=True)
        ),
        partitions=tuple(
            PartitionTrack(
                topic=part.topic,
                partition=part.partition,
                topic_id=ids.get(part, ""),
                retention_ms=retention.get(part.topic),
                looks=tuple(ends.get(part, ())),
            )
            for part in sorted(named)
        ),
        groups=tuple(by_name[name] for name in sorted(by_name)),
        listed=tuple(sorted({name for looks in answered for name in looks.listed})),
        database=stored.failure,
        losses=stored.losses,
        acknowledged=ask_acknowledged(fleet) if stored.losses else (),
        denied=denied(looks.refused for looks in answered),
        errors=tuple(_faults(answers, named, ends, groups, by_name)),
    )


def _groups(looks: _Looks, commits: _Commits, begin: float) -> Iterable[GroupTrack]:
    for name, (kind, state) in looks.groups.items():
        yield GroupTrack(
            name=name,
            kind=kind,
            state=state,
            coordinator=looks.node_id,
            positions=tuple(
                PositionTrack(
                    topic=part.topic,
                    partition=part.partition,
                    looks=tuple(track),
                    commits=tuple(round(at - begin, 3) for at in commits.at.get((name, part), ())),
                )
                for part, track in sorted(looks.positions.get(name, {}).items())
            ),
        )


def _in_database(
    fleet: Fleet,
    answered: Sequence[_Looks],
    stored: _Stored,
    ids: Mapping[Part, str],
    tracks: Sequence[GroupTrack],
) -> list[GroupTrack]:
    """Return the storing consumer's group with the positions that matter: those in the database."""
    if not stored.looks or stored.failure:
        return []
    group = next((track for track in tracks if track.name == fleet.consumer.group), None)
    cluster_id = next((looks.cluster_id for looks in answered if looks.cluster_id), None)
    positions: dict[Part, list[PositionLook]] = {}
    moved: dict[Part, float] = {}
    for at, sources in stored.looks:
        for source in present(sources, cluster_id):
            part = Part(source.topic, source.partition)
            # A position of a topic that was created again says nothing about the present topic.
            if ids.get(part, "") in ("", source.topic_id):
                positions.setdefault(part, []).append(PositionLook(at=at, offset=source.next_offset))
                moved[part] = float(source.moved_s)
    return [
        GroupTrack(
            name=fleet.consumer.group,
            kind=group.kind if group else "",
            state=group.state if group else "",
            coordinator=group.coordinator if group else None,
            positions_in="database",
            positions=tuple(
                PositionTrack(topic=part.topic, partition=part.partition, looks=tuple(track), moved_s=moved[part])
                for part, track in sorted(positions.items())
            ),
        )
    ]


def _parts(track: GroupTrack) -> set[Part]:
    return {Part(position.topic, position.partition) for position in track.positions}


def _faults(
    answers: Sequence[_Looks],
    named: Collection[Part],
    ends: Mapping[Part, Sequence[EndLook]],
    groups: Collection[str],
    found: Collection[str],
) -> Iterable[Fault]:
    from obsctl.checks.kafka import wire

    silent = [looks for looks in answers if looks.failure]
    blind = sorted(str(part) for part in named if not ends.get(part))
    if silent and len(silent) < len(answers) and (blind or set(groups) - set(found)):
        yield Fault(
            code="KAFKA_ANSWER_CUT",
            object=f"broker/{', '.join(str(looks.node_id) for looks in silent)}",
            summary=f"no answer: {'the ends of ' + ', '.join(blind[:4]) if blind else 'its groups'} are not known",
        )
    for looks in answers:
        for (question, code), parts in looks.refused.items():
            if code in RESOURCES:
                continue
            where = f" for {', '.join(dict.fromkeys(filter(None, parts)))}" if any(parts) else ""
            yield Fault(
                code="KAFKA_ANSWER_REFUSED",
                object=f"broker/{looks.node_id}",
                summary=f"refuses {question}{where}: {wire.error_name(code)} (error {code})",
            )


def _with_times(fleet: Fleet, seen: LagSnapshot) -> LagSnapshot:
    """Return the snapshot with the timestamps of the first unread records."""
    import msgspec

    from obsctl.kafka import record_times

    until = time.monotonic() + _TIMES_S
    ends = {Part(track.topic, track.partition): track.looks for track in seen.partitions}
    groups = []
    for group in seen.groups:
        wanted = {
            Part(track.topic, track.partition): first
            for track in group.positions
            if (first := _first_unread(track, ends.get(Part(track.topic, track.partition), ()))) is not None
        }
        left = until - time.monotonic()
        times = record_times.ask(fleet.brokers(), _CLIENT_ID, wanted, left) if wanted and left > 0 else {}
        groups.append(
            msgspec.structs.replace(
                group,
                positions=tuple(
                    msgspec.structs.replace(track, record_ms=times.get(Part(track.topic, track.partition)))
                    for track in group.positions
                ),
            )
        )
    return msgspec.structs.replace(seen, groups=tuple(groups))


def _first_unread(track: PositionTrack, looks: Sequence[EndLook]) -> int | None:
    if not looks or not track.looks:
        return None
    last = rules.Look(looks[-1].at, track.looks[-1].offset, looks[-1].start, looks[-1].end, looks[-1].log_end)
    return max(last.position, last.start) if last.unread else None
