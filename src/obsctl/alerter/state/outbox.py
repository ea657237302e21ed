"""The undelivered messages: which are due, and what an attempt changes.

A message is kept until the vendor confirms the delivery. :mod:`~obsctl.alerter.state.pacing` decides when a channel
may send; the last attempt that the rate limit allows is used for a digest of everything that waits.

If the vendor refuses a message, only this message is paused, and the next one is tried; the channel is paused when a
second one is refused. A message that was refused :data:`MOST_REFUSALS` times over a day becomes a dead letter: it is
not retried, but counted and kept for a month.

A channel may be a pool of robots of one group: all send its messages, each has its own pace, and one that is
throttled or refused pauses while the others continue.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.messages.message import Message, digest, sent_again
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.state import pacing

SCHEMA = """
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, message_id TEXT NOT NULL, thread TEXT NOT NULL,
  route TEXT NOT NULL,
  message BLOB NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, unsure INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL, settled REAL,
  refusals INTEGER NOT NULL DEFAULT 0, refused_since REAL, refused_at REAL,
  UNIQUE (channel, message_id)
);
CREATE INDEX outbox_open ON outbox (channel, attempts, id) WHERE state IN ('pending', 'sending');
CREATE INDEX outbox_settled ON outbox (channel, state, settled);
"""
SCHEMA_FROM_3_TO_4 = """
ALTER TABLE outbox ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN refused_since REAL;
ALTER TABLE outbox ADD COLUMN refused_at REAL;
CREATE INDEX outbox_settled ON outbox (channel, state, settled);
"""
#: The most messages in a digest, which names each; more would not fit into DingTalk's 20,000 bytes.
_DIGEST_MESSAGES = 150
#: How long delivered messages are kept, for later questions, seconds.
_KEEP_DELIVERED_S = 7 * 86400.0
#: A message becomes a dead letter after this many refusals over this time (seconds): people have a day to repair the
#: channel.
MOST_REFUSALS = 10
REFUSED_FOR_S = 86_400.0
#: How long a dead letter is shown and counted, and how long it is kept, seconds.
DEAD_SHOWN_S = 86_400.0
_KEEP_DEAD_S = 30 * 86400.0
#: How long a refused message is paused, seconds.
_REFUSED_RESTS_S = pacing.pause(Verdict.REFUSED, 1)


@dataclass(frozen=True)
class Parcel:
    """What one attempt carries.

    Attributes:
        message: to send; a digest when it stands for several rows.
        rows: the outbox rows that it delivers.
        robot: the channel, or the robot of its pool, that is to send it.
    """

    message: Message
    rows: tuple[int, ...]
    robot: str


@dataclass(frozen=True)
class DeadLetters:
    """The dead letters of the last day.

    Attributes:
        number: how many.
        latest: title of the latest one; empty for none.
    """

    number: int = 0
    latest: str = ""


@dataclass(frozen=True)
class Pace:
    """State of a channel.

    Attributes:
        waiting: how many messages are not delivered yet.
        oldest: when the oldest of them was decided, seconds since the epoch; 0 for none.
        verdict: of the last attempt, empty before the first.
        code: of the last attempt.
        summary: of the last attempt.
        at: when it was, seconds since the epoch.
        failures: failed attempts in a row.
        next_try: earliest time of the next attempt, seconds since the epoch.
        blocked_since: when the oldest message was decided that waits because of the channel and not because of its own
            content, seconds since the epoch; 0 for none. A refusal is due to the message's content if the channel has
            delivered another one since.
    """

    waiting: int = 0
    oldest: float = 0.0
    verdict: str = ""
    code: str = ""
    summary: str = ""
    at: float = 0.0
    failures: int = 0
    next_try: float = 0.0
    blocked_since: float = 0.0


def put(
    connection: sqlite3.Connection, message: Message, channels: Iterable[str], now: float, *, route: str = ""
) -> None:
    """Add a message for each channel, within the caller's transaction; the same message is never added twice."""
    body = msgspec.json.encode(message)
    connection.executemany(
        "INSERT INTO outbox (channel, message_id, thread, route, message, state, created) "
        "VALUES (?, ?, ?, ?, ?, 'pending', ?) ON CONFLICT (channel, message_id) DO NOTHING",
        [(channel, message.id, message.thread or message.id, route, body, now) for channel in channels],
    )


def progress(connection: sqlite3.Connection, message_id: str) -> list[tuple[str, str, int, float]]:
    """Return a message's channels, each with the delivery's state, number of attempts and time of the outcome."""
    return [
        (channel, state, attempts, settled or 0.0)
        for channel, state, attempts, settled in connection.execute(
            "SELECT channel, state, attempts, settled FROM outbox WHERE message_id = ? ORDER BY id", (message_id,)
        )
    ]


def pass_on(connection: sqlite3.Connection, route: str, channel: str, to: str) -> None:
    """Add a route's messages that wait for one channel to another channel as well, within the caller's transaction."""
    connection.execute(
        "INSERT INTO outbox (channel, message_id, thread, route, message, state, created) "
        "SELECT ?, message_id, thread, route, message, 'pending', created FROM outbox "
        "WHERE route = ? AND channel = ? AND state IN ('pending', 'sending') ORDER BY id "
        "ON CONFLICT (channel, message_id) DO NOTHING",
        (to, route, channel),
    )


def recover(connection: sqlite3.Connection, channels: Iterable[str]) -> list[tuple[str, Message]]:
    """Take over what an earlier process stored, within the caller's transaction.

    Messages that were being sent when it ended may have arrived. Pauses after refusals end, because the channel may
    have been repaired meanwhile. Returns (channel, message) for messages whose channel is no longer configured; these
    are closed.
    """
    connection.execute("UPDATE outbox SET state = 'pending', unsure = 1 WHERE state = 'sending'")
    connection.execute("UPDATE outbox SET refused_at = NULL WHERE state = 'pending' AND refused_at IS NOT NULL")
    pacing.resume_all(connection)
    names = list(channels)
    marks = ", ".join("?" * len(names))
    orphans = connection.execute(
        f"SELECT id, channel, message FROM outbox WHERE state = 'pending' AND channel NOT IN ({marks})",  # noqa: S608
        names,
    ).fetchall()
    connection.executemany("UPDATE outbox SET state = 'abandoned' WHERE id = ?", [(row[0],) for row in orphans])
    return [(channel, _message(body)) for _, channel, body in orphans]


def claim(
    connection: sqlite3.Connection,
    channel: str,
    per_minute: int,
    now: float,
    templates: Templates,
    *,
    robots: Sequence[str] = (),
    gap_s: float = 0.0,
) -> Parcel | float:
    """Take the messages that are due, within the caller's transaction.

    Args:
        channel: its name.
        per_minute: attempts allowed within any 60 seconds, for each robot.
        now: seconds since the epoch.
        templates: of the digest, and of the mark of a possible repetition.
        robots: names of the pool's robots; none for a channel without a pool.
        gap_s: shortest time between two attempts of a robot, seconds.

    Returns:
        What to send now, or the time at which to ask again (infinity: only after a message is added).
    """
    waiting = connection.execute(
        # A resolved message waits until the first message of its thread was delivered.
        "SELECT id, message, unsure FROM outbox AS o WHERE channel = :channel AND state = 'pending' AND NOT EXISTS ("  # noqa: S608
        "SELECT 1 FROM outbox AS f WHERE f.channel = o.channel AND f.thread = o.thread AND f.id < o.id "
        f"AND f.state IN ('pending', 'sending')) AND NOT {_rests('o')} ORDER BY attempts, id LIMIT 2",
        {"channel": channel, "now": now},
    ).fetchall()
    if not waiting:
        (rested,) = connection.execute(
            "SELECT MIN(refused_at) FROM outbox WHERE channel = ? AND state = 'pending'", (channel,)
        ).fetchone()
        return float("inf") if rested is None else max(now, rested + _REFUSED_RESTS_S)
    if paused := pacing.paused_until(connection, channel, now):
        return paused
    found = pacing.turn(connection, robots or (channel,), per_minute, now, gap_s=gap_s)
    if isinstance(found, float):
        return found
    rows = waiting[:1]
    if found.left == 1 and len(waiting) > 1:
        rows = connection.execute(
            "SELECT id, message, unsure FROM outbox AS o WHERE channel = :channel AND state = 'pending' "  # noqa: S608
            "AND NOT EXISTS (SELECT 1 FROM outbox AS f WHERE f.channel = o.channel AND f.thread = o.thread "
            f"AND f.id <= o.id AND f.state = 'pending' AND {_rests('f')}) ORDER BY id LIMIT :most",
            {"channel": channel, "now": now, "most": _DIGEST_MESSAGES},
        ).fetchall()
    ids = tuple(row[0] for row in rows)
    messages = [_message(row[1]) for row in rows]
    message = messages[0] if len(messages) == 1 else digest(messages, now, templates)
    if any(row[2] for row in rows):
        message = sent_again(message, templates)
    connection.executemany(
        "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ?", [(i,) for i in ids]
    )
    pacing.begin(connection, found.robot, now)
    return Parcel(message, ids, found.robot)


def _rests(row: str) -> str:
    """Return the SQL condition that a message is paused at ``:now``; a refusal later than that does not count."""
    return (
        f"({row}.refused_at IS NOT NULL AND {row}.refused_at <= :now AND :now < {row}.refused_at + {_REFUSED_RESTS_S})"
    )


def settle(
    connection: sqlite3.Connection,
    channel: str,
    parcel: Parcel,
    delivery: Delivery,
    now: float,
    *,
    robots: Sequence[str] = (),
) -> Pace:
    """Store the outcome of an attempt, within the caller's transaction, and return the channel's new pace."""
    ids = [(now, i) for i in parcel.rows]
    if delivery.delivered:
        connection.executemany("UPDATE outbox SET state = 'delivered', settled = ? WHERE id = ?", ids)
        connection.execute(
            "DELETE FROM outbox WHERE state IN ('delivered', 'abandoned') AND created < ?", (now - _KEEP_DELIVERED_S,)
        )
        connection.execute("DELETE FROM outbox WHERE state = 'dead' AND settled < ?", (now - _KEEP_DEAD_S,))
    else:
        unsure = 1 if delivery.verdict is Verdict.UNKNOWN else 0
        connection.executemany(
            "UPDATE outbox SET state = 'pending', unsure = MAX(unsure, ?) WHERE id = ?",
            [(unsure, i) for i in parcel.rows],
        )
    pacing.end(connection, channel, parcel.robot, delivery, now)
    if delivery.verdict is Verdict.REFUSED:
        _refused(connection, channel, parcel.rows, now, robots or (channel,))
    return pace(connection, channel, robots)


def _refused(
    connection: sqlite3.Connection, channel: str, rows: Sequence[int], now: float, robots: Sequence[str]
) -> None:
    """Record that messages were refused; if this seems due to their content, they are paused instead of the robots."""
    connection.executemany(
        "UPDATE outbox SET refusals = refusals + 1, refused_since = COALESCE(refused_since, ?) WHERE id = ?",
        [(now, i) for i in rows],
    )
    (refusals,) = connection.execute(
        f"SELECT MIN(refusals) FROM outbox WHERE id IN ({', '.join('?' * len(rows))})",  # noqa: S608 - question marks
        rows,
    ).fetchone()
    if refusals % len(robots):
        return  # another robot of the pool may accept it
    connection.executemany("UPDATE outbox SET refused_at = ? WHERE id = ?", [(now, i) for i in rows])
    refused_since_a_delivery = connection.execute(
        "SELECT COUNT(*) FROM outbox WHERE channel = ? AND state = 'pending' AND refused_at > ?",
        (channel, _delivered_at(connection, channel)),
    ).fetchone()[0]
    if refused_since_a_delivery <= 1:
        pacing.resume(connection, robots)


def _delivered_at(connection: sqlite3.Connection, channel: str) -> float:
    """Return when the channel last delivered a message, seconds since the epoch; 0 for never."""
    row = connection.execute(
        "SELECT MAX(settled) FROM outbox WHERE channel = ? AND state = 'delivered'", (channel,)
    ).fetchone()
    return float(row[0] or 0.0)


def bury(connection: sqlite3.Connection, channel: str, now: float) -> list[Message]:
    """Give up messages that were refused too often for too long, within the caller's transaction.

    Returns:
        The messages that became dead letters.
    """
    rows = connection.execute(
        "SELECT id, message FROM outbox WHERE channel = ? AND state = 'pending' AND refusals >= ? "
        "AND refused_since <= ? ORDER BY id",
        (channel, MOST_REFUSALS, now - REFUSED_FOR_S),
    ).fetchall()
    connection.executemany(
        "UPDATE outbox SET state = 'dead', settled = ? WHERE id = ?", [(now, number) for number, _ in rows]
    )
    return [_message(body) for _, body in rows]


def dead_letters(connection: sqlite3.Connection, channel: str, now: float) -> DeadLetters:
    """Return the channel's dead letters of the last day."""
    rows = connection.execute(
        "SELECT message FROM outbox WHERE channel = ? AND state = 'dead' AND settled > ? ORDER BY settled",
        (channel, now - DEAD_SHOWN_S),
    ).fetchall()
    return DeadLetters(len(rows), _message(rows[-1][0]).title) if rows else DeadLetters()


def pace(connection: sqlite3.Connection, channel: str, robots: Sequence[str] = ()) -> Pace:
    """Return the channel's state: for a pool the latest failure without a later success, otherwise the last attempt."""
    waiting, oldest, rested, blocked = connection.execute(
        "SELECT COUNT(*), COALESCE(MIN(created), 0), COALESCE(MIN(COALESCE(refused_at, 0)), 0), COALESCE(MIN("
        "CASE WHEN refused_since IS NULL OR refused_since > ? THEN created END), 0) FROM outbox "
        "WHERE channel = ? AND state IN ('pending', 'sending')",
        (_delivered_at(connection, channel), channel),
    ).fetchone()
    row = pacing.last_attempt(connection, channel, robots)
    found = replace(Pace(waiting, oldest, *row) if row else Pace(waiting, oldest), blocked_since=blocked)
    # If every waiting message was refused, the first one's pause counts as well.
    return replace(found, next_try=max(found.next_try, rested + _REFUSED_RESTS_S)) if rested else found


def _message(body: bytes) -> Message:
    return msgspec.json.decode(body, type=Message)
