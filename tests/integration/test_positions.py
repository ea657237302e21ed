"""Where the consumer goes on when a topic, a cluster or a database is not the one that it was."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rig.consumer import Consumer, Pipeline, assert_conserved
from rig.kafka import CLUSTER_ID, KafkaNode
from rig.records import json_line, record
from rig.waiting import wait_for

#: How many lines the new topic gets, against the position in the one before.
AGAIN = pytest.mark.parametrize(
    "count",
    [
        pytest.param(30, id="smaller than the position", marks=pytest.mark.long),
        pytest.param(900, id="grown beyond it"),
    ],
)


def values(count: int, first: int = 0) -> list[bytes | None]:
    return [record(json_line(n), n * 400) for n in range(first, first + count)]


def notices(consumer: Consumer) -> dict[str, dict[str, str]]:
    return dict(consumer.health().get("notices", {}))


def troubles(consumer: Consumer) -> dict[str, dict[str, str]]:
    return dict(consumer.health()["troubles"])


def make_topic_again(pipeline: Pipeline, partitions: int = 3) -> None:
    pipeline.kafka.delete_topic(pipeline.access)
    time.sleep(1)
    pipeline.kafka.create_topic(pipeline.access, partitions)


def fill(pipeline: Pipeline, partitions: int, first: int) -> None:
    """Write ten lines to each partition, by a client that has not known the topic before."""
    producer = pipeline.kafka.producer()
    for index, value in enumerate(values(10 * partitions, first)):
        producer.produce(pipeline.access, value, partition=index // 10)
    assert producer.flush(30) == 0


def held(page: dict[str, Any], topic: str) -> list[int]:
    """Return the numbers of a topic's partitions that the consumer has, whether it reads them or waits."""
    return sorted(part["partition"] for part in page["partitions"] if part["topic"] == topic)


@AGAIN
def test_a_topic_made_again_is_another_source(pipeline: Pipeline, count: int) -> None:
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    assert consumer.terminate() == 0
    make_topic_again(pipeline)
    pipeline.send(values(count, first=300))
    again = pipeline.start()
    pipeline.wait_kept(300 + count)
    again.wait_health(lambda page: page["lines"]["stored"] == count)
    assert "created again" in notices(again)[pipeline.access]["message"]
    assert any("created again" in message for message in again.messages())
    wait_for(lambda: str(again.health()), lambda: again.health()["status"] == "ok", seconds=30)
    sources = pipeline.query(
        f"SELECT next_offset,COUNT(DISTINCT topic_id) FROM log_source WHERE topic='{pipeline.access}' GROUP BY 1"
    )
    assert sorted(sources) == sorted([(100, 1), (count // 3, 1)])
    assert again.health()["missing_offsets"] == 0
    assert_conserved(pipeline.query)


@AGAIN
def test_a_topic_made_again_under_a_running_consumer(pipeline: Pipeline, count: int) -> None:
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    make_topic_again(pipeline)
    pipeline.send(values(count, first=300))
    pipeline.wait_kept(300 + count, timeout=90)
    pipeline.send(values(30, first=5000))
    pipeline.wait_kept(330 + count)
    consumer.wait_health(lambda page: page["lines"]["stored"] == 330 + count)
    assert "created again" in notices(consumer)[pipeline.access]["message"]
    wait_for(lambda: str(consumer.health()), lambda: consumer.health()["status"] == "ok", seconds=30)
    assert_conserved(pipeline.query)


@pytest.mark.parametrize(
    ("processes", "before", "after"),
    [(1, 6, 1), pytest.param(3, 6, 1, marks=pytest.mark.long), pytest.param(2, 1, 6, marks=pytest.mark.long)],
)
def test_a_topic_made_again_with_another_number_of_partitions(
    pipeline: Pipeline, processes: int, before: int, after: int
) -> None:
    """What the group assigned is gone, or not all that there is: the consumer notices, and waits for nothing."""
    make_topic_again(pipeline, before)
    consumer = pipeline.start(processes=processes)
    fill(pipeline, before, first=0)
    pipeline.wait_kept(10 * before)
    consumer.wait_health(lambda page: held(page, pipeline.access) == list(range(before)) and page["status"] == "ok")
    make_topic_again(pipeline, after)
    fill(pipeline, after, first=1000)
    # The client itself looks for more partitions every 30 s.
    consumer.wait_health(lambda page: held(page, pipeline.access) == list(range(after)), timeout=60)
    pipeline.wait_kept(10 * (before + after))
    consumer.wait_health(lambda page: page["status"] == "ok")
    assert consumer.health()["missing_offsets"] == 0
    ends = pipeline.query(
        f"SELECT COUNT(*),SUM(next_offset) FROM log_source WHERE topic='{pipeline.access}' AND next_offset>0"
    )
    assert [tuple(map(int, row)) for row in ends] == [(before + after, 10 * (before + after))]
    assert_conserved(pipeline.query)


def test_a_notice_keeps_the_time_of_its_event_over_a_restart(pipeline: Pipeline) -> None:
    """A topic that was created again and is still empty is come upon at each start."""
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    make_topic_again(pipeline)
    consumer.wait_health(lambda page: pipeline.access in page["notices"])
    first = notices(consumer)[pipeline.access]["since"]
    assert consumer.terminate() == 0
    time.sleep(3)
    again = pipeline.start()
    again.wait_health(lambda page: pipeline.access in page["notices"])
    second = notices(again)[pipeline.access]["since"]
    apart = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    assert abs(apart.total_seconds()) < 2, (first, second)


def test_a_source_without_a_topic_id_goes_on_where_it_was(pipeline: Pipeline) -> None:
    """As the version before left it."""
    first = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    assert first.terminate() == 0
    before = pipeline.query("SELECT source_id,next_offset FROM log_source ORDER BY 1")
    pipeline.query("UPDATE log_source SET topic_id=''")
    second = pipeline.start()
    pipeline.send(values(300, first=300))
    pipeline.wait_kept(600)
    page = second.wait_health(lambda page: page["lines"]["stored"] == 300)
    assert page["lines"]["known"] == 0, "nothing was read again"
    assert notices(second) == {}
    after = pipeline.query("SELECT source_id,next_offset FROM log_source WHERE topic_id<>'' ORDER BY 1")
    assert [source for source, _ in after] == [source for source, _ in before]


def test_a_position_beyond_the_brokers_end_is_held_and_explained(pipeline: Pipeline) -> None:
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    assert consumer.terminate() == 0
    pipeline.query(f"UPDATE log_source SET next_offset=500 WHERE topic='{pipeline.access}' AND partition_id=0")
    again = pipeline.start()
    part = f"{pipeline.access}/0"
    wait_for(lambda: str(again.health()), lambda: part in troubles(again), seconds=30)
    assert "the database is at offset 500, but the partition ends at 100" in troubles(again)[part]["message"]
    assert (
        f"obsctl consumer reset --topic {pipeline.access} --partition 0 --to earliest" in troubles(again)[part]["hint"]
    )
    assert again.get("/health")[0] == 503
    pipeline.send(values(30, first=300))
    pipeline.wait_kept(320)
    time.sleep(2)
    assert pipeline.kept() == 320, "ten of them lie in the partition that is held"
    # Grown past the position without a reset: what lies between is read all the same.
    pipeline.send(values(600, first=330), partition=0)
    pipeline.wait_kept(930)
    page = again.wait_health(lambda page: f"{part} held" in page["notices"])
    assert "read again from 100" in page["notices"][f"{part} held"]["message"]
    wait_for(lambda: str(again.health()), lambda: again.health()["status"] == "ok", seconds=30)
    assert_conserved(pipeline.query)


def test_a_database_that_knows_less_than_the_group_was_told(pipeline: Pipeline) -> None:
    """As one restored from yesterday's backup: read again from 100, and what Kafka no longer has is named."""
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    backup = pipeline.dump()
    pipeline.send(values(600, first=300))
    pipeline.wait_kept(900)
    assert consumer.terminate() == 0
    pipeline.restore(backup)
    assert pipeline.kept() == 300
    pipeline.kafka.delete_records(pipeline.access, {1: 140})
    again = pipeline.start()
    pipeline.wait_kept(860)
    noticed = again.wait_health(lambda page: page["lines"]["stored"] == 560)["notices"]
    for number in range(3):
        message = noticed[f"{pipeline.access}/{number} database"]["message"]
        assert "the database is at offset 100, but 300 was committed to the group before" in message
        assert "200 offsets are read again" in message
    assert "offsets 100 to 139 are missing" in noticed[f"{pipeline.access}/1 missing"]["message"]
    assert again.health()["missing_offsets"] == 40
    # Beside the position, so that it is known when this process is no more.
    assert again.terminate() == 0
    lost = pipeline.query("SELECT partition_id, missing_offsets, missing_at IS NOT NULL FROM log_source ORDER BY 1")
    assert [(int(part), int(lost), int(known)) for part, lost, known in lost if int(lost)] == [(1, 40, 1)]
    third = pipeline.start()
    pipeline.send(values(3, first=900))
    pipeline.wait_kept(863)
    assert third.health()["missing_offsets"] == 0
    assert_conserved(pipeline.query)
    lost = pipeline.query("SELECT SUM(missing_offsets) FROM log_source")
    assert int(lost[0][0]) == 40
    assert any("committed to the group before" in message for message in again.messages())
    assert_conserved(pipeline.query)


def test_a_cluster_built_anew(pipeline: Pipeline, kafka_libs: Path, tmp_path: Path) -> None:
    """Another cluster id, the same names: its lines are read from the beginning, the old ones stay, once each."""
    consumer = pipeline.start()
    sent = values(300)
    pipeline.send(sent)
    pipeline.wait_kept(300)
    assert consumer.terminate() == 0
    folder = tmp_path / "kafka"
    folder.mkdir()
    rebuilt = KafkaNode(kafka_libs, folder, cluster_id="obsTestClusterBBBBBBBB")
    try:
        rebuilt.start()
        for topic, partitions in ((pipeline.access, 3), (pipeline.error, 1), (pipeline.dlq, 1)):
            rebuilt.create_topic(topic, partitions)
        producer = rebuilt.producer()
        for value in (*sent[:30], *values(60, first=300)):  # the shipper sends some of them again
            producer.produce(pipeline.access, value, partition=1)
        assert producer.flush(30) == 0
        again = pipeline.start(kafka=pipeline.config()["kafka"] | {"bootstrap": [rebuilt.bootstrap]})
        pipeline.wait_kept(360)
        again.wait_health(lambda page: page["lines"]["known"] == 30)
        assert "only from another cluster" in notices(again)[pipeline.access]["message"]
        assert any("only from another cluster" in message for message in again.messages())
        assert again.health()["status"] == "ok"
        old = f"SELECT COUNT(*) FROM log_source WHERE cluster_id='{CLUSTER_ID}' AND next_offset=100"
        assert pipeline.query(old) == ((3,),)
        assert_conserved(pipeline.query)
        assert again.terminate() == 0
    finally:
        rebuilt.kill()


def test_a_position_moved_by_hand_is_noticed_also_where_no_line_arrives(pipeline: Pipeline) -> None:
    """No batch, so no fence: the store is asked again and again."""
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    pipeline.query(f"UPDATE log_source SET next_offset=40 WHERE topic='{pipeline.access}' AND partition_id=2")
    wait_for(lambda: str(consumer.health()), lambda: consumer.health()["lines"]["known"] == 60, seconds=30)
    pipeline.wait_positions(300)
    assert_conserved(pipeline.query)


def test_a_log_start_above_zero_is_no_fault_at_a_start(pipeline: Pipeline) -> None:
    """As after the first retention of every cluster: what was stored is gone from the broker, and nothing is lost."""
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    assert consumer.terminate() == 0
    pipeline.kafka.delete_records(pipeline.access, dict.fromkeys(range(3), 20))
    for first in range(300, 1500, 300):  # a race, if it is one, is lost most of the time
        again = pipeline.start()
        pipeline.send(values(300, first=first))
        pipeline.wait_kept(first + 300)
        page = again.wait_health(lambda page: page["lines"]["stored"] == 300)
        assert (page["status"], page["notices"], page["missing_offsets"], page["fenced"]) == ("ok", {}, 0, 0)
        assert again.terminate() == 0
        assert again.complaints() == []
    assert_conserved(pipeline.query)


def test_a_log_start_above_zero_is_no_fault_in_a_rebalance(pipeline: Pipeline) -> None:
    first = pipeline.start("one")
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    pipeline.kafka.delete_records(pipeline.access, dict.fromkeys(range(3), 20))
    for sent in (300, 600, 900):
        second = pipeline.start("")  # leaves the group when it ends, so that its partitions come back at once
        second.wait_health(lambda page: bool(page["partitions"]))
        pipeline.send(values(300, first=sent))
        pipeline.wait_kept(sent + 300)
        assert second.terminate() == 0
        assert second.complaints() == []
        first.wait_health(lambda page: len(page["partitions"]) == 4)
    assert first.complaints() == []
    assert first.health()["notices"] == {}
    assert_conserved(pipeline.query)


def test_a_log_start_that_passes_a_running_consumer_costs_it_no_client(pipeline: Pipeline) -> None:
    """The retention overtakes one that reads on: the partition goes on at what is left, and what is gone is counted."""
    consumer = pipeline.start()
    pipeline.send(values(300))
    pipeline.wait_kept(300)
    pipeline.mariadb.kill()
    try:
        pipeline.send(values(30_000, first=300))  # more than is in flight while the database is down
        consumer.wait_health(lambda page: "database" in page["troubles"])
        time.sleep(3)
        pipeline.kafka.delete_records(pipeline.access, {0: 9_000})
    finally:
        pipeline.mariadb.start()
    pipeline.wait_positions(30_300)
    page = consumer.wait_health(lambda page: page["missing_offsets"] > 0)
    assert pipeline.kept() == 30_300 - page["missing_offsets"]
    assert f"{pipeline.access}/0 missing" in page["notices"]
    assert not [entry for entry in consumer.complaints() if "failed permanently" in entry["message"]]
    assert consumer.messages().count("partitions assigned") == 1
    assert_conserved(pipeline.query)
