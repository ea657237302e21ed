"""The consumer as a process between a real broker and a real database."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import confluent_kafka
import pytest

from rig.consumer import Consumer, Pipeline, assert_conserved
from rig.database import MariaDB
from rig.kafka import KafkaNode
from rig.records import json_line, marked, record
from rig.waiting import wait_for

ERROR_LINE = "2026/01/02 03:04:05 [error] 7#7: *1 upstream timed out, client: ::1, server: a"


def values(count: int, first: int = 0) -> list[bytes | None]:
    return [record(json_line(n), n * 400) for n in range(first, first + count)]


def lag(consumer: Consumer) -> int:
    return sum(part["lag"] or 0 for part in consumer.health()["partitions"])


def behind(consumer: Consumer) -> float | None:
    """Return for how long the oldest record that is not stored has been waiting, as the metrics page says (seconds)."""
    begin = "obsctl_consumer_behind_seconds "
    values = [line.removeprefix(begin) for line in consumer.get("/metrics")[1].splitlines() if line.startswith(begin)]
    return float(values[0]) if values else None


def troubles(consumer: Consumer) -> dict[str, dict[str, str]]:
    return dict(consumer.health()["troubles"])


def test_lines_become_rows_once(pipeline: Pipeline) -> None:
    sent = values(3000)
    pipeline.send(sent)
    consumer = pipeline.start()
    pipeline.wait_kept(3000)
    pipeline.send(sent[1000:2000], partition=0)  # the shipper sends again, into another partition
    pipeline.send([record(ERROR_LINE, 0, log_format="error", log_input="error")], topic=pipeline.error, partition=0)
    pipeline.send([b"rubbish", None])
    pipeline.wait_positions(4003)
    assert (pipeline.count("access_log"), pipeline.count("error_log"), pipeline.count("quarantine")) == (3000, 1, 2)
    assert_conserved(pipeline.query)
    lines = {"stored": 3001, "quarantined": 2, "known": 1000, "test": 0}
    wait_for(lambda: str(consumer.health()), lambda: consumer.health()["lines"] == lines)
    assert consumer.health()["status"] == "ok"
    status, text = consumer.get("/metrics")
    assert status == 200
    assert 'obsctl_consumer_lines_total{outcome="stored"} 3001\n' in text
    assert "obsctl_consumer_database_up 1\n" in text
    assert 'obsctl_consumer_quarantined_total{reason="not_json"} 1\n' in text
    wait_for(lambda: str(behind(consumer)), lambda: behind(consumer) == 0)
    assert consumer.terminate() == 0


def test_requests_of_a_test_reach_no_table(pipeline: Pipeline) -> None:
    """Before, among and behind people's lines, and sent again; the positions go on over them."""
    tests = [record(marked(json_line(n), "0123456789ab"), 300 * n) for n in range(5000, 5400)]
    consumer = pipeline.start()
    pipeline.send([*tests[:100], *values(200), *tests[100:], *tests[:50]])
    pipeline.send([record(marked(json_line(7), "NO MARK"), 9_000_000)])
    pipeline.wait_positions(651)
    assert pipeline.count("access_log") == 201, "a mark of another form makes no test"
    assert pipeline.count("quarantine") == 0
    assert_conserved(pipeline.query)
    lines = {"stored": 201, "quarantined": 0, "known": 0, "test": 450}
    wait_for(lambda: str(consumer.health()), lambda: consumer.health()["lines"] == lines)
    assert 'obsctl_consumer_lines_total{outcome="test"} 450\n' in consumer.get("/metrics")[1]
    assert consumer.terminate() == 0


def test_a_few_lines_are_stored_at_once(pipeline: Pipeline) -> None:
    """Forty-four lines and then silence: no batch waits to become full."""
    pipeline.start()
    pipeline.send(values(3))
    pipeline.wait_kept(3)
    pipeline.send(values(44, first=3))
    pipeline.wait_kept(47)


def test_the_database_away_and_back(pipeline: Pipeline) -> None:
    consumer = pipeline.start()
    pipeline.send(values(500))
    pipeline.wait_kept(500)
    pipeline.mariadb.kill()
    try:
        pipeline.send(values(2000, first=500))
        wait_for(lambda: str(consumer.health()), lambda: "database" in troubles(consumer), seconds=30)
        status, _ = consumer.get("/health")
        assert status == 503
        assert troubles(consumer)["database"]["hint"]
        wait_for(lambda: str(consumer.health()), lambda: lag(consumer) == 2000)
        time.sleep(8)  # longer than the session time-out: the reader must go on polling
        wait_for(lambda: str(behind(consumer)), lambda: (behind(consumer) or 0) > 3, seconds=30)
    finally:
        pipeline.mariadb.start()
    pipeline.wait_kept(2500)
    wait_for(lambda: str(behind(consumer)), lambda: behind(consumer) == 0)
    wait_for(lambda: str(consumer.health()), lambda: consumer.health()["status"] == "ok")
    assert consumer.process.poll() is None
    assert consumer.messages().count("partitions assigned") == 1, "the group must not have noticed"
    assert_conserved(pipeline.query)


def test_a_frozen_database_is_told(pipeline: Pipeline) -> None:
    """It accepts connections and refuses nothing; only that no answer comes shows it."""
    consumer = pipeline.start()
    pipeline.send(values(500))
    pipeline.wait_kept(500)
    pipeline.mariadb.freeze()
    try:
        pipeline.send(values(500, first=500))
        wait_for(lambda: str(consumer.health()), lambda: "database" in troubles(consumer), seconds=30)
        assert lag(consumer) == 500
        starting = pipeline.start("two")
        wait_for(starting.log.read_text, lambda: "upkeep" in troubles(starting), seconds=30)
        assert starting.terminate(timeout=15) == 0, "a stop must not wait for the database's first word"
    finally:
        pipeline.mariadb.thaw()
    pipeline.wait_kept(1000)
    wait_for(lambda: str(consumer.health()), lambda: consumer.health()["status"] == "ok")


def test_who_reads_a_table_does_not_hold_up_the_lines(pipeline: Pipeline) -> None:
    """A report keeps a table's partitions as they are; today has its own already."""
    first = pipeline.start()
    pipeline.send(values(100))
    pipeline.wait_kept(100)
    assert first.terminate() == 0
    # As on the next day: one day more is to be made.
    newest = pipeline.query(
        "SELECT partition_name FROM information_schema.partitions WHERE table_schema=DATABASE()"
        " AND table_name='access_log' ORDER BY partition_ordinal_position DESC LIMIT 1,1"
    )[0][0]
    pipeline.query(f"ALTER TABLE access_log DROP PARTITION {newest}")
    with pipeline.mariadb.root(pipeline.database) as report:
        report.execute("BEGIN")
        report.execute("SELECT COUNT(*) FROM access_log")
        consumer = pipeline.start()
        pipeline.send(values(200, first=100))
        pipeline.wait_kept(300)
        assert "access_log" in troubles(consumer)["upkeep"]["message"]
        report.execute("COMMIT")


def test_a_topic_that_does_not_exist_is_named(pipeline: Pipeline) -> None:
    topics = {"access": pipeline.access, "error": f"{pipeline.name}-nowhere", "dlq": pipeline.dlq}
    consumer = pipeline.start(kafka=pipeline.config()["kafka"] | {"topics": topics})
    pipeline.send(values(100))
    pipeline.wait_kept(100)
    wait_for(lambda: str(consumer.health()), lambda: topics["error"] in troubles(consumer))


def test_a_taken_port_costs_the_health_page_only(pipeline: Pipeline) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        consumer = pipeline.start(health={"address": "127.0.0.1", "port": taken.getsockname()[1]})
        pipeline.send(values(100))
        pipeline.wait_kept(100)
        assert "no health page" in consumer.messages()


def test_the_broker_away_and_back(pipeline: Pipeline) -> None:
    consumer = pipeline.start()
    pipeline.send(values(500))
    pipeline.wait_kept(500)
    pipeline.kafka.kill()
    try:
        wait_for(lambda: str(consumer.health()), lambda: "kafka" in troubles(consumer), seconds=30)
    finally:
        pipeline.kafka.start()
    wait_for(lambda: str(consumer.health()), lambda: consumer.health()["status"] == "ok", seconds=60)
    pipeline.send(values(500, first=500))
    pipeline.wait_kept(1000)
    assert consumer.process.poll() is None
    assert_conserved(pipeline.query)


def test_a_start_while_both_are_away(pipeline: Pipeline) -> None:
    pipeline.send(values(100))
    pipeline.kafka.kill()
    pipeline.mariadb.kill()
    try:
        consumer = pipeline.start()
        idle = pipeline.start("two")
        for waiting in (consumer, idle):
            wait_for(waiting.log.read_text, lambda: "upkeep" in troubles(waiting), seconds=30)  # noqa: B023  called at once
        assert idle.terminate(timeout=20) == 0
    finally:
        pipeline.mariadb.start()
        time.sleep(2)
        pipeline.kafka.start()
    pipeline.wait_kept(100)
    assert consumer.terminate() == 0


def test_a_stop_is_quick_whatever_is_away(pipeline: Pipeline) -> None:
    consumer = pipeline.start()
    pipeline.send(values(100))
    pipeline.wait_kept(100)
    pipeline.mariadb.kill()
    try:
        pipeline.send(values(100, first=100))
        wait_for(lambda: str(consumer.health()), lambda: "database" in troubles(consumer), seconds=30)
        pipeline.kafka.kill()
        try:
            assert consumer.terminate(timeout=25) == 0
        finally:
            pipeline.kafka.start()
    finally:
        pipeline.mariadb.start()
    pipeline.start()
    pipeline.wait_kept(200)
    assert_conserved(pipeline.query)


def test_a_refused_line_goes_to_the_dead_letter_topic(pipeline: Pipeline) -> None:
    pipeline.query("ALTER TABLE access_log ADD CONSTRAINT no_poison CHECK (user_agent <> 'poison')")
    poison = record(json_line(7, user_agent="poison"), 7)
    pipeline.start()
    pipeline.send([*values(5), poison, *values(5, first=10)], partition=2)
    pipeline.wait_kept(11)
    reader = confluent_kafka.Consumer(
        {"bootstrap.servers": pipeline.kafka.bootstrap, "group.id": "letters", "auto.offset.reset": "earliest"}
    )
    try:
        reader.assign([confluent_kafka.TopicPartition(pipeline.dlq, 0, 0)])
        letter = reader.poll(60)
        assert letter is not None
        assert letter.error() is None
    finally:
        reader.close()
    assert letter.value() == poison
    headers = {name: value.decode() for name, value in letter.headers()}
    assert headers["obs.error.reason"] == f"refused_{pipeline.mariadb.check_violated}"
    assert (headers["obs.topic"], headers["obs.partition"], headers["obs.offset"]) == (pipeline.access, "2", "5")
    wait_for(
        lambda: "the letter is not settled",
        lambda: pipeline.query("SELECT dead_letter FROM quarantine") == ((1,),),
        seconds=30,
    )


def test_two_consumers_share_the_partitions(pipeline: Pipeline) -> None:
    first, second = pipeline.start("one"), pipeline.start("two")
    sent = values(6000)
    for start in range(0, 6000, 500):
        pipeline.send(sent[start : start + 500])
        pipeline.send(sent[max(start - 300, 0) : start], partition=(start // 500) % 3)
    pipeline.wait_kept(6000)
    wait_for(
        lambda: "one consumer has no work",
        lambda: all(len(c.health()["partitions"]) > 0 for c in (first, second)),
        seconds=30,
    )
    assert first.terminate() == 0  # a static member keeps its partitions for the session time-out
    pipeline.send(values(600, first=6000))
    pipeline.wait_kept(6600)
    assert_conserved(pipeline.query)


def test_a_join_without_an_answer_is_told(pipeline: Pipeline) -> None:
    """No partition, no lag, nothing wrong with any of ours: only the missing place in the group shows it."""
    first = pipeline.start("")
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    first.kill()
    second = pipeline.start("")  # its join waits until the dead member's session is over
    wait_for(lambda: str(second.health()), lambda: second.health()["status"] == "ok")
    pipeline.kafka.freeze()
    try:
        wait_for(lambda: str(second.health()), lambda: "group" in troubles(second), seconds=60)
    finally:
        pipeline.kafka.thaw()
    pipeline.send(values(300, first=300))
    pipeline.wait_kept(600, timeout=90)
    wait_for(lambda: str(second.health()), lambda: second.health()["status"] == "ok", seconds=30)


def test_a_member_without_partitions_is_well(kafka: KafkaNode, mariadb: MariaDB, tmp_path: Path) -> None:
    pipeline = Pipeline(kafka, mariadb, tmp_path, "standby", partitions=1)
    try:
        members = [pipeline.start(name) for name in ("one", "two", "three")]  # for two partitions
        wait_for(
            lambda: str(members[0].health()),
            lambda: sum(len(m.health()["partitions"]) for m in members) == 2,
            seconds=40,
        )
        time.sleep(13)  # more than two session time-outs
        wait_for(
            lambda: str([m.health() for m in members]),
            lambda: [m.health()["status"] for m in members] == ["ok"] * 3,
            seconds=20,
        )
    finally:
        pipeline.close()


def test_a_member_whose_place_was_taken_comes_back(pipeline: Pipeline) -> None:
    """A second process of the same name fences the first one's client for good; the process outlives its client."""
    first = pipeline.start("same")
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    second = pipeline.start("same")
    wait_for(
        lambda: "\n".join(first.messages()),
        lambda: any("failed permanently" in message for message in first.messages()),
        seconds=60,
    )
    second.kill()
    pipeline.send(values(300, first=300))
    pipeline.wait_kept(600)
    assert first.process.poll() is None
    wait_for(lambda: str(first.health()), lambda: first.health()["status"] == "ok", seconds=30)
    assert_conserved(pipeline.query)


def test_a_zombie_stores_nothing(pipeline: Pipeline) -> None:
    """A unit stopped for longer than its session, while another takes over: it wakes with lines in its hands.

    It may be stopped inside its transaction, with its positions locked: the server has to release them in time.
    """
    zombie = pipeline.start("one", stuck_seconds=120)
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    processes = [zombie.process.pid, zombie.workers()[0]["pid"]]
    pipeline.send(values(6000, first=300))
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    pipeline.start("two")
    pipeline.wait_kept(6300)
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    pipeline.send(values(600, first=6300))
    pipeline.wait_kept(6900)
    assert [zombie.process.pid, zombie.workers()[0]["pid"]] == processes
    pipeline.wait_positions(6900)
    assert_conserved(pipeline.query)


def test_records_that_the_broker_deleted_are_reported(pipeline: Pipeline) -> None:
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    assert consumer.terminate() == 0
    pipeline.send(values(300, first=300))
    pipeline.kafka.delete_records(pipeline.access, {0: 150})
    again = pipeline.start()
    pipeline.wait_kept(550)
    wait_for(lambda: str(again.health()), lambda: again.health()["missing_offsets"] == 50)
    assert any("offsets are missing" in message for message in again.messages())
    pipeline.wait_positions(600)


@pytest.mark.parametrize("kept", [0, 5000])
def test_a_running_consumer_goes_on_behind_records_that_the_broker_deleted(pipeline: Pipeline, kept: int) -> None:
    """The retention overtakes a consumer whose database is down: the client itself then stops reading the partition."""
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    pipeline.mariadb.kill()
    try:
        # More than is in flight while the database is down: the pause discards what was fetched ahead.
        pipeline.send(values(30_000, first=300))
        wait_for(lambda: str(consumer.health()), lambda: "database" in troubles(consumer), seconds=30)
        time.sleep(3)
        pipeline.kafka.delete_records(pipeline.access, {0: 10_100 - kept})
    finally:
        pipeline.mariadb.start()
    pipeline.wait_positions(30_300)
    page = consumer.wait_health(lambda page: page["missing_offsets"] > 0)
    missing = page["missing_offsets"]
    assert missing <= 10_000 - kept
    assert pipeline.kept() == 30_300 - missing
    pipeline.send(values(300, first=40_000))
    pipeline.wait_kept(30_600 - missing)
    wait_for(lambda: str(consumer.health()), lambda: consumer.health()["status"] == "ok", seconds=30)
    assert_conserved(pipeline.query)


@pytest.mark.parametrize("content", ["kafka: {}", "nonsense: ["])
def test_a_bad_configuration_ends_with_its_code(pipeline: Pipeline, content: str) -> None:
    consumer = pipeline.start()
    consumer.kill()
    path = pipeline.folder / "bad.yml"
    path.write_text(content)
    bad = Consumer(path, 0)
    assert bad.process.wait(30) == 78
    assert "bad.yml" in bad.log.read_text()
