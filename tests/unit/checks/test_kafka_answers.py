"""What a broker's answers are taken for: refused ones, senseless ones, and those that stop halfway."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace as Part
from typing import Any

import pytest

from obsctl.checks.kafka import wire
from obsctl.checks.kafka.collect import _STORAGE_ERROR, BrokerAnswers, Wanted, _ask_controller, _question, assemble
from obsctl.checks.kafka.snapshot import Denied, KafkaSnapshot
from obsctl.fleet.model import Host, KafkaNode

#: Topics of the inventory: what is not in the answer for all topics is asked for by name.
WANTED = Wanted(("t", "secret", "gone"), ("ours",))
HOST = Host(name="node1", address="127.0.0.1", groups=("kafka",), kafka=KafkaNode(node_id=1))


def offsets(code: int = 0, offset: int = 10) -> Part:
    return Part(topics=[Part(name="t", partitions=[Part(partition_index=0, error_code=code, offset=offset)])])


def answers() -> dict[str, Any]:
    """Return the answers of a broker that is well, by question."""
    partition = Part(partition_index=0, leader_id=1, leader_epoch=1, replica_nodes=[1], isr_nodes=[1])
    topic = Part(name="t", error_code=0, is_internal=False, partitions=[partition])
    committed = Part(
        group_id="g",
        error_code=0,
        topics=[Part(name="t", partitions=[Part(partition_index=0, error_code=0, committed_offset=7)])],
    )
    return {
        "Metadata": Part(cluster_id="c", brokers=[Part(node_id=1, host="node1", port=9092)], topics=[topic]),
        "DescribeLogDirs": Part(error_code=0, results=[]),
        "ListGroups": Part(error_code=0, groups=[Part(group_id="g", protocol_type="consumer", group_state="Stable")]),
        "DescribeConfigs": Part(results=[Part(error_code=0, resource_name="t", configs=[])]),
        "ListOffsets": offsets(),
        "OffsetFetch": Part(groups=[committed]),
        "DescribeQuorum": Part(error_code=0, topics=[]),
        "ListPartitionReassignments": Part(error_code=0, topics=[]),
    }


def _next(answer: Any) -> Any:
    if isinstance(answer, list):
        return answer.pop(0) if len(answer) > 1 else answer[0]
    return answer


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Callable[..., KafkaSnapshot]:
    """Ask a broker that answers well but for what the test changes; an exception is raised instead of answering.

    Of a list each answer is given once, and the last one from then on.
    """

    def ask(**changes: Any) -> KafkaSnapshot:
        script = answers() | changes

        class Conversation:
            def __init__(self, *_: Any) -> None: ...

            def close(self) -> None: ...

            def ask(self, requests: list[Any]) -> list[Any]:
                said = [_next(script[type(request).__name__.removesuffix("Request")]) for request in requests]
                for answer in said:
                    if isinstance(answer, Exception):
                        raise answer
                return said

        monkeypatch.setattr(wire, "Conversation", Conversation)
        given = BrokerAnswers(1)
        _question(HOST, given, time.monotonic() + 5, WANTED)
        return assemble([HOST], [given])

    return ask


def test_a_broker_that_is_well_has_no_fault(broker: Callable[..., KafkaSnapshot]) -> None:
    seen = broker()
    assert (seen.errors, seen.brokers[0].answered) == ((), True)
    assert seen.groups[0].committed[0].offset == 7


@pytest.mark.parametrize(
    ("question", "answer", "words"),
    [
        ("ListGroups", Part(error_code=14, groups=[]), ": COORDINATOR_LOAD_IN_PROGRESS (error 14)"),
        (
            "DescribeConfigs",
            Part(results=[Part(error_code=3, resource_name="t", configs=[])]),
            " for t: UNKNOWN_TOPIC_OR_PARTITION (error 3)",
        ),
        ("ListOffsets", offsets(6, -1), " for t-0: NOT_LEADER_FOR_PARTITION (error 6)"),
        (
            "OffsetFetch",
            Part(groups=[Part(group_id="g", error_code=15, topics=[])]),
            " for g: COORDINATOR_NOT_AVAILABLE (error 15)",
        ),
        (
            "OffsetFetch",
            Part(
                groups=[
                    Part(
                        group_id="g",
                        error_code=0,
                        topics=[
                            Part(name="t", partitions=[Part(partition_index=0, error_code=9999, committed_offset=-1)])
                        ],
                    )
                ]
            ),
            " for t-0: UNKNOWN (error 9999)",
        ),
    ],
)
def test_a_refused_question_is_missing_data(
    broker: Callable[..., KafkaSnapshot], question: str, answer: Any, words: str
) -> None:
    (fault,) = broker(**{question: answer}).errors
    assert (fault.code, fault.object) == ("KAFKA_ANSWER_REFUSED", "broker/1")
    assert fault.summary == f"refuses {question}{words}"


@pytest.mark.parametrize("code", [3, 5, 6])
def test_a_leader_that_moves_between_two_questions_is_asked_for_again(
    broker: Callable[..., KafkaSnapshot], code: int
) -> None:
    # A round has five of these questions.
    seen = broker(ListOffsets=[*[offsets(code, -1)] * 5, offsets()])
    assert seen.errors == ()
    assert seen.partitions[0].hw == 10


@pytest.mark.parametrize(
    ("reported", "text"),
    [
        ("ed89ee0d-794c-466f-a376-1a01b60fa7e7", "7YnuDXlMRm+jdhoBtg+n5w"),
        ("bda66033-4f84-4808-ac83-8ad8a9eb25d5", "vaZgM0+ESAisg4rYqesl1Q"),
        ("fffffffe-4f84-4808-ac83-8ad8a9eb25d5", "/////k+ESAisg4rYqesl1Q"),
        ("00000000-0000-0000-0000-000000000000", ""),
    ],
)
def test_a_topics_id_is_written_as_the_consumer_writes_it(reported: str, text: str) -> None:
    """The first two pairs are of one cluster, as both client libraries gave them."""
    assert wire.topic_id(Part(topic_id=uuid.UUID(reported))) == text
    assert wire.topic_id(Part()) == "", "a broker before topic ids"


def test_the_groups_of_kafka_4_are_listed(broker: Callable[..., KafkaSnapshot]) -> None:
    """B46: a share group has no committed offsets, so none are asked for."""
    groups = [
        Part(group_id="g", protocol_type="consumer", group_state="Stable", group_type="Classic"),
        Part(group_id="share", protocol_type="share", group_state="Stable", group_type="Share"),
        Part(group_id="streams", protocol_type="streams", group_state="NotReady", group_type="Streams"),
        Part(group_id="connect", protocol_type="connect", group_state="Stable", group_type="Classic"),
    ]
    seen = broker(ListGroups=Part(error_code=0, groups=groups))
    assert [(group.name, group.kind, len(group.committed)) for group in seen.groups] == [
        ("g", "classic", 1),
        ("share", "share", 0),
        ("streams", "streams", 0),
    ]


def test_a_log_directory_that_is_offline_is_no_refusal(broker: Callable[..., KafkaSnapshot]) -> None:
    directory = Part(error_code=_STORAGE_ERROR, log_dir="/data", topics=[], total_bytes=-1, usable_bytes=-1)
    seen = broker(DescribeLogDirs=Part(error_code=0, results=[directory]))
    assert seen.errors == ()
    assert not seen.brokers[0].log_dirs[0].healthy


@pytest.mark.parametrize("error", [wire.BrokerSilentError("closed the connection"), TypeError("odd")])
def test_silence_after_the_metadata_is_an_answer_in_part(
    broker: Callable[..., KafkaSnapshot], error: Exception
) -> None:
    seen = broker(ListOffsets=error)
    assert seen.brokers[0].answered
    assert [fault.code for fault in seen.errors] == ["KAFKA_ANSWER_CUT"]


@pytest.mark.parametrize("metadata", [wire.BrokerSilentError("closed the connection"), Part(cluster_id="c")])
def test_metadata_that_make_no_sense_are_no_answer(broker: Callable[..., KafkaSnapshot], metadata: Any) -> None:
    seen = broker(Metadata=metadata)
    assert seen.brokers[0].failure
    assert seen.partitions == ()


def test_a_controller_that_makes_no_sense_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("odd")

    monkeypatch.setattr(wire, "Conversation", broken)
    given = BrokerAnswers(1)
    _ask_controller(HOST, given, time.monotonic() + 5)
    assert given.quorum is None


def named(code: int, name: str) -> Part:
    return Part(name=name, error_code=code, is_internal=False, partitions=[])


def test_a_topic_that_we_may_not_describe_is_told_from_one_that_does_not_exist(
    broker: Callable[..., KafkaSnapshot],
) -> None:
    both = answers()["Metadata"]
    # The answer for all topics comes first, then that for those which were not in it.
    both.topics = [*both.topics, named(29, "secret"), named(3, "gone")]
    seen = broker(Metadata=both)
    assert seen.hidden == ("secret",)
    assert (seen.denied, seen.errors) == ((Denied(resource="topic", operation="Describe", names=("secret",)),), ())


def test_a_reassignment_is_known_by_what_it_adds(broker: Callable[..., KafkaSnapshot]) -> None:
    moving = Part(partition_index=0, adding_replicas=[2], removing_replicas=[1])
    seen = broker(ListPartitionReassignments=Part(error_code=0, topics=[Part(name="t", partitions=[moving])]))
    assert (seen.reassignments_known, seen.partitions[0].adding, seen.partitions[0].removing) == (True, (2,), (1,))


@pytest.mark.parametrize(("code", "denied"), [(31, (Denied(resource="cluster", operation="Describe"),)), (41, ())])
def test_a_reassignment_that_nobody_tells_of_is_not_none(
    broker: Callable[..., KafkaSnapshot], code: int, denied: tuple[Denied, ...]
) -> None:
    seen = broker(ListPartitionReassignments=Part(error_code=code, topics=[]))
    assert not seen.reassignments_known
    assert (seen.denied, seen.errors) == (denied, ())


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        ("DescribeLogDirs", Part(error_code=31, results=[]), ("cluster", "Describe")),
        (
            "DescribeConfigs",
            Part(results=[Part(error_code=29, resource_name="t", configs=[])]),
            ("topic", "DescribeConfigs", "t"),
        ),
        ("ListOffsets", offsets(29, -1), ("topic", "Describe", "t")),
        ("OffsetFetch", Part(groups=[Part(group_id="g", error_code=30, topics=[])]), ("group", "Describe", "g")),
        ("DescribeQuorum", Part(error_code=31, topics=[]), ("cluster", "Describe")),
    ],
)
def test_what_our_user_may_not_see_is_a_right_and_no_fault_of_the_broker(
    broker: Callable[..., KafkaSnapshot], question: str, answer: Any, right: tuple[str, ...]
) -> None:
    resource, operation, *names = right
    seen = broker(**{question: answer})
    assert (seen.denied, seen.errors) == ((Denied(resource=resource, operation=operation, names=tuple(names)),), ())


def test_a_group_of_ours_that_is_not_listed_is_asked_for_by_name(broker: Callable[..., KafkaSnapshot]) -> None:
    hidden = Part(group_id="ours", error_code=30, topics=[])
    listed = answers()["OffsetFetch"].groups
    assert broker(OffsetFetch=Part(groups=[*listed, hidden])).denied == (
        Denied(resource="group", operation="Describe", names=("ours",)),
    )
    moved = Part(group_id="ours", error_code=16, topics=[])
    assert broker(ListGroups=Part(error_code=0, groups=[]), OffsetFetch=Part(groups=[moved])).errors == ()
