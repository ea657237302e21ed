"""The groups over a window of time: positions and end offsets, look by look."""

from __future__ import annotations

import msgspec

from obsctl.checks.consumer.loss import StoredLoss
from obsctl.checks.kafka.snapshot import Broker, Denied
from obsctl.core.acknowledgement import Acknowledgement
from obsctl.core.report import Fault


class EndLook(msgspec.Struct, frozen=True, kw_only=True):
    """A partition at one moment, according to its leader (``at``: seconds since the window's beginning)."""

    at: float
    start: int
    end: int
    log_end: int


class PartitionTrack(msgspec.Struct, frozen=True, kw_only=True):
    """A partition over the window.

    Attributes:
        retention_ms: how long its topic keeps records; None for ever, or if unknown.
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
        commits: when it was committed (seconds since the window's beginning, negative before it).
        record_ms: timestamp of the first unread record, milliseconds since the epoch; None if unknown.
        moved_s: how long before the window's end it changed in the database; None for a committed position.
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
        window_s: length of the window.
        ended_ms: when the window ended, milliseconds since the epoch.
        history_s: for how long before its end commits are known; None if they could not be read.
        brokers: with their failures.
        listed: the names of all groups of the cluster, including those that were not watched.
        database: why the storing consumer's positions are not from the database; empty if they are.
        losses: of the storing consumer; None if the database could not be asked.
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
