"""One client's membership of the group: what is assigned, handed over, lost and committed."""

from __future__ import annotations

import threading
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError

from obsctl.consumer.stream import membership as module
from obsctl.consumer.stream.membership import Membership
from obsctl.consumer.stream.progress import Progress
from obsctl.consumer.telemetry import Telemetry
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Source
from tests.unit.consumer.doubles import PART, Clock, FakeClient, FakeWriter
from tests.unit.consumer.settings import config, database, kafka

OTHER = PART._replace(partition=1)
CONFIG = config(
    kafka=kafka(session_timeout_ms=6000),
    database=database(),
    drain_seconds=10,
)


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(module, "time", self.clock)
        self.client, self.writer = FakeClient(), FakeWriter()
        self.progress, self.telemetry, self.stop = Progress(), Telemetry(), threading.Event()
        self.taken = 0
        self.membership = Membership(
            CONFIG, self.progress, self.writer, self.telemetry, take_results=self._take, stop=self.stop  # type: ignore[arg-type]
        )  # fmt: skip
        self.membership.join(self.client)  # type: ignore[arg-type]

    def _take(self, _client: Any) -> None:
        self.taken += 1

    def call(self, callback: str, *parts: TopicPartition) -> None:
        """Do what the client does in a rebalance."""
        self.client.subscription[callback](self.client, [confluent_kafka.TopicPartition(*part) for part in parts])

    def read(self, *parts: TopicPartition) -> None:
        for part in parts:
            self.progress.read_from(self.client, part, 30, Source(1, "cluster", "id"), 30)  # type: ignore[arg-type]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_both_topics_are_subscribed(bench: Bench) -> None:
    assert bench.client.subscription["topics"] == ["nginxlog", "nginxlog-error"]


def test_an_assignment_gives_the_client_no_partition_yet(bench: Bench) -> None:
    """Whatever offset it were given, it might not exist: the store has not said yet where the partition goes on."""
    bench.call("on_assign", PART, OTHER)
    assert bench.client.assigned == {}
    assert bench.client.calls == ["assign"], "it waits for the call"
    assert bench.progress.waiting.keys() == {PART, OTHER}


def test_a_hand_over_waits_for_the_lines_in_flight_and_commits(bench: Bench) -> None:
    bench.call("on_assign", PART, OTHER)
    bench.read(PART)
    bench.progress.to_commit[PART] = 40
    bench.telemetry.trouble("nginxlog/1", "waits")
    bench.call("on_revoke", PART, OTHER)
    assert bench.writer.drained == [10]
    assert bench.taken == 1
    assert bench.client.committed_to_group == [{PART: 40}]
    assert bench.client.calls[-2:] == ["commit and wait", "unassign"]
    assert bench.client.assigned == {}
    assert bench.progress.positions() == {}
    assert bench.telemetry.troubles == {}, "another member's partition is no trouble of ours"


def test_what_is_lost_is_neither_waited_for_nor_committed(bench: Bench) -> None:
    bench.call("on_assign", PART)
    bench.read(PART)
    bench.progress.to_commit[PART] = 40
    bench.call("on_lost", PART)
    assert (bench.writer.drained, bench.client.committed_to_group) == ([], [])
    assert bench.client.assigned == {}
    assert bench.progress.to_commit == {}


def test_a_stop_waits_once_however_many_hand_overs_it_takes(bench: Bench) -> None:
    bench.stop.set()
    bench.call("on_revoke", PART)
    bench.clock.now += 4
    bench.call("on_revoke", OTHER)
    bench.clock.now += 20
    bench.call("on_revoke")
    assert bench.writer.drained == [10, 6, 0]


def test_commits_are_a_second_apart(bench: Bench) -> None:
    for seconds, offset in ((0, 40), (0.5, 41), (0.6, 42)):
        bench.clock.now += seconds
        bench.progress.to_commit[PART] = offset
        bench.membership.commit(bench.client, wait=False)  # type: ignore[arg-type]
    assert bench.client.committed_to_group == [{PART: 40}, {PART: 42}]
    bench.membership.commit(bench.client, wait=True)  # type: ignore[arg-type]
    assert len(bench.client.committed_to_group) == 2, "nothing new"


def test_a_join_that_takes_two_sessions_is_reported_until_it_succeeds(bench: Bench) -> None:
    bench.clock.now += 11
    bench.membership.report_if_unassigned()
    assert bench.telemetry.troubles == {}
    bench.clock.now += 2
    bench.membership.report_if_unassigned()
    assert "obsctl-consumer has not succeeded for 12 s" in bench.telemetry.troubles["group"].message
    bench.call("on_assign")  # a member without partitions is well
    bench.clock.now += 100
    bench.membership.report_if_unassigned()
    assert bench.telemetry.troubles == {}
    bench.call("on_lost")
    bench.clock.now += 100
    bench.membership.report_if_unassigned()
    assert "group" in bench.telemetry.troubles


def test_what_ends_the_client_is_kept_and_what_one_broker_says_is_no_trouble(bench: Bench) -> None:
    said = bench.membership.settings()["error_cb"]
    assert callable(said)
    said(KafkaError(KafkaError._TRANSPORT))
    assert (bench.telemetry.troubles, bench.membership.fatal) == ({}, None)
    said(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert "kafka" in bench.telemetry.troubles
    fatal = KafkaError(KafkaError.FENCED_INSTANCE_ID, "taken", True)
    said(fatal)
    assert bench.membership.fatal is fatal


def test_who_is_shut_out_by_the_last_broker_says_so(bench: Bench) -> None:
    said: Any = bench.membership.settings()["error_cb"]
    said(KafkaError(KafkaError._AUTHENTICATION, "sasl_ssl://b1:9094/1: SASL authentication error: no (after 3ms)"))
    assert bench.telemetry.troubles == {}, "one broker of several"
    said(KafkaError(KafkaError._ALL_BROKERS_DOWN, "3/3 brokers are down"))
    assert bench.telemetry.troubles["kafka"].message == "the brokers refuse the login: SASL authentication error: no"
    bench.telemetry.clear("kafka")
    said(KafkaError(KafkaError._TRANSPORT, "b1:9094/1: Disconnected"))
    said(KafkaError(KafkaError._ALL_BROKERS_DOWN, "3/3 brokers are down"))
    assert bench.telemetry.troubles["kafka"].message == "3/3 brokers are down"


def test_a_group_that_the_user_may_not_join_is_called_that_at_once(bench: Bench) -> None:
    said: Any = bench.membership.settings()["error_cb"]
    refused = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "FindCoordinator response error")
    said(refused)
    bench.membership.report_if_unassigned()
    trouble = bench.telemetry.troubles["group"]
    assert trouble.message == "Kafka does not let this user join the consumer group obsctl-consumer (no ACL allows it)"
    assert "playbooks/kafka.yml" in trouble.hint
    bench.call("on_assign")
    bench.call("on_lost")
    bench.membership.report_if_unassigned()
    assert "group" not in bench.telemetry.troubles, "the refusal of before says nothing about now"


def test_what_is_known_of_the_brokers_is_not_replaced_by_that_all_are_down(bench: Bench) -> None:
    said: Any = bench.membership.settings()["error_cb"]
    bench.telemetry.trouble("kafka", "the brokers refuse the login")
    said(KafkaError(KafkaError._ALL_BROKERS_DOWN, "3/3 brokers are down"))
    assert bench.telemetry.troubles["kafka"].message == "the brokers refuse the login"
    bench.telemetry.clear("kafka")
    said(KafkaError(KafkaError._ALL_BROKERS_DOWN, "3/3 brokers are down"))
    assert bench.telemetry.troubles["kafka"].message == "3/3 brokers are down"


def test_a_join_that_is_never_answered_is_tried_again_within_a_minute(bench: Bench) -> None:
    # The client waits for this and three seconds more.
    settings = Membership(
        config(kafka=kafka(), database=CONFIG.database),
        Progress(), None, Telemetry(), take_results=print, stop=threading.Event(),  # type: ignore[arg-type]  # nothing is stored
    ).settings()  # fmt: skip
    assert settings["max.poll.interval.ms"] <= 57_000  # type: ignore[operator]


def test_where_to_go_on_is_never_the_clients_choice(bench: Bench) -> None:
    settings = bench.membership.settings()
    assert (settings["auto.offset.reset"], settings["enable.auto.commit"]) == ("error", False)
    assert settings["partition.assignment.strategy"] == "cooperative-sticky"
