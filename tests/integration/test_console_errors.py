"""Errors by fingerprint over a real database: each line is counted once, whenever it arrives, and none that is gone."""

from __future__ import annotations

import datetime
import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from obsctl.console.database import Pool
from obsctl.console.errors import upkeep
from obsctl.console.errors.fingerprint import fingerprint
from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.query import values
from obsctl.query.fields import ACCESS, ERROR
from obsctl.store.settings import Database
from rig.console import DATABASE, PASSWORD, USER, Console, console, make_database, store_lines
from rig.database import MariaDB
from rig.waiting import wait_for

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
Ago = datetime.timedelta


class Store:
    """The tables, as the consumer fills them and the retention empties them, and a recount of what they hold."""

    def __init__(self, server: MariaDB, folder: Path) -> None:
        self.server = server
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
        self.pool = Pool(
            Database(host="127.0.0.1", port=server.port, name=DATABASE, user=USER, password=f"file:{secret}")
        )
        self._number = 0

    def _identity(self) -> bytes:
        """Return one that has nothing to do with the time."""
        self._number += 1
        return hashlib.blake2b(str(self._number).encode(), digest_size=16).digest()

    def access(self, at: datetime.datetime, uri: str, status: int = 502, host: str = "node1") -> AccessLine:
        return AccessLine(
            values.stored(at), "192.0.2.1", status, 10, method="GET", uri=uri, log_format="json", host=host,
            line_id=self._identity(),
        )  # fmt: skip

    def error(self, at: datetime.datetime, message: str, level: str = "error", host: str = "node1") -> ErrorLine:
        return ErrorLine(
            values.stored(at), level, 1, 1, message, log_format="error", host=host,
            line_id=self._identity(),
        )  # fmt: skip

    def add(self, *lines: AccessLine | ErrorLine) -> None:
        """Store lines in one transaction, with their roll-ups."""
        store_lines(
            self.server,
            [line for line in lines if isinstance(line, AccessLine)],
            [line for line in lines if isinstance(line, ErrorLine)],
        )

    def run(self, now: datetime.datetime = NOW) -> int | None:
        return upkeep.run(self.pool, now)

    def counted(self) -> dict[tuple[str, str, str], int]:
        """What the console has counted, by kind, text and host."""
        with self.server.root(DATABASE) as cursor:
            cursor.execute(
                "SELECT kind, masked, host, SUM(line_count) FROM console_error"
                " JOIN console_error_minute USING (error_id) GROUP BY kind, masked, host"
            )
            return {(kind, masked, host): int(number) for kind, masked, host, number in cursor.fetchall()}

    def recount(self) -> dict[tuple[str, str, str], int]:
        """The same from all lines at once."""
        found: Counter[tuple[str, str, str]] = Counter()
        with self.server.root(DATABASE) as cursor:
            cursor.execute(
                "SELECT CONCAT(status, ' ', method), SUBSTRING_INDEX(uri, '?', 1), host FROM access_log"
                " WHERE status >= 500"
            )
            for kind, text, host in cursor.fetchall():
                found[kind, fingerprint("access_log", kind, text).masked, host] += 1
            cursor.execute("SELECT level, message, host FROM error_log WHERE level NOT IN ('debug', 'info', 'notice')")
            for kind, text, host in cursor.fetchall():
                found[kind, fingerprint("error_log", kind, text).masked, host] += 1
        return dict(found)


@pytest.fixture
def store(mariadb: MariaDB, tmp_path: Path) -> Iterator[Store]:
    make_database(mariadb)
    yield Store(mariadb, tmp_path)
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


def _until_nothing_changes(store: Store) -> None:
    for _ in range(50):
        if store.run() == 0 and store.counted() == store.recount():
            return
    assert store.counted() == store.recount()


def test_lines_are_counted_once_however_late_they_come(store: Store) -> None:
    chance = random.Random(15)  # noqa: S311 - the same lines in each run
    ages = [0, 1, 59, 60, 61, 3599, 3600, 3601, 7200, 86_400, 86_401, 29 * 86_400]
    for _ in range(6):
        lines: list[AccessLine | ErrorLine] = []
        for _ in range(200):
            at = NOW - Ago(seconds=chance.choice(ages) + chance.randrange(90), milliseconds=chance.randrange(1000))
            host = chance.choice(["node1", "node2"])
            lines += [
                store.access(at, f"/item/{chance.randrange(50)}?a=1", chance.choice([200, 404, 500, 502, 599]), host),
                store.error(
                    at,
                    f"upstream {chance.randrange(99)} {chance.choice(['refused', 'timed out'])}",
                    chance.choice(["notice", "warn", "error", "crit"]),
                    host,
                ),
            ]
        store.add(*lines)
        store.run()
        store.run()
    _until_nothing_changes(store)
    assert len(store.counted()) > 10


def test_lines_that_are_stored_during_a_run_are_found_by_the_next(store: Store) -> None:
    ended = threading.Event()

    def write() -> None:
        for number in range(60):
            at = NOW - Ago(seconds=number % 40)
            store.add(store.access(at, f"/a/{number}"), store.error(at, f"refused {number}"))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set():
        store.run()
    writer.join()
    _until_nothing_changes(store)
    assert sum(store.counted().values()) == 120


def test_of_two_consoles_one_counts(store: Store) -> None:
    store.add(store.access(NOW, "/a"))
    with store.server.root(DATABASE) as cursor:
        cursor.execute("SELECT GET_LOCK(CONCAT(DATABASE(), '.console_errors'), 0)")
        assert store.run() is None
        cursor.execute("SELECT RELEASE_LOCK(CONCAT(DATABASE(), '.console_errors'))")
    assert store.run() == 1
    assert store.run() == 0, "nothing is counted again that has not changed"


def test_what_the_retention_drops_disappears_and_a_group_with_its_last_line(store: Store) -> None:
    old = NOW - Ago(days=20)
    store.add(
        store.error(old, "refused 1"),
        store.error(NOW, "refused 2"),
        store.error(old, "gone 3"),
        store.access(old, "/a"),
    )
    _until_nothing_changes(store)
    with store.server.root(DATABASE) as cursor:
        for table, column in (("error_log", "ts"), ("access_log", "ts"), ("rollup_minute", "minute")):
            cursor.execute(f"DELETE FROM {table} WHERE {column} < %s", (values.stored(NOW - Ago(days=10)),))
    _until_nothing_changes(store)
    with store.server.root(DATABASE) as cursor:
        cursor.execute("SELECT masked, first_at FROM console_error")
        assert cursor.fetchall() == (("refused *", old.replace(tzinfo=None)),), "since when it is known stays"


def test_many_groups_are_bounded_and_nothing_is_left_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "MOST_A_MINUTE", 3)
    monkeypatch.setattr(upkeep, "MOST", 5)
    begin = NOW.replace(second=0) - Ago(hours=1)
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]
    first = [store.error(begin, word) for place, word in enumerate(words) for _ in range(place + 1)]
    store.add(*first)
    store.run()
    assert store.counted() == {
        ("error", "eta", "node1"): 7, ("error", "zeta", "node1"): 6, ("error", "epsilon", "node1"): 5,
        ("", "*", "node1"): 10,
    }  # fmt: skip
    store.add(*(store.error(begin + Ago(minutes=1), word) for word in ["eta", "theta", "iota"]))
    store.run()
    assert store.counted()["error", "eta", "node1"] == 8
    assert len(store.counted()) == 5, "theta or iota found no room any more"
    assert sum(store.counted().values()) == 31


def test_a_minute_of_more_lines_than_a_page_is_read_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_PAGE", 7)
    logs = tuple(log._replace(lines=log.lines.replace("LIMIT 5000", "LIMIT 7")) for log in upkeep.LOGS)
    monkeypatch.setattr(upkeep, "LOGS", logs)
    at = NOW.replace(second=5) - Ago(hours=1)
    store.add(*(store.access(at + Ago(milliseconds=number // 10), f"/{number}") for number in range(70)))
    store.run()
    assert store.counted() == {("502 GET", "/*", "node1"): 70}


def test_a_run_that_has_no_time_goes_on_with_the_next(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(*(store.access(NOW - Ago(minutes=7 * number), f"/{number}") for number in range(100)))
    monkeypatch.setattr(upkeep, "_LOG_S", 0.0)
    assert store.run() == 0
    monkeypatch.setattr(upkeep, "_LOG_S", 0.05)
    runs = 0
    while store.counted() != store.recount():
        store.run()
        runs += 1
        assert runs < 200


@pytest.mark.parametrize("place", range(2))
def test_a_minute_is_a_range_of_the_primary_key_and_needs_no_sorting(store: Store, place: int) -> None:
    store.add(*(store.access(NOW - Ago(seconds=10 * number), f"/{number}", 200) for number in range(3000)))
    store.add(*(store.error(NOW - Ago(seconds=10 * number), f"a {number}") for number in range(3000)))
    minute = NOW.replace(second=0, tzinfo=None) - Ago(hours=1)
    with store.server.root(DATABASE) as cursor:
        cursor.execute("ANALYZE TABLE access_log, error_log")
        cursor.execute(f"EXPLAIN {upkeep.LOGS[place].lines}", (minute, minute + Ago(minutes=1), minute, b""))
        names = [column[0] for column in cursor.description]
        (plan,) = (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
        assert (plan["type"], plan["key"]) == ("range", "PRIMARY")
        assert int(plan["rows"]) < 100
        assert "filesort" not in (plan["Extra"] or "")
        cursor.execute(f"EXPLAIN {upkeep.LOGS[place].newest}", (minute,))
        assert "filesort" not in str(cursor.fetchall())


def _rounds(store: Store) -> int:
    with store.server.root(DATABASE) as cursor:
        cursor.execute("SELECT COUNT(*) FROM console_error_round WHERE rounds > 0")
        return int(cursor.fetchone()[0])


@pytest.fixture
def page(store: Store, tmp_path: Path) -> Iterator[Console]:
    store.add(
        *(store.access(NOW - Ago(hours=1, seconds=number), f"/item/{number}?q=<b>") for number in range(5)),
        *(store.access(NOW - Ago(hours=1), "/item/7", 503, "node2") for _ in range(2)),
        store.error(
            NOW - Ago(hours=2), 'open() "/srv/<script>" failed (2: No such file or directory)', "crit", "node2"
        ),
        store.error(NOW - Ago(days=3), "connect() failed (111: Connection refused) while connecting to upstream"),
        store.error(NOW - Ago(minutes=3), "connect() failed (61: Connection refused) while connecting to upstream"),
        store.access(NOW, "/fine", 200),
    )
    with console(store.server, tmp_path) as running:
        wait_for("the errors are counted", lambda: _rounds(store) == 2, seconds=30)
        yield running


def _get(page: Console) -> Callable[..., Any]:
    browser = page.logged_in()
    return lambda path, **parameters: browser.get(f"{page.url}/v1/{path}", params=parameters, timeout=30)


def test_the_console_counts_by_itself_and_lists_the_groups(page: Console) -> None:
    get = _get(page)
    answer = get("errors")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["more"] is False
    assert [(one["kind"], one["text"], one["lines"], one["new"]) for one in found["errors"]] == [
        ("502 GET", "/item/*", 5, True),
        ("503 GET", "/item/*", 2, True),
        *sorted(
            [
                ("crit", 'open() "*" failed (*: No such file or directory)', 1, True),
                ("error", "connect() failed (*: Connection refused) while connecting to upstream", 1, False),
            ],
            key=lambda group: fingerprint("error_log", group[0], group[1]).error_id,
        ),
    ]
    assert found["errors"][1]["hosts"] == [{"host": "node2", "lines": 2}]
    week = get("errors", since="7d", log="error", order="recent").json()["errors"]
    assert [(one["kind"], one["lines"]) for one in week] == [("error", 2), ("crit", 1)]
    assert week[0]["first_at"] == f"{NOW - Ago(days=3):%Y-%m-%dT%H:%M:%S}.000Z"
    assert [one["kind"] for one in get("errors", since="7d", order="new").json()["errors"]][-1] == "error"
    assert [one["kind"] for one in get("errors", host="node2", order="frequent").json()["errors"]] == [
        "503 GET",
        "crit",
    ]
    first = get("errors", limit=1).json()
    assert (len(first["errors"]), first["more"]) == (1, True)
    assert get("errors", host="' OR 1=1 -- ").json() == {"errors": [], "more": False}


def test_a_group_leads_to_its_lines_and_shows_its_newest(page: Console) -> None:
    get = _get(page)
    for one in get("errors").json()["errors"]:
        table = ACCESS if one["log"] == "access" else ERROR
        found = get("search", log=one["log"], filter=one["filter"], since="24h").text
        assert found.count('"ts":') == one["lines"], one
        line = get(f"errors/{one['id']}/example").json()
        assert set(line) == set(table.fields)
        assert line["ts"] == one["last_at"]
    gone = get(f"errors/{'0' * 32}/example")
    assert (gone.status_code, gone.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("errors", {"order": "number; DROP TABLE console_error"}),
        ("errors", {"log": "quarantine"}),
        ("errors", {"limit": "501"}),
        ("errors", {"since": "yesterday"}),
        ("errors", {"offset": "1"}),
        ("errors/zz/example", {}),
    ],
)
def test_what_cannot_be_asked_is_refused(page: Console, path: str, parameters: dict[str, str]) -> None:
    assert _get(page)(path, **parameters).status_code == 422


def test_the_account_cannot_change_a_line(store: Store) -> None:
    with store.pool.own(5) as connection, connection.cursor() as cursor:
        for table in ("access_log", "error_log", "rollup_minute"):
            with pytest.raises(pymysql.MySQLError, match="denied"):
                cursor.execute(f"DELETE FROM {table}")
