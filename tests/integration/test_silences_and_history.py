"""Silences and history over a real Kafka: commands that write and read, and an alerter that follows and reports."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from obsctl.cli.main import run
from obsctl.fleet.model import Alerter, Fleet, Host
from obsctl.fleet.model import KafkaNode as Node
from rig.kafka import KafkaNode
from rig.vendor import serving
from rig.waiting import wait_for
from tests.integration.test_alerter import CLIENT, Watch, said

COMPACT = {"cleanup.policy": "compact"}


class Site:
    """An alerter, and the inventory with which commands reach its topics."""

    def __init__(self, watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
        self.watch, self._capsys = watch, capsys
        config = watch.folder / "alerter.yml"
        settings = yaml.safe_load(config.read_text())
        # Reported again soon, so that a silence has something to hold back.
        settings["notifications"]["routes"][0]["repeat_after_s"] = 2
        config.write_text(yaml.safe_dump(settings))
        self.inventory = watch.folder / "fleet.json"
        address, _, port = watch.kafka.bootstrap.partition(":")
        self.inventory.write_bytes(
            msgspec.json.encode(
                Fleet(
                    hosts=(
                        Host(
                            name="node1",
                            address=address,
                            groups=("kafka",),
                            kafka=Node(node_id=1, broker_port=int(port)),
                        ),
                    ),
                    alerter=Alerter(
                        state_topic=watch.state_topic, silences_topic=watch.silences, history_topic=watch.history
                    ),
                    alert_rules=tuple(settings["rules"]),
                )
            )
        )

    def ask(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run a command; returns its data, or what it wrote to standard error under ``said``."""
        self._capsys.readouterr()
        got = run(["-i", str(self.inventory), "alert", *words, "-o", "json"])
        out, err = self._capsys.readouterr()
        assert got == code, f"{words}: {got}: {err}"
        return {**(json.loads(out)["data"] if out else {}), "said": err}

    def keep_firing(self, seconds: float, client: str = CLIENT) -> None:
        """Have the client ask so much that its alert stays on."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.watch.send(self.watch.requests(120, client))
            time.sleep(0.5)

    def wait_silences(self, count: int) -> None:
        """Wait until the alerter knows so many silences, as it says of itself."""

        def known() -> int:
            lines = (self.watch.folder / "alerter.log").read_text().splitlines()
            entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
            said = [entry["silences"] for entry in entries if entry["message"] == "silences"]
            return said[-1] if said else 0

        wait_for(self.watch.log, lambda: known() == count)

    def events(self) -> list[str]:
        return [record["event"] for record in self.ask("history")["records"]]

    def write(self, topic: str, key: bytes, value: bytes) -> None:
        producer = self.watch.kafka.producer()
        producer.produce(topic, key=key, value=value)
        assert producer.flush(20) == 0


@pytest.fixture
def site(kafka: KafkaNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Site]:
    with serving() as vendor:
        watch = Watch(kafka, tmp_path, vendor)
        yield Site(watch, capsys)
        watch.kill()


def test_a_silence_holds_back_what_would_come_next_and_its_end_releases_it(site: Site) -> None:
    watch = site.watch
    dry_run = ("silence", "add", f"client_addr:{CLIENT}", "--for", "1h", "--reason", "test", "--dry-run")
    planned = site.ask(*dry_run)
    assert (planned["would_hold_back"], planned["firing"]) == (None, None)
    assert "no alerter has written its state yet" in planned["said"]
    watch.start()
    site.keep_firing(2)
    wait_for(watch.log, lambda: f"[FIRING] rate {CLIENT}" in watch.titles())
    wait_for(watch.log, lambda: "started" in site.events())
    planned = site.ask(*dry_run)
    assert planned["firing"] == 1
    assert [alert["alert"] for alert in planned["would_hold_back"]] == [f"rate client_addr={CLIENT}"]
    (listed,) = site.ask("list")["alerts"]
    assert (listed["rule"], listed["key"], listed["state"]) == ("rate", CLIENT, "firing")
    assert (listed["reported"], listed["held_back_by"]) == (True, None)
    assert site.ask("silence", "list")["silences"] == []
    (made,) = site.ask("silence", "add", f"client_addr:{CLIENT}", "--for", "1h", "--reason", "test", "--author", "li")[
        "silences"
    ]
    assert (made["state"], made["author"], made["reason"]) == ("active", "li", "test")
    site.keep_firing(1.5)
    before = len(watch.titles())
    site.keep_firing(5)
    assert watch.titles()[before:] == [], "a repetition was due"

    def held_back() -> bool:
        site.keep_firing(0.5)
        return [alert["held_back_by"] for alert in site.ask("list")["alerts"]] == [f"silence {made['id']}"]

    wait_for(watch.log, held_back)
    # Another client is not silenced.
    site.keep_firing(1, "192.0.2.7")
    wait_for(watch.log, lambda: "[FIRING] rate 192.0.2.7" in watch.titles())
    wait_for(watch.log, lambda: watch.health()["firing"] == 0, seconds=30)
    assert f"[RESOLVED] rate {CLIENT}" not in watch.titles()
    assert site.ask("list")["alerts"] == []
    assert {alert["state"] for alert in site.ask("list", "--all")["alerts"]} == {"ended"}
    held = next(r for r in site.ask("history")["records"] if r["event"] == "held_back")
    assert (held["record"]["stage"], held["record"]["cause"]) == ("silence", made["id"])
    why = site.ask("why", held["incident"])
    assert why["alerts"][0]["state"] == "ended"
    (ended,) = site.ask("silence", "rm", made["id"], "--author", "wang")["silences"]
    assert (ended["state"], ended["ended_by"]) == ("ended", "wang")
    wait_for(watch.log, lambda: f"[RESOLVED] rate {CLIENT}" in watch.titles())
    assert [one["id"] for one in site.ask("silence", "list", "--all")["silences"]] == [made["id"]]
    assert "has ended already" in site.ask("silence", "rm", made["id"], code=64)["said"]
    wait_for(
        lambda: str(site.ask("why", held["incident"])),
        lambda: (site.ask("why", held["incident"])["next"] or "").startswith("nothing"),
    )
    why = site.ask("why", held["incident"])
    assert why["messages"][0]["reason"] == "first"
    assert why["messages"][-1]["delivered_by"] == ["ops"]


def test_a_silence_that_is_in_kafka_before_the_alerter_starts_counts_from_the_first_decision(site: Site) -> None:
    watch = site.watch
    watch.start()
    assert watch.terminate() == 0
    site.ask("silence", "add", "rule:rate", "--for", "1h", "--reason", "before")
    watch.send(watch.requests(200))
    watch.start()
    wait_for(watch.log, lambda: watch.health()["suppressed"].get("silence") == 1)
    assert watch.titles() == []


def test_what_is_no_silence_is_named_once_and_harms_no_other(site: Site) -> None:
    watch = site.watch
    for value in (b"\xff", b"{}", b'{"id": "other"}'):
        site.write(watch.silences, b"bad", value)
    site.ask("silence", "add", "rule:rate", "--for", "1h", "--reason", "good")
    watch.start()
    watch.send(watch.requests(200))
    wait_for(watch.log, lambda: watch.health()["suppressed"].get("silence") == 1)
    log = (watch.folder / "alerter.log").read_text()
    assert log.count(f"the record 0/0 of topic {watch.silences} is not a silence") == 1
    assert watch.health()["status"] == "ok"


def test_a_topic_of_silences_made_again_counts_in_place_of_the_old_one(site: Site) -> None:
    watch = site.watch
    site.ask("silence", "add", "rule:rate", "--for", "1h", "--reason", "old")
    watch.start()
    watch.kafka.delete_topic(watch.silences)
    assert "playbooks/kafka.yml" in site.ask("silence", "list", code=78)["said"]
    # What was read last counts while there is no topic.
    watch.send(watch.requests(200))
    wait_for(watch.log, lambda: watch.health()["suppressed"].get("silence") == 1)
    watch.kafka.create_topic(watch.silences, 1, **COMPACT)
    site.keep_firing(1)
    wait_for(watch.log, lambda: bool(watch.titles()), seconds=30)


def test_without_the_topics_conditions_are_seen_and_messages_delivered(site: Site) -> None:
    watch = site.watch
    watch.kafka.delete_topic(watch.silences)
    watch.kafka.delete_topic(watch.history)
    watch.start()
    watch.send(watch.requests(200))
    wanted = {f"[FIRING] rate {CLIENT}", f"[RESOLVED] rate {CLIENT}"}
    wait_for(watch.log, lambda: wanted <= set(watch.titles()), seconds=40)
    assert "playbooks/kafka.yml" in site.ask("history", code=78)["said"]
    assert f"the cluster has no topic {watch.silences}" in (watch.folder / "alerter.log").read_text()
    assert watch.health()["history_lost"] > 0
    # Both are made later, as by the playbook, and a silence counts.
    watch.kafka.create_topic(watch.history, 1)
    watch.kafka.create_topic(watch.silences, 1, **COMPACT)
    site.ask("silence", "add", "rule:rate", "--for", "1h", "--reason", "late")
    site.wait_silences(1)
    before = len(watch.titles())
    watch.send(watch.requests(200, "192.0.2.8"))
    wait_for(watch.log, lambda: watch.health()["suppressed"].get("silence") == 1)
    assert watch.titles()[before:] == []


def test_what_was_decided_is_in_the_history_once_although_the_alerter_was_killed(site: Site) -> None:
    watch = site.watch
    watch.start()
    watch.send(watch.requests(200))
    wait_for(watch.log, lambda: bool(watch.titles()), seconds=40)
    watch.kill()
    watch.start()
    wait_for(watch.log, lambda: f"[RESOLVED] rate {CLIENT}" in watch.titles(), seconds=40)
    wait_for(watch.log, lambda: watch.health()["waiting"] == 0)
    records = [record["record"] for record in site.ask("history")["records"]]
    events = [record["event"] for record in records]
    assert events.index("started") < events.index("message") < events.index("delivery")
    assert [events.count(each) for each in ("started", "ended")] == [1, 1]
    # Each message that was decided was delivered, and each of its attempts that was answered is there.
    decided = [record["message_id"] for record in records if record["event"] == "message"]
    delivered = {m["message_id"] for record in records if record["event"] == "delivery" for m in record["messages"]}
    reasons = [record["reason"] for record in records if record["event"] == "message"]
    assert (reasons[0], reasons[-1], set(reasons[1:-1]) <= {"repeat"}) == ("first", "resolved", True)
    assert len(decided) == len(set(decided))
    assert set(decided) == delivered


def has_socket(pid: int) -> bool:
    """Say whether a process has opened a socket."""
    with contextlib.suppress(OSError):
        return any(str(fd.readlink()).startswith("socket:") for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_tail_shows_a_line_each_and_ends_by_ctrl_c(site: Site) -> None:
    watch = site.watch
    watch.start()
    output = watch.folder / "tail"
    with output.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                # A test run in the background of a shell hands down that Ctrl-C is ignored.
                "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
                "from obsctl.cli.main import main; main()",
                "-i",
                str(site.inventory),
                "alert",
                "tail",
                "-o",
                "ndjson",
            ],
            stdout=out,
            stderr=subprocess.PIPE,
        )
    wait_for("it asks the brokers, for what is decided from now on", lambda: has_socket(process.pid))
    watch.send(watch.requests(200))
    wait_for(watch.log, lambda: b'"delivery"' in output.read_bytes(), seconds=30)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in said
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    # Another alert's message may be made before the first one is delivered.
    events = list(dict.fromkeys(line["event"] for line in lines))
    assert events[:3] == ["started", "message", "delivery"]


@pytest.mark.parametrize("words", [("silence", "list"), ("list",), ("history",), ("why", "9f86d081884c")])
def test_brokers_that_do_not_answer_are_unknown(site: Site, words: tuple[str, ...]) -> None:
    fleet = json.loads(site.inventory.read_bytes())
    fleet["hosts"][0]["kafka"]["broker_port"] = 1
    site.inventory.write_text(json.dumps(fleet))
    assert "obsctl kafka status" in site.ask(*words, code=3)["said"]


@pytest.mark.long
def test_brokers_that_were_away_cost_neither_silences_nor_history(
    kafka_libs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The silences that were read count meanwhile, and those that are written afterwards are followed."""
    (tmp_path / "kafka").mkdir()
    node = KafkaNode(kafka_libs, tmp_path / "kafka")
    node.start()
    with serving() as vendor:
        watch = Watch(node, tmp_path, vendor)
        site = Site(watch, capsys)
        try:
            watch.start()
            site.ask("silence", "add", "client_addr:192.0.2.1", "--for", "1h", "--reason", "first")
            site.wait_silences(1)
            node.kill()
            time.sleep(8)
            node.start()
            watch.produce_again()
            wait_for(watch.log, watch.ready, seconds=60)
            site.ask("silence", "add", "client_addr:192.0.2.2", "--for", "1h", "--reason", "second")
            site.wait_silences(2)
            for client in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
                watch.send(watch.requests(200, client))
            wait_for(watch.log, lambda: watch.health()["suppressed"].get("silence") == 2, seconds=30)
            wait_for(watch.log, said(vendor, "192.0.2.3"))
            assert not [title for title in watch.titles() if title.endswith(("192.0.2.1", "192.0.2.2"))]
            wait_for(watch.log, lambda: "delivery" in site.events(), seconds=30)
            assert site.ask("history", "--since", "1s", "--limit", "1")["left_out"] >= 0
        finally:
            watch.kill()
            node.kill()
