"""The thread that stores: only it talks to the store, so that a slow or unavailable database never stops the polling.

Tasks are done in order, and each is retried until it succeeds: while the store is down the thread waits and retries.
Results come back in the same order. It is safe to leave a task running whose partitions are lost: the store's fence
decides.
"""

from __future__ import annotations

import collections
import gc
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from obsctl.consumer.telemetry import INTERNAL_ERROR_HINT, Telemetry
from obsctl.core.backoff import Backoff
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch
from obsctl.store.interface import FencedError, Position, Store, StoreUnavailableError

log = logging.getLogger(__name__)

#: The most unfinished tasks. One is being stored while the next one is read; more would only take memory.
_DEPTH = 2


class Stored(NamedTuple):
    """A batch is stored. Its rows, most of its memory, are freed; only the offsets remain.

    Attributes:
        ends: the offset to read next, by partition.
    """

    ends: Mapping[TopicPartition, int]


class Fenced(NamedTuple):
    """A batch was not stored, because the positions in the store differ from those that it starts from."""

    parts: Sequence[TopicPartition]


class Question(NamedTuple):
    """A query for partitions' positions: the cluster, and the topic id of each partition."""

    cluster_id: str
    topic_ids: Mapping[TopicPartition, str]


class Positioned(NamedTuple):
    """The requested positions."""

    question: Question
    positions: Mapping[TopicPartition, Position]


Result = Stored | Fenced | Positioned


class Writer:
    """Stores batches and reads positions in its own thread, which starts with the construction."""

    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry
        self._tasks: collections.deque[Batch | Question] = collections.deque()
        self._results: collections.deque[Result] = collections.deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._available = True
        #: When the present task began; None between two.
        self._began: float | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def has_room(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for room for one more task; return whether there is."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._tasks) < _DEPTH, timeout)

    def give(self, batch: Batch) -> None:
        """Have a batch stored."""
        self._give(batch)

    def ask(self, question: Question) -> None:
        """Have positions read, after all earlier tasks."""
        self._give(question)

    def busy_seconds(self) -> float:
        """Return how long the present task has been running (seconds); 0 between two tasks."""
        began = self._began
        return time.monotonic() - began if began is not None else 0.0

    def results(self) -> list[Result]:
        """Take the results so far."""
        with self._changed:
            taken = list(self._results)
            self._results.clear()
        return taken

    def drain(self, timeout: float) -> bool:
        """Wait for all tasks, at most ``timeout`` seconds and not for an unavailable store; return if all ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._tasks or not self._available, timeout)
            return not self._tasks

    def stop(self, timeout: float) -> None:
        """End the thread; wait for a running transaction, at most ``timeout`` seconds."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout)

    def _give(self, task: Batch | Question) -> None:
        with self._changed:
            self._tasks.append(task)
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._next()
        self._store.close()

    def _next(self) -> None:
        """Wait for a task and do it. After this returns, nothing references its batch any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self._stopping.is_set())
            if self._stopping.is_set():
                return
            task = self._tasks[0]
        result = self._until_done(task)
        with self._changed:
            if result is not None:
                self._results.append(result)
                self._tasks.popleft()
            self._changed.notify_all()

    def _until_done(self, task: Batch | Question) -> Result | None:
        """Do a task until it succeeds; return None if the thread must end before."""
        backoff = Backoff()
        while not self._stopping.is_set():
            self._began = time.monotonic()
            try:
                result = self._do(task)
            except StoreUnavailableError as error:
                if self._telemetry.trouble("database", str(error), error.hint):
                    log.warning("waiting for the database", extra={"error": str(error), "hint": error.hint})
            except Exception as error:
                # A bug of this program. The batch is still in Kafka, so waiting loses nothing, while skipping it
                # would.
                self._telemetry.trouble("database", f"internal error: {error!r}", INTERNAL_ERROR_HINT)
                log.exception("storing failed because of a bug in this program; it is retried")
                self._store.close()
            else:
                self._set_available(True)
                if self._telemetry.clear("database"):
                    log.info("the database answers again")
                return result
            finally:
                self._began = None
            self._set_available(False)
            # A failed connection leaves reference cycles with almost a megabyte of certificates, and a waiting worker
            # creates too few objects for the garbage collector to run by itself.
            gc.collect()
            self._stopping.wait(backoff.delay())
        return None

    def _do(self, task: Batch | Question) -> Result:
        if isinstance(task, Question):
            return Positioned(task, self._store.positions(task.cluster_id, task.topic_ids))
        started = time.monotonic()
        try:
            outcome = self._store.commit(task)
        except FencedError:
            return Fenced(tuple(task.partitions.values()))
        self._telemetry.stored(task, outcome, time.monotonic() - started)
        return Stored(task.ends)

    def _set_available(self, available: bool) -> None:
        if available != self._available:
            with self._changed:
                self._available = available
                self._changed.notify_all()
