"""The watch of Filebeat with the real Filebeat and real brokers: one of them hangs with a batch, the others go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka
import pytest

from rig.brokers import PARTITIONS, TOPIC, Brokers
from rig.ending import with_us
from rig.filebeat import archive, unpack
from rig.log_host import LogHost
from rig.ports import free_port
from rig.waiting import wait_for

SCRIPT = Path(__file__).resolve().parents[2] / "roles/filebeat/files/obs-filebeat-watch"
#: Seconds.
LIMIT = 4
#: After so long Filebeat itself gives a broker up; a busy machine may not see the batch for LIMIT in the role's ten.
_PATIENT = ("  timeout: 10s\n", "  timeout: 60s\n")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: Filebeat runs as another account"),
    pytest.mark.skipif(archive() is None, reason="Filebeat is not built: obsctl artifacts build"),
]


@pytest.fixture
def brokers(kafka_libs: Path, tmp_path: Path) -> Iterator[Brokers]:
    (tmp_path / "kafka").mkdir()
    cluster = Brokers(kafka_libs, tmp_path / "kafka")
    try:
        cluster.start(1, 2, 3)
        # One replica, so that the partitions of the others do not wait for the one that hangs.
        cluster.create_topic(TOPIC, PARTITIONS, 1, **{"min.insync.replicas": "1"})
        yield cluster
    finally:
        cluster.close()


@contextlib.contextmanager
def written(host: LogHost) -> Iterator[list[str]]:
    """Write a line every tenth of a second: each is a batch of its own, and so goes to one broker."""
    lines: list[str] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.1):
            lines.append(f"line {len(lines)}")
            host.line(lines[-1])

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        ended.set()
        thread.join()


def messages(brokers: Brokers, end: str) -> list[str]:
    """Return the lines in the topic up to one after which no other was written."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers.bootstrap, "group.id": "x", "log_level": 0})
    consumer.assign([confluent_kafka.TopicPartition(TOPIC, number, 0) for number in range(PARTITIONS)])
    found: list[str] = []

    def all_read() -> bool:
        found.extend(
            message.value().decode().partition('"message":"')[2].partition('"')[0]
            for message in consumer.consume(1000, 0.5)
            if message.error() is None
        )
        return end in found

    wait_for(lambda: f"{end} in the topic, which has {len(found)}", all_read)
    # What is on its way to other partitions.
    time.sleep(2)
    all_read()
    consumer.close()
    return found


def test_a_batch_that_hangs_while_others_go_on_is_sent_again(brokers: Brokers) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        hosts = [f"127.0.0.1:{one}" for one in brokers.ports.values()]
        host = LogHost(folder, unpack(folder), filebeat_kafka_hosts=hosts, filebeat_http_port=port)
        stack.callback(host.close)
        stubs, calls, output = folder / "stubs", folder / "calls", folder / "watch.log"
        stubs.mkdir()
        (stubs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{calls}\n')
        (stubs / "systemctl").chmod(0o755)
        config = host.shipper.config.read_text()
        assert _PATIENT[0] in config
        host.shipper.config.write_text(config.replace(*_PATIENT))
        host.write("access.log")
        host.ship()
        lines = stack.enter_context(written(host))
        with output.open("w") as log:
            watch = stack.enter_context(
                subprocess.Popen(
                    with_us(["sh", str(SCRIPT), str(port), str(LIMIT)]), stdout=log, stderr=log,
                    env={**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}"},
                )
            )  # fmt: skip
        stack.callback(watch.terminate)
        time.sleep(LIMIT + 4)
        assert output.read_text() == "", "lines move"

        brokers.suspend(2)
        wait_for(lambda: f"a restart, it says {output.read_text()!r}", calls.exists, seconds=50)
        brokers.resume(2)
        # It may not end by itself with lines under way, and then systemd kills it.
        host.signal(signal.SIGKILL)
        host.restart()
        wait_for("one line of the watch", lambda: output.read_text().endswith("stored once.\n"))
        assert calls.read_text() == "try-restart filebeat\n"
        assert "has lost a batch" in output.read_text()

        time.sleep(1)
        last = lines[-1]
        assert set(lines[: lines.index(last)]) <= set(messages(brokers, last))
