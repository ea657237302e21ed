"""The verdict on a group in one partition: numbered rules over a window of samples, each a pure function.

The first rule that holds decides, in the order of :data:`RULES`. None of them has a threshold for a topic or a group:
a thousand records are much for one and nothing for another, so what counts is how the numbers change.

1. ``beyond``: the position is beyond the end of the log, in every sample.
2. ``rewind``: the position went back.
3. ``held``: all that may be read was read; more is written, but the high watermark does not advance.
4. ``ok``: everything was read at some moment of the window.
5. ``stall``: positions were committed in the window, always the same one, although there are records.
6. ``stop``: nothing was committed for longer than usual for the group, although there are records.
7. ``slow``: the position advances, but the lag grew from sample to sample.
8. ``ok``: the lag shrinks or goes up and down.

And for what is not read yet: :func:`expiry`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

#: A group is silent when it has not committed for this many times its longest pause.
SILENCE = 2
#: Part of the retention after which a record that is not read is reported, and after which that is urgent.
EXPIRY_WARNING = 0.75
EXPIRY_CRITICAL = 0.9


class Verdict(enum.StrEnum):
    """What a window says of a group in a partition."""

    OK = "ok"
    UNKNOWN = "unknown"
    HELD = "held"
    SLOW = "slow"
    BEYOND = "beyond"
    REWIND = "rewind"
    STALL = "stall"
    STOP = "stop"


#: From harmless to worst: a group is as bad as the worst of its partitions.
ORDER = tuple(Verdict)


class Look(NamedTuple):
    """A group and a partition at one moment.

    Attributes:
        at: seconds since the window's begin.
        position: the first offset that the group has not done with.
        start: the first offset that is kept.
        end: the high watermark, up to which records may be read.
        log_end: the end of the leader's log; what lies behind ``end`` is not on enough replicas yet.
    """

    at: float
    position: int
    start: int
    end: int
    log_end: int

    @property
    def unread(self) -> int:
        """Records that can still be read: neither what the retention has deleted nor what is not readable yet."""
        return max(0, self.end - max(self.position, self.start))

    @property
    def gone(self) -> int:
        """Offsets that the log's start has passed before they were read."""
        return max(0, self.start - self.position)


class Window(NamedTuple):
    """What was seen of a group in one partition.

    Attributes:
        looks: in the order of time.
        commits: when the group committed this partition (seconds since the window's begin, negative before it).
        history_s: for how long before the window's end commits are known; None where they cannot be read.
        moved_s: how long before the window's end the position was moved last, where its keeper says so (seconds).
    """

    looks: Sequence[Look]
    commits: Sequence[float] = ()
    history_s: float | None = None
    moved_s: float | None = None

    @property
    def seconds(self) -> float:
        """The time from the first look to the last one."""
        return self.looks[-1].at - self.looks[0].at if self.looks else 0.0

    @property
    def silence_s(self) -> float:
        """For how long at least nothing was committed (seconds)."""
        if self.moved_s is not None:
            return self.moved_s
        if self.history_s is None:
            return 0.0 if self.moved else self.seconds
        return self.looks[-1].at - max(self.commits) if self.commits else self.history_s

    @property
    def longest_pause_s(self) -> float:
        """The longest time without a commit that was seen between others (seconds), 0 where there is none.

        The time from the beginning of what is known to the first commit counts: at least so long was that pause.
        """
        if self.history_s is None or not self.commits:
            return 0.0
        known_since = self.looks[-1].at - self.history_s
        return max(later - before for before, later in pairwise([known_since, *sorted(self.commits)]))

    @property
    def moved(self) -> bool:
        """Whether the position moved within the window."""
        return len({look.position for look in self.looks}) > 1


def is_beyond(window: Window) -> bool:
    """Rule 1: the position lies behind the end of the log in every look, so it belongs to another log."""
    return all(look.position > look.log_end for look in window.looks)


def is_rewound(window: Window) -> bool:
    """Rule 2: the position went back: a reset, or a member with an old position."""
    return any(later.position < before.position for before, later in pairwise(window.looks))


def is_held(window: Window) -> bool:
    """Rule 3: the log holds more than may be read in every look, the high watermark stands, and the group is there."""
    first, last = window.looks[0], window.looks[-1]
    stands = all(look.log_end > look.end == first.end for look in window.looks)
    return stands and last.unread == 0


def is_caught_up(window: Window) -> bool:
    """Rule 4: everything that could be read was read at some moment."""
    return any(look.unread == 0 for look in window.looks)


def is_stalled(window: Window) -> bool:
    """Rule 5: the same position was committed again and again, though there are records."""
    begin = window.looks[0].at
    return not window.moved and any(at >= begin for at in window.commits)


def is_stopped(window: Window) -> bool:
    """Rule 6: the position stands, and nothing was committed for longer than the group usually takes."""
    if window.moved:
        return False
    # A look is no more than a second late, so a window's length is what was really watched.
    return window.silence_s >= max(window.seconds, SILENCE * window.longest_pause_s)


def is_slow(window: Window) -> bool:
    """Rule 7: the position moves, and the lag grew over the window without shrinking once."""
    lags = [look.unread for look in window.looks]
    return window.moved and lags[-1] > lags[0] and all(later >= before for before, later in pairwise(lags))


RULES: tuple[tuple[Verdict, Callable[[Window], bool]], ...] = (
    (Verdict.BEYOND, is_beyond),
    (Verdict.REWIND, is_rewound),
    (Verdict.HELD, is_held),
    (Verdict.OK, is_caught_up),
    (Verdict.STALL, is_stalled),
    (Verdict.STOP, is_stopped),
    (Verdict.SLOW, is_slow),
)


def judge(window: Window) -> Verdict:
    """Return what the first rule that holds says; ``unknown`` where two looks are not there to be compared."""
    if len(window.looks) < 2:
        return Verdict.UNKNOWN
    return next((verdict for verdict, holds in RULES if holds(window)), Verdict.OK)


class Pace(NamedTuple):
    """How quickly records come and go.

    Attributes:
        produced: records written a second; None where that is not known.
        consumed: records that the group was done with a second; None where that is not known, or it went back.
    """

    produced: float | None
    consumed: float | None

    def eta_s(self, unread: int) -> float | None:
        """Return in how many seconds the group has read everything at this pace; None where it never has."""
        if not unread:
            return 0.0
        if self.produced is None or self.consumed is None or self.consumed <= self.produced:
            return None
        return unread / (self.consumed - self.produced)


def pace(window: Window) -> Pace:
    """Return the pace from the window's first look to its last one."""
    if window.seconds <= 0:
        return Pace(None, None)
    first, last = window.looks[0], window.looks[-1]
    produced = (last.log_end - first.log_end) / window.seconds
    # What the retention has taken was not consumed.
    consumed = (last.position - first.position) / window.seconds
    return Pace(max(0.0, produced), None if is_rewound(window) else consumed)


class Expiry(NamedTuple):
    """When the oldest record that is not read will be deleted.

    Attributes:
        left_s: in how many seconds at the earliest (segments are deleted as a whole); below 0 it is overdue.
        verdict: ``warning``, ``critical`` or an empty string.
    """

    left_s: float
    verdict: str


def expiry(age_s: float | None, retention_s: float | None, eta_s: float | None, *, moves: bool) -> Expiry | None:
    """Judge records that the retention will delete before they are read; None where nothing can be said.

    Args:
        age_s: of the oldest record that is not read.
        retention_s: of the topic; None where records are kept for ever.
        eta_s: in how many seconds all is read; None for never.
        moves: whether the group reads at all: one that reads too slowly may lose records that have long to live.
    """
    if age_s is None or not retention_s:
        return None
    left = retention_s - age_s
    if age_s >= EXPIRY_CRITICAL * retention_s:
        return Expiry(left, "critical")
    if age_s >= EXPIRY_WARNING * retention_s or (moves and eta_s is not None and eta_s > left):
        return Expiry(left, "warning")
    return Expiry(left, "")
