"""The timestamps of single records, which show how old a group's unread records are."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import confluent_kafka
from confluent_kafka import Consumer, KafkaException

from obsctl.kafka import clients
from obsctl.kafka.partition import TopicPartition

_WAIT_S = 0.1
_MESSAGES = 100
_FETCH_BYTES = 64 * 1024


def ask(
    bootstrap: Sequence[str], client_id: str, places: Mapping[TopicPartition, int], timeout_s: float
) -> dict[TopicPartition, int]:
    """Return, by partition, the timestamp of the first record at or after an offset, in milliseconds.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        client_id: the name under which the brokers know this reader.
        places: the offsets; partitions whose broker does not have the offset are left out.
        timeout_s: time limit for all of them, seconds; partitions without an answer by then are left out.
    """
    if not places:
        return {}
    until = time.monotonic() + timeout_s
    client = Consumer(
        clients.settings(bootstrap, client_id)
        | {
            # The library requires a group name; no member ever joins it, and nothing is committed.
            "group.id": client_id,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "allow.auto.create.topics": False,
            # Only one record of each partition is needed, but brokers send whole batches.
            "fetch.message.max.bytes": _FETCH_BYTES,
            "queued.max.messages.kbytes": _FETCH_BYTES // 1024,
            "fetch.wait.max.ms": 100,
            "log_level": 0,
        }
    )
    found: dict[TopicPartition, int] = {}
    try:
        client.assign([confluent_kafka.TopicPartition(*part, offset) for part, offset in places.items()])
        while len(found) < len(places) and time.monotonic() < until:
            for message in client.consume(_MESSAGES, _WAIT_S):
                topic, number = message.topic(), message.partition()
                if topic is None or number is None or message.error() is not None:
                    continue
                part = TopicPartition(topic, number)
                kind, moment = message.timestamp()
                if part not in found and kind != confluent_kafka.TIMESTAMP_NOT_AVAILABLE:
                    found[part] = moment
                    client.pause([confluent_kafka.TopicPartition(*part)])
    except KafkaException:
        pass  # return what is known by now
    finally:
        client.close()
    return found
