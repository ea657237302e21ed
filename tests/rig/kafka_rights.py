"""What brokers let a user do, asked by a real client: the name of their error where they refuse, empty otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

#: Records that are waited for, in seconds.
_PATIENCE_S = 15


def written(settings: Mapping[str, Any], topic: str) -> str:
    """Write a record to a topic.

    Args:
        settings: librdkafka's, of somebody who logs in.
    """
    outcome: list[Any] = []
    producer = Producer({**settings, "message.timeout.ms": 8000})
    producer.produce(topic, b"line", on_delivery=lambda error, _: outcome.append(error))
    producer.flush(10)
    assert outcome, "neither delivered nor refused"
    return outcome[0].name() if outcome[0] else ""


def read(settings: Mapping[str, Any], topic: str, group: str) -> str:
    """Read a record as a member of a group; ``nothing`` where none came, and no error."""
    own = {"group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
    consumer = Consumer({**settings, **own})
    consumer.subscribe([topic])
    try:
        for _ in range(_PATIENCE_S):
            record = consumer.poll(1)
            if record is not None:
                error = record.error()
                return error.name() if error else ""
        return "nothing"
    except KafkaException as error:
        return str(error.args[0].name())
    finally:
        consumer.close()


def deleted(settings: Mapping[str, Any], topic: str) -> str:
    """Delete a topic."""
    admin = AdminClient(dict(settings))  # must outlive its futures
    try:
        admin.delete_topics([topic])[topic].result(20)
    except KafkaException as error:
        return str(error.args[0].name())
    return ""
