"""Every topic against the inventory: whether it survives the loss of one broker, and how long records are kept.

A topic of the inventory or of Kafka itself has its own findings; other topics share one finding for each kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from obsctl.checks.kafka.snapshot import Partition, TopicSettings
from obsctl.checks.kafka.view import ClusterView
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
#: The most partitions that the command for more replicas contains; for more it takes a file.
_WRITTEN_OUT = 6


class Weakness(NamedTuple):
    """What is wrong with a topic.

    Attributes:
        short: in a few words, for a column.
        what: the rest of a sentence that begins with the topic's name.
        hint: the command for this topic only.
    """

    code: str
    severity: Severity
    short: str
    what: str
    evidence: dict[str, Any]
    hint: str


def missing(view: ClusterView) -> Iterator[Finding]:
    """Topics of the inventory that do not exist; topics that we may not see do not count."""
    if view.stale:
        return
    for topic in view.fleet.kafka.topics:
        if topic.name not in view.topics and topic.name not in view.seen.hidden:
            yield Finding(
                code="KAFKA_TOPIC_MISSING",
                severity=Severity.CRITICAL,
                object=f"topic/{topic.name}",
                summary=f"the topic does not exist; the inventory specifies it with {topic.partitions} partitions",
                evidence={"wanted_partitions": topic.partitions},
                hint=f"{view.fleet.playbook('kafka')} creates it",
            )


def too_few_partitions(view: ClusterView) -> Iterator[Finding]:
    """Topics with fewer partitions than the inventory specifies."""
    if view.stale:
        return
    for topic in view.fleet.kafka.topics:
        count = len(view.topics.get(topic.name, ()))
        if 0 < count < topic.partitions:
            yield Finding(
                code="KAFKA_PARTITION_COUNT",
                severity=Severity.WARNING,
                object=f"topic/{topic.name}",
                summary=f"has {count} partitions, the inventory specifies {topic.partitions}",
                evidence={"partitions": count, "wanted": topic.partitions},
                hint=f"{view.fleet.playbook('kafka')} adds them; keys will then map to other partitions",
            )


def weak(view: ClusterView) -> Iterator[Finding]:
    """Topics that lose or stop more easily, or keep less, than they should."""
    foreign: dict[str, dict[str, Weakness]] = {}
    for name, partitions in () if view.stale else view.topics.items():
        for found in weaknesses(view, name, partitions):
            if view.is_ours(partitions[0]):
                yield Finding(
                    code=found.code,
                    severity=found.severity,
                    object=f"topic/{name}",
                    summary=found.what,
                    evidence=found.evidence,
                    hint=found.hint,
                )
            else:
                foreign.setdefault(found.code, {})[name] = found
    for code, topics in foreign.items():
        names = list(topics)
        found = topics[names[0]]
        one = len(names) == 1
        yield Finding(
            code=code,
            severity=max((w.severity for w in topics.values()), key=[Severity.INFO, Severity.WARNING].index),
            object=f"topic/{names[0]}" if one else "kafka",
            summary=f"{found.what}; this topic is not in the inventory"
            if one
            else f"{len(names)} topics that are not in the inventory: "
            + listed([f"{name} ({topics[name].short})" for name in names]),
            evidence=found.evidence if one else {"topics": {name: topics[name].short for name in names}},
            hint=found.hint if one else f"obsctl kafka topics shows them; for {names[0]}: {found.hint}",
        )


def weaknesses(view: ClusterView, name: str, partitions: Sequence[Partition]) -> Iterator[Weakness]:
    """Yield what is wrong with one topic."""
    settings = view.seen.settings.get(name, TopicSettings())
    configured = [p.min_isr for p in partitions if p.min_isr is not None]
    min_isr = min(configured, default=None)
    yield from _replicas(view, name, partitions)
    yield from _too_high(view, name, partitions)
    yield from _too_low(view, name, partitions[0], min_isr)
    yield from _retention(view, name, partitions[0], settings)
    if settings.unclean:
        yield Weakness(
            "KAFKA_UNCLEAN_ELECTION",
            Severity.WARNING,
            "unclean election",
            "unclean.leader.election.enable is on: a replica that was not in sync may become leader, and records that "
            "it lacks are lost",
            {"unclean_leader_election": True},
            _default_again(view, name, "unclean.leader.election.enable"),
        )


def _replicas(view: ClusterView, name: str, partitions: Sequence[Partition]) -> Iterator[Weakness]:
    wanted = min(view.fleet.kafka.replication_factor, len(view.seen.brokers))
    kept = {p.partition: [node for node in p.replicas if node not in p.removing] for p in partitions}
    thin = [p for p in partitions if len(kept[p.partition]) < wanted]
    if not thin:
        return
    fewest = min(len(kept[p.partition]) for p in thin)
    # Two replicas may be a deliberate choice; with one, the failure of a single disk loses data.
    tolerated = fewest > 1 and not view.is_ours(partitions[0])
    yield Weakness(
        "KAFKA_REPLICATION_FACTOR",
        Severity.INFO if tolerated else Severity.WARNING,
        f"RF {fewest}",
        f"{len(thin)} of {len(partitions)} partitions have {fewest} {'replica' if fewest == 1 else 'replicas'}, the "
        f"inventory specifies {wanted}"
        + (": one dead broker stops them, and one dead disk loses them" if fewest == 1 else ""),
        {"partitions": [p.name for p in thin], "replicas": fewest, "wanted": wanted},
        _more_replicas(view, name, thin, wanted),
    )


def _more_replicas(view: ClusterView, name: str, thin: Sequence[Partition], wanted: int) -> str:
    """Return the command that gives partitions more replicas; their first one stays the preferred leader."""
    live = [broker.node_id for broker in view.answered if broker.registered]
    if len(thin) > _WRITTEN_OUT or len(live) < wanted:
        return (
            f"obsctl kafka partitions --topic {name} -o wide shows the replicas, obsctl explain "
            "KAFKA_REPLICATION_FACTOR how to add some"
        )
    entries = []
    for p in thin:
        at = live.index(p.replicas[0]) if p.replicas[0] in live else 0
        # In turn, starting after the first replica, so that the copies do not all go to one broker.
        others = [node for node in [*live[at:], *live[:at]] if node not in p.replicas]
        after = ",".join(map(str, [*p.replicas, *others][:wanted]))
        entries.append(f'{{"topic":"{name}","partition":{p.partition},"replicas":[{after}]}}')
    plan = f'{{"version":1,"partitions":[{",".join(entries)}]}}'
    file = f"/tmp/{name}.json"  # noqa: S108 - of the host on which a person types it
    write = f"echo '{plan}' > {file} && "
    return view.kafka_cli("reassign", f"--reassignment-json-file {file} --execute", before=write)


def _too_high(view: ClusterView, name: str, partitions: Sequence[Partition]) -> Iterator[Weakness]:
    """A topic for whose writes all replicas must be in sync; with one replica, having only one is the weakness."""
    hit = [p for p in partitions if p.min_isr is not None and p.min_isr >= len(p.replicas) > 1]
    if not hit:
        return
    min_isr, fewest = max(p.min_isr or 0 for p in hit), min(len(p.replicas) for p in hit)
    yield Weakness(
        "KAFKA_MIN_ISR_HIGH",
        Severity.WARNING,
        "min ISR = RF",
        f"min.insync.replicas is {min_isr} of {fewest} replicas: writes stop as soon as one broker stops",
        {"min_insync_replicas": min_isr, "replicas": fewest},
        view.kafka_cli(
            "configs",
            f"--alter --entity-type topics --entity-name {name} --add-config min.insync.replicas={fewest - 1}",
        ),
    )


def _too_low(view: ClusterView, name: str, first: Partition, min_isr: int | None) -> Iterator[Weakness]:
    wanted = _wanted(view, name, "min.insync.replicas", view.fleet.kafka.min_insync_replicas)
    if first.internal or not view.is_ours(first) or min_isr is None or wanted is None or min_isr >= wanted:
        return
    yield Weakness(
        "KAFKA_MIN_ISR_LOW",
        Severity.WARNING,
        f"min ISR {min_isr}",
        f"min.insync.replicas is {min_isr}, the inventory specifies {wanted}: acks=all guarantees less than intended",
        {"min_insync_replicas": min_isr, "wanted": wanted},
        f"{view.fleet.playbook('kafka')} sets it for each topic",
    )


def _retention(view: ClusterView, name: str, first: Partition, settings: TopicSettings) -> Iterator[Weakness]:
    """A topic of the inventory with a shorter retention than the inventory specifies."""
    wanted = _wanted(view, name, "retention.ms", view.fleet.kafka.retention_ms)
    kept = settings.retention_ms
    if first.internal or not view.is_ours(first) or wanted is None or kept is None or kept < 0:
        return
    if "delete" not in settings.cleanup or 0 <= wanted <= kept:
        return
    written = "retention.ms" in _configs(view, name)
    yield Weakness(
        "KAFKA_RETENTION_SHORT",
        Severity.WARNING,
        f"kept {span(kept)}",
        f"keeps its records for {span(kept)}, the inventory specifies {span(wanted)}: records not read by then "
        "are lost",
        {"retention_ms": kept, "wanted": wanted},
        f"{view.fleet.playbook('kafka')} sets it" if written else _default_again(view, name, "retention.ms"),
    )


def _wanted(view: ClusterView, name: str, setting: str, default: int | None) -> int | None:
    """Return the inventory's value of a topic's setting; ``None`` if it has no number."""
    configs = _configs(view, name)
    try:
        return int(configs[setting]) if setting in configs else default
    except (TypeError, ValueError):
        return None


def _configs(view: ClusterView, name: str) -> dict[str, Any]:
    return next((topic.configs for topic in view.fleet.kafka.topics if topic.name == name), None) or {}


def _default_again(view: ClusterView, name: str, setting: str) -> str:
    return view.kafka_cli("configs", f"--alter --entity-type topics --entity-name {name} --delete-config {setting}")


def span(milliseconds: int) -> str:
    """Return a retention in words: ``7 d``, ``36 h``, ``90 s``; -1 is ``for ever``."""
    if milliseconds < 0:
        return "for ever"
    for unit, size in (("d", _DAY_MS), ("h", _HOUR_MS), ("min", 60_000), ("s", 1000)):
        if milliseconds >= size and milliseconds % size == 0:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds} ms"
