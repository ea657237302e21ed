"""What was seen of a Kafka cluster: brokers, quorum, partitions with every replica's log end, groups."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault

#: Kinds of silence that have different causes: the name is not known, the port is closed, nothing comes back, the
#: connection is taken and nothing is said on it.
UNNAMED, REFUSED, UNREACHABLE, MUTE = _SILENT = ("unnamed", "refused", "unreachable", "mute")
#: Kinds of it where the port answers and does not let us in: it speaks TLS and was asked in clear, or the other way
#: round; its certificate is not trusted, names another host, is not valid now; it refuses our certificate, our login,
#: its mechanism; it wants a login and got none, or takes none; or we could not even ask, for want of a password or a
#: certificate.
TLS, CLEAR, UNTRUSTED, NAME, EXPIRED, CERTIFICATE, LOGIN, MECHANISM, SASL, NO_SASL, UNASKED = BARRED = (
    "tls", "clear", "untrusted", "name", "expired", "certificate", "login", "mechanism", "sasl", "no-sasl", "unasked",
)  # fmt: skip
SILENCES = (*_SILENT, *BARRED)


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
        silence: what kind of failure that is, one of ``SILENCES``; empty for another kind, or none.
        answer_ms: from the first packet to the last answer, in milliseconds.
        registered: whether the cluster's metadata lists it; a fenced broker answers and is not listed.
    """

    node_id: int
    host: str
    address: str
    failure: str = ""
    silence: str = ""
    answer_ms: int | None = None
    registered: bool = False
    cluster_id: str = ""
    log_dirs: tuple[LogDir, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether the broker said anything."""
        return not self.failure

    @property
    def barred(self) -> bool:
        """Whether it did not let us in: nothing is known of it, and it is not down."""
        return self.silence in BARRED

    @property
    def heard(self) -> bool:
        """Whether anything came back from its port, so that its host is up."""
        return self.answered or (self.barred and self.silence != UNASKED)


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """What brokers do not let our user see.

    Attributes:
        resource: ``topic``, ``group`` or ``cluster``, as Kafka's ACLs name it.
        operation: that is not allowed: ``Describe``, ``DescribeConfigs``.
        names: of the topics or groups that are known by name; others may be hidden as well.
    """

    resource: str
    operation: str
    names: tuple[str, ...] = ()


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
    """The controller quorum, as its leader sees it.

    Attributes:
        observers: brokers that follow the metadata log and have no vote, described as voters are.
    """

    leader: int
    epoch: int
    high_watermark: int
    voters: tuple[Voter, ...]
    observers: tuple[Voter, ...] = ()


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A partition's ends at a later moment, where the first look left a question.

    Attributes:
        after_s: seconds since the first look.
        hw: high watermark, ``None`` if the leader did not tell it again.
        leo: broker id to the log end offset of the replica there, ``None`` if it did not tell it again.
    """

    after_s: float
    hw: int | None = None
    leo: dict[int, int | None] = {}


class Aged(msgspec.Struct, frozen=True, kw_only=True):
    """Everything before ``offset`` is older than ``age_ms``."""

    age_ms: int
    offset: int


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """One partition.

    Attributes:
        leader: broker id, ``None`` without a leader.
        min_isr: the topic's ``min.insync.replicas`` as configured, ``None`` if it is not known.
        start: first offset that is still kept.
        lso: last stable offset.
        hw: high watermark.
        topic_id: Kafka's id of the topic, empty where it is not known; one that was made again has another.
        settled: everything before this offset has been there for five minutes.
        leo: broker id to the log end offset of the replica there, ``None`` if that broker did not report it.
        later: the last of the looks that followed.
        adding: replicas that a reassignment adds; they are in ``replicas`` already.
        removing: replicas that it takes away afterwards.
        sizes: broker id to the bytes of the replica there.
        aged: where a group may have records to read that are near the end of their retention.
    """

    topic: str
    partition: int
    leader: int | None
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    internal: bool = False
    topic_id: str = ""
    min_isr: int | None = None
    start: int | None = None
    lso: int | None = None
    hw: int | None = None
    settled: int | None = None
    leo: dict[int, int | None] = {}
    later: Sample | None = None
    adding: tuple[int, ...] = ()
    removing: tuple[int, ...] = ()
    sizes: dict[int, int] = {}
    aged: tuple[Aged, ...] = ()

    @property
    def name(self) -> str:
        """The partition's name as Kafka writes it: ``topic-0``."""
        return f"{self.topic}-{self.partition}"

    @property
    def effective_min_isr(self) -> int | None:
        """How many in-sync replicas a write needs: never more than there are replicas (KAFKA-21377)."""
        return None if self.min_isr is None else min(self.min_isr, len(self.replicas))

    @property
    def missing(self) -> tuple[int, ...]:
        """The replicas that should be in the ISR and are not; one that is being added is not expected there yet."""
        return tuple(node for node in self.replicas if node not in self.isr and node not in self.adding)


class TopicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic is configured with, its brokers' defaults included; ``None`` and empty where it is not known.

    Attributes:
        retention_ms: how long records are kept, -1 without an end.
        retention_bytes: how much of a partition is kept, -1 for all.
        cleanup: ``delete``, ``compact`` or both.
        unclean: a replica that was not in sync may become leader.
    """

    retention_ms: int | None = None
    retention_bytes: int | None = None
    cleanup: str = ""
    unclean: bool | None = None

    @property
    def deleted_after_ms(self) -> int | None:
        """When records are deleted by their age, milliseconds; None where they are not, or it is not known."""
        limit = self.retention_ms
        return limit if limit is not None and limit >= 0 and "delete" in self.cleanup else None


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a group stands in one partition."""

    topic: str
    partition: int
    offset: int


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group that reads, its state as its coordinator names it, and its committed offsets.

    Attributes:
        kind: ``classic``, ``consumer``, ``share`` or ``streams``; empty where the broker does not say (before 3.8).
    """

    name: str
    state: str
    coordinator: int
    kind: str = ""
    committed: tuple[Committed, ...] = ()


class KafkaSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The whole cluster at one moment.

    Attributes:
        quorum: ``None`` when it got no answer.
        settings: topic to what it is configured with.
        listed: brokers that the cluster's metadata name, id to address; some may not be in the inventory.
        hidden: topics that may exist, but not for us: the brokers refuse to describe them.
        reassignments_known: whether a controller reported which partitions are being moved.
        denied: what the brokers do not let our user see.
    """

    brokers: tuple[Broker, ...] = ()
    quorum: Quorum | None = None
    partitions: tuple[Partition, ...] = ()
    settings: dict[str, TopicSettings] = {}
    groups: tuple[Group, ...] = ()
    listed: dict[int, str] = {}
    hidden: tuple[str, ...] = ()
    reassignments_known: bool = False
    denied: tuple[Denied, ...] = ()
    errors: tuple[Fault, ...] = ()
