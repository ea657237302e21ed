"""The only reader of a topic: a thread that runs while somebody wants its lines, and passes them to all sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from obsctl.core.errors import ObsctlError
from obsctl.core.journal import Seldom
from obsctl.core.secrets import redact
from obsctl.kafka.topic_log import END, NotAnsweredError, TopicLog
from obsctl.lines.formats.line import Line
from obsctl.lines.line_reader import LineReader

LOG = logging.getLogger(__name__)

_CLIENT_ID = "obsctl-console"
#: How long one poll waits for records, seconds.
_WAIT_S = 0.1
#: How often the reader checks that Kafka answers, and the time limit for that, seconds: after both together an outage
#: is reported.
_ASK_EVERY_S = 2.0
_ANSWER_S = 2.0
#: Time between two attempts to begin reading, seconds.
_AGAIN_S = 1.0
#: At this many records behind the end, the reader skips to the end; that is a second's traffic or less for one that
#: keeps up.
_MOST_BEHIND = 20_000
#: How long the reader continues when nobody wants its lines any more, seconds.
_LINGER_S = 60.0
#: The same fault is logged once within this time, seconds.
_LOG_EVERY_S = 60.0


class Batch(NamedTuple):
    """What the reader passes on at once.

    Attributes:
        lines: in the order of each partition.
        skipped: how many records before them were skipped, because they arrived faster than they can be read.
    """

    lines: Sequence[Line]
    skipped: int = 0


class Sink(Protocol):
    """A receiver of the lines."""

    def take(self, batch: Batch) -> None:
        """Receive lines, or none; called several times a second by the reader's thread, which waits for it."""


class Feed:
    """The lines of a topic from now on.

    Args:
        topic: its name.
        lines: turns records into lines.
        kind: of the lines; others in the topic are ignored.
        opened: opens the topic, given a client id and a time limit for answers (seconds).

    Attributes:
        trouble: why no lines come, for people; empty while they come; None before the reader has begun.
    """

    def __init__(
        self, topic: str, lines: LineReader, kind: type[Line], opened: Callable[[str, str, float], TopicLog]
    ) -> None:
        self._topic = topic
        self._lines = lines
        self._kind = kind
        self._opened = opened
        self.trouble: str | None = None
        #: Replaced as a whole, so that the reader's thread needs no lock.
        self._sinks: tuple[Sink, ...] = ()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted_at = 0.0
        self._stopping = threading.Event()
        self._seldom = Seldom(_LOG_EVERY_S)

    def join(self, sink: Sink) -> None:
        """Pass the lines from now on to a sink as well."""
        with self._lock:
            self._sinks = (*self._sinks, sink)
            if self._thread is None and not self._stopping.is_set():
                self.trouble = None
                self._thread = threading.Thread(target=self._run, name=f"feed {self._topic}", daemon=True)
                self._thread.start()

    def leave(self, sink: Sink) -> None:
        """Stop passing lines to a sink."""
        with self._lock:
            self._sinks = tuple(one for one in self._sinks if one is not sink)

    def stop(self) -> None:
        """End the reader."""
        self._stopping.set()
        if (thread := self._thread) is not None:
            thread.join(_ANSWER_S + _ASK_EVERY_S)

    def _is_unwanted(self) -> bool:
        """Whether the console is stopping, or has had no watcher for a while."""
        now = time.monotonic()
        if self._sinks:
            self._wanted_at = now
        return self._stopping.is_set() or now - self._wanted_at > _LINGER_S

    def _is_over(self) -> bool:
        """Whether the thread must end; the next watcher then starts another one."""
        with self._lock:
            over = self._is_unwanted()
            if over:
                self._thread = None
            return over

    def _run(self) -> None:
        while not self._is_over():
            try:
                self._follow()
                self.trouble = None
            except ObsctlError as error:
                self._complain(error)
            except Exception:
                # The watchers see the trouble, and the next attempt may succeed.
                LOG.exception("reading failed", extra={"topic": self._topic})
                self.trouble = "the reader failed; the console's journal says why"
            self._stopping.wait(_AGAIN_S)

    def _follow(self) -> None:
        """Read until nobody wants lines any more, or the topic's partitions have changed."""
        log = self._opened(self._topic, _CLIENT_ID, _ANSWER_S)
        try:
            self.trouble = ""
            ask_at = time.monotonic() + _ASK_EVERY_S
            while not self._is_unwanted():
                self._read(log)
                if time.monotonic() >= ask_at:
                    if self._ask(log):
                        return
                    ask_at = time.monotonic() + _ASK_EVERY_S
        finally:
            log.close()

    def _read(self, log: TopicLog) -> None:
        records = log.poll(_WAIT_S)
        line_of, kind = self._lines.line, self._kind
        lines = [line for record in records if type(line := line_of(record.value or b"")) is kind]
        skipped = log.skip_to_end() if log.behind > _MOST_BEHIND else 0
        batch = Batch(lines, skipped)
        for sink in self._sinks:
            sink.take(batch)

    def _ask(self, log: TopicLog) -> bool:
        """Check that Kafka answers; return whether the topic's partitions differ from those being read."""
        try:
            changed = log.ask(_ANSWER_S)
        except NotAnsweredError as error:
            # When a broker is back, the client continues by itself from its positions.
            self._complain(error)
            return False
        self.trouble = ""
        return changed

    def _complain(self, error: ObsctlError) -> None:
        self.trouble = redact(str(error))
        if self._seldom.due():
            LOG.warning("no lines come from Kafka", extra={"topic": self._topic, "error": self.trouble})


def open_at_end(bootstrap: Sequence[str]) -> Callable[[str, str, float], TopicLog]:
    """Return the function that opens a topic at its end.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
    """
    return lambda topic, client_id, answer_s: TopicLog(bootstrap, topic, client_id, since=END, timeout_s=answer_s)
