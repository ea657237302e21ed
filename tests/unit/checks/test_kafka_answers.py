"""What a broker's answers are taken for: refused ones, senseless ones, and those that stop halfway."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace as Part
from typing import Any

import pytest

from obsctl.checks.kafka import wire
from obsctl.checks.kafka.collect import _STORAGE_ERROR, Statement, _ask_controller, _question, assemble
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.fleet.model import Host, KafkaNode

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
        "Metadata": Part(cluster_id="c", brokers=[Part(node_id=1)], topics=[topic]),
        "DescribeLogDirs": Part(error_code=0, results=[]),
        "ListGroups": Part(error_code=0, groups=[Part(group_id="g", protocol_type="consumer", group_state="Stable")]),
        "DescribeConfigs": Part(results=[Part(error_code=0, resource_name="t", configs=[])]),
        "ListOffsets": offsets(),
        "OffsetFetch": Part(groups=[committed]),
        "DescribeQuorum": Part(error_code=0, topics=[]),
    }


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Callable[..., KafkaSnapshot]:
    """Ask a broker that answers well but for what the test changes; an exception is raised instead of answering."""

    def ask(**changes: Any) -> KafkaSnapshot:
        script = answers() | changes

        class Conversation:
            def __init__(self, *_: Any) -> None: ...

            def close(self) -> None: ...

            def ask(self, requests: list[Any]) -> list[Any]:
                said = [script[type(request).__name__.removesuffix("Request")] for request in requests]
                for answer in said:
                    if isinstance(answer, Exception):
                        raise answer
                return said

        monkeypatch.setattr(wire, "Conversation", Conversation)
        statement = Statement(1)
        _question(HOST, statement, time.monotonic() + 5, True)
        return assemble([HOST], [statement])

    return ask


def test_a_broker_that_is_well_has_no_fault(broker: Callable[..., KafkaSnapshot]) -> None:
    seen = broker()
    assert (seen.errors, seen.brokers[0].answered) == ((), True)
    assert seen.groups[0].committed[0].offset == 7


@pytest.mark.parametrize(
    ("question", "answer", "words"),
    [
        ("DescribeLogDirs", Part(error_code=31, results=[]), ": CLUSTER_AUTHORIZATION_FAILED (error 31)"),
        ("ListGroups", Part(error_code=14, groups=[]), ": COORDINATOR_LOAD_IN_PROGRESS (error 14)"),
        (
            "DescribeConfigs",
            Part(results=[Part(error_code=29, resource_name="t", configs=[])]),
            " for t: TOPIC_AUTHORIZATION_FAILED (error 29)",
        ),
        ("ListOffsets", offsets(6, -1), " for t-0: NOT_LEADER_FOR_PARTITION (error 6)"),
        (
            "OffsetFetch",
            Part(groups=[Part(group_id="g", error_code=30, topics=[])]),
            " for g: GROUP_AUTHORIZATION_FAILED (error 30)",
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
    ballot = Statement(1)
    _ask_controller(HOST, ballot, time.monotonic() + 5)
    assert ballot.quorum is None
