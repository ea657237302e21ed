"""The live statistics in a real Redis: what stands there, whose it is, and that nothing else depends on it."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from obsctl.console.config import RedisConfig
from obsctl.console.live.feed import Feed
from obsctl.console.live.redis_keys import RedisKeys
from obsctl.console.live.statistics import FIELDS, Statistics
from obsctl.core.journal import JsonFormatter
from rig.authority import Authority
from rig.console import DATABASE, Console, console, make_database, write_config
from rig.database import MariaDB
from rig.events import events
from rig.kafka import KafkaNode
from rig.records import json_line, record
from rig.redis_server import PASSWORD, RIGHTS, USER, RedisNode, missing_redis
from rig.tools import REPOSITORY
from rig.waiting import HANGS_S, wait_for
from tests.unit.console.live.rig import HandFeed, line

PAGE = REPOSITORY / "docs" / "reference" / "console.md"
ACCESS, ERROR = "redis-access", "redis-error"
MINUTE = 1_800_000_000


@pytest.fixture(scope="module", autouse=True)
def _needed() -> None:
    if reason := missing_redis():
        pytest.skip(reason)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RedisNode]:
    """A running Redis with nothing in it."""
    made = RedisNode(tmp_path)
    made.start()
    yield made
    made.kill()


class Log(logging.Handler):
    """What the journal would have."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self.setFormatter(JsonFormatter({}))

    def emit(self, entry: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(entry)))

    def messages(self, level: str) -> list[str]:
        return [entry["message"] for entry in self.lines if entry["level"] == level]


@pytest.fixture
def journal() -> Iterator[Log]:
    log, logger = Log(), logging.getLogger("obsctl.console")
    logger.addHandler(log)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield log
    logger.removeHandler(log)
    logger.setLevel(level)


class Counting:
    """What one console counts and writes, with a clock that the test sets unless its thread runs."""

    def __init__(self, url: str, *, ticking: bool = False, **options: Any) -> None:
        self.now = float(MINUTE)
        clock: Callable[[], float] = time.time if ticking else lambda: self.now
        self.feed = HandFeed()
        self.statistics = Statistics(cast("Feed", self.feed), clock)
        secret = f"REDIS_URL_{id(self)}"
        self._patch = pytest.MonkeyPatch()
        self._patch.setenv(secret, url)
        self.keys = RedisKeys(RedisConfig(url=f"env:{secret}", **options), self.statistics, clock)

    def turn(self, seconds: float = 0.0) -> str:
        """Let time pass and write."""
        self.now += seconds
        self.keys.turn()
        return self.keys.state

    @contextmanager
    def running(self) -> Iterator[None]:
        self.keys.start()
        try:
            yield
        finally:
            self.keys.stop()


def present(admin: Any) -> dict[str, str]:
    return dict(admin.hgetall("obsctl:live"))


def ranked(admin: Any, name: str) -> dict[str, float]:
    return dict(admin.zrange(name, 0, -1, withscores=True))


def test_what_the_page_shows_stands_in_redis(node: RedisNode) -> None:
    counting, admin = Counting(node.url()), node.admin()
    assert counting.turn() == "writing"
    counting.feed.send(
        [
            line(number, "/often?x" if number % 2 else f"/once/{number}", 500 if number < 10 else 200)
            for number in range(40)
        ],
        skipped=60,
    )
    assert counting.turn(1) == "writing"
    shown = json.loads(counting.statistics.answer())
    found = present(admin)
    names = ("requests", "left_out", "bytes", "per_s", "share_4xx", "share_5xx")
    assert {name: float(found[name]) for name in names} == {name: float(shown[name]) for name in names}
    assert (found["at"], found["since"], found["share_5xx"]) == (str(MINUTE + 1), str(MINUTE), "0.25")
    for field in FIELDS:
        assert ranked(admin, f"obsctl:live:top:{field}") == {
            row["value"]: row["requests"] for row in shown["top"][field]["rows"]
        }
        assert int(found[f"missed_{field}"]) == shown["top"][field]["missed"]
    assert ranked(admin, "obsctl:live:top:uri")["/often"] == 20


def test_a_share_of_nothing_is_left_out_and_old_values_go(node: RedisNode) -> None:
    counting, admin = Counting(node.url()), node.admin()
    counting.turn()
    counting.feed.send([line(1, "/gone")])
    counting.turn(1)
    assert "share_5xx" in present(admin)
    counting.turn(400)
    counting.feed.send([])
    counting.turn(1)
    assert present(admin)["requests"] == "0"
    assert "share_5xx" not in present(admin)
    assert not admin.exists("obsctl:live:top:uri")


def test_each_minute_stands_for_itself(node: RedisNode) -> None:
    counting, admin = Counting(node.url(), keep_s=600), node.admin()
    counting.turn()
    counting.feed.send([line(1, "/a", 404), line(2, "/a", 302)])
    counting.turn(30)
    first = f"obsctl:minute:{MINUTE}"
    assert admin.hget(first, "seconds") == "30"
    counting.feed.send([line(3, "/b", 200)])
    counting.turn(31)
    counting.feed.send([line(4, "/c", 500)], skipped=5)
    counting.turn(5)
    found = admin.hgetall(first)
    assert {name: int(found[name]) for name in ("seconds", "requests", "left_out", "bytes")} == {
        "seconds": 60, "requests": 3, "left_out": 0, "bytes": 30,
    }  # fmt: skip
    assert [int(found[name]) for name in ("1xx", "2xx", "3xx", "4xx", "5xx", "other")] == [0, 1, 1, 1, 0, 0]
    assert ranked(admin, f"{first}:top:uri") == {"/a": 2, "/b": 1}
    assert admin.hget(f"obsctl:minute:{MINUTE + 60}", "requests") == "6"
    assert 590 <= admin.ttl(first) <= 600


def test_every_key_expires(node: RedisNode) -> None:
    counting, admin = Counting(node.url(), keep_s=120), node.admin()
    counting.turn()
    counting.feed.send([line(1)])
    counting.turn(1)
    lives = {name: admin.pttl(name) for name in admin.keys("*")}
    assert len(lives) == 1 + 6 + 6
    assert lives.pop("obsctl:writer") <= 5000
    for name, left in lives.items():
        assert 0 < left <= (120_000 if ":minute:" in name else 15_000), name


def test_two_fleets_have_names_of_their_own(node: RedisNode) -> None:
    one, two, admin = Counting(node.url(), prefix="obsctl:a"), Counting(node.url(), prefix="obsctl:b"), node.admin()
    assert (one.turn(), two.turn()) == ("writing", "writing")
    assert {name.split(":")[1] for name in admin.keys("*")} == {"a", "b"}


def test_of_two_consoles_one_writes_and_the_other_follows(node: RedisNode) -> None:
    one, two, admin = Counting(node.url()), Counting(node.url()), node.admin()
    lines = [line(number) for number in range(10)]
    for both in (one, two):
        both.turn()
        both.feed.send(lines)
    two.feed.send(lines)  # of its own, so that it shows whose numbers stand there
    assert (one.turn(1), two.turn(1), one.turn(1)) == ("writing", "standby", "writing")
    assert present(admin)["requests"] == "10"
    assert admin.hget(f"obsctl:minute:{MINUTE}", "requests") == "10"
    # It crashes: nothing gives its turn back.
    wait_for("the other one takes over", lambda: two.turn() == "writing", every=0.2)
    assert one.turn() == "standby"
    assert present(admin)["requests"] == admin.hget(f"obsctl:minute:{MINUTE}", "requests") == "20"


def test_a_console_that_ends_makes_way_at_once(node: RedisNode) -> None:
    one, two = Counting(node.url(), ticking=True), Counting(node.url())
    with one.running():
        wait_for("it writes", lambda: one.keys.state == "writing")
        assert two.turn() == "standby"
    assert two.turn() == "writing"


def test_a_turn_that_is_lost_meanwhile_changes_nothing(node: RedisNode, monkeypatch: pytest.MonkeyPatch) -> None:
    counting, admin = Counting(node.url()), node.admin()
    counting.turn()
    counting.feed.send([line(1)])
    numbers = counting.statistics.numbers

    def late(after: int = 0) -> Any:
        admin.set("obsctl:writer", "another", px=5000)
        return numbers(after)

    monkeypatch.setattr(counting.statistics, "numbers", late)
    assert counting.turn(1) == "standby"
    assert (present(admin)["requests"], admin.get("obsctl:writer")) == ("0", "another")


def test_without_lines_from_kafka_it_writes_nothing_and_another_console_may(node: RedisNode) -> None:
    one, two, admin = Counting(node.url()), Counting(node.url()), node.admin()
    assert (one.turn(), two.turn()) == ("writing", "standby")
    one.feed.trouble = "no broker answers"
    wait_for("the other one takes over", lambda: (one.turn(), two.turn()) == ("waiting", "writing"), every=0.2)
    two.feed.trouble = None  # it has not begun
    assert two.turn() == "waiting"
    one.feed.trouble = two.feed.trouble = ""
    admin.delete("obsctl:writer", f"obsctl:minute:{MINUTE}")
    # The minute in which no lines came is a gap, and has no numbers.
    assert one.turn(30) == "writing"
    assert not admin.exists(f"obsctl:minute:{MINUTE}")
    one.feed.send([line(1)])
    one.turn(30)
    one.feed.send([line(1)])
    one.turn(1)
    assert admin.hget(f"obsctl:minute:{MINUTE + 60}", "requests") == "1"
    assert not admin.exists(f"obsctl:minute:{MINUTE}")


def test_lines_come_while_redis_is_killed_and_back(node: RedisNode, journal: Log) -> None:
    counting = Counting(node.url(), ticking=True)
    with counting.running():
        wait_for("it writes", lambda: counting.keys.state == "writing")
        for sent in ("50", "100"):
            node.kill()
            wait_for("it is away", lambda: counting.keys.state == "away")
            for number in range(50):
                counting.feed.send([line(number)])
            node.start()
            wait_for("all lines", lambda: present(node.admin()).get("requests"), seconds=HANGS_S)
            assert present(node.admin())["requests"] == sent
            assert counting.keys.state == "writing"
    assert journal.messages("warning") == ["the live statistics are not written to Redis"] * 2
    assert journal.messages("info") == ["Redis takes the live statistics"] * 3
    (server,) = {entry["server"] for entry in journal.lines}
    assert server == f"127.0.0.1:{node.port}"


def test_minutes_that_redis_missed_are_written_when_it_is_back(node: RedisNode) -> None:
    counting = Counting(node.url())
    counting.turn()
    node.kill()
    for _ in range(3):
        counting.feed.send([line(1)])
        assert counting.turn(60) == "away"
    node.start()
    assert counting.turn() == "writing"
    wanted = [f"obsctl:minute:{MINUTE + 60 * number}" for number in range(3)]
    assert sorted(node.admin().keys("obsctl:minute:??????????")) == wanted
    node.admin().flushall()
    assert counting.turn(1) == "writing"
    assert sorted(node.admin().keys("obsctl:minute:??????????")) == wanted


def test_a_redis_that_hangs_delays_neither_reader_nor_page(node: RedisNode, journal: Log) -> None:
    counting = Counting(node.url(), ticking=True)
    with counting.running():
        wait_for("it writes", lambda: counting.keys.state == "writing")
        node.freeze()
        worst = 0.0
        ends = time.monotonic() + 8
        while time.monotonic() < ends:
            began = time.monotonic()
            counting.feed.send([line(1)])
            counting.statistics.answer()
            worst = max(worst, time.monotonic() - began)
            time.sleep(0.02)
        assert worst < 1
        assert counting.keys.state == "away"
        node.thaw()
        wait_for("it writes again", lambda: counting.keys.state == "writing", seconds=HANGS_S)
        node.freeze()
        began = time.monotonic()
    assert time.monotonic() - began < 10, "the end waits for an answer that does not come"
    node.thaw()
    assert journal.messages("warning")[0] == "the live statistics are not written to Redis"


def test_a_wrong_password_is_named_once_and_never_shown(node: RedisNode, journal: Log) -> None:
    wrong = "not/it @all"
    counting = Counting(node.url(wrong))
    assert [counting.turn(1) for _ in range(3)] == ["away"] * 3
    (entry,) = journal.lines
    assert (entry["level"], entry["server"]) == ("warning", f"127.0.0.1:{node.port}")
    assert "WRONGPASS" in entry["error"] or "invalid username-password" in entry["error"]
    assert not any(text in json.dumps(entry) for text in (wrong, "not%2Fit", USER + ":"))
    node.admin().acl_setuser(USER, enabled=True, passwords=[f"+{wrong}"])
    assert counting.turn() == "writing"


def test_what_redis_refuses_is_said_without_values_of_lines(node: RedisNode, journal: Log) -> None:
    counting = Counting(node.url())
    counting.feed.send([])
    counting.turn()
    node.admin().acl_setuser(USER, commands=["-zadd"], enabled=True)
    counting.feed.send([line(1, "/confidential")])
    assert counting.turn(1) == "away"
    error = journal.lines[-1]["error"]
    assert "zadd" in error.lower()
    assert "confidential" not in error


def test_the_rights_that_the_manual_names_are_enough() -> None:
    assert f"ACL SETUSER obsctl on >PASSWORD {RIGHTS}" in PAGE.read_text()


def test_tls_is_verified(tmp_path: Path, journal: Log) -> None:
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    node = RedisNode(tmp_path, ours.issue("redis"))
    node.start()
    try:
        assert Counting(node.url(), ca_file=str(ours.ca_file)).turn() == "writing"
        assert Counting(node.url(), ca_file=str(other.ca_file)).turn() == "away"
        assert "certificate" in journal.lines[-1]["error"].lower()
    finally:
        node.kill()


# -- whole consoles ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(kafka: KafkaNode, mariadb: MariaDB) -> Iterator[MariaDB]:
    kafka.create_topic(ACCESS, 3)
    kafka.create_topic(ERROR, 1)
    make_database(mariadb)
    yield mariadb
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


def sections(kafka: KafkaNode, folder: Path, url: str) -> dict[str, Any]:
    secret = folder / "redis-url"
    secret.write_text(f"{url}\n")
    topics = {"access": ACCESS, "error": ERROR, "state": "s", "silences": "q", "history": "h"}
    return {"kafka": {"bootstrap": [kafka.bootstrap], "topics": topics}, "redis": {"url": f"file:{secret}"}}


def health(page: Console) -> dict[str, str]:
    answer = requests.get(f"{page.url}/v1/health", timeout=10)
    assert answer.status_code == 200
    return dict(answer.json())


def write(kafka: KafkaNode, count: int) -> None:
    producer = kafka.producer()
    for number in range(count):
        producer.produce(ACCESS, record(json_line(number, uri=f"/{number % 3}", status=200), number))
    assert producer.flush(30) == 0


def test_two_consoles_one_redis_and_nobody_who_looks(
    kafka: KafkaNode, database: MariaDB, node: RedisNode, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    admin = node.admin()
    with (
        console(database, folders[0], **sections(kafka, tmp_path, node.url())) as one,
        console(database, folders[1], **sections(kafka, tmp_path, node.url())) as two,
    ):
        wait_for(
            "one of them writes", lambda: sorted([health(one)["redis"], health(two)["redis"]]) == ["standby", "writing"]
        )
        write(kafka, 300)
        wait_for("the lines", lambda: present(admin).get("requests") == "300")
        assert ranked(admin, "obsctl:live:top:uri") == {"/0": 100, "/1": 100, "/2": 100}
        # The page of either has the same; it counts already when somebody looks.
        for page in (one, two):
            with events(page.logged_in(), f"{page.url}/v1/live") as seen:
                assert seen.wait("numbers")["requests"] == 300
        # Redis goes, and all else stays.
        node.send(signal.SIGSTOP)
        wait_for("both miss it", lambda: (health(one)["redis"], health(two)["redis"]) == ("away", "away"))
        write(kafka, 30)
        with events(one.logged_in(), f"{one.url}/v1/live") as seen:
            wait_for("the page goes on", lambda: seen.all("numbers") and seen.all("numbers")[-1]["requests"] == 330)
        assert health(one) == {"status": "ok", "redis": "away"}
        node.send(signal.SIGCONT)
        wait_for("they are back", lambda: present(admin).get("requests") == "330")
    for folder in folders:
        text = (folder / "console.log").read_text()
        assert PASSWORD not in text
        assert f"127.0.0.1:{node.port}" in text


def test_a_url_that_is_none_is_named_before_the_console_starts(
    kafka: KafkaNode, database: MariaDB, tmp_path: Path
) -> None:
    path = write_config(tmp_path, database, 1, **sections(kafka, tmp_path, "http://:hidden@cache"))
    command = [sys.executable, "-m", "obsctl.console.service", "--check", "--config", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 78
    assert "does not begin with redis:// or rediss://" in done.stderr
    assert "hidden" not in done.stdout + done.stderr
