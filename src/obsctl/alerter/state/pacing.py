"""When a channel, or a robot of its pool, may try again: its rate, the pauses after failures, and the last attempt.

Each has its own rate limit of ``per_minute`` attempts within any 60 seconds, and a pause after each failure. Rows
contain the robot's name; without a pool that is the channel's name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from obsctl.alerter.channels.outcome import Delivery, Verdict

#: The table of attempts; in an earlier release it had no primary key.
ATTEMPTS = """
CREATE TABLE attempt (id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, at REAL NOT NULL);
"""
SCHEMA = (
    ATTEMPTS
    + """
CREATE TABLE pace (
  channel TEXT PRIMARY KEY, failures INTEGER NOT NULL, next_try REAL NOT NULL, verdict TEXT NOT NULL,
  code TEXT NOT NULL, summary TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
"""
)
#: The time over which attempts are counted, seconds.
_RATE_SPAN_S = 60.0
#: First and longest pause after consecutive failures, seconds; each pause is twice the previous one.
_PAUSES: dict[Verdict, tuple[float, float]] = {
    Verdict.UNREACHABLE: (2.0, 60.0),
    # Each retry after an unanswered attempt may give the reader a second message.
    Verdict.UNKNOWN: (10.0, 300.0),
    # DingTalk blocks a robot for 10 minutes.
    Verdict.THROTTLED: (60.0, 600.0),
    # A mail server with greylisting refuses for some minutes.
    Verdict.DEFERRED: (60.0, 600.0),
    # Only a person can remove the cause.
    Verdict.REFUSED: (300.0, 300.0),
    Verdict.REDIRECTED: (300.0, 300.0),
}
_LONGEST_PAUSE_S = max(longest for _, longest in _PAUSES.values())


class Turn(NamedTuple):
    """A robot that may send now.

    Attributes:
        robot: the channel, or the robot of its pool with the fewest recent attempts.
        left: attempts that all robots have left within the time, including this one.
    """

    robot: str
    left: int


def turn(
    connection: sqlite3.Connection, robots: Sequence[str], per_minute: int, now: float, *, gap_s: float
) -> Turn | float:
    """Return whose turn it is, or the time at which to ask again; within the caller's transaction.

    Args:
        robots: names.
        per_minute: attempts allowed within any 60 seconds, for each robot.
        now: seconds since the epoch.
        gap_s: at least this time lies between two attempts of a robot, seconds.
    """
    connection.execute("DELETE FROM attempt WHERE at <= ? OR at > ?", (now - _RATE_SPAN_S, now))
    ready: list[tuple[int, str]] = []
    later: list[float] = []
    left = 0
    for robot in robots:
        used, first, last = connection.execute(
            "SELECT COUNT(*), MIN(at), MAX(at) FROM attempt WHERE channel = ?", (robot,)
        ).fetchone()
        if until := paused_until(connection, robot, now):
            later.append(until)
        elif used >= per_minute:
            later.append(float(first) + _RATE_SPAN_S)
        else:
            left += per_minute - used
            if used and gap_s and now < last + gap_s:
                later.append(float(last) + gap_s)
            else:
                ready.append((used, robot))
    return Turn(min(ready, key=lambda one: one[0])[1], left) if ready else min(later)


def begin(connection: sqlite3.Connection, robot: str, now: float) -> None:
    """Record an attempt, within the caller's transaction."""
    connection.execute("INSERT INTO attempt (channel, at) VALUES (?, ?)", (robot, now))


def end(connection: sqlite3.Connection, channel: str, robot: str, delivery: Delivery, now: float) -> None:
    """Record the outcome of an attempt and the pause after it, within the caller's transaction."""
    if delivery.delivered:
        connection.execute("DELETE FROM pace WHERE channel = ?", (robot,))
    # A refusal concerns one robot only; if the vendor cannot be reached, no other robot can reach it, either.
    whose = robot if delivery.verdict.of_one_robot else channel
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


def paused_until(connection: sqlite3.Connection, name: str, now: float) -> float:
    """Return until when a channel or a robot is paused; 0 if it is not."""
    paused = connection.execute("SELECT next_try FROM pace WHERE channel = ?", (name,)).fetchone()
    # Attempts and pauses with a time in the future are from before the machine's clock was set back.
    return float(paused[0]) if paused is not None and now < paused[0] <= now + _LONGEST_PAUSE_S else 0.0


def resume(connection: sqlite3.Connection, robots: Sequence[str]) -> None:
    """End the pauses due to refusals, within the caller's transaction: the messages are the cause, not the robots."""
    connection.executemany(
        "UPDATE pace SET next_try = 0 WHERE channel = ? AND verdict = ?",
        [(robot, Verdict.REFUSED.value) for robot in robots],
    )


def resume_all(connection: sqlite3.Connection) -> None:
    """End all pauses that the vendor did not ask for, within the caller's transaction."""
    connection.execute("UPDATE pace SET next_try = 0 WHERE verdict != ?", (Verdict.THROTTLED.value,))


def last_attempt(
    connection: sqlite3.Connection, channel: str, robots: Sequence[str]
) -> tuple[str, str, str, float, int, float] | None:
    """Return verdict, code, summary, time, failures in a row and next try; None before the first attempt.

    For a pool they are those of the latest failure without a later success, otherwise of the last attempt.
    """
    names = (channel, *robots)
    found: tuple[str, str, str, float, int, float] | None = connection.execute(
        "SELECT verdict, code, summary, at, failures, next_try FROM pace "  # noqa: S608 - question marks
        f"WHERE channel IN ({', '.join('?' * len(names))}) ORDER BY failures > 0 DESC, at DESC LIMIT 1",
        names,
    ).fetchone()
    return found


def _rest(delivery: Delivery, failures: int) -> float:
    """Return the seconds to wait after a failure: what the vendor asks for, otherwise what the verdict requires."""
    if delivery.retry_after_s is None:
        return pause(delivery.verdict, failures)
    return min(max(1.0, delivery.retry_after_s), _LONGEST_PAUSE_S)


def pause(verdict: Verdict, failures: int) -> float:
    """Return the seconds to wait after the n-th failure in a row (n from 1)."""
    first, longest = _PAUSES[verdict]
    # The exponent is limited, because the number of failures is not.
    return float(min(longest, first * 2 ** min(failures - 1, 16)))
