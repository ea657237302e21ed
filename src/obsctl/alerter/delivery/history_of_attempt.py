"""The history records of a delivery attempt."""

from __future__ import annotations

import sqlite3

from obsctl.alerter.channels.outcome import Delivery
from obsctl.alerter.history.records import Carried, Delivered
from obsctl.alerter.messages.message import Message
from obsctl.alerter.state.outbox import Parcel


def of_attempt(
    connection: sqlite3.Connection, channel: str, parcel: Parcel, delivery: Delivery, *, took_s: float, now: float
) -> Delivered:
    """Return the record of an attempt's outcome.

    Args:
        connection: of the state file.
        channel: its name.
        parcel: what the attempt carried.
        delivery: its outcome.
        took_s: how long it took, seconds.
        now: wall-clock time, seconds since the epoch.
    """
    marks = ", ".join("?" * len(parcel.rows))
    rows = connection.execute(
        "SELECT message_id, thread, json_extract(CAST(message AS TEXT), '$.title') FROM outbox "  # noqa: S608 - question marks
        f"WHERE id IN ({marks}) ORDER BY id",
        parcel.rows,
    )
    messages = tuple(Carried(message_id=message_id, thread=thread, title=title) for message_id, thread, title in rows)
    return Delivered(
        at=now,
        channel=channel,
        robot=parcel.robot,
        verdict=delivery.verdict.value,
        code=delivery.code,
        summary=delivery.summary,
        took_ms=round(took_s * 1000),
        messages=messages,
    )


def carried(message: Message) -> Carried:
    """Return how the history's records identify a message."""
    return Carried(message_id=message.id, thread=message.thread, title=message.title)
