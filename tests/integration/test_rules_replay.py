"""``obsctl alert rules replay`` over a real Kafka: what rules would have sent for lines that are in topics."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.alerter.replay import from_topics
from obsctl.alerter.replay.from_topics import TopicLines
from obsctl.alerter.replay.topic_plan import plan_since
from obsctl.cli.main import run
from obsctl.fleet.model import Alerter, Fleet, Host
from obsctl.fleet.model import KafkaNode as Node
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.line_reader import LineReader
from rig.kafka import KafkaNode
from rig.records import json_line, marked, record

RATE = {"name": "rate", "kind": "frequency", "by": ["client_addr"], "threshold": 100, "window_s": 60}
SILENCE = {"name": "silence", "kind": "flatline", "window_s": 600}
SEVERE = {"name": "severe", "kind": "match", "lines": "error", "filter": "level:>=crit"}
NUMBERS = {"name": "lag", "kind": "metric", "metric": "obsctl_alerter_lag_records", "above": 10}
HOUR = 3600.0


class Site:
    """An inventory with topics of its own, and the command over them."""

    def __init__(self, kafka: KafkaNode, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.kafka, self._capsys = kafka, capsys
        self.access, self.error = f"{folder.name}-access", f"{folder.name}-error"
        kafka.create_topic(self.access, 3)
        kafka.create_topic(self.error, 1)
        self.now = time.time()
        self._number = 0
        address, _, port = kafka.bootstrap.partition(":")
        self.brokers = (kafka.bootstrap,)
        self.inventory = folder / "fleet.json"
        node = Host(name="node1", address=address, groups=("kafka",), kafka=Node(node_id=1, broker_port=int(port)))
        self.fleet = Fleet(
            hosts=(node,),
            alerter=Alerter(access_topic=self.access, error_topic=self.error),
            alert_rules=(RATE, SILENCE, SEVERE, NUMBERS),
        )
        self.write()

    def write(self, **changes: Any) -> None:
        """Write the inventory."""
        self.inventory.write_bytes(msgspec.json.encode(msgspec.structs.replace(self.fleet, **changes)))

    def send(self, records: Iterable[tuple[int, float, bytes]], topic: str = "") -> None:
        """Put records into the topic: partition, time stamp (seconds since the epoch) and value."""
        producer = self.kafka.producer()
        for partition, at, value in records:
            producer.produce(topic or self.access, value, partition=partition, timestamp=int(at * 1000))
            producer.poll(0)
        assert producer.flush(30) == 0

    def line(self, at: float, client: str = "192.0.2.1", *, partition: int | None = None, mark: str = "") -> Any:
        """Return a request of a moment, shipped a second later."""
        self._number += 1
        text = json_line(self._number, msec=round(at, 3), remote_addr=client)
        value = record(marked(text, mark) if mark else text, self._number * 1000)
        return (self._number % 3 if partition is None else partition), at + 1, value

    def steady(self, first: float, last: float, every: float = 60.0) -> list[Any]:
        """Return requests of different clients, one a minute."""
        count = int((last - first) / every)
        return [self.line(first + n * every, f"198.51.100.{n % 200}") for n in range(count)]

    def burst(self, at: float, count: int = 150, client: str = "192.0.2.1") -> list[Any]:
        return [self.line(at + n / 10, client) for n in range(count)]

    def replay(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run the command; returns its data, or what it wrote to standard error under ``said``."""
        self._capsys.readouterr()
        got = run(["-i", str(self.inventory), "alert", "rules", "replay", *words, "-o", "json"])
        out, err = self._capsys.readouterr()
        assert got == code, f"{words}: {got}: {err}"
        return {**(json.loads(out)["data"] if out else {}), "said": err}


@pytest.fixture
def site(kafka: KafkaNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Site:
    return Site(kafka, tmp_path, capsys)


def counts(data: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {rule["name"]: (rule["fires"], rule["messages"]) for rule in data["rules"]}


def test_what_the_rules_would_have_sent_of_the_last_hours(site: Site) -> None:
    # Half a minute beside whole hours: the test itself takes some seconds.
    begin = site.now - 5 * HOUR - 30
    site.send([*site.steady(begin, begin + 2 * HOUR), *site.burst(begin + 2 * HOUR)])
    # An hour without a line, and ordinary traffic until now.
    site.send([*site.steady(begin + 3 * HOUR, site.now)])
    at = begin + 1.5 * HOUR
    error = f"{time.strftime('%Y/%m/%d %H:%M:%S', time.gmtime(at))} [crit] 7#7: *1 SSL_do_handshake() failed"
    site.send([(0, at, record(error, 5, log_format="error", log_input="error"))], site.error)
    data = site.replay("--since", "4h")
    assert counts(data) == {"rate": (1, 2), "silence": (1, 2), "severe": (1, 2)}
    assert data["left_out"] == ["lag"]
    assert (data["gone"], data["unreadable"]) == ([], [])
    totals = data["totals"]
    assert (totals["lines"], totals["late"], totals["ahead"], totals["repeated"]) == (59 + 150 + 120 + 1, 0, 0, 0)
    assert f"reading {totals['lines']:,} records of {site.access}, {site.error} (4 partitions)" in data["said"]
    # The same by the offsets that were read.
    again = site.replay(*(word for one in data["ranges"] for word in ("--topic-range", one)))
    assert (again["rules"], again["messages"]) == (data["rules"], data["messages"])
    # Half of the time, and rules of a file.
    rules = site.inventory.with_name("rules.yml")
    rules.write_text(json.dumps([{**RATE, "name": "other", "threshold": 140}, SILENCE]))
    part = site.replay("--since", "4h", "--until", "2h", "--rules", str(rules))
    assert counts(part) == {"other": (1, 2), "silence": (1, 2)}
    # Nothing of what follows is counted in any way.
    assert (part["totals"]["lines"], part["totals"]["ahead"]) == (59 + 150 + 1, 0)
    assert part["totals"]["last"] < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(site.now - 2 * HOUR))


def test_silence_that_lasts_for_the_whole_time_is_known_where_the_topic_goes_back_that_far(site: Site) -> None:
    site.send(site.steady(site.now - 3 * HOUR, site.now - 2 * HOUR))
    data = site.replay("--since", "1h")
    assert counts(data)["silence"][0] == 1
    assert data["totals"]["lines"] == 0
    assert "nothing was written in this time" in data["said"]
    # Before its first line nothing is known.
    assert counts(site.replay("--since", "4h", "--until", "2h"))["silence"] == (0, 0)


def test_partitions_that_are_hours_apart_in_the_log_are_merged_by_the_lines_times(site: Site) -> None:
    """Each client is in one partition, which is filled one after the other: the limit is reached across them only."""
    begin = site.now - 2 * HOUR
    for partition in range(3):
        minutes = [begin + minute * 60 + n / 10 for minute in range(60) for n in range(40)]
        site.send([site.line(at, partition=partition) for at in minutes])
    data = site.replay("--topic-range", site.access)
    assert counts(data)["rate"] == (1, data["rules"][0]["messages"])
    assert (data["totals"]["lines"], data["totals"]["late"]) == (3 * 60 * 40, 0)
    assert data["conditions"][0]["peak"] == "120 lines"
    # One partition alone never reaches it.
    assert counts(site.replay("--topic-range", f"{site.access}:1"))["rate"] == (0, 0)


def test_only_a_share_of_what_is_read_is_in_memory(site: Site) -> None:
    """Whatever one partition has ahead of another: it waits, and no line is lost or comes out of its order."""
    begin = site.now - 2 * HOUR
    site.send([site.line(begin + n / 10, partition=0) for n in range(20_000)])
    site.send([site.line(begin + 1999 + n / 10, partition=1) for n in range(20_000)])
    plan = plan_since(site.brokers, [site.access], begin - 60, site.now)
    assert plan.records == 40_000
    lines = TopicLines(site.brokers, plan, LineReader(TrustedProxies(())), site.now, keep_bytes=1_000_000)
    times, most = [], 0
    for read in lines.merged():
        times.append(read.event.time)
        most = max(most, lines.records - len(times))
    assert (len(times), times == sorted(times), lines.gone) == (40_000, True, [])
    # A record has some 800 bytes; a batch more may arrive before a partition is held.
    assert most < 1_000_000 / 800 + 2 * 2_000


def test_records_that_were_deleted_are_named(site: Site) -> None:
    site.send([site.line(site.now - HOUR + n, partition=0) for n in range(300)])
    site.kafka.delete_records(site.access, {0: 100})
    gone = f"offsets 0-99 of {site.access}/0 were deleted by retention"
    data = site.replay("--since", "2h")
    assert (data["gone"], data["totals"]["lines"]) == ([f"{site.access}:0:0-99"], 200)
    assert gone in data["said"]
    data = site.replay("--topic-range", f"{site.access}:0:50-149")
    assert (data["gone"], data["ranges"]) == ([f"{site.access}:0:50-99"], [f"{site.access}:0:100-149"])
    assert data["totals"]["lines"] == 50
    assert f"offsets 50-99 of {site.access}/0 were deleted by retention" in data["said"]
    said = site.replay("--topic-range", f"{site.access}:0:0-99", code=64)["said"]
    assert f"there is no record at these offsets: {site.access}/0 has 100 to 299" in said


def test_records_that_are_deleted_while_others_are_read_are_named(site: Site) -> None:
    site.send([site.line(site.now - HOUR + n / 100, partition=0) for n in range(3_000)])
    plan = plan_since(site.brokers, [site.access], site.now - 2 * HOUR, site.now)
    site.kafka.delete_records(site.access, {0: 1000})
    lines = TopicLines(site.brokers, plan, LineReader(TrustedProxies(())), site.now)
    assert len(list(lines.merged())) == 2000
    assert list(map(str, lines.gone)) == [f"{site.access}:0:0-999"]


def test_what_is_no_line_is_counted_and_tests_are_left_out(site: Site) -> None:
    begin = site.now - HOUR
    lines = [site.line(begin + n / 10, mark="0123456789ab") for n in range(200)]
    site.send([*lines, *site.burst(begin + 60, 90)])
    site.send([(1, begin + 90, b"no record"), (1, begin + 91, record("no line", 9)), (2, begin, b"")])
    resent = site.burst(begin + 120, 60)
    # A line that was shipped again, and one of a clock that is days ahead.
    site.send([*resent, *resent, site.line(site.now + 9 * HOUR)])
    data = site.replay("--since", "2h")
    assert counts(data)["rate"] == (0, 0)
    assert (data["totals"]["lines"], data["totals"]["unreadable"]) == (90 + 3 + 120 + 1, 3)
    assert (data["totals"]["repeated"], data["totals"]["ahead"]) == (60, 1)
    found = {bad["log"]: bad["lines"] for bad in data["unreadable"]}
    assert found == {f"{site.access}/1": 2, f"{site.access}/2": 1}
    assert "the first of 2 lines that cannot be read and are left out" in data["said"]
    assert "60 lines were shipped twice" in data["said"]


def test_a_topic_of_other_things_is_counted_and_fills_no_memory(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_topics, "_MOST_LEFT_OUT", 5)
    begin = site.now - HOUR
    junk = [(0, begin, b"no record")] * 50
    site.send([site.line(begin, partition=0), *junk, site.line(begin + 1, partition=0), *junk])
    data = site.replay("--topic-range", site.access)
    assert (data["totals"]["lines"], data["totals"]["unreadable"]) == (102, 100)
    assert (data["unreadable"][0]["first"], data["unreadable"][0]["lines"]) == (1, 100)


def test_clients_behind_trusted_proxies_are_those_that_the_proxies_name(site: Site) -> None:
    begin = site.now - HOUR
    clients = [site.burst(begin + n, 60, f"10.0.0.{n}") for n in (1, 2)]
    forwarded = [
        (part, at, value.replace(b'\\"x_forwarded_for\\": \\"\\"', b'\\"x_forwarded_for\\": \\"192.0.2.7\\"'))
        for records in clients
        for part, at, value in records
    ]
    site.send(forwarded)
    assert counts(site.replay("--since", "2h"))["rate"] == (0, 0)
    site.write(alerter=msgspec.structs.replace(site.fleet.alerter, trusted_proxies=("10.0.0.0/8",)))
    assert counts(site.replay("--since", "2h"))["rate"] == (1, 2)


def test_it_ends_by_ctrl_c_while_it_reads(site: Site) -> None:
    site.send([site.line(site.now - HOUR + n / 20) for n in range(60_000)])
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            # A test run in the background of a shell hands down that Ctrl-C is ignored.
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
            "from obsctl.cli.main import main; main()",
            *("-i", str(site.inventory), "alert", "rules", "replay", "--since", "2h"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    while b"reading 60,000 records" not in said:
        said += process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in said


def test_what_does_not_exist_is_named(site: Site) -> None:
    site.send(site.burst(site.now - HOUR, 10))
    said = site.replay("--topic-range", f"{site.access}:7", code=64)["said"]
    assert f"topic {site.access} has no partition 7" in said
    assert f"its partitions are 0 to 2; --topic-range {site.access} reads all of them" in said
    said = site.replay("--topic-range", f"{site.access}:0", "--topic-range", site.access, code=64)["said"]
    assert f"partition {site.access}/0 is given twice" in said
    assert "the cluster has no topic nowhere" in site.replay("--topic-range", "nowhere", code=78)["said"]
