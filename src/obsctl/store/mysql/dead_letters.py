"""Refused records whose copy has not been sent to the dead letter topic yet."""

from __future__ import annotations

from collections.abc import Collection

from obsctl.store.interface import DeadLetter
from obsctl.store.mysql.session import Session


def due(session: Session, limit: int) -> list[DeadLetter]:
    """Return at most ``limit`` of them, the oldest first."""
    found = session.read(
        "SELECT q.line_id,s.topic,s.partition_id,q.kafka_offset,q.log_format,q.host,q.reason,q.detail,q.value"
        " FROM quarantine q JOIN log_source s ON s.source_id=q.source_id"
        f" WHERE q.dead_letter=0 ORDER BY q.stored_at LIMIT {limit}"
    )
    return [DeadLetter(*row) for row in found]


def settle(session: Session, letters: Collection[DeadLetter]) -> None:
    """Record that the copies were accepted."""
    ids = ",".join(f"0x{letter.line_id.hex()}" for letter in letters)
    session.run(f"UPDATE quarantine SET dead_letter=1 WHERE line_id IN ({ids})", commit=True)
