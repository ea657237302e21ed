"""Reads some hours of the topics of lines for a replay of rules.

The partitions are merged by the lines' own times, so that rules see the lines in the order in which they were written.
Only the records that a partition is ahead of the slowest one are in memory, and reading of each partition pauses at
its share of :data:`KEEP_BYTES`.

A line's own time alone does not move the clock: one host whose clock is an hour ahead would make all other hosts'
lines an hour late. Its place in time is what :class:`Places` derives from the times of its neighbours in the
partition.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from obsctl.alerter.evaluation.tolerances import AHEAD_S
from obsctl.alerter.replay.from_files import Unreadable
from obsctl.alerter.replay.run import Read
from obsctl.alerter.replay.topic_plan import CLIENT, Plan
from obsctl.kafka.partition import TopicPartition
from obsctl.kafka.stretches import Record, StretchReader
from obsctl.lines import record as records
from obsctl.lines.formats.line import LineError
from obsctl.lines.line_reader import LineReader

#: The most bytes of records in memory; the lines made of them take two to three times as much. With a third of it,
#: partitions pause so often that a replay takes twice as long.
KEEP_BYTES = 64 * 1024 * 1024
#: A line's time is compared with those of this many lines before and after it: if a third of these have a wrong clock,
#: the wrong ones are in the majority for three of ten million lines.
_NEIGHBOURS = 100
#: The most records of a partition that are not lines and wait until it is known whether they are before the end.
_MOST_LEFT_OUT = 10_000


class Places:
    """Derives when the lines of one partition were read from the times of their neighbours.

    The place of a line is the time that has the line's rank when the times of the line and its neighbours are sorted.
    For lines in order that is their own time, and for a line with a wrong clock the time of those around it.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._sorted: list[float] = []
        #: The rank of the next line whose place is not known yet.
        self._rank = 0

    def add(self, time: float) -> float | None:
        """Add the next line's time; return the place of the line :data:`_NEIGHBOURS` before it, if there is one."""
        self._times.append(time)
        insort(self._sorted, time)
        if len(self._times) <= _NEIGHBOURS:
            return None
        place = self._sorted[self._rank]
        if self._rank < _NEIGHBOURS:
            self._rank += 1
        else:
            del self._sorted[bisect_left(self._sorted, self._times.popleft())]
        return place

    def end(self) -> list[float]:
        """Return the places of the remaining lines: no more follow."""
        return self._sorted[self._rank :]


class _Waiting(NamedTuple):
    """A line that is not merged yet, with its record's offset and size in bytes."""

    line: Read
    offset: int
    size: int


class _LeftOut(NamedTuple):
    """A record that no rule sees: it is not a line, for this reason, or (without a reason) it is from the future."""

    offset: int
    reason: str


class _Lane:
    """The lines of one partition that were read and not merged yet.

    Attributes:
        part: the partition.
        bytes: size of the waiting records.
        open: whether there is more to read.
        left_out: records that no rule sees, after the last merged line.
    """

    def __init__(self, part: TopicPartition) -> None:
        self.part = part
        self.bytes = 0
        self.open = True
        self.left_out: deque[_LeftOut] = deque()
        self._places = Places()
        #: Lines whose place is not known yet, and lines whose place is.
        self._fresh: deque[_Waiting] = deque()
        self._ready: deque[_Waiting] = deque()

    @property
    def next(self) -> _Waiting | None:
        """The next line; None if it is not known yet or there is none."""
        return self._ready[0] if self._ready else None

    def add(self, waiting: _Waiting) -> None:
        self.bytes += waiting.size
        self._fresh.append(waiting)
        place = self._places.add(waiting.line.at)
        if place is not None:
            self._place(place)

    def end(self) -> None:
        """Record that no more lines follow."""
        if self.open:
            self.open = False
            for place in self._places.end():
                self._place(place)

    def pop(self) -> _Waiting:
        found = self._ready.popleft()
        self.bytes -= found.size
        return found

    def clear(self) -> None:
        """Drop everything: it no longer counts."""
        self.open = False
        self._ready.clear()
        self._fresh.clear()
        self.left_out.clear()
        self.bytes = 0

    def _place(self, place: float) -> None:
        waiting = self._fresh.popleft()
        self._ready.append(waiting._replace(line=Read(place, waiting.line.event)))


class TopicLines:
    """The lines of a plan, sorted by time; can be iterated over once.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        plan: what is read.
        reader: turns records into lines.
        now: wall-clock time, seconds since the epoch: lines far later than it have a wrong clock.
        keep_bytes: the most bytes of records that wait to be merged, not counting one batch.

    Attributes:
        records: how many were read so far, including those after the end of the time.
        lines: how many were merged or left out so far, without requests of tests.
        unreadable: the partitions that have records which are not lines.
        ahead: how many lines were left out because their time is in the future.
        gone: how many records were deleted before they could be read.
    """

    def __init__(
        self, bootstrap: Sequence[str], plan: Plan, reader: LineReader, now: float, keep_bytes: int = KEEP_BYTES
    ) -> None:
        self._bootstrap = bootstrap
        self._plan = plan
        self._reader = reader
        self._newest = now + AHEAD_S
        self._until = float("inf") if plan.until is None else plan.until
        self._most = keep_bytes // max(1, len(plan.stretches))
        self.records = 0
        self.lines = 0
        self.ahead = 0
        self.unreadable: dict[TopicPartition, Unreadable] = {}
        self.gone = list(plan.gone)

    def merged(self, progress: Callable[[], None] = lambda: None) -> Iterator[Read]:
        """Yield the lines.

        Args:
            progress: is called after each batch of records.

        Raises:
            TopicMissingError: a topic was deleted.
            NotAnsweredError: the brokers do not answer.
        """
        with closing(StretchReader(self._bootstrap, self._plan.stretches, CLIENT)) as reader:
            lanes = {part: _Lane(part) for part in reader.open}

            def has_next(lane: _Lane) -> bool:
                while lane.next is None and lane.open:
                    self._fill(reader, lanes)
                    self.gone[len(self._plan.gone) :] = reader.gone
                    progress()
                self._count_left_out(lane)
                if lane.next is not None and lane.next.line.at >= self._until:
                    reader.leave(lane.part)
                    lane.clear()
                return lane.next is not None

            heap = [(_at(lane), number, lane) for number, lane in enumerate(lanes.values()) if has_next(lane)]
            heapq.heapify(heap)
            while heap:
                _, number, lane = heap[0]
                self.lines += 1
                yield lane.pop().line
                if has_next(lane):
                    heapq.heapreplace(heap, (_at(lane), number, lane))
                else:
                    heapq.heappop(heap)

    def _fill(self, reader: StretchReader, lanes: dict[TopicPartition, _Lane]) -> None:
        for lane in lanes.values():
            if lane.bytes <= self._most // 2:
                reader.go_on(lane.part)
        for record in reader.poll():
            self.records += 1
            if lanes[record.part].open:
                self._take(lanes[record.part], record)
        for part, lane in lanes.items():
            if part not in reader.open:
                lane.end()
            elif lane.bytes > self._most:
                reader.hold(part)

    def _take(self, lane: _Lane, record: Record) -> None:
        try:
            event = self._reader.read(record.value)
        except (*records.UNREADABLE, KeyError) as error:
            self._leave_out(lane, _LeftOut(record.offset, _reason(error)))
            return
        if event is None or event.mark:
            # A probe or a rule test, not a person's request.
            return
        if event.time > self._newest:
            self._leave_out(lane, _LeftOut(record.offset, ""))
        else:
            lane.add(_Waiting(Read(event.time, event), record.offset, len(record.value)))

    def _leave_out(self, lane: _Lane, found: _LeftOut) -> None:
        lane.left_out.append(found)
        if len(lane.left_out) > _MOST_LEFT_OUT:
            self._count(lane.part, lane.left_out.popleft())

    def _count_left_out(self, lane: _Lane) -> None:
        """Count the left-out records before a partition's next line; those after it may be beyond the end."""
        while lane.left_out and (lane.next is None or lane.left_out[0].offset < lane.next.offset):
            self._count(lane.part, lane.left_out.popleft())

    def _count(self, part: TopicPartition, found: _LeftOut) -> None:
        self.lines += 1
        if found.reason:
            bad = Unreadable(f"{part.topic}/{part.partition}", 0, found.offset, found.reason)
            self.unreadable.setdefault(part, bad).lines += 1
        else:
            self.ahead += 1


def _at(lane: _Lane) -> float:
    return lane.next.line.at if lane.next is not None else float("inf")


def _reason(error: Exception) -> str:
    if isinstance(error, LineError):
        return error.detail
    return f"there is no format {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
