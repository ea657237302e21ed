"""The verdict on a group in one partition: numbered rules over a window of samples, each a pure function.

The first rule that holds decides, in the order of :data:`RULES`. There are no thresholds for topics or groups: a
thousand records are much for one and nothing for another, so only the changes of the numbers count.

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
#: Shares of the retention after which an unread record is reported, and after which this is urgent.
EXPIRY_WARNING = 0.75
EXPIRY_CRITICAL = 0.9


class Verdict(enum.StrEnum):
    """The verdict on a group in a partition over a window."""

    OK = "ok"
    UNKNOWN = "unknown"
    HELD = "held"
    SLOW = "slow"
    BEYOND = "beyond"
    REWIND = "rewind"
    STALL = "stall"
    STOP = "stop"


#: From the best to the worst: a group's verdict is the worst of its partitions'.
ORDER = tuple(Verdict)


class Look(NamedTuple):
    """A group and a partition at one moment.

    Attributes:
        at: seconds since the window's begin.
        position: the first offset that the group has not finished.
        start: the log's first offset.
        end: the high watermark, up to which records may be read.
        log_end: the end of the leader's log; records from ``end`` on are not on enough replicas yet.
    """

    at: float
    position: int
    start: int
    end: int
    log_end: int

    @property
    def unread(self) -> int:
        """Number of records that can be read: neither deleted by the retention nor beyond the high watermark."""
        return max(0, self.end - max(self.position, self.start))

    @property
    def gone(self) -> int:
        """Number of offsets that the log's start passed before they were read."""
        return max(0, self.start - self.position)


class Window(NamedTuple):
    """The data about a group in one partition.

    Attributes:
        looks: in the order of time.
        commits: when the group committed this partition (seconds since the window's begin, negative before it).
        history_s: for how long before the window's end commits are known; None if they cannot be read.
        moved_s: how long before the window's end the position last changed (seconds), if the database says so.
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
        """The least time for which nothing was committed (seconds)."""
        if self.moved_s is not None:
            return self.moved_s
        if self.history_s is None:
            return 0.0 if self.moved else self.seconds
        return self.looks[-1].at - max(self.commits) if self.commits else self.history_s

    @property
    def longest_pause_s(self) -> float:
        """The longest known pause between two commits (seconds); 0 if there is none.

        The time from the beginning of the known history to the first commit counts, because that pause was at least as
        long.
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
    """Rule 1: the position is beyond the end of the log in every look, so it belongs to another log."""
    return all(look.position > look.log_end for look in window.looks)


def is_rewound(window: Window) -> bool:
    """Rule 2: the position went back, by a reset or by a member with an old position."""
    return any(later.position < before.position for before, later in pairwise(window.looks))


def is_held(window: Window) -> bool:
    """Rule 3: every look shows unreadable records, the high watermark does not move, and the group has reached it."""
    first, last = window.looks[0], window.looks[-1]
    stands = all(look.log_end > look.end == first.end for look in window.looks)
    return stands and last.unread == 0


def is_caught_up(window: Window) -> bool:
    """Rule 4: at some moment everything that could be read was read."""
    return any(look.unread == 0 for look in window.looks)


def is_stalled(window: Window) -> bool:
    """Rule 5: the same position was committed repeatedly, although there are records."""
    begin = window.looks[0].at
    return not window.moved and any(at >= begin for at in window.commits)


def is_stopped(window: Window) -> bool:
    """Rule 6: the position does not change, and nothing was committed for longer than usual for the group."""
    if window.moved:
        return False
    # A look is at most a second late, so this is the time that was really watched.
    return window.silence_s >= max(window.seconds, SILENCE * window.longest_pause_s)


def is_slow(window: Window) -> bool:
    """Rule 7: the position advances, and the lag grew over the window and never shrank."""
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
    """Return the verdict of the first rule that holds; ``unknown`` without two looks to compare."""
    if len(window.looks) < 2:
        return Verdict.UNKNOWN
    return next((verdict for verdict, holds in RULES if holds(window)), Verdict.OK)


class Pace(NamedTuple):
    """How quickly records are written and consumed.

    Attributes:
        produced: records written a second; None if unknown.
        consumed: records that the group finished a second; None if unknown, or if the position went back.
    """

    produced: float | None
    consumed: float | None

    def eta_s(self, unread: int) -> float | None:
        """Return the seconds until the group has read everything at this pace; None for never."""
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
    # Records that the retention has deleted were not consumed.
    consumed = (last.position - first.position) / window.seconds
    return Pace(max(0.0, produced), None if is_rewound(window) else consumed)


class Expiry(NamedTuple):
    """When the oldest unread record will be deleted.

    Attributes:
        left_s: in how many seconds at the earliest (segments are deleted as a whole); negative if overdue.
        verdict: ``warning``, ``critical`` or an empty string.
    """

    left_s: float
    verdict: str


def expiry(age_s: float | None, retention_s: float | None, eta_s: float | None, *, moves: bool) -> Expiry | None:
    """Judge whether the retention will delete records before they are read; None if unknown.

    Args:
        age_s: of the oldest unread record.
        retention_s: of the topic; None if records are kept for ever.
        eta_s: seconds until everything is read; None for never.
        moves: whether the group reads at all: if it reads too slowly, it may lose even records that still have much
            time.
    """
    if age_s is None or not retention_s:
        return None
    left = retention_s - age_s
    if age_s >= EXPIRY_CRITICAL * retention_s:
        return Expiry(left, "critical")
    if age_s >= EXPIRY_WARNING * retention_s or (moves and eta_s is not None and eta_s > left):
        return Expiry(left, "warning")
    return Expiry(left, "")
