"""A Kafka cluster: brokers, quorum, partitions with every replica's log end, groups."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault

#: Kinds of silence with different causes: the name is unknown, the port is closed, no packet comes back, the
#: connection is accepted but nothing is sent on it.
UNNAMED, REFUSED, UNREACHABLE, MUTE = _SILENT = ("unnamed", "refused", "unreachable", "mute")
#: Kinds of silence in which the port answers but refuses us: it expects TLS and got plain text, or the other way
#: round; its certificate is not trusted, names another host, or is not valid now; it refuses our certificate, our
#: login, or the mechanism; it expects a login and got none, or accepts none; or we could not try, because we have no
#: password or certificate.
TLS, CLEAR, UNTRUSTED, NAME, EXPIRED, CERTIFICATE, LOGIN, MECHANISM, SASL, NO_SASL, UNASKED = BARRED = (
    "tls", "clear", "untrusted", "name", "expired", "certificate", "login", "mechanism", "sasl", "no-sasl", "unasked",
)  # fmt: skip
SILENCES = (*_SILENT, *BARRED)


class LogDir(msgspec.Struct, frozen=True, kw_only=True):
    """One log directory of a broker; sizes in bytes, ``None`` if the broker does not report them (before 3.3)."""

    path: str
    healthy: bool = True
    log_bytes: int = 0
    total_bytes: int | None = None
    usable_bytes: int | None = None


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """One broker of the inventory, by its own answers.

    Attributes:
        failure: why there is no answer; empty if there is one.
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
        """Whether the broker answered at all."""
        return not self.failure

    @property
    def barred(self) -> bool:
        """Whether it refused us: nothing is known about it, but it is not down."""
        return self.silence in BARRED

    @property
    def heard(self) -> bool:
        """Whether anything came back from its port, so that its host is up."""
        return self.answered or (self.barred and self.silence != UNASKED)


class Denied(msgspec.Struct, frozen=True, kw_only=True):
    """Resources that brokers do not let our user see.

    Attributes:
        resource: ``topic``, ``group`` or ``cluster``, as Kafka's ACLs name it.
        operation: the missing right: ``Describe``, ``DescribeConfigs``.
        names: of the topics or groups whose names are known; others may be hidden as well.
    """

    resource: str
    operation: str
    names: tuple[str, ...] = ()


class Voter(msgspec.Struct, frozen=True, kw_only=True):
    """One voter of the controller quorum.

    Attributes:
        lag: metadata records behind the leader's log end.
        behind_ms: time since it was last up to date, by the leader's clock; ``None`` for a voter that never was since
            this leader's election, and for all of them (also the leader) if brokers do not report it.
    """

    node_id: int
    log_end_offset: int
    lag: int
    behind_ms: int | None


class Quorum(msgspec.Struct, frozen=True, kw_only=True):
    """The controller quorum, as its leader sees it.

    Attributes:
        observers: brokers that follow the metadata log without a vote, in the same form as voters.
    """

    leader: int
    epoch: int
    high_watermark: int
    voters: tuple[Voter, ...]
    observers: tuple[Voter, ...] = ()


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A partition's end offsets at a later time, if the first look was not conclusive.

    Attributes:
        after_s: seconds since the first look.
        hw: high watermark; ``None`` if the leader did not report it again.
        leo: broker id to the log end offset of its replica; ``None`` if the broker did not report it again.
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
        leader: broker id; ``None`` without a leader.
        min_isr: the topic's ``min.insync.replicas`` as configured, ``None`` if it is not known.
        start: the log's first offset.
        lso: last stable offset.
        hw: high watermark.
        topic_id: Kafka's id of the topic, empty if unknown; a topic that is created again gets a new one.
        settled: records before this offset are at least five minutes old.
        leo: broker id to the log end offset of the replica there, ``None`` if that broker did not report it.
        later: the last of the further looks.
        adding: replicas that a reassignment adds; they are in ``replicas`` already.
        removing: replicas that it takes away afterwards.
        sizes: broker id to the bytes of the replica there.
        aged: only if a group may have unread records near the end of their retention.
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
        """The replicas that should be in the ISR and are not; one that is being added need not be in it yet."""
        return tuple(node for node in self.replicas if node not in self.isr and node not in self.adding)


class TopicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A topic's settings, including the brokers' defaults; ``None`` or empty if unknown.

    Attributes:
        retention_ms: how long records are kept; -1 for ever.
        retention_bytes: how much of a partition is kept; -1 for all.
        cleanup: ``delete``, ``compact`` or both.
        unclean: whether a replica that is not in sync may become leader.
    """

    retention_ms: int | None = None
    retention_bytes: int | None = None
    cleanup: str = ""
    unclean: bool | None = None

    @property
    def deleted_after_ms(self) -> int | None:
        """The age at which records are deleted, milliseconds; None if they are not deleted by age, or if unknown."""
        limit = self.retention_ms
        return limit if limit is not None and limit >= 0 and "delete" in self.cleanup else None


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """A group's committed offset in one partition."""

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
        quorum: ``None`` if there was no answer about it.
        settings: by topic.
        listed: brokers that the cluster's metadata name, id to address; some may not be in the inventory.
        hidden: topics that may exist, but that the brokers refuse to describe to us.
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
