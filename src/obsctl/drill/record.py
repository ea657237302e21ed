"""What a drill recorded: requests, rows, events and the results."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec


class Probe(msgspec.Struct, frozen=True, array_like=True):
    """One request.

    Attributes:
        at: when it was sent, seconds after the drill's begin.
        took_s: time until its answer or its failure.
        status: of the answer; 0 for none.
        error: why there was none.
        balancer: the one that answered, if known.
    """

    at: float
    took_s: float
    status: int
    error: str = ""
    balancer: str = ""

    @property
    def good(self) -> bool:
        """Whether it got the right answer."""
        return 200 <= self.status < 400


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A sample of something that must make progress.

    Attributes:
        at: when, seconds after the drill's begin.
        value: number of stored rows of the drill's lines; or 1 while an alerter works and 0 while none does; None if
            unknown.
    """

    at: float
    value: int | None


class Event(msgspec.Struct, frozen=True, array_like=True):
    """An event of the drill: seconds after its beginning, and what happened."""

    at: float
    text: str


class Outage(msgspec.Struct, frozen=True):
    """A period in which something did not work.

    Attributes:
        begins: seconds after the drill's begin.
        seconds: how long; the true time is longer by at most two sampling intervals.
    """

    begins: float
    seconds: float


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """One drill.

    Attributes:
        id: part of its lines' paths.
        target, how, host, unit: what was broken.
        begun_at: seconds since the epoch.
        lasts_s: how long it was broken.
        bound_s: how long requests may fail.
        stall_bound_s: how long no row may be stored, or no alerter may work.
        probes: all requests.
        rows: samples of stored rows.
        alerter: samples of the alerters' work; empty where another target was broken.
        events: moments.
        expected: number of lines that must be stored.
        stored: number of different lines that are stored.
        doubled: number of surplus rows of the same line.
        counted: whether the rows could be counted.
        restored: whether the host confirmed that it is restored.
        healthy: whether the fleet was healthy afterwards.
    """

    id: str
    target: str
    how: str
    host: str
    unit: str
    begun_at: float
    lasts_s: float
    bound_s: float
    stall_bound_s: float
    probes: tuple[Probe, ...] = ()
    rows: tuple[Sample, ...] = ()
    alerter: tuple[Sample, ...] = ()
    events: tuple[Event, ...] = ()
    expected: int = 0
    stored: int = 0
    doubled: int = 0
    counted: bool = False
    restored: bool = False
    healthy: bool = False

    @property
    def failed(self) -> int:
        """Requests without a good answer."""
        return sum(not probe.good for probe in self.probes)

    @property
    def lost(self) -> int:
        """Number of lines of answered requests that are not stored."""
        return max(0, self.expected - self.stored) if self.counted else 0

    @property
    def outage(self) -> Outage:
        """The longest period without an answered request."""
        return longest_outage(self.probes)

    @property
    def stall(self) -> Outage:
        """The longest period in which no row was stored although lines were written, or no alerter worked."""
        return longest_without_work(self.alerter) if self.alerter else longest_stall(self.rows)


def longest_outage(probes: Sequence[Probe]) -> Outage:
    """Return the longest time from a failed request to the next successful one, by their sending times."""
    longest = Outage(0.0, 0.0)
    begins: float | None = None
    last = 0.0
    for probe in sorted(probes, key=lambda one: one.at):
        last = probe.at + (0.0 if probe.good else probe.took_s)
        if not probe.good:
            begins = probe.at if begins is None else begins
        elif begins is not None:
            longest = max(longest, Outage(begins, round(probe.at - begins, 3)), key=lambda one: one.seconds)
            begins = None
    if begins is not None:
        longest = max(longest, Outage(begins, round(last - begins, 3)), key=lambda one: one.seconds)
    return longest


def longest_stall(rows: Sequence[Sample]) -> Outage:
    """Return the longest time between two samples with more rows than before."""
    grew: list[float] = []
    highest = 0
    for sample in rows:
        if sample.value is not None and sample.value > highest:
            grew.append(sample.at)
            highest = sample.value
    return _longest_gap(grew)


def longest_without_work(samples: Sequence[Sample]) -> Outage:
    """Return the longest time between two samples with a working alerter."""
    return _longest_gap([sample.at for sample in samples if sample.value])


def _longest_gap(moments: Sequence[float]) -> Outage:
    gaps = (Outage(before, round(after - before, 3)) for before, after in itertools.pairwise(moments))
    return max(gaps, key=lambda gap: gap.seconds, default=Outage(0.0, 0.0))
