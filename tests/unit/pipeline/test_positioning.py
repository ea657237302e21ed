"""What a partition waits for before it goes on, with a clock of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from obsctl.pipeline import positioning
from obsctl.pipeline.batch import TopicPartition
from obsctl.pipeline.positioning import Positioning
from obsctl.pipeline.progress import Progress
from obsctl.pipeline.store import Origin, Position
from obsctl.pipeline.telemetry import Telemetry
from obsctl.pipeline.writer import Positioned, Question

PART = TopicPartition("nginxlog", 0)


class Broker:
    """A partition with two ends."""

    def __init__(self) -> None:
        self.low, self.high = 0, 100
        self.seeks: list[int] = []

    def get_watermark_offsets(self, _place: Any, timeout: float) -> tuple[int, int]:
        return self.low, self.high

    def seek(self, place: Any) -> None:
        self.seeks.append(place.offset)

    def resume(self, _places: Any) -> None:
        pass


class Bench:
    """A positioning, and what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(positioning.time, "monotonic", lambda: self.now)
        self.progress, self.telemetry, self.broker = Progress(), Telemetry(), Broker()
        self.progress.waiting[PART] = self.now
        self.held: dict[Any, Any] = {}
        self.positioning = self.another()

    def another(self) -> Positioning:
        return Positioning(self.progress, None, None, self.telemetry, held=self.held)  # type: ignore[arg-type]  # not asked

    def told(self, position: Position) -> bool:
        """Give the store's answer; return whether the partition goes on."""
        question = Question("cluster", {PART: "id"})
        self.positioning.take(self.broker, Positioned(question, {PART: position}))  # type: ignore[arg-type]
        return PART not in self.progress.waiting


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_a_new_leader_that_catches_up_holds_nothing(bench: Bench) -> None:
    bench.broker.high = 90
    assert not bench.told(Position(1, 100))
    bench.now += 30
    bench.broker.high = 100
    assert bench.told(Position(1, 100))
    assert bench.broker.seeks == [100]
    assert bench.telemetry.troubles == {}
    assert bench.held == {}


def test_records_lost_stay_a_persons_matter_when_others_have_taken_their_offsets(bench: Bench) -> None:
    bench.broker.high = 90
    assert not bench.told(Position(1, 100))
    bench.now += 61
    bench.broker.high = 250
    bench.positioning = bench.another()  # also for the next client
    assert not bench.told(Position(1, 100))
    trouble = bench.telemetry.troubles["nginxlog/0"]
    assert "has lost records before offset 100" in trouble.message
    assert "obsctl consumer reset --topic nginxlog --partition 0 --to earliest" in trouble.hint
    assert bench.told(Position(1, 0)), "the position was moved"
    assert bench.broker.seeks == [0]
    assert bench.telemetry.troubles == {}


def test_a_topic_made_again_waits_until_every_broker_knows(bench: Bench) -> None:
    remade = Position(2, 0, Origin.REMADE)
    assert not bench.told(remade)
    assert "made again" in bench.telemetry.notices()["nginxlog"].message
    bench.now += 9
    assert not bench.told(remade)
    bench.now += 2
    assert bench.told(remade)
    assert bench.broker.seeks == [0]
    assert bench.telemetry.troubles == {}
