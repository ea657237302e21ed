"""The state of the whole unit, combined from its supervisor and its workers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from obsctl.consumer.telemetry import Counters, PartitionState, Report, Telemetry
from obsctl.core.consumer_page import Note


class WorkerState(msgspec.Struct, frozen=True):
    """A worker as its supervisor sees it.

    Attributes:
        state: ``starting`` (no report yet), ``running``, ``silent`` or ``restarting`` (no process at the moment).
        pid: of its process; None if there is none.
        restarts: how often it was restarted.
        stuck_restarts: how many of these because it was silent or had stalled.
        report: the last one; None if its process has sent none.
        past: the counts of its earlier processes.
        trouble: what the supervisor reports about it.
    """

    number: int
    state: str
    pid: int | None
    restarts: int
    stuck_restarts: int
    report: Report | None
    past: Counters
    trouble: Note | None

    @property
    def current(self) -> Report | None:
        """The report, if it is recent: the state of a silent worker is unknown."""
        return self.report if self.state == "running" else None


class Placed(msgspec.Struct, frozen=True):
    """A partition and the worker that holds it."""

    progress: PartitionState
    worker: int


class Overview(msgspec.Struct, frozen=True):
    """What the unit's pages show.

    Attributes:
        started: when the unit was started (seconds since the epoch, as the other times).
        database_up: whether the database answers; None if no worker sends reports.
        lines_per_second: recent rate of processed records; None until known.
        behind_s: how long the oldest unstored record has been waiting, seconds; None while no partition is known.
    """

    started: float
    troubles: dict[str, Note]
    notices: dict[str, Note]
    counters: Counters
    database_up: bool | None
    lines_per_second: float | None
    last_commit: float | None
    last_row: float | None
    newest_event: str
    partitions: Sequence[Placed]
    workers: Sequence[WorkerState]
    beyond: dict[str, int]
    dead_letters: int
    dead_letter_topic: str = ""
    behind_s: float | None = None

    @property
    def status(self) -> str:
        """``ok``, or ``waiting`` if there is a trouble."""
        return "waiting" if self.troubles else "ok"


def gather(
    own: Telemetry,
    workers: Sequence[WorkerState],
    *,
    started: float,
    lines_per_second: float | None,
    dead_letter_topic: str = "",
    behind_s: float | None = None,
) -> Overview:
    """Combine the state of the supervisor (``own``) and of the workers."""
    current = [worker.current for worker in workers if worker.current is not None]
    reports = [worker.report for worker in workers if worker.report is not None]
    counters = Counters()
    for worker in workers:
        counters.add(worker.past)
    for report in reports:
        counters.add(report.counters)
    return Overview(
        started=started,
        troubles=_troubles(own, workers),
        notices=_notices(reports),
        counters=counters,
        database_up=all("database" not in report.troubles for report in current) if current else None,
        lines_per_second=lines_per_second,
        last_commit=max((r.last_commit for r in reports if r.last_commit is not None), default=None),
        last_row=max((r.last_row for r in reports if r.last_row is not None), default=None),
        newest_event=max((report.newest_event for report in reports), default=""),
        partitions=_partitions(workers),
        workers=workers,
        beyond=dict(own.beyond),
        dead_letters=own.dead_letters,
        dead_letter_topic=dead_letter_topic,
        behind_s=behind_s,
    )


def _troubles(own: Telemetry, workers: Iterable[WorkerState]) -> dict[str, Note]:
    """Return all troubles; if several have the same one, the one that began first."""
    found = dict(own.troubles)
    for worker in workers:
        if worker.trouble is not None:
            found[f"worker {worker.number}"] = worker.trouble
        for subject, trouble in (worker.current.troubles if worker.current else {}).items():
            if subject not in found or trouble.since < found[subject].since:
                found[subject] = trouble
    return found


def _notices(reports: Iterable[Report]) -> dict[str, Note]:
    """Return all notices; for each subject the latest one."""
    found: dict[str, Note] = {}
    for report in reports:
        for subject, note in report.notices.items():
            if subject not in found or note.since > found[subject].since:
                found[subject] = note
    return found


def _partitions(workers: Iterable[WorkerState]) -> list[Placed]:
    """Return each partition once: from the worker that reports it, or with an unknown state."""
    places: dict[tuple[str, int], Placed] = {}
    for worker in sorted(workers, key=lambda worker: worker.current is not None):
        for part in worker.report.partitions if worker.report else ():
            known = part if worker.current else PartitionState(part.topic, part.partition, None, None)
            places[part.topic, part.partition] = Placed(known, worker.number)
    return [places[place] for place in sorted(places)]
