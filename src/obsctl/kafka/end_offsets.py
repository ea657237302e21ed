"""How far partitions reach: the offset that the next record of each will get."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import confluent_kafka
from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from obsctl.kafka.partition import TopicPartition


class EndOffsets(NamedTuple):
    """The answers for some partitions.

    Attributes:
        ends: the next offset to be written.
        faults: why a partition gave no answer, in the client's words; one without a leader must not hide the others.
    """

    ends: dict[TopicPartition, int]
    faults: dict[TopicPartition, str]


def ask(client: AdminClient, parts: Collection[TopicPartition], timeout_s: float) -> EndOffsets:
    """Ask the partitions' leaders for their end offsets (uncommitted records included).

    Args:
        timeout_s: seconds that the answers may take.

    Raises:
        KafkaException: no broker answers.
    """
    answers: dict[Any, Any] = (
        client.list_offsets(
            {confluent_kafka.TopicPartition(*part): OffsetSpec.latest() for part in parts},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=timeout_s,
        )
        if parts
        else {}
    )
    found = EndOffsets({}, {})
    for place, answer in answers.items():
        part = TopicPartition(place.topic, place.partition)
        try:
            found.ends[part] = int(answer.result().offset)
        except KafkaException as error:
            found.faults[part] = error.args[0].str()
    return found
