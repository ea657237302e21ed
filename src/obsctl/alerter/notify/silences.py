"""Silences: which alerts are silenced, from when to when, by whom and why.

Each function takes the list of all silences, and returns the new list.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from obsctl.alerter.notify.filters import ReadFilter
from obsctl.alerter.notify.notification import name_of
from obsctl.core.errors import RefusedError, UsageError
from obsctl.core.nearest import did_you_mean

#: The most silences that have not ended: each alert is compared with all of them.
MOST = 500
#: Longest silence, so that a forgotten one does not last for ever (seconds).
LONGEST_S = 366 * 86400.0
#: How long ended silences are kept, for later questions (seconds).
KEEP_ENDED_S = 30 * 86400.0
#: Longest author and longest reason, in characters.
LONGEST_TEXT = 500


class SilenceState(enum.StrEnum):
    """Whether a silence is in force."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """One silence; all times are wall-clock times, seconds since the epoch.

    Attributes:
        id: its name.
        filter: which alerts, in the filter language.
        starts: when it begins.
        ends: when it ends; it is no longer in force at this time.
        author: who made it.
        reason: why.
        created: when it was made.
        ended_by: who ended it early; empty if nobody did.
    """

    id: str
    filter: str
    starts: float
    ends: float
    author: str
    reason: str
    created: float
    ended_by: str = ""

    def state(self, now: float) -> SilenceState:
        """Return its state at a given time."""
        if now >= self.ends:
            return SilenceState.ENDED
        return SilenceState.ACTIVE if now >= self.starts else SilenceState.PENDING


Silences = tuple[Silence, ...]


def add(
    silences: Silences,
    *,
    filter: str,  # noqa: A002 - the word of the commands and of the stored entry
    ends: float,
    author: str,
    reason: str,
    now: float,
    read: ReadFilter,
    starts: float | None = None,
) -> tuple[Silences, Silence]:
    """Return all silences and the new one.

    Args:
        silences: that are stored.
        filter: which alerts, in the filter language.
        ends: wall-clock time, seconds since the epoch.
        author: who makes it.
        reason: why.
        now: wall-clock time, seconds since the epoch.
        read: reads the filter.
        starts: when it begins; by default now.

    Raises:
        ConfigError: the filter is invalid.
        UsageError: no author, no reason, or an end that is in the past or too far away.
        RefusedError: there are too many.
    """
    begin = now if starts is None else starts
    for name, text in (("author", author), ("reason", reason)):
        if not text.strip():
            raise UsageError(f"a silence needs {'an' if name == 'author' else 'a'} {name}")
        if len(text) > LONGEST_TEXT:
            raise UsageError(f"the {name} has {len(text)} characters; at most {LONGEST_TEXT} are allowed")
    if ends <= max(now, begin):
        raise UsageError("the silence would be over before it begins")
    if ends - now > LONGEST_S:
        raise UsageError(f"the silence would last too long: at most {LONGEST_S / 86400:g} days are allowed")
    read(filter)
    kept = remembered(silences, now)
    if sum(silence.state(now) is not SilenceState.ENDED for silence in kept) >= MOST:
        raise RefusedError(f"there are already {MOST} silences, the maximum")
    made = Silence(
        id=name_of((filter, repr(begin), repr(ends), author, reason, repr(now))),
        filter=filter,
        starts=begin,
        ends=ends,
        author=author,
        reason=reason,
        created=now,
    )
    return (*(silence for silence in kept if silence.id != made.id), made), made


def remembered(silences: Silences, now: float) -> Silences:
    """Return the silences without those that ended long ago."""
    return tuple(silence for silence in silences if now < silence.ends + KEEP_ENDED_S)


def expire(silences: Silences, silence_id: str, *, author: str, now: float) -> Silences:
    """Return all silences, with one of them ended now.

    Args:
        silences: that are stored.
        silence_id: which one.
        author: who ends it.
        now: wall-clock time, seconds since the epoch.

    Raises:
        UsageError: there is no silence with this id, or it has ended already.
    """
    found = next((silence for silence in silences if silence.id == silence_id), None)
    if found is None:
        known = [silence.id for silence in silences]
        raise UsageError(
            f"there is no silence {silence_id!r}",
            hint=did_you_mean(silence_id, known, "obsctl alert silence list shows their ids"),
        )
    if found.state(now) is SilenceState.ENDED:
        raise UsageError(f"the silence {silence_id} has ended already")
    # A silence that has not begun never will: it begins and ends now.
    over = msgspec.structs.replace(found, starts=min(found.starts, now), ends=now, ended_by=author)
    return tuple(over if silence is found else silence for silence in silences)


def listed(silences: Iterable[Silence], now: float, states: Iterable[SilenceState] = SilenceState) -> list[Silence]:
    """Return the silences in the given states, the one that ends first at the beginning."""
    wanted = frozenset(states)
    return sorted(
        (silence for silence in silences if silence.state(now) in wanted),
        key=lambda silence: (silence.ends, silence.id),
    )
