"""A leader that was just elected answers without an error and without an offset: that is no offset."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaException
from confluent_kafka.admin import AdminClient

from obsctl.kafka import end_offsets, topics
from obsctl.kafka.partition import TopicPartition

PARTS = [TopicPartition("nginxlog", number) for number in (0, 1)]


def client(*offsets: int) -> AdminClient:
    """Return a client whose cluster answers with these offsets, by partition."""

    def list_offsets(asked: dict[Any, Any], **_: Any) -> dict[Any, Any]:
        answers: dict[Any, Future[Any]] = {place: Future() for place in asked}
        for place, answer in answers.items():
            answer.set_result(SimpleNamespace(offset=offsets[place.partition]))
        return answers

    return cast(AdminClient, SimpleNamespace(list_offsets=list_offsets))


def test_an_end_that_the_leader_does_not_know_is_a_fault_of_its_partition() -> None:
    found = end_offsets.ask(client(7, OFFSET_INVALID), PARTS, 1.0)
    assert found.ends == {PARTS[0]: 7}
    assert found.faults == {PARTS[1]: "its leader does not know the end offset yet"}


def test_a_partition_whose_end_is_not_known_has_no_start_either() -> None:
    assert end_offsets.since(client(7, OFFSET_INVALID), PARTS, 0.0, 1.0).ends == {PARTS[0]: 7}


def test_bounds_that_the_leader_does_not_know_are_an_error() -> None:
    assert topics.bounds(client(0, 7), PARTS[1]) == (7, 7)
    with pytest.raises(KafkaException, match="OFFSET_NOT_AVAILABLE"):
        topics.bounds(client(0, OFFSET_INVALID), PARTS[1])
