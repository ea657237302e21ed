"""``obsctl consumer replay``, ``reset`` and ``status`` on a real broker and a real database."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from obsctl.fleet.model import Database, Fleet, Host, Kafka, KafkaNode, Ssh, Topic
from rig.consumer import Pipeline, assert_conserved
from rig.kafka import CLUSTER_ID
from rig.records import json_line, record
from rig.waiting import wait_for

OBSCTL = [sys.executable, "-c", "from obsctl.cli.main import main; main()"]


class Operator:
    """Calls ``obsctl consumer`` as on the consumer's host."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._config = pipeline.folder / "operator.yml"
        self._config.write_text(yaml.safe_dump(pipeline.config()))

    def argv(self, *arguments: str) -> list[str]:
        return [*OBSCTL, "consumer", *arguments, "--config", str(self._config), "-o", "json"]

    def run(self, *arguments: str, code: int | None = 0) -> dict[str, Any]:
        """Return the report's data; the exit code has to be the one given, or 0 or 1 for None."""
        done = subprocess.run(self.argv(*arguments), capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in ({0, 1} if code is None else {code}), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return dict(json.loads(done.stdout)["data"]) if done.stdout else {"said": done.stderr}

    def replay(self, reason: str, *arguments: str, code: int | None = 0) -> dict[str, Any]:
        return dict(self.run("replay", "--reason", reason, "--since", "1h", *arguments, code=code)["lines"])

    def reset(self, topic: str, to: str, *arguments: str) -> dict[str, Any]:
        data = self.run("reset", "--topic", topic, "--partition", "0", "--to", to, *arguments)
        return {**data["plan"], "in_words": data["in_words"]}


@pytest.fixture
def operator(pipeline: Pipeline) -> Operator:
    return Operator(pipeline)


def unread(count: int, first: int = 0, log_format: str = "newer") -> list[bytes | None]:
    """Lines of a format that no parser of this version knows."""
    return [record(json_line(n), n * 400, log_format=log_format) for n in range(first, first + count)]


def as_json(values: list[bytes | None]) -> list[bytes | None]:
    """The same lines in a format that it knows: the format is not part of a line's identity."""
    return [value and value.replace(b'"log_format": "newer"', b'"log_format": "json"') for value in values]


def teach(pipeline: Pipeline) -> None:
    """Make the parsers know what they did not know before: the quarantine's lines of that format are JSON lines."""
    pipeline.query(
        'UPDATE quarantine SET value=REPLACE(value,\'"log_format": "newer"\',\'"log_format": "json"\'),'
        " value_bytes=value_bytes-1, revision='0000000000000000' WHERE log_format='newer'"
    )


def test_lines_move_once(pipeline: Pipeline, operator: Operator) -> None:
    consumer = pipeline.start()
    lines = unread(1203)
    pipeline.send([*lines, *unread(5, first=9000, log_format="unknown"), b"rubbish"])
    pipeline.wait_kept(1209)
    assert pipeline.count("quarantine") == 1209
    teach(pipeline)

    planned = operator.replay("format", "--dry-run", code=1)
    assert (planned["moved"], planned["known"], planned["stays"], planned["left"]) == (1203, 0, {"format": 5}, 0)
    assert pipeline.count("quarantine") == 1209, "a dry run changes nothing"

    moved = operator.replay("format", code=1)
    assert (moved["examined"], moved["moved"], moved["known"], moved["stays"]) == (1208, 1203, 0, {"format": 5})
    assert (pipeline.count("access_log"), pipeline.count("quarantine")) == (1203, 6)
    assert_conserved(pipeline.query)

    again = operator.replay("format", code=1)
    assert (again["examined"], again["moved"], again["known"], again["stays"]) == (5, 0, 0, {"format": 5})
    # The shipper sends them again: known where they are now.
    pipeline.send(as_json(lines[:300]), partition=1)
    pipeline.wait_positions(1509)
    assert (pipeline.count("access_log"), pipeline.count("quarantine")) == (1203, 6)
    consumer.wait_health(lambda page: page["lines"]["known"] == 300)
    assert_conserved(pipeline.query)


def test_limits_and_what_cannot_be_moved(pipeline: Pipeline, operator: Operator) -> None:
    consumer = pipeline.start()
    stored, cut = as_json(unread(1, first=500)), unread(1, first=600)
    pipeline.send([*stored, *unread(30), *cut], partition=0)
    pipeline.wait_kept(32)
    assert consumer.terminate() == 0
    teach(pipeline)
    # As consumers of two versions leave it: stored by one, put into the quarantine by the other.
    pipeline.query(
        "INSERT INTO quarantine (line_id,source_id,kafka_offset,log_format,host,reason,value,value_bytes,revision)"
        f" SELECT line_id,source_id,kafka_offset,'json',host,'format',0x{stored[0].hex()},{len(stored[0])},'0'"  # type: ignore[union-attr,arg-type]
        " FROM access_log"
    )
    pipeline.query("UPDATE quarantine SET value=LEFT(value,100) WHERE kafka_offset=31")
    first = operator.replay("format", "--limit", "10", "--dry-run", code=None)
    assert (first["examined"], first["left"]) == (10, 22)
    times = {"since": first["since"], "until": first["until"]}
    assert operator.replay("format", "--limit", "10", code=None) | times == first
    rest = operator.replay("format", code=1)
    assert (rest["examined"], rest["left"]) == (22 + first["cut"], 0)
    assert [first[what] + rest[what] for what in ("moved", "known")] == [30, 1]
    assert rest["cut"] == 1
    assert (pipeline.count("access_log"), pipeline.count("quarantine")) == (31, 1)
    assert operator.replay("format", "--until", "59m", code=0)["examined"] == 0
    assert_conserved(pipeline.query)


def test_what_the_database_refused(pipeline: Pipeline, operator: Operator) -> None:
    pipeline.query("ALTER TABLE access_log ADD CONSTRAINT no_poison CHECK (user_agent <> 'poison')")
    pipeline.start()
    pipeline.send([record(json_line(n, user_agent="poison" if n % 2 else "fine"), n) for n in range(20)], partition=0)
    pipeline.wait_kept(20)
    still = operator.replay("refused", code=1)
    assert (still["moved"], still["stays"]) == (0, {"refused_4025": 10})
    pipeline.query("ALTER TABLE access_log DROP CONSTRAINT no_poison")
    assert operator.replay("refused")["moved"] == 10
    assert (pipeline.count("access_log"), pipeline.count("quarantine")) == (20, 0)
    assert_conserved(pipeline.query)


def test_a_replay_that_is_killed_at_any_moment(pipeline: Pipeline, operator: Operator) -> None:
    consumer = pipeline.start()
    pipeline.send(unread(6000))
    pipeline.wait_kept(6000)
    assert consumer.terminate() == 0
    teach(pipeline)
    seed = random.randrange(2**32)  # noqa: S311  a moment is chosen
    chance = random.Random(seed)  # noqa: S311
    killed = 0
    for _ in range(40):
        left = pipeline.count("quarantine")
        if left < 600:
            break
        process = subprocess.Popen(
            operator.argv("replay", "--reason", "format", "--since", "1h"), stdout=subprocess.DEVNULL
        )
        # Kill while it works: when it has moved something, a moment later.
        wait_for(
            f"the replay's first line (seed {seed})",
            lambda left=left, process=process: pipeline.count("quarantine") < left or process.poll() is not None,
            seconds=60,
        )
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        killed += process.wait(10) == -9
        assert pipeline.kept() == 6000, f"seed {seed}"
        assert_conserved(pipeline.query)
    assert killed >= 2, f"seed {seed}"
    operator.replay("format")
    assert (pipeline.count("access_log"), pipeline.count("quarantine")) == (6000, 0)
    assert_conserved(pipeline.query)


def test_a_replay_while_the_same_lines_arrive_again(pipeline: Pipeline, operator: Operator) -> None:
    consumer = pipeline.start()
    lines = unread(4000)
    pipeline.send(lines)
    pipeline.wait_kept(4000)
    teach(pipeline)
    assert consumer.terminate() == 0  # what the quarantine holds is looked at once a minute, and at the start
    pipeline.start()
    resend = threading.Thread(target=lambda: [pipeline.send(as_json(lines[n : n + 400])) for n in range(0, 4000, 400)])
    resend.start()
    both = [
        subprocess.Popen(operator.argv("replay", "--reason", "format", "--since", "1h"), stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait(120) for process in both] == [0, 0]
    resend.join(60)
    pipeline.wait_positions(8000)
    assert (pipeline.count("access_log"), pipeline.count("quarantine")) == (4000, 0)
    assert_conserved(pipeline.query)


def values(count: int, first: int = 0) -> list[bytes | None]:
    return as_json(unread(count, first))


def test_a_position_moved_back_under_a_running_consumer(pipeline: Pipeline, operator: Operator) -> None:
    consumer = pipeline.start()
    pipeline.send(values(200), partition=0)
    pipeline.wait_kept(200)
    planned = operator.reset(pipeline.access, "50", "--dry-run")
    assert (planned["position"], planned["target"], planned["read_again"], planned["skipped"]) == (200, 50, 150, 0)
    assert "150 offsets are read again" in planned["in_words"]
    assert pipeline.query("SELECT next_offset FROM log_source WHERE next_offset>0") == ((200,),), "a dry run"
    operator.reset(pipeline.access, "50", "--yes")
    consumer.wait_health(lambda page: page["lines"]["known"] == 150)
    operator.reset(pipeline.access, "earliest", "--yes")
    pipeline.send(values(10, first=200), partition=0)
    pipeline.wait_kept(210)
    consumer.wait_health(lambda page: page["lines"]["known"] == 350)
    pipeline.wait_positions(210)
    consumer.wait_health(lambda page: page["status"] == "ok")
    assert_conserved(pipeline.query)


def test_a_position_moved_forward_skips(pipeline: Pipeline, operator: Operator) -> None:
    consumer = pipeline.start()
    pipeline.send(values(100), partition=0)
    pipeline.wait_kept(100)
    assert consumer.terminate() == 0
    pipeline.send(values(100, first=100), partition=0)
    done = operator.reset(pipeline.access, "latest", "--yes")
    assert (done["position"], done["target"], done["skipped"], done["read_again"]) == (100, 200, 100, 0)
    pipeline.start()
    pipeline.send(values(10, first=200), partition=0)
    pipeline.wait_kept(110)
    assert operator.reset(pipeline.access, "latest", "--yes")["in_words"].endswith("there is nothing to move")
    assert_conserved(pipeline.query)


def test_a_held_partition_goes_on_by_the_command_of_its_hint(pipeline: Pipeline, operator: Operator) -> None:
    consumer = pipeline.start()
    pipeline.send(values(100), partition=0)
    pipeline.wait_kept(100)
    assert consumer.terminate() == 0
    pipeline.query(f"UPDATE log_source SET next_offset=900 WHERE topic='{pipeline.access}' AND partition_id=0")
    pipeline.send(values(50, first=100), partition=0)
    again = pipeline.start()
    part = f"{pipeline.access}/0"
    wait_for(lambda: str(again.health()), lambda: part in again.health()["troubles"], seconds=30)
    hint = again.health()["troubles"][part]["hint"]
    words = hint[hint.index("obsctl consumer reset") :].split()[2:9]
    assert operator.run(*words, "--yes")["plan"]["read_again"] == 150
    pipeline.wait_kept(150)
    wait_for(lambda: str(again.health()), lambda: again.health()["status"] == "ok", seconds=30)
    assert_conserved(pipeline.query)


def test_what_a_reset_refuses(pipeline: Pipeline, operator: Operator) -> None:
    pipeline.start()
    pipeline.send(values(100), partition=0)
    pipeline.wait_kept(100)
    for arguments, words in (
        (("--topic", "nowhere", "--partition", "0", "--to", "0"), "the cluster has no topic nowhere"),
        (("--topic", pipeline.access, "--partition", "7", "--to", "0"), "has no partition 7"),
        (("--topic", pipeline.access, "--partition", "0", "--to", "101"), "the broker has offsets 0 to 100"),
        (("--topic", pipeline.dlq, "--partition", "0", "--to", "0"), "the database has no position"),
        (("--topic", pipeline.access, "--partition", "0", "--to", "50", "--expected", "101"), "moved back"),
    ):
        assert words in operator.run("reset", *arguments, "--yes", code=77)["said"]
    assert pipeline.query("SELECT next_offset FROM log_source WHERE next_offset>0") == ((100,),)


def test_without_a_database_nothing_is_known(pipeline: Pipeline, operator: Operator) -> None:
    pipeline.mariadb.kill()
    try:
        said = operator.run("replay", "--reason", "format", "--since", "1h", code=3)["said"]
        assert "check that the database is up" in said
        operator.run("reset", "--topic", pipeline.access, "--partition", "0", "--to", "0", "--yes", code=3)
    finally:
        pipeline.mariadb.start()


def test_the_status_of_all_sides(pipeline: Pipeline, tmp_path: Path) -> None:
    """The host is asked by a stand-in for ssh that runs the question here; the rest is real."""
    consumer = pipeline.start()
    pipeline.send([*values(99), b"rubbish"], partition=0)
    pipeline.wait_kept(100)
    with pipeline.mariadb.root() as cursor:
        cursor.execute(f"CREATE USER IF NOT EXISTS reader@127.0.0.1 IDENTIFIED BY '{pipeline.name}'")
        cursor.execute(f"SET PASSWORD FOR reader@127.0.0.1 = PASSWORD('{pipeline.name}')")
        cursor.execute(f"GRANT SELECT ON {pipeline.database}.* TO reader@127.0.0.1")
    (tmp_path / "reader").write_text(pipeline.name)
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\necho unit obsctl-consumer active; echo unit obsctl-alerter active; printf 'page consumer '\n"
        f"curl -s http://127.0.0.1:{consumer.health_port}/health\necho\n"
    )
    program.chmod(0o755)
    fleet = Fleet(
        hosts=(
            Host(name="app1", address="127.0.0.1", groups=("consumer",), ssh=Ssh(port=1)),
            Host(
                name="node1", address="127.0.0.1", groups=("kafka",),
                kafka=KafkaNode(node_id=1, broker_port=pipeline.kafka.port, controller_port=1),
            ),
        ),
        kafka=Kafka(topics=(Topic(name=pipeline.access, partitions=3), Topic(name=pipeline.dlq, partitions=1))),
        database=Database(
            host="127.0.0.1", port=pipeline.mariadb.port, name=pipeline.database, reader_user="reader",
            reader_password=f"file:{tmp_path / 'reader'}",
        ),
    )  # fmt: skip
    path = tmp_path / "fleet.json"
    path.write_bytes(msgspec.json.encode(fleet))
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}

    def status() -> tuple[int, dict[str, Any]]:
        argv = [*OBSCTL, "consumer", "status", "-i", str(path), "-o", "json"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=environment)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    consumer.wait_health(lambda page: page["lines"]["stored"] == 99 and page["status"] == "ok")
    code, report = status()
    assert (code, report["errors"]) == (0, []), report["findings"]
    (row,) = [row for row in report["data"]["positions"] if row["topic"] == pipeline.access and row["partition"] == 0]
    assert (row["start"], row["position"], row["end"], row["lag"], row["behind_s"]) == (0, 100, 100, 0, 0)
    assert row["cluster_id"] == CLUSTER_ID
    assert report["data"]["hosts"][0]["stored"] == 99
    assert report["data"]["quarantine"][0]["reason"] == "not_json"
    assert {t["table"]: t["days_ahead"] for t in report["data"]["tables"]} == dict.fromkeys(
        ("access_log", "error_log", "rollup_minute", "rollup_hour"), 7
    )
    assert report["data"]["summary"]["dead_letters"] == 0

    pipeline.query(f"UPDATE log_source SET next_offset=900 WHERE topic='{pipeline.access}' AND partition_id=0")
    code, report = status()
    assert code == 2
    assert "CONSUMER_POSITION_BEYOND_END" in {finding["code"] for finding in report["findings"]}
