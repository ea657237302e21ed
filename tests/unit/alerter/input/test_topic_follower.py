"""Which log is read and from where: what each answer of the cluster leads to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from obsctl.alerter.config import KafkaConfig
from obsctl.alerter.evaluation.event_clock import EventClock
from obsctl.alerter.input import topic_follower
from obsctl.alerter.input.record_source import Source
from obsctl.alerter.input.topic_follower import SETTLE_S, TopicFollower
from obsctl.alerter.input.topic_probe import Answer
from obsctl.alerter.state.state_file import State
from obsctl.core.kafka_section import Topics
from obsctl.kafka.topic_incarnation import TopicIncarnation

LOG = TopicIncarnation("cluster", "nginxlog", "first-id")
AGAIN = LOG._replace(topic_id="second-id")
ELSEWHERE = LOG._replace(cluster="another", topic_id="third-id")


class Client:
    """In place of librdkafka's consumer: keeps what was assigned."""

    made: ClassVar[list[Client]] = []

    def __init__(self, settings: Mapping[str, Any]) -> None:
        assert settings["auto.offset.reset"] == "error"
        self.assigned: dict[int, int] = {}
        self.queue: list[Any] = []
        self.closed = False
        self.made.append(self)

    def assign(self, parts: list[Any]) -> None:
        self.assigned = {part.partition: part.offset for part in parts}

    def consume(self, most: int, timeout_s: float) -> list[Any]:
        taken, self.queue = self.queue[:most], self.queue[most:]
        return taken

    def commit(self, **_: Any) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Probe:
    """In place of the thread that asks: hands out what the test puts in."""

    def __init__(self, _config: KafkaConfig, _topic: str) -> None:
        self.answers: list[Answer] = []
        self.wanted: set[int] = set()
        self.refused = ""

    def take(self) -> list[Answer]:
        taken, self.answers = self.answers, []
        return taken

    def want(self, partitions: Any, since: float) -> None:
        self.wanted = set(partitions)


class Bench:
    """A follower whose cluster and clock the test moves."""

    def __init__(self, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
        Client.made.clear()
        monkeypatch.setattr("obsctl.alerter.input.record_source.Consumer", Client)
        monkeypatch.setattr(topic_follower, "Probe", Probe)
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.clock = EventClock(0)
        self.state = state
        self.follower = TopicFollower(
            KafkaConfig(
                bootstrap=("b:1",),
                group="g",
                member="m",
                topics=Topics(access="nginxlog", error="e", state="s", silences="s", history="h"),
            ),
            "nginxlog",
            state,
            self.clock,
            300,
        )

    def hear(
        self, log: TopicIncarnation | None, ends: Mapping[int, int], starts: Mapping[int, int] | None = None
    ) -> Source | None:
        """Have the cluster say so, and return what is read then."""
        self.probe.answers.append(Answer(log, time.time(), ends, starts or {}))
        self.follower.turn(100, 0)
        source = self.follower.source
        if source is not None:
            self.state.save_snapshot(b"", [], [(source.log, source.positions)])
        return source

    @property
    def probe(self) -> Any:
        return self.follower._probe

    @property
    def reason(self) -> str:
        trouble = self.follower.trouble()
        return "" if trouble is None else trouble.reason


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(State(tmp_path / "state.db"), monkeypatch)


def test_the_very_first_start_begins_at_the_end(bench: Bench) -> None:
    assert "does not answer" in bench.reason
    source = bench.hear(LOG, {0: 50, 1: 70})
    assert source is not None
    assert Client.made[-1].assigned == {0: 50, 1: 70}
    assert (source.lag, bench.reason) == (0, "")
    assert bench.state.positions(LOG) == {0: 50, 1: 70}


def test_another_start_begins_where_it_was_left_and_new_partitions_are_looked_up(bench: Bench) -> None:
    bench.state.save_snapshot(b"", [], [(LOG, {0: 40})])
    bench.hear(LOG, {0: 50, 1: 70})
    assert Client.made[-1].assigned == {0: 40}
    assert bench.probe.wanted == {1}
    assert "nginxlog/1" in bench.reason
    bench.hear(LOG, {0: 50, 1: 70}, {1: 12})
    assert Client.made[-1].assigned == {0: 40, 1: 12}
    assert bench.probe.wanted == set()
    assert bench.reason == ""


def test_a_topic_made_again_is_read_when_no_broker_serves_the_old_one_any_more(bench: Bench) -> None:
    bench.hear(LOG, dict.fromkeys(range(6), 500))
    bench.clock.caught_up(5, 90.0)
    assert bench.hear(AGAIN, dict.fromkeys(range(3), 7)) is None
    assert bench.follower.trouble() == (True, bench.reason)
    assert "created again" in bench.reason
    bench.now += SETTLE_S / 2
    assert bench.hear(LOG, dict.fromkeys(range(6), 500)) is None, "a broker that does not know yet"
    bench.now += SETTLE_S / 2 + 0.1
    bench.hear(AGAIN, dict.fromkeys(range(3), 9))
    assert bench.probe.wanted == {0, 1, 2}
    assert Client.made[-1].assigned == {}
    assert "nginxlog/0" in bench.reason
    bench.hear(AGAIN, dict.fromkeys(range(3), 9), dict.fromkeys(range(3), 0))
    assert Client.made[-1].assigned == {0: 0, 1: 0, 2: 0}
    assert (bench.reason, len(Client.made)) == ("", 2)
    assert bench.state.positions(LOG) == {}
    assert bench.clock.now(100.0) is None, "nothing ends before each partition has been heard"
    for partition in range(3):
        bench.clock.caught_up(partition, 95.0)
    assert bench.clock.now(100.0) == 95.0, "a partition that is gone does not hold the clock"


def test_a_death_before_the_first_position_is_known_does_not_make_it_a_first_start(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.hear(LOG, {0: 500})
    bench.hear(AGAIN, {0: 3})
    bench.now += SETTLE_S + 0.1
    bench.hear(AGAIN, {0: 3})
    again = Bench(bench.state, monkeypatch)
    again.hear(AGAIN, {0: 3})
    again.now += SETTLE_S + 0.1
    again.hear(AGAIN, {0: 3})
    assert again.probe.wanted == {0}


def test_another_cluster_is_gone_over_to_at_once_and_the_way_back_is_known(bench: Bench) -> None:
    bench.hear(LOG, {0: 500})
    bench.hear(ELSEWHERE, {0: 8})
    assert bench.probe.wanted == {0}
    bench.hear(ELSEWHERE, {0: 8}, {0: 2})
    assert Client.made[-1].assigned == {0: 2}
    bench.now += SETTLE_S + 0.1
    bench.hear(LOG, {0: 600})
    assert Client.made[-1].assigned == {0: 500}


def test_a_topic_that_is_gone_is_said(bench: Bench) -> None:
    bench.hear(LOG, {0: 500})
    bench.hear(None, {})
    assert bench.follower.trouble() == (True, bench.reason)
    assert "topic nginxlog does not exist" in bench.reason
    bench.hear(LOG, {0: 500})
    assert bench.reason == ""


def test_a_topic_whose_partitions_have_no_leader_is_said(bench: Bench) -> None:
    assert bench.hear(LOG, {}) is None
    assert "no partition whose leader answers" in bench.reason


def test_a_log_that_lost_records_that_were_read_is_looked_up(bench: Bench) -> None:
    bench.hear(LOG, {0: 500, 1: 500})
    bench.hear(LOG, {0: 20, 1: 500})
    assert bench.probe.wanted == {0}
    assert "nginxlog/0" in bench.reason
    source = bench.hear(LOG, {0: 21, 1: 500}, {0: 4})
    assert source is not None
    assert Client.made[-1].assigned == {0: 4, 1: 500}
    assert bench.state.positions(LOG) == {0: 4, 1: 500}
    assert source.lag == 17


def test_an_end_asked_for_before_the_last_read_is_no_loss(bench: Bench) -> None:
    source = bench.hear(LOG, {0: 500})
    assert source is not None
    old = Answer(LOG, time.time() - 60, {0: 400})
    source.learn(old)
    assert source.lost == set()


def test_records_that_wait_and_do_not_come_are_said(bench: Bench) -> None:
    bench.hear(LOG, {0: 500, 1: 500})
    bench.hear(LOG, {0: 600, 1: 500})
    assert bench.reason == ""
    bench.now += 20
    bench.hear(LOG, {0: 600, 1: 500})
    bench.now += 11
    bench.hear(LOG, {0: 700, 1: 500})
    assert bench.follower.trouble() == (False, bench.reason)
    assert "nginxlog/0" in bench.reason
    bench.hear(LOG, {0: 700, 1: 600})
    bench.now += 31
    bench.hear(LOG, {0: 700, 1: 600})
    assert bench.follower.trouble() == (True, bench.reason)


def test_a_client_that_gets_nothing_is_replaced_now_and_then(bench: Bench) -> None:
    bench.hear(LOG, {0: 500})
    for _ in range(15):
        bench.hear(LOG, {0: 600})
        bench.now += 10
    assert len(Client.made) == 3
    assert Client.made[-1].assigned == {0: 500}
    assert "are in Kafka" in bench.reason


def test_a_cluster_that_says_nothing_is_said(bench: Bench) -> None:
    bench.hear(LOG, {0: 500})
    bench.now += 31
    assert "Kafka does not answer" in bench.reason
    bench.probe.refused = "the brokers refuse the login"
    assert bench.reason.startswith("topic nginxlog: the brokers refuse the login: ansible-playbook playbooks/kafka.yml")


def test_a_death_before_the_first_snapshot_does_not_move_the_first_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.probe.answers.append(Answer(LOG, time.time(), {0: 500}, {}))
    bench.follower.turn(100, 0)
    again = Bench(bench.state, monkeypatch)
    again.hear(LOG, {0: 600})
    assert Client.made[-1].assigned == {0: 500}
