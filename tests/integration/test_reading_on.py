"""What a real client reads after partitions were paused, taken away and given back."""

from __future__ import annotations

import time
import uuid

import confluent_kafka

from obsctl.consumer.stream.progress import Progress
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Source
from rig.kafka import KafkaNode
from rig.waiting import wait_for

SOURCE = Source(1, "cluster", "id")


def test_a_partition_taken_away_while_paused_is_read_when_it_returns(kafka: KafkaNode) -> None:
    topic = f"paused-{uuid.uuid4().hex}"
    kafka.create_topic(topic, 1)
    part = TopicPartition(topic, 0)
    producer = kafka.producer()
    for _ in range(3):
        producer.produce(topic, b"a line", partition=0)
    assert producer.flush(30) == 0
    client = confluent_kafka.Consumer({"bootstrap.servers": f"127.0.0.1:{kafka.port}", "group.id": topic})
    progress = Progress()
    progress.assigned([part])

    def read() -> int:
        return len([message for message in client.consume(100, 0.2) if message.error() is None])

    try:
        progress.read_from(client, part, 0, SOURCE, 0)
        assert wait_for("the three records", read) == 3
        progress.pause_all(client)
        progress.await_positions(client, [part])
        time.sleep(0.5)
        progress.resume_all(client)
        progress.read_from(client, part, 0, SOURCE, 0)
        assert wait_for("them again", read, seconds=20) == 3
    finally:
        client.close()
