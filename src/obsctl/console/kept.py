"""Cache for answers that take seconds: a thread gets them, and they are reused for a while, with their age."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeVar

from obsctl.core.errors import ObsctlError
from obsctl.core.secrets import redact

LOG = logging.getLogger("obsctl.console")

T = TypeVar("T")


class Trouble(NamedTuple):
    """Why there is no answer, or none that is recent enough.

    Attributes:
        detail: the reason, without secrets.
        hint: what to do; empty if unknown.
    """

    detail: str
    hint: str = ""


#: Of a question that :class:`KeptEach` does not ask now.
TOO_MANY = Trouble("too many people ask different things at the same time; try again")


class Answer(NamedTuple, Generic[T]):
    """The latest answer.

    Attributes:
        value: None before the first answer.
        at: when it was requested, seconds since the epoch; 0 before the first answer.
        trouble: why there is no newer one; None if it is recent enough.
    """

    value: T | None
    at: float
    trouble: Trouble | None


class Kept(Generic[T]):
    """One cached answer; it is requested when somebody needs it, by one thread at a time.

    Args:
        ask: gets the answer, which may take long; raises ObsctlError for expected failures.
        fresh_s: how long an answer, or a failure, is reused, seconds.
    """

    def __init__(self, ask: Callable[[], T], fresh_s: float) -> None:
        self._ask = ask
        self._fresh_s = fresh_s
        self._changed = threading.Condition()
        self._answer: Answer[T] = Answer(None, 0.0, None)
        self._answered_at = float("-inf")
        self._asking = False
        self._changes = 0

    def get(self, wait_s: float, *, stale_s: float = 0.0) -> Answer[T]:
        """Return the answer.

        Args:
            wait_s: how long to wait for a newer one, seconds.
            stale_s: an answer that is no older than this is returned at once, while a newer one is requested.
        """
        with self._changed:
            if time.monotonic() - self._answered_at < self._fresh_s:
                return self._answer
            if not self._asking:
                self._asking = True
                threading.Thread(target=self._work, name="kept answer", daemon=True).start()
            if self._answer.trouble is None and time.time() - self._answer.at < stale_s:
                return self._answer
            if self._changed.wait_for(lambda: not self._asking, wait_s):
                return self._answer
            return self._answer._replace(trouble=Trouble(f"no answer within {wait_s:g} s"))

    def forget(self) -> None:
        """Discard the answer, because its subject was changed: the next caller gets a new one."""
        with self._changed:
            self._answered_at = float("-inf")
            self._changes += 1

    def _work(self) -> None:
        at, changes = time.time(), self._changes
        try:
            answer = Answer(self._ask(), at, None)
        except ObsctlError as error:
            answer = self._answer._replace(trouble=Trouble(redact(str(error)), redact(error.hint)))
        except Exception as error:
            LOG.exception("an answer for a page could not be obtained")
            answer = self._answer._replace(trouble=Trouble(f"internal error ({type(error).__name__})"))
        with self._changed:
            self._answer, self._asking = answer, False
            if changes == self._changes:
                self._answered_at = time.monotonic()
            self._changed.notify_all()


def within(seconds: float, act: Callable[[], T]) -> T:
    """Return an action's result.

    Raises:
        TimeoutError: the action takes longer; it continues, and its result is lost.
        Exception: what the action raises.
    """
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(act())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=work, name="action", daemon=True).start()
    return done.result(seconds)


class KeptEach(Generic[T]):
    """Cached answers to different questions; the least recently used ones are dropped.

    Args:
        most: how many are kept.
        at_once: how many are requested at the same time; the trouble of a further one is :data:`TOO_MANY`. Anybody can
            ask any number of questions, and each takes a thread and time of a core.
        fresh_s: as in :class:`Kept`.
    """

    def __init__(self, most: int, at_once: int, fresh_s: float) -> None:
        self._most, self._fresh_s = most, fresh_s
        self._free = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Kept[T]] = OrderedDict()

    def get(self, key: Hashable, ask: Callable[[], T], wait_s: float) -> Answer[T]:
        """Return the answer to a question, as :meth:`Kept.get` does."""
        with self._lock:
            one = self._kept.setdefault(key, Kept(lambda: self._in_turn(ask), self._fresh_s))
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return one.get(wait_s)

    def _in_turn(self, ask: Callable[[], T]) -> T:
        if not self._free.acquire(blocking=False):
            raise ObsctlError(TOO_MANY.detail)
        try:
            return ask()
        finally:
            self._free.release()
