"""What is taken of what the client returns: nothing of others, nothing twice, every gap confirmed."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from obsctl.consumer.config import BatchLimits
from obsctl.consumer.stream.intake import Intake
from obsctl.consumer.stream.progress import Progress
from obsctl.store.batch import Source
from tests.unit.consumer.doubles import PART, FakeClient
from tests.unit.consumer.messages import FakeError, FakeMessage


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def progress(client: FakeClient) -> Progress:
    """One partition that is read from offset 10."""
    made = Progress()
    made.assigned([PART])
    made.read_from(client, PART, 10, Source(1, "cluster", "id"), 10)  # type: ignore[arg-type]
    return made


@pytest.fixture
def intake(progress: Progress) -> Intake:
    return Intake(BatchLimits(lines=10_000, interval_ms=10_000), progress)  # the machine may be busy


def offsets(intake: Intake, client: FakeClient, *messages: FakeMessage) -> list[int]:
    """Return the offsets that are accepted, and see that each comes with its own record."""
    runs = intake.accept(client, list(messages))  # type: ignore[arg-type]
    given = {(m.place, m.offset()): m.value() for m in messages}
    accepted = [(run.part, run.first + n, value) for run in runs for n, value in enumerate(run.values)]
    assert all(given[part, offset] == value for part, offset, value in accepted)
    return [offset for _, offset, _ in accepted]


def at(*numbers: int, partition: int = 0) -> list[FakeMessage]:
    return [FakeMessage(n, b"%d" % n, partition=partition) for n in numbers]


def test_follows_without_a_gap(intake: Intake, client: FakeClient) -> None:
    assert offsets(intake, client, *at(10, 11, 12)) == [10, 11, 12]


def test_drops_what_is_not_ours_and_what_was_before_a_seek(intake: Intake, client: FakeClient) -> None:
    assert offsets(intake, client, *at(3, partition=1), *at(8, 9, 10, 11)) == [10, 11]


def test_partitions_come_mixed(intake: Intake, client: FakeClient, progress: Progress) -> None:
    progress.next[PART._replace(partition=1)] = 3
    found = offsets(intake, client, *at(10, 11), *at(3, 4, partition=1), *at(12, 14), *at(6, 7, partition=1))
    assert found == [10, 11, 3, 4, 12]


def test_a_gap_counts_only_when_it_is_seen_again(intake: Intake, client: FakeClient, progress: Progress) -> None:
    assert offsets(intake, client, *at(10, 11, 14, 15)) == [10, 11]
    assert client.seeks == [(PART, 12)]
    progress.next[PART] = 12
    assert offsets(intake, client, *at(14, 15)) == [14, 15]
    assert len(client.seeks) == 1


def test_a_gap_that_the_second_look_fills_was_none(intake: Intake, client: FakeClient) -> None:
    assert offsets(intake, client, *at(12, 13)) == []
    assert offsets(intake, client, *at(10, 11, 12, 13)) == [10, 11, 12, 13]


def test_a_gap_that_cannot_be_looked_at_again_has_the_position_asked_for(
    intake: Intake, client: FakeClient, progress: Progress
) -> None:
    client.refuses_seeks = True
    assert offsets(intake, client, *at(12, 13)) == []
    assert (progress.waiting.keys(), client.assigned) == ({PART}, {})


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE])
def test_an_offset_that_the_broker_no_longer_has_costs_its_partition_only(
    intake: Intake, client: FakeClient, progress: Progress, code: int
) -> None:
    other = PART._replace(partition=1)
    progress.assigned([other])
    progress.read_from(client, other, 0, Source(2, "cluster", "id"), 0)  # type: ignore[arg-type]
    # The client may say it twice, and of a partition that is not ours any more.
    client.batches = [[*at(10), FakeError(code), *at(0, partition=1), FakeError(code), FakeError(code, partition=7)]]
    messages = intake.poll_paused(client)  # type: ignore[arg-type]
    assert [(m.partition(), m.offset()) for m in messages] == [(0, 10), (1, 0)]
    assert (progress.waiting.keys(), client.assigned) == ({PART}, {other: 0})
    assert offsets(intake, client, *messages) == [0], "what was fetched before is read again from the position"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "flag"), [(KafkaError._FATAL, False), (KafkaError.FENCED_INSTANCE_ID, True)], ids=["by code", "by flag"]
)
def test_what_ends_the_client_is_raised(intake: Intake, client: FakeClient, code: int, flag: bool) -> None:
    client.batches = [[FakeError(code, fatal=flag)]]
    with pytest.raises(KafkaException):
        intake.poll_paused(client)  # type: ignore[arg-type]


def test_any_other_error_costs_nothing(intake: Intake, client: FakeClient, progress: Progress) -> None:
    client.batches = [[*at(10), FakeError(KafkaError._TRANSPORT), *at(11)]]
    assert offsets(intake, client, *intake.poll_paused(client)) == [10, 11]  # type: ignore[arg-type]
    assert progress.waiting == {}


class Backlog:
    """Gives as many records of one size as it is asked for."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[int] = []

    def consume(self, count: int, _timeout: float) -> list[FakeMessage]:
        self.asked.append(count)
        return [FakeMessage(n, bytes(self.size)) for n in range(count)]


@pytest.mark.parametrize(("size", "at_most"), [(100 * 2**10, 10 * 2**20), (2**20, 22 * 2**20)])
def test_a_batch_of_large_records_stays_small(intake: Intake, size: int, at_most: int) -> None:
    backlog = Backlog(size)
    for _ in range(3):
        assert sum(map(len, intake.collect(backlog))) <= at_most  # type: ignore[arg-type]
    assert sum(map(len, intake.collect(backlog))) <= 9 * 2**20  # type: ignore[arg-type]


def test_small_records_are_read_in_large_calls(intake: Intake) -> None:
    backlog = Backlog(300)
    assert len(intake.collect(backlog)) == 10_000  # type: ignore[arg-type]
    assert len(backlog.asked) <= 22
