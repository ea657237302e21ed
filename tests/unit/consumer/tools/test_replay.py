"""Which lines a replay looks at, in which portions, and what it makes of them; the store is the test's own."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from obsctl.consumer.tools import replay as module
from obsctl.consumer.tools.replay import Result, judge, replay
from obsctl.kafka.partition import TopicPartition
from obsctl.lines.formats.line import AccessLine
from obsctl.store.batch import Source
from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql.operations import Candidate, Kept, Released, Selection
from obsctl.store.quarantine import Quarantined
from rig.records import json_line, record
from tests.unit.consumer.settings import database

DATABASE, READ = database(), judge("UTC", ())
#: As the store's columns hold times: UTC, without a zone.
SINCE, NOON, NOW = (datetime.datetime(2026, 1, day, hour) for day, hour in ((1, 0), (1, 12), (2, 0)))  # noqa: DTZ001


class FakeOperations:
    """A quarantine of lines of one size."""

    def __init__(self, lines: int = 0, size: int = 100) -> None:
        self.lines = [
            Candidate(SINCE + datetime.timedelta(seconds=n), n.to_bytes(16, "big"), size) for n in range(lines)
        ]
        self.portions: list[int] = []
        self.selections: set[Selection] = set()
        self.acts: list[str] = []
        self.judge: Any = None
        self.failure: StoreUnavailableError | None = None
        self.closed = False

    def now(self) -> datetime.datetime:
        return NOW

    def candidates(self, selection: Selection, after: Candidate | None, limit: int) -> list[Candidate]:
        self.selections.add(selection)
        return [line for line in self.lines if after is None or line > after][:limit]

    def count(self, selection: Selection, after: Candidate) -> int:
        return sum(line > after for line in self.lines)

    def weigh(self, line_ids: Sequence[bytes], judge: Any) -> Released:
        return self._act("weigh", line_ids, judge)

    def release(self, line_ids: Sequence[bytes], judge: Any) -> Released:
        return self._act("release", line_ids, judge)

    def _act(self, name: str, line_ids: Sequence[bytes], judge: Any) -> Released:
        if self.failure is not None and self.portions:
            raise self.failure
        self.acts.append(name)
        self.portions.append(len(line_ids))
        self.judge = judge
        return Released(moved=len(line_ids) - 1, stays=Counter({"parse": 1}))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOperations]:
    made = FakeOperations()
    monkeypatch.setattr(module, "MySQLOperations", lambda *_: made)
    yield made
    assert made.closed


def test_lines_are_moved_in_portions_of_a_transaction(store: FakeOperations) -> None:
    store.lines = FakeOperations(1203).lines
    result = replay(DATABASE, READ, "parse", SINCE)
    assert store.portions == [500, 500, 203]
    assert store.acts == ["release"] * 3
    assert (result.examined, result.released.moved, result.released.stays["parse"], result.left) == (1203, 1200, 3, 0)


def test_large_lines_make_small_portions_and_one_too_large_goes_alone(store: FakeOperations) -> None:
    store.lines = FakeOperations(7, size=3 * 2**20).lines
    replay(DATABASE, READ, "parse", SINCE)
    assert store.portions == [2, 2, 2, 1]
    store.lines, store.portions = FakeOperations(2, size=9 * 2**20).lines, []
    replay(DATABASE, READ, "parse", SINCE)
    assert store.portions == [1, 1]


@pytest.mark.parametrize(
    ("limit", "portions", "left"), [(10, [10], 1193), (700, [500, 200], 503), (5000, [500, 500, 203], 0)]
)
def test_a_limit_says_what_is_left(store: FakeOperations, limit: int, portions: list[int], left: int) -> None:
    store.lines = FakeOperations(1203).lines
    result = replay(DATABASE, READ, "parse", SINCE, limit=limit)
    assert (store.portions, result.left) == (portions, left)


def test_a_dry_run_changes_nothing(store: FakeOperations) -> None:
    store.lines = FakeOperations(3).lines
    replay(DATABASE, READ, "parse", SINCE, dry_run=True)
    assert store.acts == ["weigh"]


def test_an_empty_selection_is_an_empty_result(store: FakeOperations) -> None:
    assert replay(DATABASE, READ, "parse", SINCE) == Result(NOW)


@pytest.mark.parametrize(
    ("until", "used"),
    [
        (None, NOW),
        (NOW + datetime.timedelta(days=1), NOW),
        (NOON, NOON),
    ],
)
def test_lines_that_come_meanwhile_cannot_keep_it_going(
    store: FakeOperations, until: datetime.datetime | None, used: datetime.datetime
) -> None:
    assert replay(DATABASE, READ, "parse", SINCE, until).until == used
    assert store.selections == {Selection("parse", SINCE, used)}


def test_a_store_that_goes_away_in_between_is_said(store: FakeOperations) -> None:
    store.lines = FakeOperations(600).lines
    store.failure = StoreUnavailableError("away")
    with pytest.raises(StoreUnavailableError):
        replay(DATABASE, READ, "parse", SINCE)
    assert store.portions == [500], "lines that were already moved stay moved"


def test_a_line_is_read_as_the_present_parsers_read_it(store: FakeOperations) -> None:
    store.lines = FakeOperations(1).lines
    replay(DATABASE, READ, "parse", SINCE)

    def judged(value: bytes | None) -> Any:
        return store.judge(
            Kept(
                b"id",
                Source(4, "cluster"),
                TopicPartition("nginxlog", 3),
                77,
                "parse",
                "",
                "0",
                value,
                len(value or b""),
            )
        )

    line = judged(record(json_line(1), 0))
    assert isinstance(line, AccessLine)
    assert (line.source_id, line.kafka_offset) == (4, 77)
    refused = judged(record("rubbish", 0))
    assert isinstance(refused, Quarantined)
    assert (refused.source_id, refused.offset, refused.reason) == (4, 77, "parse")
    assert isinstance(judged(None), Quarantined)
