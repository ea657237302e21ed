"""Which log is read, and from which offset, even after the topic was recreated or the cluster rebuilt.

If a position is known for the log, reading resumes there. If none is known, or the log no longer has that offset,
reading starts at the first record that may still be within a window: counted lines are recognized by their identities,
so none counts twice. Only the very first start begins at the end, because older lines are not news.
"""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.evaluation.event_clock import EventClock
from obsctl.alerter.input.record_source import Record, Source
from obsctl.alerter.input.topic_probe import SILENT_S, Answer, Probe, no_topic, not_answered
from obsctl.alerter.state.state_file import State
from obsctl.kafka.topic_incarnation import TopicIncarnation

LOG = logging.getLogger(__name__)

_COMMIT_EVERY_S = 5.0
#: A topic that was created again is not read before this time has passed, seconds: a broker that does not know about
#: it yet would still return the old one's records at the new one's offsets. After this time such a broker is fenced
#: (broker.session.timeout.ms is 9 s). For the same time, an answer that names the previous log is taken as one from
#: such a broker.
SETTLE_S = 10.0
#: How often a client with stuck partitions is replaced, seconds: its view of the cluster may be the cause.
_REOPEN_S = 60.0
_CREATED_AGAIN = f"was deleted and created again; reading resumes within {SETTLE_S:g} s, no action is needed"


class Trouble(NamedTuple):
    """Why not all lines are read.

    Attributes:
        blind: whether none is read.
        reason: what is wrong, and what to do about it.
    """

    blind: bool
    reason: str


class TopicFollower:
    """Reads a topic, also after it was created again.

    Args:
        config: the brokers.
        topic: its name.
        state: keeps the positions.
        clock: gets the watermarks of the partitions that are read.
        lateness_s: records older than this no longer count, seconds.
    """

    def __init__(self, config: KafkaConfig, topic: str, state: State, clock: EventClock, lateness_s: float) -> None:
        self._config = config
        self._state = state
        self.clock = clock
        self._lateness_s = lateness_s
        self._topic = topic
        self._probe = Probe(config, topic)
        self._source: Source | None = None
        self._answered_at = float("-inf")
        self._missing = False
        #: Why nothing is read, as the text after the topic's name; meaningless while there is a source.
        self._why = "is being looked up"
        #: The log that will be read, and since when it is known (monotonic seconds).
        self._next: tuple[TopicIncarnation, float] | None = None
        #: The previous logs: when reading each ended (monotonic seconds), and at which positions.
        self._left: dict[TopicIncarnation, tuple[float, dict[int, int]]] = {}
        self._committed_at = 0.0
        self._opened_at = 0.0

    @property
    def source(self) -> Source | None:
        """The source that is read now."""
        return self._source

    def start(self) -> None:
        """Begin to ask the cluster."""
        self._probe.start()

    def stop(self) -> None:
        """Leave the cluster."""
        self._probe.stop()
        if self._source is not None:
            self._source.close()

    def turn(self, most: int, wait_s: float) -> list[Record]:
        """Process the probe's answers; return up to ``most`` records, or those that came within ``wait_s`` seconds."""
        for answer in self._probe.take():
            self._learn(answer)
        source = self._source
        if source is None:
            time.sleep(wait_s)
            return []
        records = source.read(most, wait_s)
        for partition, moment in source.reached().items():
            self.clock.caught_up(partition, moment)
        now = time.monotonic()
        if now - self._committed_at > _COMMIT_EVERY_S:
            self._committed_at = now
            source.commit()
        return records

    def trouble(self) -> Trouble | None:
        """Return why not all lines are read; may be called from any thread."""
        source, topic = self._source, self._topic
        if time.monotonic() - self._answered_at > SILENT_S:
            return Trouble(True, not_answered(topic, self._probe.refused))
        if self._missing:
            return Trouble(True, no_topic(topic))
        if source is None:
            return Trouble(True, f"topic {topic} {self._why}")
        if source.lost:
            lost = ", ".join(f"{topic}/{partition}" for partition in sorted(source.lost))
            return Trouble(
                len(source.lost) >= len(source.ends),
                f"the start offset for {lost} is not known yet; it is being looked up",
            )
        stuck = source.stuck()
        if stuck:
            named = ", ".join(f"{topic}/{partition}" for partition in stuck)
            return Trouble(
                len(stuck) >= len(source.ends),
                f"records of {named} are in Kafka but cannot be fetched: obsctl kafka status",
            )
        return None

    def _learn(self, answer: Answer) -> None:
        self._answered_at = time.monotonic()
        self._missing = answer.log is None
        if answer.log is None:
            return
        if self._source is not None and self._source.log == answer.log:
            self._learn_more(self._source, answer)
        elif answer.log not in self._left or time.monotonic() - self._left[answer.log][0] > SETTLE_S:
            self._change(answer.log, answer)

    def _learn_more(self, source: Source, answer: Answer) -> None:
        for partition in answer.ends:
            self.clock.track(partition)
        source.find(answer.starts)
        source.learn(answer)
        if source.stuck() and time.monotonic() - self._opened_at > _REOPEN_S:
            self._opened_at = time.monotonic()
            source.reopen()
        self._probe.want(source.lost, self._since())

    def _change(self, log: TopicIncarnation, answer: Answer) -> None:
        """Switch to another log than the one being read."""
        now = time.monotonic()
        if self._source is not None:
            self._leave(self._source, log)
        if self._next is None or self._next[0] != log:
            self._next = (log, now)
        # This process has read further than the last snapshot says.
        kept = self._left[log][1] if log in self._left else self._state.positions(log)
        if kept:
            origin, positions = "where it was left", kept
        elif not self._state.knows(log.topic):
            origin, positions = "its end", dict(answer.ends)
            self._state.begin(log, positions)
        else:
            if self._state.knows(log.topic, log.cluster) and now - self._next[1] < SETTLE_S:
                self._why = _CREATED_AGAIN
                return
            # All its partitions are new to the source: they get positions like any other partition without one.
            origin, positions = f"the first record of the last {self._lateness_s:g} s", {}
        if not answer.ends:
            self._why = "has no partition whose leader answers: obsctl kafka status"
            return
        source = self._source = Source(self._config, log, positions)
        self._opened_at = now
        self._next = None
        LOG.info(
            "reading begins",
            extra={"topic": log.topic, "cluster": log.cluster, "topic_id": log.topic_id, "from": origin}
            | ({"positions": positions} if positions else {}),
        )
        self._learn_more(source, answer)

    def _leave(self, source: Source, log: TopicIncarnation) -> None:
        same = source.log.cluster == log.cluster
        LOG.warning(
            "the topic was deleted and created again" if same else "the brokers now belong to another cluster",
            extra={"topic": log.topic, "was": source.log._asdict(), "is": log._asdict()},
        )
        self._left[source.log] = (time.monotonic(), dict(source.positions))
        self._why = _CREATED_AGAIN
        self._source = None
        # Partitions that no longer exist must not hold up the clock; and no alert ends before each new one has a
        # watermark.
        self.clock.restart()
        source.abandon()

    def _since(self) -> float:
        return time.time() - self._lateness_s
