"""When rules would have fired for lines in a real database: by the engine, over the API and on the terminal."""

from __future__ import annotations

import datetime
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.messages.message import utc
from obsctl.alerter.replay.would_fire import Outcome, Question, altered, would_fire
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import Rule
from obsctl.cli.main import run
from obsctl.fleet.model import Database, Fleet
from obsctl.lines.formats.line import ABSENT, AccessLine, ErrorLine, Line
from obsctl.lines.line_reader import event_of
from obsctl.query import values
from rig.console import DATABASE, USER, Console, console, make_database, statements, store_lines
from rig.database import MariaDB
from rig.waiting import wait_for

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOUR = datetime.timedelta(hours=1)
DAY = 24 * HOUR
#: Two bursts of this client; another one stays below the threshold.
CLIENT, QUIET_CLIENT = "203.0.113.9", "203.0.113.10"
BURSTS = (NOW - 20 * HOUR, NOW - 3 * HOUR)

RULES: tuple[dict[str, Any], ...] = (
    {
        "name": "burst", "kind": "frequency", "filter": "status:404", "by": ["client_addr"], "threshold": 100,
        "window_s": 60, "resolve_after_s": 120,
    },
    {"name": "4xx", "kind": "status_4xx", "threshold": 80},
    {"name": "5xx", "kind": "status_5xx_share", "share": 0.2, "min_requests": 10},
    {"name": "rate", "kind": "requests_per_client", "threshold": 60},
    {"name": "ratio", "kind": "ratio", "by": ["host"], "hits": "status:>=400", "share": 0.7, "min_lines": 20},
    {"name": "slow", "kind": "percentile", "above": 1.2, "min_lines": 20, "window_s": 120},
    {"name": "targets", "kind": "cardinality", "by": ["client_addr"], "of": "uri", "threshold": 40, "window_s": 120},
    {"name": "spike", "kind": "spike", "filter": "NOT status:200", "factor": 3, "min_lines": 40, "baseline_s": 3600},
    {"name": "silent", "kind": "flatline", "by": ["host"], "window_s": 1200},
    {"name": "missing", "kind": "flatline", "by": ["host"], "expect": ["node1", "node2"], "window_s": 1800},
    {"name": "no-500", "kind": "flatline", "filter": "status:500", "window_s": 3600, "for_s": 60},
    {"name": "moved", "kind": "change", "by": ["host"], "of": "upstream_addr", "filter": "status:<500"},
    {"name": "new", "kind": "new_term", "by": ["vhost"], "learn_s": 3600, "forget_s": 7200},
    {"name": "severe", "kind": "match", "lines": "error", "filter": "level:>=crit", "by": ["host"]},
)  # fmt: skip
NUMBERS = {"name": "lag", "kind": "metric", "metric": "obsctl_alerter_lag_records", "above": 10}


def rule(name: str) -> Rule:
    (found,) = KINDS.read([one for one in RULES if one["name"] == name], "rules")
    return found


def _lines() -> tuple[list[AccessLine], list[ErrorLine]]:
    """Two days and some hours of lines, in the order of their times."""
    dice = random.Random(7)  # noqa: S311 - the same lines each time
    access: list[AccessLine] = []
    error: list[ErrorLine] = []
    begin = NOW - 52 * HOUR

    def at(moment: datetime.datetime, client: str, status: int, **fields: Any) -> None:
        seconds = ABSENT if dice.random() < 0.1 else round(dice.expovariate(2), 3)
        said = {
            "uri": f"/item/{dice.randrange(200)}", "host": f"node{dice.choice('12')}", "request_time": seconds,
            "vhost": f"shop{dice.randrange(3)}.example", "upstream_addr": "10.0.1.1:80", **fields,
        }  # fmt: skip
        access.append(AccessLine(values.stored(moment), client, status, 10, log_format="json", **said))

    for number in range(52 * 60):
        moment = begin + datetime.timedelta(minutes=number, milliseconds=dice.randrange(50_000))
        # Twice a day a host has nothing for an hour.
        host = {"host": "node2"} if number % 720 < 60 else {}
        for _ in range(dice.randrange(3)):
            at(
                moment + datetime.timedelta(milliseconds=dice.randrange(9000)),
                f"198.51.100.{dice.randrange(50)}",
                200,
                **host,
            )
    for burst in (NOW - 51 * HOUR, NOW - 30 * HOUR, *BURSTS):
        for number in range(150):
            at(burst + datetime.timedelta(milliseconds=200 * number), CLIENT, 404)
    for number in range(60):
        at(NOW - 10 * HOUR + datetime.timedelta(milliseconds=100 * number), QUIET_CLIENT, 404)
        at(
            NOW - 8 * HOUR + datetime.timedelta(seconds=number),
            "198.51.100.99",
            500,
            upstream_addr="10.0.1.1:80, 10.0.1.2:80",
        )
        at(
            NOW - 7 * HOUR + datetime.timedelta(seconds=number),
            "198.51.100.9",
            200,
            upstream_addr="10.0.1.7:80",
            vhost="new.example",
        )
    for hour in range(50):
        level = "crit" if hour % 7 == 0 else "warn"
        error.append(
            ErrorLine(
                values.stored(NOW - hour * HOUR - HOUR / 3), level, 1, 1, "refused", log_format="error", host="node1"
            )
        )
    for number, line in enumerate(sorted([*access, *error], key=lambda one: one.ts), 1):
        line.line_id = (number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).to_bytes(16, "big")
    return sorted(access, key=_place), sorted(error, key=_place)


def _place(line: Line) -> tuple[str, bytes]:
    return line.ts, line.line_id


ACCESS, ERROR = _lines()


def by_engine(asked: Rule, since: datetime.datetime, until: datetime.datetime) -> list[tuple[dict[str, str], str, str]]:
    """Return what the alerter's engine says of all lines, read in the second in which they were written.

    Returns:
        Labels, start and end of each condition that starts within the time, in the order of the starts; those that
        are on at the end have an empty end.
    """
    engine = Engine([asked], lateness_s=300, ahead_s=60)
    events = [
        event_of(line, line.line_id) for line in sorted([*ACCESS, *ERROR], key=_place) if line.ts < values.stored(until)
    ]
    found: dict[str, tuple[dict[str, str], str, str]] = {}
    place = 0
    for second in range(math.ceil(events[0].time), int(until.timestamp()) + 1):
        begin = place
        while place < len(events) and events[place].time <= second:
            place += 1
        changed = engine.feed(events[begin:place], second) if place > begin else []
        for one in changed + engine.tick(second - 5.0, second):
            alert = one.alert
            if alert.started >= since.timestamp():
                ended = utc(alert.last_true) if alert.ended else ""
                found[alert.incident] = (alert.labels, utc(alert.started), ended)
    return sorted(found.values(), key=_start)


def _start(one: tuple[dict[str, str], str, str]) -> Any:
    return one[1], sorted(one[0].items())


@pytest.fixture(scope="module")
def tables(mariadb: MariaDB) -> Iterator[MariaDB]:
    make_database(mariadb)
    store_lines(mariadb, ACCESS, ERROR)
    with mariadb.root(DATABASE) as cursor:
        # As if each line had been stored when it was written.
        for table in ("access_log", "error_log"):
            cursor.execute(f"UPDATE {table} SET stored_at = ts")
        cursor.execute("COMMIT")
    yield mariadb
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


def evaluated(
    cursor: Any, asked: Rule, since: datetime.datetime = NOW - DAY, until: datetime.datetime = NOW, seconds: float = 600
) -> Outcome:
    steps = would_fire(cursor, Question(asked, since, until, seconds))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


@pytest.mark.parametrize("name", [one["name"] for one in RULES])
def test_starts_and_ends_are_those_of_the_engine_that_reads_the_lines_as_they_are_written(
    tables: MariaDB, name: str
) -> None:
    with tables.root(DATABASE) as cursor:
        found = evaluated(cursor, rule(name))
    expected = by_engine(rule(name), NOW - DAY, NOW)
    assert expected, "a rule that never fires proves nothing"
    since = utc(math.ceil((NOW - DAY).timestamp()))
    conditions = [(one.labels, one.started, one.ended or "") for one in found.conditions if one.started >= since]
    assert sorted(conditions, key=_start) == expected
    assert found.fires == len(expected)
    assert found.whole
    assert (found.begin, found.end) == (utc((NOW - DAY).timestamp()), utc(NOW.timestamp()))


def test_a_burst_that_comes_twice_a_day_fires_twice_and_says_when_for_whom_and_how_much(tables: MariaDB) -> None:
    with tables.root(DATABASE) as cursor:
        found = evaluated(cursor, rule("burst"))
    assert (found.fires, found.messages, found.late, found.ahead) == (2, 4, 0, 0)
    assert [one.labels for one in found.conditions] == [{"client_addr": CLIENT}] * 2
    assert [one.peak for one in found.conditions] == ["150 lines", "150 lines"]
    for one, burst in zip(found.conditions, BURSTS, strict=True):
        # The 100th line, and the last window that holds 100 of them.
        assert one.started == utc(burst.timestamp() + 19)
        assert one.ended == utc(burst.timestamp() + 69)


@pytest.mark.parametrize(
    ("limit", "window_s", "fires"), [(50.0, None, 3), (151.0, None, 0), (100.0, 19, 0), (100.0, 20, 2)]
)
def test_with_another_limit_or_window_it_would_have_fired_more_or_less(
    tables: MariaDB, limit: float, window_s: int | None, fires: int
) -> None:
    with tables.root(DATABASE) as cursor:
        found = evaluated(cursor, altered(rule("burst"), limit=limit, window_s=window_s))
    assert found.fires == fires
    assert found.options == {"threshold": int(limit), "window_s": window_s or 60}


def test_what_was_on_at_the_beginning_is_listed_and_not_counted(tables: MariaDB) -> None:
    begin = BURSTS[1] + datetime.timedelta(seconds=30)
    with tables.root(DATABASE) as cursor:
        found = evaluated(cursor, rule("burst"), begin)
        (one,) = found.conditions
        assert (found.fires, one.started) == (0, utc(BURSTS[1].timestamp() + 19))
        still = evaluated(cursor, rule("burst"), BURSTS[1] - HOUR, begin)
    assert (still.fires, still.conditions[0].ended, still.conditions[0].still_on) == (1, None, True)


def test_a_line_of_a_wrong_clock_is_left_out_and_one_that_came_late_is_named(tables: MariaDB) -> None:
    (asked,) = KINDS.read([{"name": "x", "kind": "match", "filter": "uri:\\/odd*", "by": ["uri"]}], "rules")
    with tables.root(DATABASE) as cursor:
        for number, (uri, delay_s) in enumerate((("/odd/late", 300), ("/odd/ahead", -61), ("/odd/right", 2))):
            cursor.execute(
                "INSERT INTO access_log (ts, line_id, source_id, kafka_offset, log_format, host, client_addr, uri,"
                " status, bytes, referer, user_agent, x_forwarded_for, stored_at) VALUES"
                " (%s, %s, 1, %s, 'json', 'node1', '10.0.0.1', %s, 200, 0, '', '', '', %s + INTERVAL %s SECOND)",
                ((at := values.stored(NOW - 2 * HOUR)), bytes([255, number] * 8), number, uri, at, delay_s),
            )
        try:
            found = evaluated(cursor, asked)
        finally:
            cursor.execute("DELETE FROM access_log WHERE uri LIKE '/odd/%'")
            cursor.execute("COMMIT")
    assert [one.labels["uri"] for one in found.conditions] == ["/odd/late", "/odd/right"]
    assert (found.late, found.ahead) == (1, 1)


class Slow:
    """A cursor whose reading of lines takes longer than it does.

    Args:
        cursor: the real one.
        pause_s: before each reading, seconds.
        stuck: number of the reading that the server does not finish; 0 for none.
    """

    def __init__(self, cursor: Any, *, pause_s: float = 0.0, stuck: int = 0) -> None:
        self._cursor, self._pause_s, self._stuck, self._reads = cursor, pause_s, stuck, 0

    def execute(self, text: str, parameters: Sequence[Any] = ()) -> None:
        if text.startswith("SELECT CAST"):
            self._reads += 1
            time.sleep(self._pause_s)
            if self._reads == self._stuck:
                text = text.replace(" WHERE ", " WHERE SLEEP(1) = 0 AND ")
        self._cursor.execute(text, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def test_a_deadline_says_from_when_to_when_it_was_evaluated(tables: MariaDB) -> None:
    since = BURSTS[1] - datetime.timedelta(minutes=1)
    with tables.root(DATABASE) as cursor:
        # Each stretch takes so long that none is longer than a minute.
        found = evaluated(Slow(cursor, pause_s=0.3), rule("rate"), since, seconds=4)
    assert not found.whole
    assert found.begin == utc(since.timestamp())
    assert found.end is not None
    end = datetime.datetime.fromisoformat(found.end)
    assert since < end < NOW
    # The rule remembers a minute, and an alert ends half a minute later.
    begin = values.stored(since - datetime.timedelta(seconds=90))
    least, most = (
        sum(begin <= line.ts < values.stored(end + datetime.timedelta(seconds=more)) for line in ACCESS)
        for more in (0, 1)
    )
    assert least <= found.lines <= most
    expected = by_engine(rule("rate"), since, end)
    assert [one.started for one in found.conditions] == [start for _, start, _ in expected]


def test_a_deadline_before_the_asked_time_says_that_nothing_was_evaluated(tables: MariaDB) -> None:
    with tables.root(DATABASE) as cursor:
        found = evaluated(Slow(cursor, pause_s=0.4), rule("silent"), seconds=2)
    assert (found.begin, found.end, found.fires, found.conditions, found.whole) == (None, None, 0, [], False)


def test_the_server_ends_a_statement_that_takes_too_long(tables: MariaDB) -> None:
    with tables.root(DATABASE) as cursor:
        began = time.monotonic()
        found = evaluated(Slow(cursor, stuck=5), rule("rate"), seconds=3)
        assert time.monotonic() - began < 20
        assert not found.whole
        assert 0 < found.lines < len(ACCESS)
        cursor.execute("SELECT 1")


def test_a_rule_that_fires_too_often_is_not_evaluated_to_the_end(
    tables: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obsctl.alerter.replay.would_fire.MOST_STARTED", 20)
    with tables.root(DATABASE) as cursor:
        found = evaluated(cursor, altered(rule("rate"), limit=1, window_s=None))
    assert (found.whole, found.too_many) == (False, True)
    assert found.fires > 20
    assert found.end is not None
    assert found.end < utc(NOW.timestamp())


@pytest.mark.parametrize("since", [datetime.datetime.min.replace(tzinfo=datetime.UTC), NOW - 20_000 * DAY])
def test_a_time_before_all_logs_begins_with_the_first_line(tables: MariaDB, since: datetime.datetime) -> None:
    with tables.root(DATABASE) as cursor:
        found = evaluated(cursor, rule("severe"), since, NOW - 45 * HOUR)
    assert found.begin == utc(datetime.datetime.fromisoformat(f"{ERROR[0].ts}+00:00").timestamp())
    assert found.whole


def test_more_lines_than_one_statement_returns_are_read_in_pieces(
    tables: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tables.root(DATABASE) as cursor:
        whole = evaluated(cursor, rule("rate"))
        monkeypatch.setattr("obsctl.alerter.replay.from_store._ROWS", 7)
        assert evaluated(cursor, rule("rate")) == whole


def test_a_log_that_begins_later_is_evaluated_from_its_first_line(tables: MariaDB) -> None:
    first = datetime.datetime.fromisoformat(f"{ACCESS[0].ts}+00:00")
    silent = msgspec.structs.replace(rule("missing"), expect=("node1", "node9"))
    with tables.root(DATABASE) as cursor:
        found = evaluated(cursor, silent, first - 5 * DAY, first + 5 * HOUR)
        nothing = evaluated(cursor, silent, first - 5 * DAY, first - 4 * DAY)
    assert (found.begin, found.whole) == (utc(first.timestamp()), True)
    # A host that was never there is silent from the beginning of the log on, and not since five days.
    (started,) = (one.started for one in found.conditions if one.labels == {"host": "node9"})
    assert utc(first.timestamp() + 1790) < started < utc(first.timestamp() + 1810)
    assert (nothing.begin, nothing.fires, nothing.whole) == (None, 0, True)


# -- the console ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tables: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("console")
    document = folder / "fleet.json"
    document.write_bytes(msgspec.json.encode(Fleet(alert_rules=(*RULES, NUMBERS))))
    with console(tables, folder, fleet={"document": str(document)}) as running:
        yield running


def asked(browser: requests.Session, page: Console, name: str = "burst", **parameters: Any) -> Any:
    return browser.get(f"{page.url}/v1/rules/{name}/would-fire", params=parameters, timeout=(5, 90), stream=True)


def test_the_page_gets_the_progress_and_the_same_result(page: Console, tables: MariaDB) -> None:
    until = NOW.isoformat()
    answer = asked(page.logged_in(), page, since=(NOW - DAY).isoformat(), until=until, threshold=50)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    *parts, end = map(json.loads, answer.text.splitlines())
    assert {part["kind"] for part in parts} <= {"progress"}
    with tables.root(DATABASE) as cursor:
        same = msgspec.to_builtins(evaluated(cursor, altered(rule("burst"), limit=50, window_s=None)))
    assert end == {"kind": "end", **same, "history": None, "trouble": end["trouble"]}
    assert end["fires"] == 3
    assert "no section kafka" in end["trouble"]


def test_rules_are_listed_with_what_can_be_changed_and_why_some_cannot_be_evaluated(page: Console) -> None:
    found = {one["name"]: one for one in page.logged_in().get(f"{page.url}/v1/rules", timeout=10).json()["rules"]}
    assert (found["burst"]["limit"], found["burst"]["options"]) == ("threshold", {"threshold": 100, "window_s": 60})
    assert found["burst"]["why_not_evaluated"] == ""
    assert "pipeline's own numbers" in found["lag"]["why_not_evaluated"]


@pytest.mark.parametrize(
    ("name", "parameters", "expected", "says"),
    [
        ("nothing", {}, (404, "not-found"), "no such rule"),
        ("lag", {}, (422, "invalid-parameter"), "the pipeline's own numbers, which are in no line"),
        ("severe", {"threshold": 5}, (422, "invalid-parameter"), "compares with no number"),
        ("burst", {"threshold": 0}, (422, "invalid-parameter"), "threshold"),
        ("burst", {"window_s": 4000}, (422, "invalid-parameter"), "window_s"),
        ("burst", {"seconds": 31}, (422, "invalid-parameter"), "seconds"),
        ("burst", {"since": "soon"}, (422, "invalid-parameter"), "since"),
        ("burst", {"since": "1h", "until": "2h"}, (422, "invalid-parameter"), "since is not before until"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(
    page: Console, name: str, parameters: dict[str, Any], expected: tuple[int, str], says: str
) -> None:
    refused = asked(page.logged_in(), page, name, **parameters)
    assert (refused.status_code, refused.json()["code"]) == expected
    assert says in refused.json()["detail"]


def test_who_sees_the_lines_of_projects_alone_is_refused(page: Console) -> None:
    with page.rows() as cursor:
        cursor.execute("INSERT INTO console_project (name, access_filter, error_filter) VALUES ('shop', '*', '*')")
        cursor.execute(
            "INSERT INTO console_member (user_id, project_id) SELECT user_id, project_id FROM console_user,"
            " console_project WHERE console_user.name = 'vera' AND console_project.name = 'shop'"
        )
        cursor.execute("COMMIT")
    try:
        refused = asked(page.logged_in("vera"), page)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    finally:
        with page.rows() as cursor:
            cursor.execute("DELETE FROM console_member")
            cursor.execute("DELETE FROM console_project")
            cursor.execute("COMMIT")
    assert requests.get(f"{page.url}/v1/rules/burst/would-fire", timeout=10).status_code == 401


def test_who_leaves_ends_the_statement_and_each_person_has_one_at_a_time(page: Console) -> None:
    browsers = [page.logged_in(name) for name in ("vera", "olga", "ada")]

    def running() -> int:
        return statements(page.server, "SELECT CAST(%")

    with page.rows() as cursor:
        # What an evaluation reads waits for this lock.
        cursor.execute("LOCK TABLES access_log WRITE")
        answers = [asked(browser, page) for browser in browsers[:2]]
        wait_for("both wait", lambda: running() == 2, seconds=10)
        for browser, says in ((browsers[0], "your evaluation of a rule is still running"), (browsers[2], "2 people")):
            refused = asked(browser, page)
            assert (refused.status_code, refused.json()["code"]) == (429, "busy")
            assert says in refused.json()["detail"]
        for answer in answers:
            answer.close()
        wait_for("their statements end", lambda: running() == 0, seconds=15)
        cursor.execute("UNLOCK TABLES")

    def free() -> bool:
        with asked(browsers[0], page, since="1m") as answer:
            return bool(answer.status_code == 200)

    wait_for("the place is free", free, seconds=10)


# -- the terminal --------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tables: MariaDB, page: Console, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    del page  # its account reads here
    (tmp_path / "password").write_text("console-account-password\n")
    inventory = tmp_path / "fleet.json"
    database = Database(
        host="127.0.0.1", port=tables.port, name=DATABASE, reader_user=USER, reader_password=f"file:{tmp_path}/password"
    )
    inventory.write_bytes(msgspec.json.encode(Fleet(database=database, alert_rules=(*RULES, NUMBERS))))

    def would_fire_of(*words: str, code: int = 0) -> tuple[Any, str]:
        capsys.readouterr()
        got = run(["-i", str(inventory), "alert", "would-fire", *words])
        out, err = capsys.readouterr()
        assert got == code, f"{words}: {got}: {err}"
        return out, err

    return would_fire_of


def test_the_command_says_the_same(command: Callable[..., Any], tables: MariaDB) -> None:
    times = ("--since", (NOW - DAY).isoformat(), "--until", NOW.isoformat())
    out, err = command("burst", *times, "--threshold", "50", "--window", "60s", "-o", "json")
    data = json.loads(out)["data"]
    with tables.root(DATABASE) as cursor:
        same = msgspec.to_builtins(evaluated(cursor, altered(rule("burst"), limit=50, window_s=60)))
    assert data["conditions"] == same.pop("conditions")
    assert data["result"] == {**same, "recorded": None}
    assert "when it really fired is not known: the inventory has no Kafka broker" in err
    table, _ = command("burst", *times)
    assert CLIENT in table
    assert "150 lines" in table


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("brust",), "did you mean burst"),
        (("lag",), "the pipeline's own numbers"),
        (("severe", "--threshold", "5"), "--threshold: severe"),
        (("burst", "--window", "2h"), "--window: burst"),
        (("burst", "--since", "1h", "--until", "2h"), "--since must be before --until"),
    ],
)
def test_the_command_refuses_what_cannot_be(command: Callable[..., Any], words: tuple[str, ...], says: str) -> None:
    _, err = command(*words, code=64)
    assert says in err
