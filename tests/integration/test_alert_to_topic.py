"""The Kafka channel on a real broker: what is acknowledged can be read, and each failure has its verdict."""

from __future__ import annotations

import itertools
import json

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import NewTopic

from obsctl.alerter.channels import kafka_topic
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.messages.message import Kind, Message
from obsctl.core.secrets import resolve
from rig.kafka import KafkaNode
from rig.suspended import is_suspended
from rig.waiting import wait_for

MESSAGE = Message(id="28d6058cc28f", kind=Kind.FIRING, title="[FIRING] 规则 203.0.113.9", lines=("200 requests",))
_numbers = itertools.count(1)


def send(kafka: KafkaNode, topic: str, message: Message = MESSAGE) -> Delivery:
    entry = {"name": "bus", "type": "kafka", "bootstrap": [kafka.bootstrap], "topic": topic}
    (spec,) = parse_channels([entry], "test")
    return spec.open(resolve).send(message)


def made(kafka: KafkaNode, **settings: str) -> str:
    topic = f"alerts{next(_numbers)}"
    admin = kafka.admin()  # must outlive its futures
    admin.create_topics([NewTopic(topic, 3, 1, config=settings)])[topic].result(20)
    return topic


def read(kafka: KafkaNode, topic: str, count: int) -> list[dict[str, object]]:
    reader = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    reader.subscribe([topic])
    found: list[dict[str, object]] = []

    def enough() -> bool:
        record = reader.poll(0.2)
        if record is not None and record.error() is None:
            assert record.key() == MESSAGE.id.encode()
            found.append(json.loads(record.value()))
        return len(found) >= count

    wait_for(f"{count} records", enough)
    reader.close()
    return found


def test_a_delivery_is_a_record_that_can_be_read(kafka: KafkaNode) -> None:
    topic = made(kafka)
    assert send(kafka, topic).delivered
    (body,) = read(kafka, topic, 1)
    assert (body["schema"], body["id"], body["title"]) == ("obsctl/alert/v1", MESSAGE.id, MESSAGE.title)


def test_a_topic_that_is_missing_is_refused(kafka: KafkaNode) -> None:
    assert send(kafka, "no-such-topic").verdict is Verdict.REFUSED


def test_a_record_that_is_too_large_is_refused(kafka: KafkaNode) -> None:
    message = Message(id=MESSAGE.id, kind=Kind.FIRING, title="t", lines=("x" * 5000,))
    delivery = send(kafka, made(kafka, **{"max.message.bytes": "1000"}), message)
    assert (delivery.verdict, delivery.code) == (Verdict.REFUSED, "MSG_SIZE_TOO_LARGE")


def test_a_broker_that_hangs_after_the_question_leaves_it_open(
    kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked where the topic is, then stopped: the record may or may not have been written."""
    topic = made(kafka)
    monkeypatch.setattr(kafka_topic, "_TOTAL_S", 5.0)
    asked = kafka_topic.KafkaTopic._absent

    def then_hangs(channel: kafka_topic.KafkaTopic, producer: object) -> Delivery | None:
        outcome = asked(channel, producer)  # type: ignore[arg-type]
        kafka.freeze()
        wait_for("each thread of the broker stands", lambda: is_suspended(kafka.pid))
        return outcome

    monkeypatch.setattr(kafka_topic.KafkaTopic, "_absent", then_hangs)
    try:
        delivery = send(kafka, topic)
    finally:
        kafka.thaw()
    assert delivery.verdict is Verdict.UNKNOWN
    assert "may or may not have been written" in delivery.summary
