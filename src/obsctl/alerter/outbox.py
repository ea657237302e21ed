"""Messages on their way: what is due, what one attempt changed, and when to try again.

A message is delivered when the vendor says so, and is kept until then. Each channel has its own pace: at most
``per_minute`` attempts within any 60 seconds, the last of which is kept for a digest of everything that waits, and
a pause after each failure.

A message that the vendor refuses rests by itself, and the next one is tried meanwhile: only when a second one is
refused does the channel rest. What was refused :data:`MOST_REFUSALS` times over a day becomes a dead letter: it is not
tried any more, kept for a month, and counted.

A channel may be a pool of robots of one group: all take from its messages, each has the pace to itself, and one that is
throttled or refused rests while the others go on. Rows of ``attempt`` and ``pace`` carry the robot's name; without a
pool that is the channel's own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.alerter.message import Message, digest, sent_again
from obsctl.alerter.templates import Templates

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
CREATE TABLE attempt (id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE pace (
  channel TEXT PRIMARY KEY, failures INTEGER NOT NULL, next_try REAL NOT NULL, verdict TEXT NOT NULL,
  code TEXT NOT NULL, summary TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
"""
SCHEMA_FROM_3_TO_4 = """
ALTER TABLE outbox ADD COLUMN refusals INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN refused_since REAL;
ALTER TABLE outbox ADD COLUMN refused_at REAL;
CREATE INDEX outbox_settled ON outbox (channel, state, settled);
"""
#: The span over which attempts are counted, seconds.
_RATE_SPAN_S = 60.0
#: A digest names each message; more would not fit into DingTalk's 20,000 bytes.
_DIGEST_MESSAGES = 150
#: Delivered messages are kept for questions, seconds.
_KEEP_DELIVERED_S = 7 * 86400.0
#: A message dies when it was refused so often, and for so long (seconds): a person had a day to repair the channel.
MOST_REFUSALS = 10
REFUSED_FOR_S = 86_400.0
#: For so long it is shown and counted as dead, and for so long it is kept, seconds.
DEAD_SHOWN_S = 86_400.0
_KEEP_DEAD_S = 30 * 86400.0

#: First pause and longest pause after failures in a row, seconds; each pause doubles the one before.
_PAUSES: dict[Verdict, tuple[float, float]] = {
    Verdict.UNREACHABLE: (2.0, 60.0),
    # Each repetition of an unanswered attempt may be a second message for the reader.
    Verdict.UNKNOWN: (10.0, 300.0),
    # DingTalk's own silence lasts 10 minutes.
    Verdict.THROTTLED: (60.0, 600.0),
    # A mail server that greylists refuses for some minutes.
    Verdict.DEFERRED: (60.0, 600.0),
    # Only a person can change the answer.
    Verdict.REFUSED: (300.0, 300.0),
    Verdict.REDIRECTED: (300.0, 300.0),
}
_LONGEST_PAUSE_S = max(longest for _, longest in _PAUSES.values())
#: A refused message rests for so long, seconds.
_REFUSED_RESTS_S = _PAUSES[Verdict.REFUSED][0]


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
    """How a channel is doing.

    Attributes:
        waiting: messages not yet delivered.
        oldest: when the oldest of them was decided, seconds since the epoch; 0 for none.
        verdict: of the last attempt, empty before the first.
        code: of the last attempt.
        summary: of the last attempt.
        at: when it was, seconds since the epoch.
        failures: failed attempts in a row.
        next_try: not before this time, seconds since the epoch.
        blocked_since: when the oldest waiting message was decided that is not held up by a refusal of its own, seconds
            since the epoch; 0 for none. A message was refused for itself when the channel delivered another one since.
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


def pass_on(connection: sqlite3.Connection, route: str, channel: str, to: str) -> None:
    """Give what waits for a channel along a route to another one as well, within the caller's transaction."""
    connection.execute(
        "INSERT INTO outbox (channel, message_id, thread, route, message, state, created) "
        "SELECT ?, message_id, thread, route, message, 'pending', created FROM outbox "
        "WHERE route = ? AND channel = ? AND state IN ('pending', 'sending') ORDER BY id "
        "ON CONFLICT (channel, message_id) DO NOTHING",
        (to, route, channel),
    )


def recover(connection: sqlite3.Connection, channels: Iterable[str]) -> list[tuple[str, Message]]:
    """Take over what an earlier process left, within the caller's transaction.

    What was being sent when it died may have arrived. A channel that refused may have been repaired meanwhile, so
    it is tried at once. Returns (channel, message) of those whose channel is no longer configured; they are closed.
    """
    connection.execute("UPDATE outbox SET state = 'pending', unsure = 1 WHERE state = 'sending'")
    connection.execute("UPDATE outbox SET refused_at = NULL WHERE state = 'pending' AND refused_at IS NOT NULL")
    connection.execute("UPDATE pace SET next_try = 0 WHERE verdict != ?", (Verdict.THROTTLED.value,))
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
    """Take what is due, within the caller's transaction.

    Args:
        channel: its name.
        per_minute: attempts allowed within any 60 seconds, for each robot.
        now: seconds since the epoch.
        templates: of the digest, and of what marks a repetition.
        robots: names of the pool's robots; none for a channel without a pool.
        gap_s: at least this time lies between two attempts of a robot, seconds.

    Returns:
        What to send now, else the time at which to ask again (infinity: when something is put in).
    """
    waiting = connection.execute(
        # A resolved message waits for its first one.
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
    paused = _paused_until(connection, channel, now)
    if paused:
        return paused
    connection.execute("DELETE FROM attempt WHERE at <= ? OR at > ?", (now - _RATE_SPAN_S, now))
    ready: list[tuple[int, str]] = []
    later: list[float] = []
    left = 0
    for robot in robots or (channel,):
        used, first, last = connection.execute(
            "SELECT COUNT(*), MIN(at), MAX(at) FROM attempt WHERE channel = ?", (robot,)
        ).fetchone()
        if until := _paused_until(connection, robot, now):
            later.append(until)
        elif used >= per_minute:
            later.append(float(first) + _RATE_SPAN_S)
        else:
            left += per_minute - used
            if used and gap_s and now < last + gap_s:
                later.append(float(last) + gap_s)
            else:
                ready.append((used, robot))
    if not ready:
        return min(later)
    _, robot = min(ready, key=lambda one: one[0])
    rows = waiting[:1]
    if left == 1 and len(waiting) > 1:
        rows = connection.execute(
            "SELECT id, message, unsure FROM outbox AS o WHERE channel = :channel AND state = 'pending' "  # noqa: S608
            "AND NOT EXISTS (SELECT 1 FROM outbox AS f WHERE f.channel = o.channel AND f.thread = o.thread "
            "AND f.id <= o.id "
            f"AND f.state = 'pending' AND {_rests('f')}) ORDER BY id LIMIT :most",
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
    connection.execute("INSERT INTO attempt (channel, at) VALUES (?, ?)", (robot, now))
    return Parcel(message, ids, robot)


def _rests(row: str) -> str:
    """Return the condition that a message rests at ``:now``, a refusal in whose future is one of a clock set back."""
    return (
        f"({row}.refused_at IS NOT NULL AND {row}.refused_at <= :now AND :now < {row}.refused_at + {_REFUSED_RESTS_S})"
    )


def _paused_until(connection: sqlite3.Connection, name: str, now: float) -> float:
    """Return until when a channel or a robot rests, 0 where it does not."""
    paused = connection.execute("SELECT next_try FROM pace WHERE channel = ?", (name,)).fetchone()
    # Attempts and pauses from the future were made before the machine's clock was set back.
    return float(paused[0]) if paused is not None and now < paused[0] <= now + _LONGEST_PAUSE_S else 0.0


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
        connection.execute("DELETE FROM pace WHERE channel = ?", (parcel.robot,))
    else:
        unsure = 1 if delivery.verdict is Verdict.UNKNOWN else 0
        connection.executemany(
            "UPDATE outbox SET state = 'pending', unsure = MAX(unsure, ?) WHERE id = ?",
            [(unsure, i) for i in parcel.rows],
        )
    # What a robot did wrong is the robot's; where the vendor cannot be reached, another robot cannot reach it either.
    whose = parcel.robot if delivery.verdict.of_one_robot else channel
    row = connection.execute("SELECT failures FROM pace WHERE channel = ?", (whose,)).fetchone()
    failures = 0 if delivery.delivered else (row[0] if row else 0) + 1
    connection.execute(
        "INSERT OR REPLACE INTO pace VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            whose,
            failures,
            now + _rest(delivery, failures) if failures else 0.0,
            delivery.verdict.value,
            delivery.code,
            delivery.summary,
            now,
        ),
    )
    if delivery.verdict is Verdict.REFUSED:
        _refused(connection, channel, parcel.rows, now, robots or (channel,))
    return pace(connection, channel, robots)


def _refused(
    connection: sqlite3.Connection, channel: str, rows: Sequence[int], now: float, robots: Sequence[str]
) -> None:
    """Note that messages were refused; where it seems to be their own fault, they rest and the robots do not."""
    connection.executemany(
        "UPDATE outbox SET refusals = refusals + 1, refused_since = COALESCE(refused_since, ?) WHERE id = ?",
        [(now, i) for i in rows],
    )
    (refusals,) = connection.execute(
        f"SELECT MIN(refusals) FROM outbox WHERE id IN ({', '.join('?' * len(rows))})",  # noqa: S608 - question marks
        rows,
    ).fetchone()
    if refusals % len(robots):
        return  # another robot of the pool may take it
    connection.executemany("UPDATE outbox SET refused_at = ? WHERE id = ?", [(now, i) for i in rows])
    refused_since_a_delivery = connection.execute(
        "SELECT COUNT(*) FROM outbox WHERE channel = ? AND state = 'pending' AND refused_at > ?",
        (channel, _delivered_at(connection, channel)),
    ).fetchone()[0]
    if refused_since_a_delivery <= 1:
        connection.executemany(
            "UPDATE pace SET next_try = 0 WHERE channel = ? AND verdict = ?",
            [(robot, Verdict.REFUSED.value) for robot in robots],
        )


def _delivered_at(connection: sqlite3.Connection, channel: str) -> float:
    """Return when the channel delivered a message last, seconds since the epoch; 0 for never."""
    row = connection.execute(
        "SELECT MAX(settled) FROM outbox WHERE channel = ? AND state = 'delivered'", (channel,)
    ).fetchone()
    return float(row[0] or 0.0)


def bury(connection: sqlite3.Connection, channel: str, now: float) -> list[Message]:
    """Give up what was refused too often for too long, within the caller's transaction.

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


def _rest(delivery: Delivery, failures: int) -> float:
    """Return the seconds to wait after a failure: what the other side asks for, else what the verdict says."""
    if delivery.retry_after_s is None:
        return pause(delivery.verdict, failures)
    return min(max(1.0, delivery.retry_after_s), _LONGEST_PAUSE_S)


def pause(verdict: Verdict, failures: int) -> float:
    """Return the seconds to wait after the n-th failure in a row (n from 1)."""
    first, longest = _PAUSES[verdict]
    # The exponent is bounded because the number of failures is not.
    return float(min(longest, first * 2 ** min(failures - 1, 16)))


def pace(connection: sqlite3.Connection, channel: str, robots: Sequence[str] = ()) -> Pace:
    """Return how the channel is doing: of a pool the latest failure that still stands, else the last attempt."""
    waiting, oldest, rested, blocked = connection.execute(
        "SELECT COUNT(*), COALESCE(MIN(created), 0), COALESCE(MIN(COALESCE(refused_at, 0)), 0), COALESCE(MIN("
        "CASE WHEN refused_since IS NULL OR refused_since > ? THEN created END), 0) FROM outbox "
        "WHERE channel = ? AND state IN ('pending', 'sending')",
        (_delivered_at(connection, channel), channel),
    ).fetchone()
    names = (channel, *robots)
    row = connection.execute(
        "SELECT verdict, code, summary, at, failures, next_try FROM pace "  # noqa: S608 - question marks
        f"WHERE channel IN ({', '.join('?' * len(names))}) ORDER BY failures > 0 DESC, at DESC LIMIT 1",
        names,
    ).fetchone()
    found = replace(Pace(waiting, oldest, *row) if row else Pace(waiting, oldest), blocked_since=blocked)
    # Where each message that waits was refused, the first one's rest counts as well.
    return replace(found, next_try=max(found.next_try, rested + _REFUSED_RESTS_S)) if rested else found


def _message(body: bytes) -> Message:
    return msgspec.json.decode(body, type=Message)
