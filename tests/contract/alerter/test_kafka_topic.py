"""The Kafka channel: what is delivered, what is missing, and what may or may not have been written.

The cluster is librdkafka's own mock, which speaks the protocol on loopback.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from obsctl.alerter.channels import kafka_topic
from obsctl.alerter.channels.kafka_topic import KafkaTopic
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.core.errors import ConfigError
from tests.contract.alerter.robots import alert


@pytest.fixture
def bootstrap() -> Iterator[str]:
    owner = Producer({"test.mock.num.brokers": 3, "log_level": 0})
    # A client that may create topics does so by asking for one.
    brokers = owner.list_topics("alerts", timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    owner.flush(0)


def channel(bootstrap: str, topic: str = "alerts", **more: object) -> KafkaTopic:
    entry = {"name": "bus", "type": "kafka", "bootstrap": bootstrap.split(","), "topic": topic, **more}
    (spec,) = parse_channels([entry], "test")
    opened = spec.open(lambda reference: pytest.fail(f"it has no secret, and asks for {reference}"))
    assert isinstance(opened, KafkaTopic)
    return opened


def test_the_record_is_the_message_as_json_under_the_incidents_id(bootstrap: str) -> None:
    made = channel(bootstrap, keyword="logpipe")
    delivery = made.send(alert())
    assert (delivery.verdict, delivery.code, delivery.hint) == (Verdict.DELIVERED, "0", "")
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "t", "auto.offset.reset": "earliest"})
    reader.subscribe(["alerts"])
    deadline, record = time.monotonic() + 20, None
    while record is None and time.monotonic() < deadline:
        record = reader.poll(0.5)
    reader.close()
    assert record is not None
    assert record.key() == b"1"
    body = json.loads(record.value())
    assert body == made.preview(alert())["value"]
    assert (body["schema"], body["keyword"], body["facts"]) == ("obsctl/alert/v1", "logpipe", {"severity": "critical"})


def test_a_topic_that_is_missing_is_named_and_not_made(bootstrap: str) -> None:
    delivery = channel(bootstrap, "absent").send(alert())
    assert (delivery.verdict, delivery.code) == (Verdict.REFUSED, "UNKNOWN_TOPIC_OR_PART")
    assert "create the topic" in delivery.hint
    assert channel(bootstrap, "absent").send(alert()).verdict is Verdict.REFUSED


def test_a_cluster_that_does_not_answer_is_no_delivery_for_sure(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_topic, "_METADATA_S", 0.5)
    delivery = channel(f"127.0.0.1:{closed_port}").send(alert())
    assert delivery.verdict is Verdict.UNREACHABLE
    assert "bootstrap" in delivery.hint


@pytest.mark.parametrize(
    ("code", "verdict", "hint"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Verdict.REFUSED, "create the topic"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Verdict.REFUSED, "ACLs"),
        (KafkaError.MSG_SIZE_TOO_LARGE, Verdict.REFUSED, "max.message.bytes"),
        (KafkaError.NOT_ENOUGH_REPLICAS, Verdict.DEFERRED, "in sync"),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Verdict.UNREACHABLE, "no leader"),
        (KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, Verdict.UNKNOWN, "check the topic"),
        (KafkaError._MSG_TIMED_OUT, Verdict.UNKNOWN, "check the topic"),
        (KafkaError.REQUEST_TIMED_OUT, Verdict.UNKNOWN, "check the topic"),
    ],
)
def test_what_each_error_means(code: int, verdict: Verdict, hint: str) -> None:
    delivery = channel("127.0.0.1:9")._judge(KafkaError(code))
    assert isinstance(delivery, Delivery)
    assert delivery.verdict is verdict
    assert hint in delivery.hint


@pytest.mark.parametrize("wrong", [{"bootstrap": []}, {"topic": ""}, {"token": "env:X"}])
def test_what_is_missing_is_a_mistake_of_the_configuration(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="channels"):
        parse_channels([{"name": "bus", "type": "kafka", "bootstrap": ["a:1"], "topic": "t", **wrong}], "test")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocol": "SASL_SSL", "username": "alerter"}, "SASL_SSL needs username and password"),
        ({"username": "alerter", "password": "env:OBS_TEST_SECRET"}, "with the protocol PLAINTEXT there is no login"),
        ({"protocol": "TLS"}, "protocol"),
    ],
)
def test_a_login_that_does_not_fit_the_protocol_is_refused_before_anything_is_sent(
    bootstrap: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        channel(bootstrap, **options)


def test_what_cannot_be_read_is_a_refusal_and_no_crash(bootstrap: str) -> None:
    delivery = channel(bootstrap, protocol="SSL", ca_file="/nowhere/ca.pem").send(alert())
    assert delivery.verdict is Verdict.REFUSED
    assert "/nowhere/ca.pem cannot be read" in delivery.summary
