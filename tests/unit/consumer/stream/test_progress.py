"""Our partitions: what is read is what the client is assigned, at all times."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from obsctl.consumer.stream import progress as module
from obsctl.consumer.stream.progress import Gap, Progress, names
from obsctl.store.batch import Source
from tests.unit.consumer.doubles import PART, Clock, FakeClient

OTHER = PART._replace(partition=1)
SOURCE = Source(1, "cluster", "id")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    """Two partitions of ours that wait for their positions."""
    made = Progress()
    made.assigned([PART, OTHER])
    return made


def test_a_new_partition_waits_and_is_not_given_to_the_client(progress: Progress, clock: Clock) -> None:
    assert progress.waiting == {PART: clock.now, OTHER: clock.now}
    assert progress.positions() == {PART: None, OTHER: None}
    progress.ask_again_at = 5.0
    progress.assigned([PART._replace(partition=2)])
    assert progress.ask_again_at == 0.0, "its position may be asked for at once"


def test_a_partition_is_read_from_its_offset(progress: Progress, client: FakeClient) -> None:
    progress.read_from(client, PART, 30, SOURCE, 20)  # type: ignore[arg-type]
    assert client.assigned == {PART: 30}
    assert (progress.next, progress.stored, progress.sources) == ({PART: 30}, {PART: 20}, {PART: SOURCE})
    assert progress.waiting.keys() == {OTHER}
    assert progress.positions() == {PART: 20, OTHER: None}


def test_what_the_client_does_not_take_still_waits(progress: Progress, client: FakeClient) -> None:
    client.assigned[PART] = 5  # as if it were assigned already
    with pytest.raises(KafkaException):
        progress.read_from(client, PART, 30, SOURCE, 20)  # type: ignore[arg-type]
    assert PART in progress.waiting
    assert progress.next == {}


def test_what_awaits_its_position_again_is_taken_from_the_client(
    progress: Progress, client: FakeClient, clock: Clock
) -> None:
    progress.read_from(client, PART, 30, SOURCE, 20)  # type: ignore[arg-type]
    progress.gaps[PART], progress.last_seen[PART] = Gap(30, 40), (30, clock.now)
    clock.now += 7
    progress.await_positions(client, [PART])  # type: ignore[arg-type]
    assert client.assigned == {}
    assert progress.waiting[PART] == clock.now
    assert (progress.next, progress.sources, progress.gaps, progress.last_seen) == ({}, {}, {}, {})
    assert progress.positions()[PART] == 20, "how far it is stored stays known"
    progress.read_from(client, PART, 50, SOURCE, 50)  # type: ignore[arg-type]
    assert client.assigned == {PART: 50}


def test_what_is_released_is_forgotten(progress: Progress, client: FakeClient) -> None:
    progress.read_from(client, PART, 30, SOURCE, 20)  # type: ignore[arg-type]
    progress.to_commit[PART] = 20
    progress.release(client, [PART, OTHER])  # type: ignore[arg-type]
    assert client.assigned == {}
    assert progress.positions() == {}
    assert progress.to_commit == {}


def test_what_was_set_aside_and_is_released_is_forgotten(progress: Progress, client: FakeClient) -> None:
    progress.set_aside([PART])
    assert (progress.waiting.keys(), progress.absent) == ({OTHER}, {PART})
    progress.release(client, [PART])  # type: ignore[arg-type]
    assert progress.absent == set()


def test_a_release_without_partitions_still_answers_the_client(client: FakeClient) -> None:
    """It waits for the call: without it the rebalance would not go on."""
    Progress().release(client, [])  # type: ignore[arg-type]
    assert client.calls == ["unassign"]


def test_a_pause_holds_what_is_read_and_what_comes_to_it(progress: Progress, client: FakeClient) -> None:
    progress.read_from(client, PART, 30, SOURCE, 20)  # type: ignore[arg-type]
    progress.pause_all(client)  # type: ignore[arg-type]
    progress.read_from(client, OTHER, 0, SOURCE, 0)  # type: ignore[arg-type]
    assert client.paused == {PART, OTHER}
    progress.resume_all(client)  # type: ignore[arg-type]
    assert (client.paused, progress.paused) == (set(), False)


def test_what_was_taken_away_while_paused_is_read_when_it_returns(progress: Progress, client: FakeClient) -> None:
    progress.read_from(client, PART, 30, SOURCE, 20)  # type: ignore[arg-type]
    progress.pause_all(client)  # type: ignore[arg-type]
    progress.await_positions(client, [PART])  # type: ignore[arg-type]
    progress.resume_all(client)  # type: ignore[arg-type]
    progress.read_from(client, PART, 30, SOURCE, 20)  # type: ignore[arg-type]
    assert client.paused == set()


def test_names_are_sorted() -> None:
    assert names([OTHER, PART]) == ["nginxlog/0", "nginxlog/1"]
