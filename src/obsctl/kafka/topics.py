"""The ids of the cluster and of its topics (KIP-516), and the first and end offsets of partitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import confluent_kafka
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ClusterMetadata, OffsetSpec

from obsctl.kafka import clients
from obsctl.kafka.partition import TopicPartition

TIMEOUT_SECONDS = 5.0
#: A broker's value for a topic without an id: the zero UUID.
_NO_ID = "A" * 22


class Cluster(NamedTuple):
    """The cluster that answers, and its topics by name; missing topics are left out.

    Attributes:
        topic_ids: the id of each.
        partitions: the numbers of its partitions.
    """

    cluster_id: str
    topic_ids: Mapping[str, str]
    partitions: Mapping[str, Collection[int]]


class Bounds(NamedTuple):
    """The first offset of a partition's log, and the next one to be written."""

    first: int
    end: int


def identify(client: AdminClient, topics: Collection[str]) -> Cluster:
    """Ask for the ids of the cluster and of topics; waits up to ten seconds for the answers.

    Raises:
        KafkaException: no broker answers.
    """
    metadata = client.list_topics(timeout=TIMEOUT_SECONDS)
    return Cluster(metadata.cluster_id, ask_ids(client, topics), partitions_of(metadata, topics))


def partitions_of(metadata: ClusterMetadata, topics: Collection[str]) -> dict[str, Collection[int]]:
    """Return the partitions' numbers of the topics that exist, from a broker's answer."""
    found = {name: metadata.topics.get(name) for name in topics}
    return {name: topic.partitions for name, topic in found.items() if topic is not None and topic.error is None}


def ask_ids(client: AdminClient, topics: Collection[str]) -> dict[str, str]:
    """Ask for the ids of the topics that exist; an id is empty if the broker has no topic ids.

    Raises:
        KafkaException: no broker answers.
    """
    answers = client.describe_topics(TopicCollection(sorted(topics)), request_timeout=TIMEOUT_SECONDS)
    topic_ids = {}
    for name, answer in answers.items():
        try:
            reported = str(clients.result(answer).topic_id)
        except KafkaException as error:
            if error.args[0].code() < KafkaError.NO_ERROR:  # the client's own error: no broker has answered
                raise
        else:
            topic_ids[name] = "" if reported == _NO_ID else reported
    return topic_ids


def bounds(client: AdminClient, part: TopicPartition) -> Bounds:
    """Ask for a partition's first and end offsets; waits up to ten seconds.

    Raises:
        KafkaException: its leader does not answer, or there is no such partition.
    """
    return Bounds(*(_offset(client, part, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest())))


def _offset(client: AdminClient, part: TopicPartition, spec: OffsetSpec) -> int:
    place = confluent_kafka.TopicPartition(part.topic, part.partition)
    answers: dict[Any, Any] = client.list_offsets(
        {place: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=TIMEOUT_SECONDS
    )
    offset = int(clients.result(answers[place]).offset)
    if offset < 0:  # a leader that was just elected does not know its bounds yet
        raise KafkaException(KafkaError(KafkaError.OFFSET_NOT_AVAILABLE))
    return offset
