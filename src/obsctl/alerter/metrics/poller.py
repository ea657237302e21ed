"""The thread that reads the pipeline's pages regularly, so that no page can keep the evaluation waiting."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from obsctl.alerter.config import SourceConfig
from obsctl.alerter.metrics.machine import Machine
from obsctl.alerter.metrics.page import UnreadableError, fetch
from obsctl.alerter.rules.metric import Metric
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.windows.observation import Number, Observation, observation

LOG = logging.getLogger(__name__)

#: The source name of the alerter's own numbers, which are not read over HTTP.
OWN = "alerter"


class Poller(threading.Thread):
    """Reads all sources every few seconds.

    One after the other: a page that hangs delays the round by :data:`~obsctl.alerter.metrics.page.TOTAL_S`.

    Args:
        sources: the pages.
        rules: the configured ones; without a rule that asks for numbers no page is read.
        own: returns the alerter's own numbers; called on this thread.
        look: measures this machine; called on this thread, because a disk that hangs must not make /health hang.
        every_s: seconds from one round to the next.
        on_failure: called with the reason when the thread cannot go on.

    Attributes:
        machine: the latest measurement of this machine.
        problems: why a source could not be read the last time, empty where it could; by name.
    """

    def __init__(
        self,
        sources: Sequence[SourceConfig],
        rules: Iterable[Rule],
        own: Callable[[], Iterable[Number]],
        look: Callable[[], Machine],
        *,
        every_s: float,
        on_failure: Callable[[Exception], None],
    ) -> None:
        super().__init__(name="metrics", daemon=True)
        self._sources = sources
        self._wanted = frozenset(rule.metric for rule in rules if isinstance(rule, Metric))
        self._own = own
        self._look_at_machine = look
        self._every_s = every_s
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._latest: Observation | None = None
        self.machine = Machine()
        self.problems: dict[str, str] = {}

    def take(self) -> Observation | None:
        """Return the latest observation, once; None if there is no new one."""
        with self._lock:
            latest, self._latest = self._latest, None
        return latest

    def stop(self) -> None:
        """End after the page that is being read."""
        self._stopping.set()

    def run(self) -> None:
        """Read until stopped."""
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                self.machine = self._look_at_machine()
                if self._wanted:
                    latest = self._look()
                    with self._lock:
                        self._latest = latest
                self._stopping.wait(max(0.0, self._every_s - (time.monotonic() - began)))
        except Exception as error:
            # A restart is better than alerts that no longer come, unnoticed.
            LOG.exception("the thread that reads the pipeline's metrics failed")
            self._on_failure(error)

    def _look(self) -> Observation:
        read: dict[str, Iterable[Number] | None] = {}
        for source in self._sources:
            read[source.name] = self._fetch(source)
        read[OWN] = self._own_numbers()
        return observation(time.time(), read)

    def _own_numbers(self) -> list[Number] | None:
        try:
            return [number for number in self._own() if number.name in self._wanted]
        except Exception:
            # It is treated like an unreadable page, so a rule can watch it by the number ``up``.
            LOG.exception("the alerter's own metrics cannot be collected")
            return None

    def _fetch(self, source: SourceConfig) -> tuple[Number, ...] | None:
        try:
            found = fetch(source.name, source.url, self._wanted)
            problem = ""
        except UnreadableError as error:
            found, problem = None, str(error)
        before = self.problems.get(source.name, "")
        if problem and not before:
            LOG.warning("a metrics page cannot be read", extra={"source": source.name, "reason": problem})
        elif before and not problem:
            LOG.info("a metrics page can be read again", extra={"source": source.name})
        self.problems = {**self.problems, source.name: problem}
        return found
