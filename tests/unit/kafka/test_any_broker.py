"""A broker that hangs must not make the others look away."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from obsctl.kafka import clients
from obsctl.kafka.any_broker import AnyBroker

BROKERS = ("b1:9092", "b2:9092", "b3:9092")
SILENT = KafkaException(KafkaError(KafkaError._TIMED_OUT))
REFUSED = KafkaException(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED))


class Client(tuple[str, ...]):
    """A client, as the brokers that it knows."""

    #: What its connections are found to be when it is polled.
    befell: KafkaError | None = None

    def __new__(cls, brokers: Any, _on_error: Any) -> Client:
        return super().__new__(cls, brokers)

    def __init__(self, _brokers: Any, on_error: Any) -> None:
        self._on_error = on_error

    def poll(self, _seconds: float) -> None:
        if self.befell is not None:
            self._on_error(self.befell)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Return the clients that were made, each as the brokers that it knows."""
    made: list[tuple[str, ...]] = []

    def admin(bootstrap: Any, _client_id: str, on_error: Any) -> Any:
        made.append(tuple(bootstrap))
        return Client(bootstrap, on_error)

    monkeypatch.setattr(clients, "admin", admin)
    return made


def _answers(**by_client: Any) -> Any:
    def question(client: Any) -> str:
        answer = by_client.get("all" if len(client) > 1 else client[0].partition(":")[0], SILENT)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return question


def test_one_question_is_enough_where_it_is_answered(asked: list[tuple[str, ...]]) -> None:
    assert AnyBroker(BROKERS, "x").ask(_answers(all="well")) == "well"
    assert asked == [BROKERS]


def test_where_none_answers_each_broker_is_asked_and_the_first_that_answers_is_kept(
    asked: list[tuple[str, ...]],
) -> None:
    brokers = AnyBroker(BROKERS, "x")
    assert brokers.ask(_answers(b2="from b2", b3="from b3")) == "from b2"
    assert asked == [BROKERS, ("b1:9092",), ("b2:9092",)]
    assert brokers.ask(_answers(all="from all", b2="again")) == "again"
    assert len(asked) == 3


def test_silence_of_all_is_the_first_error(asked: list[tuple[str, ...]]) -> None:
    with pytest.raises(KafkaException) as raised:
        AnyBroker(BROKERS, "x").ask(_answers())
    assert raised.value.args[0] is SILENT.args[0]
    assert len(asked) == 4


@pytest.mark.parametrize("who", ["all", "b1"])
def test_a_broker_that_refuses_has_answered(asked: list[tuple[str, ...]], who: str) -> None:
    with pytest.raises(KafkaException) as raised:
        AnyBroker(BROKERS, "x").ask(_answers(**{who: REFUSED}, b3="too late"))
    assert raised.value is REFUSED
    assert len(asked) == (1 if who == "all" else 2)


@pytest.mark.parametrize("code", [KafkaError._AUTHENTICATION, KafkaError._SSL])
def test_brokers_that_shut_us_out_are_not_called_silent(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    shut = KafkaError(code, "sasl_ssl://b1:9094/1: no (after 3ms in state AUTH_REQ)")
    monkeypatch.setattr(Client, "befell", shut)
    brokers = AnyBroker(BROKERS, "x")
    with pytest.raises(KafkaException) as raised:
        brokers.ask(_answers())
    assert raised.value.args[0] is shut
    # Once they are silent, that is what is said.
    monkeypatch.setattr(Client, "befell", KafkaError(KafkaError._TRANSPORT))
    with pytest.raises(KafkaException) as raised:
        brokers.ask(_answers())
    assert raised.value.args[0] is SILENT.args[0]


def test_a_refusal_of_long_ago_is_not_the_reason_of_a_silence_today(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [KafkaError(KafkaError._AUTHENTICATION)]

    def poll(client: Client, _seconds: float) -> None:
        while waiting:
            client._on_error(waiting.pop())

    monkeypatch.setattr(Client, "poll", poll)
    with pytest.raises(KafkaException) as raised:
        AnyBroker(BROKERS, "x").ask(_answers())
    assert raised.value.args[0] is SILENT.args[0]
