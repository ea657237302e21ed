"""What was seen of the groups in a window of time: positions and ends, look by look."""

from __future__ import annotations

import msgspec

from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.kafka.snapshot import Broker, Denied
from obsctl.core.acknowledgement import Acknowledgement
from obsctl.core.report import Fault


class EndLook(msgspec.Struct, frozen=True, kw_only=True):
    """A partition at one moment, as its leader said it (``at``: seconds since the window's begin)."""

    at: float
    start: int
    end: int
    log_end: int


class PartitionTrack(msgspec.Struct, frozen=True, kw_only=True):
    """A partition over the window.

    Attributes:
        retention_ms: how long its topic keeps records; None where they are kept for ever, or it is not known.
    """

    topic: str
    partition: int
    topic_id: str = ""
    retention_ms: int | None = None
    looks: tuple[EndLook, ...] = ()


class PositionLook(msgspec.Struct, frozen=True, kw_only=True):
    """A position at one moment."""

    at: float
    offset: int


class PositionTrack(msgspec.Struct, frozen=True, kw_only=True):
    """A group's position in a partition over the window.

    Attributes:
        commits: when it was committed (seconds since the window's begin, negative before it).
        record_ms: timestamp of the first record that is not read, milliseconds since the epoch; None if not known.
        moved_s: how long before the window's end the database moved it; None where the position is the group's.
    """

    topic: str
    partition: int
    looks: tuple[PositionLook, ...] = ()
    commits: tuple[float, ...] = ()
    record_ms: int | None = None
    moved_s: float | None = None


class GroupTrack(msgspec.Struct, frozen=True, kw_only=True):
    """A group over the window.

    Attributes:
        kind: ``classic``, ``consumer``, ``share`` or ``streams``; empty where the broker does not say (before 3.8).
        state: as its coordinator names it.
        positions_in: ``group`` for committed offsets, ``database`` for those that the storing consumer keeps there.
    """

    name: str
    kind: str = ""
    state: str = ""
    coordinator: int | None = None
    positions_in: str = "group"
    positions: tuple[PositionTrack, ...] = ()


class LagSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The groups over a window.

    Attributes:
        window_s: how long was watched.
        ended_ms: when the window ended, milliseconds since the epoch.
        history_s: for how long before its end commits are known; None where they could not be read.
        brokers: as they answered.
        listed: the names of all the cluster's groups, also of those that were not watched.
        database: why the storing consumer's positions are not the database's; empty where they are.
        losses: what the storing consumer lost; None where the database could not be asked.
        acknowledged: what people acknowledged.
        denied: what the brokers do not let our user see.
    """

    window_s: float
    ended_ms: int = 0
    history_s: float | None = None
    brokers: tuple[Broker, ...] = ()
    partitions: tuple[PartitionTrack, ...] = ()
    groups: tuple[GroupTrack, ...] = ()
    listed: tuple[str, ...] = ()
    database: str = ""
    losses: tuple[StoredLoss, ...] | None = None
    acknowledged: tuple[Acknowledgement, ...] = ()
    denied: tuple[Denied, ...] = ()
    errors: tuple[Fault, ...] = ()
