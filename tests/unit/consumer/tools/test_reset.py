"""What moving a position means, and when it is refused; broker and store are the test's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.tools import reset as module
from obsctl.consumer.tools.reset import Plan, carry_out, plan, weigh
from obsctl.core.errors import ObsctlError, RefusedError
from obsctl.kafka.topics import Bounds, Cluster
from obsctl.store.interface import Position, StoreUnavailableError
from tests.unit.consumer.doubles import PART
from tests.unit.consumer.settings import config, database, kafka

CONFIG = config(kafka=kafka(), database=database())


class World:
    """A topic of six partitions with offsets 20 to 100, and a position."""

    def __init__(self) -> None:
        self.bounds = Bounds(20, 100)
        self.position: Position | None = Position(7, 60)
        self.topic_ids = {"nginxlog": "id"}
        self.kafka_failure: KafkaException | None = None
        self.store_failure: StoreUnavailableError | None = None
        self.moves: list[tuple[int, int, int]] = []
        self.was: int | None = 60
        self.closed = 0

    # the client
    def list_topics(self, name: str = "nginxlog", timeout: float = 10) -> Any:
        return SimpleNamespace(topics={name: SimpleNamespace(partitions=dict.fromkeys(range(6)))})

    def identify(self, *_: Any) -> Cluster:
        if self.kafka_failure is not None:
            raise self.kafka_failure
        return Cluster("cluster", self.topic_ids, {})

    # the store
    def find(self, *_: Any) -> Position | None:
        if self.store_failure is not None:
            raise self.store_failure
        return self.position

    def move(self, source_id: int, target: int, *, at_least: int) -> int | None:
        self.moves.append((source_id, target, at_least))
        return self.was

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    store = SimpleNamespace(position=made.find, move=made.move, close=made.close)
    monkeypatch.setattr(module, "MySQLOperations", lambda *_: store)
    monkeypatch.setattr(module.clients, "admin", lambda *_: made)
    monkeypatch.setattr(module.topics, "identify", made.identify)
    monkeypatch.setattr(module.topics, "bounds", lambda *_: made.bounds)
    return made


@pytest.mark.parametrize(
    ("position", "target", "counts"),
    [
        (60, 20, (40, 0, 0)),
        (60, 100, (0, 40, 0)),
        (60, 60, (0, 0, 0)),
        (5, 20, (0, 0, 15)),
        (5, 50, (0, 30, 15)),
        (150, 20, (80, 0, 0)),
        (150, 100, (0, 0, 0)),
    ],
)
def test_what_is_read_again_skipped_and_no_longer_there(
    position: int, target: int, counts: tuple[int, int, int]
) -> None:
    assert weigh(position, Bounds(20, 100), target) == counts


@pytest.mark.parametrize(("to", "target"), [("earliest", 20), ("latest", 100), ("20", 20), ("77", 77), ("100", 100)])
def test_a_plan_names_its_target(world: World, to: str, target: int) -> None:
    planned = plan(CONFIG, PART, to)
    assert (planned.target, planned.position, planned.source_id) == (target, 60, 7)
    assert (planned.cluster_id, planned.topic_id) == ("cluster", "id")
    assert world.moves == []
    assert world.closed == 1


def test_a_plan_in_words(world: World) -> None:
    assert plan(CONFIG, PART, "earliest").in_words() == (
        "nginxlog/0 moves from 60 to 20 (the broker has 20 to 100):"
        " 40 offsets are read again, and no line is stored a second time"
    )
    assert "40 offsets are skipped" in plan(CONFIG, PART, "latest").in_words()
    assert plan(CONFIG, PART, "60").in_words() == "nginxlog/0 is at 60 already: there is nothing to move"
    world.position = Position(7, 150)
    assert "50 offsets beyond the partition's end" in plan(CONFIG, PART, "earliest").in_words()
    assert plan(CONFIG, PART, "latest").in_words().endswith("the position is 50 offsets beyond the partition's end")
    world.position = Position(7, 5)
    assert "15 offsets that the broker no longer has are skipped" in plan(CONFIG, PART, "earliest").in_words()


@pytest.mark.parametrize("to", ["19", "101"])
def test_an_offset_that_the_broker_does_not_have_is_refused(world: World, to: str) -> None:
    with pytest.raises(RefusedError, match=f"has offsets 20 to 100 of nginxlog/0, not {to}"):
        plan(CONFIG, PART, to)


def test_a_topic_a_partition_and_a_position_that_do_not_exist_are_refused(world: World) -> None:
    with pytest.raises(RefusedError, match="no partition 6") as refused:
        plan(CONFIG, PART._replace(partition=6), "earliest")
    assert refused.value.hint == "it has 0 to 5"
    world.position = None
    with pytest.raises(RefusedError, match="no position of nginxlog/0"):
        plan(CONFIG, PART, "earliest")
    world.topic_ids = {}
    with pytest.raises(RefusedError, match="no topic nginxlgo") as refused:
        plan(CONFIG, PART._replace(topic="nginxlgo"), "earliest")
    assert refused.value.hint == "did you mean nginxlog?"


def test_what_does_not_answer_is_named(world: World) -> None:
    world.store_failure = StoreUnavailableError("the database is away", "start it")
    with pytest.raises(ObsctlError, match="the database is away") as error:
        plan(CONFIG, PART, "earliest")
    assert error.value.hint == "start it"
    world.kafka_failure = KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    with pytest.raises(ObsctlError, match="Kafka: "):
        plan(CONFIG, PART, "earliest")
    assert world.closed == 1, "whatever happens"


@pytest.fixture
def planned(world: World) -> Plan:
    return plan(CONFIG, PART, "earliest")


def test_the_position_is_moved_and_not_below_what_the_person_has_seen(world: World, planned: Plan) -> None:
    assert carry_out(CONFIG, planned, at_least=55) == planned
    assert world.moves == [(7, 20, 55)]


def test_the_report_is_of_the_position_as_it_was_then(world: World, planned: Plan) -> None:
    world.was = 130  # a consumer went on meanwhile, and so did the topic
    moved = carry_out(CONFIG, planned, at_least=60)
    assert (moved.position, moved.read_again, moved.skipped) == (130, 110, 0)


def test_a_position_that_was_moved_back_is_left_alone(world: World, planned: Plan) -> None:
    world.was = None
    with pytest.raises(RefusedError, match="below 60"):
        carry_out(CONFIG, planned, at_least=60)


def test_nothing_is_moved_to_where_it_is(world: World) -> None:
    planned = plan(CONFIG, PART, "60")
    assert carry_out(CONFIG, planned, at_least=60) == planned
    assert world.moves == []
