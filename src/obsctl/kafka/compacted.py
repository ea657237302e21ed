"""What a compacted topic says now: the latest value of each key."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException

from obsctl.kafka import clients

_BATCH = 1000
#: The library waits for so long when there is less than a whole batch, seconds.
_ANSWER_S = 0.05


def read(
    bootstrap: Sequence[str], topic: str, partitions: int, client_id: str, beat: Callable[[], None]
) -> dict[bytes, bytes]:
    """Read a compacted topic from its beginning to its end; open and aborted transactions are left out.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: its name.
        partitions: how many it has.
        client_id: the name under which the brokers know the client.
        beat: called while records are awaited; may raise to give up.

    Returns:
        The latest value by key, without the keys that were deleted.

    Raises:
        KafkaException: the topic cannot be read.
    """
    consumer = Consumer(
        clients.settings(bootstrap, client_id)
        | {
            # Required by the library; nothing is committed.
            "group.id": client_id,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "allow.auto.create.topics": False,
            "log_level": 0,
        }
    )
    found: dict[bytes, bytes] = {}
    left = set(range(partitions))
    try:
        consumer.assign(
            [confluent_kafka.TopicPartition(topic, part, confluent_kafka.OFFSET_BEGINNING) for part in left]
        )
        while left:
            beat()
            for message in consumer.consume(_BATCH, _ANSWER_S):
                error, key, value = message.error(), message.key(), message.value()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                elif error is not None and not error.retriable() and error.code() != KafkaError._ALL_BROKERS_DOWN:
                    raise KafkaException(error)
                elif error is None and key is not None and value is not None:
                    found[key] = value
                elif error is None and key is not None:
                    found.pop(key, None)
    finally:
        consumer.close()
    return found
