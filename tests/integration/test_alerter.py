"""The alerter as a process: real Kafka, a vendor on loopback, and kill -9 at any moment."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest
import yaml

from obsctl.alerter.config import load
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.wire.plan import digest_of
from rig.brokers import Brokers
from rig.ending import with_us
from rig.kafka import KafkaNode
from rig.ports import free_port
from rig.read_by import NATIVE
from rig.records import json_line, marked, record
from rig.suspended import is_suspended
from rig.vendor import Vendor, serving
from rig.waiting import wait_for

CLIENT = "203.0.113.9"
#: Short, so that a condition that ends is seen to end within the test.
WINDOW_S, HOLD_S = 5, 2
_numbers = itertools.count(1)
_offsets = itertools.count(0, 300)


class Watch:
    """A topic, an alerter's configuration, and the processes that used it.

    Args:
        kafka: the brokers.
        folder: for configuration, state and log.
        vendor: gets the messages.
        beside: another alerter, which takes turns with this one.
        bootstrap: the brokers as this alerter reaches them.
    """

    def __init__(
        self,
        kafka: KafkaNode | Three,
        folder: Path,
        vendor: Vendor,
        *,
        beside: Watch | None = None,
        bootstrap: str = "",
    ) -> None:
        self.kafka, self.folder, self.vendor = kafka, folder, vendor
        self.topic = beside.topic if beside else f"watch{next(_numbers)}"
        self.port = free_port()
        self.state_topic, self.silences, self.history = (
            f"{self.topic}-{use}" for use in ("state", "silences", "history")
        )
        if beside is None:
            kafka.create_topic(self.topic, 6)
            kafka.create_topic(self.state_topic, 1, **{"cleanup.policy": "compact"})
            kafka.create_topic(self.silences, 1, **{"cleanup.policy": "compact"})
            kafka.create_topic(self.history, 1)
        self._producer = kafka.producer()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "token").write_text("tok-5f6e7d8c9b")
        self._config = folder / "alerter.yml"
        self._config.write_text(
            yaml.safe_dump(
                {
                    "kafka": {
                        "bootstrap": [bootstrap or kafka.bootstrap],
                        "group": self.topic,
                        "member": f"app{self.port}",
                        "topics": {
                            "access": self.topic,
                            "error": f"{self.topic}-error",
                            "state": self.state_topic,
                            "silences": self.silences,
                            "history": self.history,
                        },
                    },
                    "state": str(folder / "state.db"),
                    "trusted_proxies": [],
                    "error_log_timezone": "UTC",
                    "native": NATIVE,
                    "language": "en",
                    "health": {"address": "127.0.0.1", "port": self.port},
                    "metrics": {"sources": []},
                    "shipping_s": 1,
                    "rules": [
                        {
                            "name": "rate",
                            "kind": "requests_per_client",
                            "threshold": 100,
                            "window_s": WINDOW_S,
                            "resolve_after_s": HOLD_S,
                        }
                    ],
                    # A message for each client, as soon as there is something to say.
                    "notifications": {
                        "routes": [
                            {
                                "name": "all",
                                "channels": ["ops"],
                                "group_by": ["rule", "client_addr"],
                                "group_interval_s": 1,
                            }
                        ]
                    },
                    "channels": [
                        {
                            "name": "ops",
                            "type": "dingtalk",
                            "url": vendor.url,
                            "token": f"file:{folder / 'token'}",
                            "per_minute": 1000,
                        }
                    ],
                }
            )
        )

    def configured(self) -> dict[str, Any]:
        """Return the configuration."""
        return dict(yaml.safe_load(self._config.read_text()))

    def configure(self, **changes: Any) -> None:
        """Change the configuration, for the next start."""
        self._config.write_text(yaml.safe_dump(self.configured() | changes))

    def start(self, *, wait: bool = True, program: Sequence[str] = ("-m", "obsctl.alerter.service")) -> None:
        """Start a process; with ``wait`` it has reached the end of the topic."""
        with (self.folder / "alerter.log").open("ab") as log:
            self._process = subprocess.Popen(with_us([sys.executable, *program, "--config", self._config]), stderr=log)
        if wait:
            wait_for(self.log, self.ready, seconds=30)

    def ready(self) -> bool:
        try:
            health = self.health()
        except OSError:
            return False
        return health["role"] == "active" and health["status"] != "failing" and health["lag"] == 0

    def has_read(self, before: int, more: int) -> bool:
        """Say whether it has read ``more`` lines after ``before``; one that left Kafka for a while counts from 0."""
        return self.ready() and self.health()["counted"] in (before + more, more)

    def stands_by(self) -> bool:
        try:
            health = self.health()
        except OSError:
            return False
        return health["role"] == "standby" and health["status"] == "ok"

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def is_suspended(self) -> bool:
        """Whether the process is stopped by a signal."""
        assert self._process is not None
        return is_suspended(self._process.pid)

    def wait_killed(self, seconds: float) -> None:
        """Wait until the process has ended by itself."""
        assert self._process is not None
        self._process.wait(seconds)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def terminate(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as answer:  # the page of one that is failing
            return dict(json.load(answer))

    def log(self) -> str:
        return (self.folder / "alerter.log").read_text()[-3000:]

    def requests(self, count: int, client: str = CLIENT, *, age_s: float = 0.0) -> list[bytes]:
        """Return records of that many requests of the client, ``age_s`` seconds ago."""
        at = round(time.time() - age_s, 3)
        return [
            record(json_line(n, msec=at, remote_addr=client), next(_offsets), host=f"node{n % 3 + 1}")
            for n in range(count)
        ]

    def tests(self, mark: str, count: int, client: str = CLIENT) -> list[bytes]:
        """Return records of that many marked requests."""
        at = round(time.time(), 3)
        return [
            record(marked(json_line(n, msec=at, remote_addr=client), mark), next(_offsets), host="node1")
            for n in range(count)
        ]

    def rules(self) -> list[Rule]:
        """Return the rules of the configuration."""
        return list(load(self._config).rules)

    def send(self, records: list[bytes], partitions: int = 6) -> None:
        """Write the records, again where a broker did not know a new topic's partition yet.

        A broker that hung can hold back what it was sent for minutes: a new producer writes that again. The alerter
        counts a line once, however often it was written.
        """
        left = dict(enumerate(records))

        def write() -> bool:
            for number, value in list(left.items()):
                self._producer.produce(
                    self.topic,
                    value,
                    partition=number % partitions,
                    on_delivery=lambda error, _, number=number: None if error else left.pop(number, None),
                )
            if self._producer.flush(15):
                self._producer.purge()
                self._producer.flush(1)
                self.produce_again()
            return not left

        wait_for(lambda: f"{len(left)} records are not delivered", write, seconds=90, every=1)

    def produce_again(self) -> None:
        """Take a new producer: the old one may know a topic or a cluster that is gone."""
        self._producer = self.kafka.producer()

    def seen_until(self, done: Callable[[], bool], seconds: float) -> list[dict[str, Any]]:
        """Look at the health page until something is true, and return what it said on the way."""
        pages: list[dict[str, Any]] = []

        def look() -> bool:
            over = done()
            with contextlib.suppress(OSError):
                pages.append(self.health())
            return over

        wait_for(lambda: f"{pages[-1:]}\n{self.log()}", look, seconds=seconds)
        return pages

    def titles(self) -> list[str]:
        """Return what the messages are about; how much it was follows after a colon."""
        return [request.body["markdown"]["title"].partition(": ")[0] for request in self.vendor.received]


@pytest.fixture
def watch(kafka: KafkaNode, tmp_path: Path) -> Iterator[Watch]:
    with serving() as vendor:
        made = Watch(kafka, tmp_path, vendor)
        yield made
        made.kill()


def settled(watch: Watch, titles: list[str], seconds: float = 60) -> None:
    """Wait for exactly these messages, and see that no other comes."""
    wait_for(lambda: f"{watch.titles()}\n{watch.log()}", lambda: len(watch.titles()) >= len(titles), seconds=seconds)
    time.sleep(1)
    assert watch.titles() == titles


def both(client: str) -> list[str]:
    return [f"[FIRING] rate {client}", f"[RESOLVED] rate {client}"]


def said(vendor: Vendor, *clients: str) -> Callable[[], bool]:
    """Return whether the vendor has heard of each condition's start and end, in one message or two."""

    def look() -> bool:
        titles = {request.body["markdown"]["title"].partition(": ")[0] for request in vendor.received}
        return all({*both(client)} <= titles or whole(client) in titles for client in clients)

    return look


def whole(client: str) -> str:
    """Return the title of a condition that was over before it could be reported."""
    return f"[STARTED AND ENDED] rate {client}"


def unmarked(vendor: Vendor) -> Counter[str]:
    """Return how often each client's start was reported in a message that does not call itself a repetition."""
    bodies = [request.body["markdown"] for request in vendor.received]
    texts = [(body["title"].partition(": ")[0], body["text"]) for body in bodies]
    return Counter(
        title.rsplit(" ", 1)[1] for title, text in texts if "RESOLVED" not in title and "sent again" not in text
    )


def test_one_burst_one_message_and_one_when_it_is_over(watch: Watch) -> None:
    watch.start()
    watch.send(watch.requests(200))
    wait_for(watch.log, lambda: bool(watch.titles()))
    settled(watch, [f"[FIRING] rate {CLIENT}", f"[RESOLVED] rate {CLIENT}"])
    assert watch.terminate() == 0
    assert "tok-5f6e7d8c9b" not in watch.log()


def test_a_flood_of_a_test_makes_a_message_of_a_test_and_touches_no_real_window(watch: Watch) -> None:
    """Beside a real flood of the same rule, at the same moment."""
    watch.start()
    mark = f"0123456789ab{digest_of(watch.rules()[0])}"
    stranger = "ffffffffffff0000000000000000"
    tested = "192.0.2.60"
    real, half = watch.requests(200), watch.requests(60, tested)
    tests = [*watch.tests(mark, 200, tested), *watch.tests(stranger, 200)]
    watch.send([value for trio in itertools.zip_longest(tests, real, half) for value in trio if value])
    expected = sorted([*both(CLIENT), f"[TEST] [FIRING] rate {tested}"])
    wait_for(lambda: f"{watch.titles()}\n{watch.log()}", lambda: len(watch.titles()) >= 3)
    time.sleep(1)
    assert sorted(watch.titles()) == expected, "60 real requests beside 200 of a test are no alert"
    health = watch.health()
    assert health["counted"] == 260, "lines of tests are counted nowhere"
    assert health["keys"] == {"rate": 2}
    # In the order in which they were seen, which is that of the partitions that were read.
    runs = {run["mark"]: run for run in health["tests"]["runs"]}
    assert {of: (run["rule"], run["lines"]) for of, run in runs.items()} == {mark: ("rate", 200), stranger: ("", 200)}
    of_rule = runs[mark]
    assert of_rule["seen_at"] <= of_rule["true_at"] <= of_rule["decided_at"]
    (arrival,) = of_rule["channels"]
    assert (arrival["channel"], arrival["state"], arrival["verdict"]) == ("ops", "delivered", "delivered")
    assert arrival["at"] >= of_rule["decided_at"]
    (told,) = [r.body["markdown"]["text"] for r in watch.vendor.received if "TEST" in r.body["markdown"]["title"]]
    assert "Nothing is wrong" in told
    watch.kill()
    watch.start()
    time.sleep(1)
    assert sorted(watch.titles()) == expected, "lines that are read again make no second message"
    assert watch.terminate() == 0


def test_a_test_whose_message_is_refused_says_so(watch: Watch) -> None:
    watch.vendor.says(310000, "keywords not in content")
    watch.start()
    mark = f"0123456789ab{digest_of(watch.rules()[0])}"
    watch.send(watch.tests(mark, 100))

    def refused() -> bool:
        runs = watch.health()["tests"]["runs"]
        return bool(runs and runs[0]["channels"] and runs[0]["channels"][0]["verdict"] == "refused")

    wait_for(watch.log, refused)
    (arrival,) = watch.health()["tests"]["runs"][0]["channels"]
    assert (arrival["state"], arrival["at"]) == ("pending", 0)
    assert "310000" in arrival["summary"]


def test_what_was_there_before_the_first_start_is_not_news(watch: Watch) -> None:
    watch.send(watch.requests(200))
    watch.start()
    watch.send(watch.requests(99, "192.0.2.1"))
    time.sleep(1.5)
    assert watch.titles() == []


def test_a_restart_neither_repeats_nor_forgets(watch: Watch) -> None:
    watch.start()
    watch.send(watch.requests(60))
    wait_for(watch.log, lambda: watch.health()["counted"] == 60)
    watch.kill()
    watch.send(watch.requests(60))
    watch.start()
    wait_for(watch.log, lambda: bool(watch.titles()) and watch.health()["waiting"] == 0)
    watch.kill()
    watch.start()
    wait_for(watch.log, said(watch.vendor, CLIENT))
    time.sleep(1)
    # A slow start may find the condition over: one message says both.
    assert watch.titles() in (both(CLIENT), [whole(CLIENT)])


def test_a_resend_and_a_replay_of_old_lines_are_not_counted(watch: Watch) -> None:
    watch.start()
    lines = watch.requests(60)
    watch.send(lines)
    watch.send(lines[::-1])
    watch.send(watch.requests(500, age_s=86400))
    wait_for(watch.log, lambda: watch.health()["skipped"]["late"] == 500)
    assert watch.health()["skipped"]["repeated"] == 60
    assert watch.titles() == []


def test_nothing_ends_while_the_brokers_are_silent(watch: Watch) -> None:
    watch.start()
    watch.send(watch.requests(200))
    wait_for(watch.log, lambda: bool(watch.titles()))
    process = watch.kafka._process._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(WINDOW_S + HOLD_S + 6)
        assert watch.titles() == [f"[FIRING] rate {CLIENT}"]
    finally:
        process.send_signal(signal.SIGCONT)
    settled(watch, [f"[FIRING] rate {CLIENT}", f"[RESOLVED] rate {CLIENT}"], 40)


def test_messages_wait_for_a_vendor_that_is_away(watch: Watch) -> None:
    watch.vendor.status = 503
    watch.start()
    watch.send(watch.requests(200))
    wait_for(watch.log, lambda: watch.health()["status"] == "degraded")
    assert "is failing (HTTP 503)" in watch.health()["reason"]
    watch.vendor.status = 200
    watch.vendor.received.clear()
    settled(watch, [f"[FIRING] rate {CLIENT}", f"[RESOLVED] rate {CLIENT}"], 90)
    assert watch.health()["status"] == "ok"


def test_killed_again_and_again_every_condition_has_its_two_messages(watch: Watch) -> None:
    """Only a message whose attempt the kill cut off may come twice, and then its text says so."""
    chance = random.Random(11)  # noqa: S311
    watch.start()
    clients = [f"192.0.2.{n}" for n in range(12)]
    for client in clients:
        watch.send(watch.requests(70, client))
        time.sleep(chance.uniform(0, 0.4))
        watch.kill()
        watch.start(wait=False)
        watch.send(watch.requests(70, client))
        time.sleep(chance.uniform(0, 3))
    wait_for(lambda: f"{watch.titles()}\n{watch.log()}", said(watch.vendor, *clients), seconds=60)
    time.sleep(1)
    assert max(unmarked(watch.vendor).values()) == 1
    assert {title.rsplit(" ", 1)[1] for title in watch.titles()} == set(clients)


def assert_was_not_well(pages: list[dict[str, Any]], words: str) -> None:
    """The page said that nothing was read, and why, before it was well again."""
    failing = [page["reason"] for page in pages if page["status"] == "failing"]
    assert any(words in reason for reason in failing), failing


@pytest.mark.parametrize("partitions", [pytest.param(3, marks=pytest.mark.long), 6])
def test_a_topic_made_again_is_read_from_its_beginning(watch: Watch, partitions: int) -> None:
    """Lines of the new topic may come before the alerter has noticed, and fewer than the old one had."""
    watch.start()
    watch.send(watch.requests(90, "192.0.2.1"))
    wait_for(watch.log, lambda: watch.health()["counted"] == 90)
    before = watch.health()["topics"][watch.topic]["id"]
    watch.kafka.delete_topic(watch.topic)
    watch.kafka.create_topic(watch.topic, partitions)
    watch.produce_again()
    watch.send(watch.requests(60), partitions)
    pages = watch.seen_until(lambda: watch.has_read(90, 60), 40)
    assert_was_not_well(pages, "created again")
    assert watch.health()["status"] == "ok"
    assert watch.health()["topics"][watch.topic]["id"] not in ("", before)
    assert watch.health()["topics"][watch.topic]["positions"].keys() == {str(number) for number in range(partitions)}
    watch.send(watch.requests(120), partitions)
    settled(watch, both(CLIENT), 40)


@pytest.mark.long
def test_a_topic_made_again_while_the_alerter_was_off(watch: Watch) -> None:
    watch.start()
    watch.send(watch.requests(90, "192.0.2.1"))
    wait_for(watch.log, lambda: watch.health()["counted"] == 90)
    assert watch.terminate() == 0
    watch.kafka.delete_topic(watch.topic)
    watch.kafka.create_topic(watch.topic, 3)
    watch.produce_again()
    watch.send(watch.requests(600), 3)
    watch.start()
    # It is read when it is over: one message says both.
    settled(watch, [f"[STARTED AND ENDED] rate {CLIENT}"], 40)


def test_a_topic_that_is_gone_is_said_at_once(watch: Watch) -> None:
    watch.start()
    watch.kafka.delete_topic(watch.topic)
    pages = watch.seen_until(lambda: watch.health()["status"] == "failing", 10)
    assert_was_not_well(pages, f"topic {watch.topic} does not exist")


def test_partitions_that_are_added_are_read_from_their_beginning(watch: Watch) -> None:
    watch.start()
    admin = watch.kafka.admin()
    wanted = confluent_kafka.admin.NewPartitions(watch.topic, 9)
    admin.create_partitions([wanted])[watch.topic].result(30)
    watch.produce_again()
    for value in watch.requests(120):
        watch._producer.produce(watch.topic, value, partition=8)
    assert watch._producer.flush(30) == 0
    settled(watch, both(CLIENT), 40)
    assert watch.health()["status"] == "ok"


def test_records_that_retention_deleted_are_passed_over(watch: Watch) -> None:
    """Off for longer than the retention: the position lies before the log's start, and the log may be empty."""
    watch.start()
    watch.send(watch.requests(60))
    wait_for(watch.log, lambda: watch.health()["counted"] == 60)
    assert watch.terminate() == 0
    watch.send(watch.requests(600, age_s=86400))
    admin = watch.kafka.admin()
    ends = [confluent_kafka.TopicPartition(watch.topic, number, confluent_kafka.OFFSET_END) for number in range(6)]
    for answer in admin.delete_records(ends).values():
        answer.result(30)
    watch.start()
    assert watch.health()["lag"] == 0
    watch.send(watch.requests(120, "192.0.2.7"))
    settled(watch, both("192.0.2.7"), 40)


class OwnBroker:
    """A broker of one test's own, which it may damage."""

    def __init__(self, libs: Path, folder: Path) -> None:
        self.node = KafkaNode(libs, folder)
        self.node.start()

    def lose_log(self, topic: str) -> None:
        """Have the topic's records gone, as after a disk was replaced: the same topic, and its offsets begin at 0."""
        self.node.kill()
        for partition in (self.node.folder / "data").glob(f"{topic}-[0-9]*"):
            for file in partition.glob("0*"):
                file.unlink()
        for checkpoint in (self.node.folder / "data").glob("*-checkpoint"):
            checkpoint.unlink()
        self.node.start()

    def rebuild(self) -> None:
        """Have another cluster at the same address."""
        self.node.kill()
        shutil.rmtree(self.node.folder / "data")
        self.node._java.format(self.node._config, "anotherClusterAAAAAAAA")
        self.node.start()


@pytest.fixture
def broken(kafka_libs: Path, tmp_path: Path) -> Iterator[tuple[OwnBroker, Watch]]:
    (tmp_path / "kafka").mkdir()
    own = OwnBroker(kafka_libs, tmp_path / "kafka")
    with serving() as vendor:
        made = Watch(own.node, tmp_path, vendor)
        yield own, made
        made.kill()
    own.node.kill()


@pytest.mark.long
def test_a_cluster_that_is_rebuilt_under_the_alerter(broken: tuple[OwnBroker, Watch]) -> None:
    own, watch = broken
    watch.start()
    watch.send(watch.requests(90, "192.0.2.1"))
    wait_for(watch.log, lambda: watch.health()["counted"] == 90)
    own.rebuild()
    watch.kafka.create_topic(watch.topic, 6)
    for topic in (watch.state_topic, watch.silences, watch.history):
        watch.kafka.create_topic(topic, 1)
    watch.produce_again()
    watch.send(watch.requests(120))
    wait_for(lambda: f"{watch.titles()}\n{watch.log()}", said(watch.vendor, CLIENT), seconds=60)
    assert unmarked(watch.vendor) == {CLIENT: 1}
    assert watch.health()["cluster"] == "anotherClusterAAAAAAAA"
    assert watch.health()["status"] == "ok"


def test_a_log_that_lost_its_records_is_read_again(broken: tuple[OwnBroker, Watch]) -> None:
    own, watch = broken
    watch.start()
    watch.send(watch.requests(90, "192.0.2.1"))
    wait_for(watch.log, lambda: watch.health()["counted"] == 90)
    own.lose_log(watch.topic)
    watch.produce_again()
    watch.send(watch.requests(60))
    wait_for(watch.log, lambda: watch.has_read(90, 60), seconds=60)
    watch.send(watch.requests(120))
    settled(watch, both(CLIENT), 40)


class Three:
    """Three brokers, as the tests here ask for one."""

    def __init__(self, brokers: Brokers) -> None:
        self.brokers = brokers
        self.bootstrap = brokers.bootstrap

    def create_topic(self, name: str, partitions: int, **settings: str) -> None:
        topic = confluent_kafka.admin.NewTopic(name, partitions, 3, config=settings)
        self._ask(lambda admin: admin.create_topics([topic], request_timeout=5)[name])

    def delete_topic(self, name: str) -> None:
        self._ask(lambda admin: admin.delete_topics([name], request_timeout=5)[name])

    def fenced(self, node: int) -> bool:
        """Say whether the other two no longer name this one, so that no client is sent to it."""
        with contextlib.suppress(confluent_kafka.KafkaException):
            return node not in self.brokers.named_by(*({1, 2, 3} - {node}))
        return False

    def _ask(self, question: Callable[[confluent_kafka.admin.AdminClient], Any]) -> None:
        """Ask brokers 1 and 2 until one answers: they may be electing a controller."""
        done = {confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS, confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART}
        for _ in range(15):
            admin = self.brokers.admin(1, 2)  # must outlive its futures
            try:
                question(admin).result(6)
                return
            except TimeoutError:
                continue
            except confluent_kafka.KafkaException as error:
                if error.args[0].code() in done:  # an earlier question was carried out after all
                    return
                time.sleep(1)
        raise AssertionError("no broker carries it out")

    def producer(self) -> confluent_kafka.Producer:
        return confluent_kafka.Producer(
            {"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "linger.ms": 20, "log_level": 0}
        )


@pytest.mark.long
def test_a_topic_made_again_while_one_of_three_brokers_hangs(kafka_libs: Path, tmp_path: Path) -> None:
    """When it goes on, it still believes in the old topic for a moment, and leads partitions of it."""
    (tmp_path / "kafka").mkdir()
    brokers = Brokers(kafka_libs, tmp_path / "kafka")
    try:
        brokers.start(1, 2, 3)
        with serving() as vendor:
            watch = Watch(Three(brokers), tmp_path, vendor)
            try:
                watch.start()
                watch.send(watch.requests(90, "192.0.2.1"))
                wait_for(watch.log, lambda: watch.health()["counted"] == 90)
                brokers.suspend(3)
                # A request that waits in the socket of a broker that hangs is carried out when it goes on: the
                # deletion must not go there, it would take the new topic.
                wait_for("broker 3 is fenced", lambda: watch.kafka.fenced(3), seconds=30)
                watch.kafka.delete_topic(watch.topic)
                watch.kafka.create_topic(watch.topic, 6)
                brokers.resume(3)
                watch.produce_again()
                watch.send(watch.requests(60))
                pages = watch.seen_until(lambda: watch.has_read(90, 60), 60)
                assert_was_not_well(pages, "created again")
                watch.send(watch.requests(120))
                settled(watch, both(CLIENT), 40)
            finally:
                watch.kill()
    finally:
        brokers.close()
