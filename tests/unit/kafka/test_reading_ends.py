"""What ends the reading of a topic at once, and what is waited out: both readers judge the client's errors alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from obsctl.core.errors import ObsctlError
from obsctl.kafka import clients, stretches, topic_log
from obsctl.kafka.partition import TopicPartition
from obsctl.kafka.stretches import Stretch, StretchReader
from obsctl.kafka.topic_log import NotAllowedError, NotAnsweredError, TopicLog, TopicMissingError
from tests.unit.consumer.messages import FakeError, FakeMessage

TOPIC = "nginxlog"
#: Makes a reader whose client returns these messages, and returns its poll.
Reader = Callable[..., Callable[[], list[Any]]]


class Client:
    """In place of librdkafka's consumer."""

    def __init__(self, _settings: Mapping[str, Any]) -> None:
        self.messages: list[FakeMessage] = []

    def consume(self, _most: int, _timeout_s: float) -> list[FakeMessage]:
        return self.messages

    def assign(self, _parts: list[Any]) -> None:
        pass


@pytest.fixture(params=["a topic's reader", "a stretch's reader"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Return each of the two readers in turn."""
    client = Client({})
    for module in (topic_log, stretches):
        monkeypatch.setattr(module, "Consumer", lambda _settings: client)
    described = SimpleNamespace(topics={TOPIC: SimpleNamespace(error=None, partitions={0: None})})
    admin = SimpleNamespace(list_topics=lambda _topic, timeout: described)
    monkeypatch.setattr(clients, "admin", lambda *_: admin)

    def make(*messages: FakeMessage) -> Callable[[], list[Any]]:
        client.messages = list(messages)
        if request.param == "a topic's reader":
            log = TopicLog(["b:1"], TOPIC, "test")
            return lambda: log.poll(0)
        return StretchReader(["b:1"], [Stretch(TopicPartition(TOPIC, 0), 0, 10)], "test").poll

    return make


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        # A message's error never has the flag: its code alone says that the client is of no use any more.
        (FakeError(KafkaError._FATAL), NotAnsweredError, "topic nginxlog cannot be read: the client's words"),
        (
            FakeError(KafkaError.FENCED_INSTANCE_ID, fatal=True),
            NotAnsweredError,
            "topic nginxlog cannot be read: the client's words",
        ),
        (FakeError(KafkaError.UNKNOWN_TOPIC_OR_PART), TopicMissingError, "the cluster has no topic nginxlog"),
        (
            FakeError(KafkaError.TOPIC_AUTHORIZATION_FAILED),
            NotAllowedError,
            "the brokers do not let our user see, read or write topic nginxlog",
        ),
    ],
    ids=["fatal by its code", "fatal by its flag", "no such topic", "not allowed"],
)
def test_an_error_that_lasts_ends_the_reading_at_once(
    reader: Reader, error: FakeError, raised: type[ObsctlError], words: str
) -> None:
    with pytest.raises(raised) as caught:
        reader(error)()
    assert str(caught.value) == words


def test_an_error_that_may_pass_is_waited_out(reader: Reader) -> None:
    passing = FakeError(KafkaError._TRANSPORT)
    assert [record.offset for record in reader(passing, FakeMessage(0, b"a"))()] == [0]
