"""The results of the canary's records, by partition."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """The records written to one partition of the canary topic; times in milliseconds, in the order of the records.

    Attributes:
        leader: the broker that leads it, None where there is none.
        sent: how many were written.
        acknowledged_ms: from the writing to the acknowledgement by all replicas in sync.
        returned_ms: from the writing to the reading back.
        refusals: what the client or the broker said of those that were not acknowledged, and how often.
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
        dry_run: nothing was written.
        missing: the topic does not exist.
        failure: why nothing could be written; empty where something was.
        shut_out: the brokers do not let our user in, which says nothing about them.
        denied: our user may not see, write or read the topic.
    """

    topic: str = ""
    dry_run: bool = False
    missing: bool = False
    failure: str = ""
    shut_out: bool = False
    denied: bool = False
    flights: tuple[Flight, ...] = ()
    errors: tuple[Fault, ...] = ()
