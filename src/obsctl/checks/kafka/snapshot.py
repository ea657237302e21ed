"""What was seen of a Kafka cluster: brokers, quorum, partitions with every replica's log end, groups."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class LogDir(msgspec.Struct, frozen=True, kw_only=True):
    """One log directory of a broker; sizes in bytes, ``None`` where the broker does not report it (before 3.3)."""

    path: str
    healthy: bool = True
    log_bytes: int = 0
    total_bytes: int | None = None
    usable_bytes: int | None = None


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """One broker of the inventory, as it answered in person.

    Attributes:
        failure: why there is no answer, empty when there is one.
        answer_ms: from the first packet to the last answer, in milliseconds.
        registered: whether the cluster's metadata lists it; a fenced broker answers and is not listed.
    """

    node_id: int
    host: str
    address: str
    failure: str = ""
    answer_ms: int | None = None
    registered: bool = False
    cluster_id: str = ""
    log_dirs: tuple[LogDir, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether the broker said anything."""
        return not self.failure


class Voter(msgspec.Struct, frozen=True, kw_only=True):
    """One voter of the controller quorum.

    Attributes:
        lag: metadata records behind the leader's log end.
        behind_ms: since it last held everything, by the leader's clock; ``None`` for a voter that never did since
            this leader began, and for all of them (the leader too) where brokers do not report it.
    """

    node_id: int
    log_end_offset: int
    lag: int
    behind_ms: int | None


class Quorum(msgspec.Struct, frozen=True, kw_only=True):
    """The controller quorum, as its leader sees it."""

    leader: int
    epoch: int
    high_watermark: int
    voters: tuple[Voter, ...]


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition.

    Attributes:
        leader: broker id, ``None`` without a leader.
        min_isr: the topic's ``min.insync.replicas`` as configured, ``None`` if it is not known.
        start: first offset that is still kept.
        lso: last stable offset.
        hw: high watermark.
        settled: everything before this offset has been there for five minutes.
        leo: broker id to the log end offset of the replica there, ``None`` if that broker did not report it.
    """

    topic: str
    partition: int
    leader: int | None
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    internal: bool = False
    min_isr: int | None = None
    start: int | None = None
    lso: int | None = None
    hw: int | None = None
    settled: int | None = None
    leo: dict[int, int | None] = {}

    @property
    def name(self) -> str:
        """The partition's name as Kafka writes it: ``topic-0``."""
        return f"{self.topic}-{self.partition}"

    @property
    def effective_min_isr(self) -> int | None:
        """How many in-sync replicas a write needs: never more than there are replicas (KAFKA-21377)."""
        return None if self.min_isr is None else min(self.min_isr, len(self.replicas))


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a group stands in one partition."""

    topic: str
    partition: int
    offset: int


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer group, its state as its coordinator names it, and its committed offsets."""

    name: str
    state: str
    coordinator: int
    committed: tuple[Committed, ...] = ()


class KafkaSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The whole cluster at one moment; ``quorum`` is ``None`` when it was not asked for or got no answer."""

    brokers: tuple[Broker, ...] = ()
    quorum: Quorum | None = None
    partitions: tuple[Partition, ...] = ()
    groups: tuple[Group, ...] = ()
    errors: tuple[Fault, ...] = ()
