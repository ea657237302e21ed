"""Follows requests while a check sends them: their lines in Kafka, and what the alerters say about them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from obsctl.checks.ask.alerter import ask_alerter
from obsctl.core.errors import ConfigError, ObsctlError
from obsctl.fleet.model import Fleet, Host
from obsctl.kafka.topic_log import END, Record, TopicLog

#: How long one poll waits for records, seconds.
_POLL_S = 0.05
#: How long to wait until the topic's reader is at its end, seconds: requests sent before that would be seen late.
_READY_S = 5.0
#: Time limit for a login and the alerter's answer, seconds.
_PAGE_S = 5.0

T = TypeVar("T")


class Watch:
    """Watches the topic of lines, the alerters' pages and other sources, each in its own thread.

    The threads end when its block is left; if an exception ends the block, it does not wait for them.

    Attributes:
        stopping: set when the threads must end.
        failures: why a source does not answer now, by its name in a report (``topic/nginxlog``,
            ``obsctl-alerter/app1``).
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._threads: list[threading.Thread] = []
        self._broken_off = False
        self.stopping = threading.Event()
        self.failures: dict[str, str] = {}

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._broken_off = kind is not None
        self.stopping.set()
        if kind is not None and not issubclass(kind, Exception):
            # After Ctrl-C nobody wants to wait for a dead host.
            return
        for thread in self._threads:
            thread.join()

    def lines(
        self, mark: Callable[[bytes], re.Match[bytes] | None], take: Callable[[str, Record, float], None]
    ) -> None:
        """Start watching the topic of lines; returns once new records will be seen without delay.

        Args:
            mark: finds in a record the mark of a request, as its first group.
            take: is given the mark, the record, and when it arrived here, seconds since the epoch.
        """
        topic = self._fleet.alerter.access_topic
        try:
            if not topic or not self._fleet.brokers():
                raise ConfigError("the inventory names neither brokers nor the topic of the lines")
            log = TopicLog(self._fleet.brokers(), topic, "obsctl", since=END)
        except ObsctlError as error:
            self.failures[f"topic/{topic}"] = str(error)
            return
        at_end = threading.Event()
        self.also(partial(self._read, log, f"topic/{topic}", at_end, mark, take))
        at_end.wait(_READY_S)

    def alerters(
        self,
        kind: type[T],
        take: Callable[[T, float, float], None],
        *,
        every_s: float,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Start fetching the alerters' pages repeatedly, and once more when the block is left.

        Args:
            kind: the fields of a page to read.
            take: is given the page, and when it was requested and when it arrived, seconds since the epoch.
            every_s: time between an answer and the next request, seconds.
            wanted: whether a page is needed now; while it is not, no host is asked.
        """
        for host in self._fleet.group("consumer"):
            self.also(partial(self._ask, host, kind, take, every_s, wanted))

    def also(self, look: Callable[[], None]) -> None:
        """Start another function, which must return soon after ``stopping`` is set."""
        thread = threading.Thread(target=look)
        thread.start()
        self._threads.append(thread)

    def _read(
        self,
        log: TopicLog,
        name: str,
        at_end: threading.Event,
        mark: Callable[[bytes], re.Match[bytes] | None],
        take: Callable[[str, Record, float], None],
    ) -> None:
        try:
            while not self.stopping.is_set():
                records = log.poll(_POLL_S)
                now = time.time()
                if log.at_end:
                    at_end.set()
                for record in records:
                    if found := mark(record.value or b""):
                        take(found[1].decode(), record, now)
        except ObsctlError as error:
            self.failures[name] = str(error)
        finally:
            at_end.set()
            log.close()

    def _ask(
        self,
        host: Host,
        kind: type[T],
        take: Callable[[T, float, float], None],
        every_s: float,
        wanted: Callable[[], bool],
    ) -> None:
        name, last = f"obsctl-alerter/{host.name}", False
        while not last:
            # Once more at the end, for late changes; not if nobody will read the result.
            last = self.stopping.wait(every_s)
            if self._broken_off or not wanted():
                continue
            asked = time.time()
            try:
                page = ask_alerter(self._fleet, host, kind, deadline_s=_PAGE_S)
            except ObsctlError as error:
                self.failures[name] = str(error)
            else:
                self.failures.pop(name, None)
                take(page, asked, time.time())
