"""How far the topics reach, and what is reported of those that do not answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.stream import ends as module
from obsctl.consumer.stream.ends import Ends
from obsctl.consumer.telemetry import Telemetry
from obsctl.kafka import clients
from obsctl.kafka.end_offsets import EndOffsets
from obsctl.kafka.topics import Cluster
from rig.waiting import wait_for
from tests.unit.consumer.doubles import PART
from tests.unit.consumer.settings import kafka

OTHER = PART._replace(partition=1)


class Brokers:
    """A cluster with the access topic (two partitions) and, unless given otherwise, the error topic (none)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.topics: dict[str, Any] = {
            "nginxlog": SimpleNamespace(error=None, partitions=[0, 1]),
            "nginxlog-error": SimpleNamespace(error=None, partitions=[]),
        }
        self.failure: Exception | None = None
        self.faults: dict[Any, str] = {}
        self.looks = 0
        #: What is said of a topic that is not among the others.
        self.refusal = KafkaError.UNKNOWN_TOPIC_OR_PART
        self.ids = {"nginxlog": "id"}
        monkeypatch.setattr(clients, "admin", lambda *_: self)
        monkeypatch.setattr(module, "_ELECTION_S", 0.0)
        monkeypatch.setattr(module.end_offsets, "ask", self._ask)
        monkeypatch.setattr(module.topics, "ask_ids", lambda *_: dict(self.ids))
        monkeypatch.setattr(module.topics, "identify", lambda *_: Cluster("cluster", {"nginxlog-error": "id2"}, {}))
        monkeypatch.setattr(module, "_EVERY_S", 0.005)

    def list_topics(self, topic: str | None = None, *, timeout: float) -> Any:
        if topic is not None:
            return SimpleNamespace(topics={topic: SimpleNamespace(error=KafkaError(self.refusal), partitions={})})
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(topics=self.topics)

    def poll(self, _seconds: float) -> None:
        """Nothing befell its connections."""

    def _ask(self, _client: Any, parts: list[Any], _timeout: float) -> EndOffsets:
        return EndOffsets({part: 100 for part in parts if part not in self.faults}, self.faults)


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    return Brokers(monkeypatch)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def ends(brokers: Brokers, telemetry: Telemetry) -> Any:
    made = Ends(kafka(), telemetry)
    made.start()
    yield made
    made.stop()
    made.join(5)


def looked(brokers: Brokers) -> bool:
    """Wait until it has looked once from the beginning to the end."""
    before = brokers.looks
    return wait_for("two more looks", lambda: brokers.looks > before + 1, seconds=5)


def test_the_ends_and_the_topics_ids_are_known(ends: Ends, brokers: Brokers, telemetry: Telemetry) -> None:
    assert looked(brokers)
    assert ends.of([PART, PART._replace(partition=9)]) == {PART: 100}
    assert ends.topic_ids == {"nginxlog": "id"}
    assert set(ends.existing) == {PART, OTHER}
    assert telemetry.troubles == {}


def test_brokers_that_do_not_answer_are_a_trouble_until_they_do(
    ends: Ends, brokers: Brokers, telemetry: Telemetry
) -> None:
    assert looked(brokers)
    brokers.failure = KafkaException(KafkaError(KafkaError._TRANSPORT))
    wait_for("the state", lambda: "kafka" in telemetry.troubles, seconds=5)
    assert ends.of([PART]) == {PART: 100}, "the last known end"
    brokers.failure = None
    wait_for("the state", lambda: not telemetry.troubles, seconds=5)


def test_a_bug_does_not_end_the_thread(ends: Ends, brokers: Brokers, telemetry: Telemetry) -> None:
    brokers.failure = ZeroDivisionError("a bug")
    wait_for(
        "the state", lambda: "internal error" in getattr(telemetry.troubles.get("kafka"), "message", ""), seconds=5
    )
    brokers.failure = None
    wait_for("the state", lambda: not telemetry.troubles, seconds=5)


@pytest.mark.parametrize("absent", [None, SimpleNamespace(error="unknown topic", partitions=[])])
def test_a_topic_that_does_not_exist_is_named_and_costs_the_other_nothing(
    ends: Ends, brokers: Brokers, telemetry: Telemetry, absent: Any
) -> None:
    brokers.topics["nginxlog-error"] = absent
    wait_for("the state", lambda: telemetry.troubles.keys() == {"nginxlog-error"}, seconds=5)
    assert looked(brokers)
    assert ends.of([PART]) == {PART: 100}
    brokers.topics["nginxlog-error"] = SimpleNamespace(error=None, partitions=[])
    wait_for("the state", lambda: not telemetry.troubles, seconds=5)


def test_a_topic_that_is_hidden_from_us_is_not_called_missing(
    ends: Ends, brokers: Brokers, telemetry: Telemetry
) -> None:
    brokers.refusal = KafkaError.TOPIC_AUTHORIZATION_FAILED
    brokers.topics["nginxlog-error"] = None
    wait_for("the state", lambda: telemetry.troubles.keys() == {"nginxlog-error"}, seconds=5)
    found = telemetry.troubles["nginxlog-error"]
    assert "does not let this user read the topic" in found.message
    assert "gives Kafka's users their rights" in found.hint


def test_brokers_that_shut_us_out_are_named_as_that_each_time_in_the_same_words(
    ends: Ends, brokers: Brokers, telemetry: Telemetry
) -> None:
    words = "the brokers refuse the login: SASL authentication error: no such login"
    for broker, took in (("198.18.0.11:9094/bootstrap", 3), ("198.18.0.12:9094/2", 71)):
        text = f"sasl_ssl://{broker}: SASL authentication error: no such login (after {took}ms in state AUTH_REQ)"
        brokers.failure = KafkaException(KafkaError(KafkaError._AUTHENTICATION, text))
        wait_for("the state", lambda: getattr(telemetry.troubles.get("kafka"), "message", "") == words, seconds=5)
        assert "ansible-playbook playbooks/kafka.yml" in telemetry.troubles["kafka"].hint
        assert looked(brokers)


def test_a_partition_without_a_leader_is_named_and_costs_the_others_nothing(
    ends: Ends, brokers: Brokers, telemetry: Telemetry
) -> None:
    assert looked(brokers)
    brokers.faults = {OTHER: "Broker: Leader not available"}
    wait_for("the state", lambda: telemetry.troubles.keys() == {"nginxlog/1 end"}, seconds=5)
    assert telemetry.troubles["nginxlog/1 end"].message == "Broker: Leader not available"
    brokers.faults = {}
    wait_for("the state", lambda: not telemetry.troubles, seconds=5)


def test_a_partition_that_is_gone_is_no_trouble(ends: Ends, brokers: Brokers, telemetry: Telemetry) -> None:
    brokers.faults = {OTHER: "Broker: Leader not available"}
    wait_for("the state", lambda: telemetry.troubles.keys() == {"nginxlog/1 end"}, seconds=5)
    brokers.topics["nginxlog"] = SimpleNamespace(error=None, partitions=[0])
    brokers.faults = {}
    wait_for("the state", lambda: not telemetry.troubles, seconds=5)
    assert looked(brokers)
    assert set(ends.existing) == {PART}


def test_a_partition_without_a_leader_during_an_election_is_no_trouble(
    ends: Ends, brokers: Brokers, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ELECTION_S", 3600.0)
    brokers.faults = {OTHER: "Local: Timed out"}
    assert looked(brokers)
    assert telemetry.troubles == {}
    monkeypatch.setattr(module, "_ELECTION_S", 0.0)
    wait_for("the state", lambda: telemetry.troubles.keys() == {"nginxlog/1 end"}, seconds=5)


def test_what_is_identified_is_known_at_once(brokers: Brokers, telemetry: Telemetry) -> None:
    ends = Ends(kafka(), telemetry)
    assert ends.identify(["nginxlog-error"]).cluster_id == "cluster"
    assert ends.topic_ids == {"nginxlog-error": "id2"}
