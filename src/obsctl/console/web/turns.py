"""Limits how many long-running calls run at the same time."""

from __future__ import annotations

import threading
import time
from collections import Counter

from obsctl.console.web.problems import ProblemError


class Turns:
    """Places for calls of one kind.

    Args:
        most: so many may run at the same time.
        what: name of the calls, in the plural.
    """

    def __init__(self, most: int, what: str) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._what = what

    def take(self) -> None:
        """Begin one.

        Raises:
            ProblemError: too many run.
        """
        if not self._free.acquire(blocking=False):
            raise _busy(f"too many {self._what} run at the same time; try again")

    def give_back(self) -> None:
        """End one."""
        self._free.release()


class SharedTurns:
    """Places for calls of one kind, of which one person may have only some.

    Args:
        most: so many may run at the same time.
        each: so many of one person.
        what: name of the calls, in the plural.
    """

    def __init__(self, most: int, each: int, what: str) -> None:
        self._all = Turns(most, what)
        self._each, self._what = each, what
        self._lock = threading.Lock()
        #: By the user's id: how many run.
        self._taken: Counter[int] = Counter()

    def take(self, user_id: int) -> None:
        """Begin one for a person.

        Raises:
            ProblemError: the person has as many as one may have, or too many run.
        """
        with self._lock:
            if self._taken[user_id] >= self._each:
                raise _busy(f"you have {self._each} {self._what} running, the most for one person; end one of them")
            self._all.take()
            self._taken[user_id] += 1

    def give_back(self, user_id: int) -> None:
        """End one of a person."""
        with self._lock:
            self._taken -= Counter((user_id,))  # drops a count of 0
            self._all.give_back()


class PersonalTurns:
    """Places for calls of one kind, of which a person may have one at a time.

    A place that is never returned, because its answer never began, becomes free after the longest time of a call.

    Args:
        most: so many may run at the same time.
        what: one of them is.
        longest_s: longest time of a call, seconds.
    """

    def __init__(self, most: int, what: str, longest_s: float) -> None:
        self._most, self._what, self._longest_s = most, what, longest_s
        self._lock = threading.Lock()
        #: By the user's id: when the place becomes free in any case.
        self._taken: dict[int, float] = {}

    def take(self, user_id: int) -> None:
        """Begin one for a person.

        Raises:
            ProblemError: the person has one already, or too many run.
        """
        now = time.monotonic()
        with self._lock:
            self._taken = {whose: until for whose, until in self._taken.items() if until > now}
            if user_id in self._taken:
                raise _busy(f"your {self._what} is still running; stop it, or wait for its end")
            if len(self._taken) >= self._most:
                raise _busy(f"{self._most} people have an {self._what} running, and more would slow down the console")
            self._taken[user_id] = now + self._longest_s

    def give_back(self, user_id: int) -> None:
        """End a person's one."""
        with self._lock:
            self._taken.pop(user_id, None)


def _busy(detail: str) -> ProblemError:
    return ProblemError(429, "busy", detail, headers={"retry-after": "2"})
