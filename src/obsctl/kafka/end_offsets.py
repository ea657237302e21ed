"""Offsets of partitions: of the next record (the end), the first record, or the first record since a given time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import confluent_kafka
from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from obsctl.kafka import clients
from obsctl.kafka.partition import TopicPartition


class EndOffsets(NamedTuple):
    """The answers for some partitions.

    Attributes:
        ends: the requested offsets.
        faults: why a partition has no answer, in the client's words; one without a leader must not hide the others.
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
    found = _ask(client, parts, OffsetSpec.latest(), timeout_s)
    # Neither an error nor an offset: a leader that was just elected does not know its end yet.
    unknown = {part: "its leader does not know the end offset yet" for part, end in found.ends.items() if end < 0}
    return EndOffsets({part: end for part, end in found.ends.items() if end >= 0}, found.faults | unknown)


def firsts(client: AdminClient, parts: Collection[TopicPartition], timeout_s: float) -> EndOffsets:
    """Ask the partitions' leaders for the first offset of each log.

    Args:
        timeout_s: seconds that the answers may take.

    Raises:
        KafkaException: no broker answers.
    """
    return _ask(client, parts, OffsetSpec.earliest(), timeout_s)


def since(client: AdminClient, parts: Collection[TopicPartition], moment: float, timeout_s: float) -> EndOffsets:
    """Ask for each partition's first record since a given time; the end if there is none.

    Args:
        moment: seconds since the epoch, compared with the records' own timestamps.
        timeout_s: seconds that the answers may take, twice.

    Raises:
        KafkaException: no broker answers.
    """
    # The ends first, so that records written between the two requests are not missed.
    ends = ask(client, parts, timeout_s)
    found = _ask(client, ends.ends.keys(), OffsetSpec.for_timestamp(int(moment * 1000)), timeout_s)
    starts = {part: offset if offset >= 0 else ends.ends[part] for part, offset in found.ends.items()}
    return EndOffsets(starts, ends.faults | found.faults)


def _ask(client: AdminClient, parts: Collection[TopicPartition], spec: OffsetSpec, timeout_s: float) -> EndOffsets:
    answers: dict[Any, Any] = (
        client.list_offsets(
            {confluent_kafka.TopicPartition(*part): spec for part in parts},
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
            found.ends[part] = int(clients.result(answer).offset)
        except KafkaException as error:
            found.faults[part] = error.args[0].str()
    return found
