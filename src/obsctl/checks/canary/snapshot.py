"""The results of the canary's records, by partition."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """The records written to one partition of the canary topic; times in milliseconds, in the order of the records.

    Attributes:
        leader: the broker that leads it; None for none.
        sent: number of records written.
        acknowledged_ms: from writing to the acknowledgement by all in-sync replicas.
        returned_ms: from writing to reading back.
        refusals: errors of the client or the broker for records that were not acknowledged, with their numbers.
    """

    partition: int
    leader: int | None = None
    sent: int = 0
    acknowledged_ms: tuple[float, ...] = ()
    returned_ms: tuple[float, ...] = ()
    refusals: dict[str, int] = {}


class CanarySnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One flight of the canary.

    Attributes:
        topic: its name.
        dry_run: whether nothing was written on purpose.
        missing: whether the topic does not exist.
        failure: why nothing could be written; empty if something was.
        shut_out: whether the brokers refuse our login, so that nothing is known about them.
        denied: whether our user may not see, write or read the topic.
    """

    topic: str = ""
    dry_run: bool = False
    missing: bool = False
    failure: str = ""
    shut_out: bool = False
    denied: bool = False
    flights: tuple[Flight, ...] = ()
    errors: tuple[Fault, ...] = ()
