"""The quarantine's page of the console over a real database: what it shows, and what it moves."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.console.privileges import REPLAY_PRIVILEGES
from obsctl.fleet.model import Fleet
from rig.console import DATABASE, Console, console, make_database
from rig.database import MariaDB, grant
from rig.records import json_line, record
from tests.integration.test_console_alerts import Browser, recorded

REPLAY_USER, REPLAY_PASSWORD = "obs_console_replay", "replay-account-password"
HOSTILE = b'<script>alert(1)</script>\x1b[31m\xff\xe2\x80\xae"'
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def tables(mariadb: MariaDB) -> Iterator[MariaDB]:
    make_database(mariadb)
    with mariadb.root() as cursor:
        grant(cursor, DATABASE, REPLAY_USER, REPLAY_PASSWORD, REPLAY_PRIVILEGES)
    with mariadb.root(DATABASE) as cursor:
        cursor.execute(
            "INSERT INTO log_source (source_id, cluster_id, topic, partition_id, topic_id, next_offset)"
            " VALUES (1, 'cluster', 'nginxlog', 0, 'id', 100), (2, 'cluster', 'nginxlog-error', 0, 'id', 100)"
        )
        values = [
            # What an earlier release could not read, and this one can.
            *((n, 1, "format", record(json_line(n), n * 400), 0) for n in range(30)),
            (30, 1, "parse", HOSTILE, 1), (31, 2, "refused_1366", b"x" * 10_000, 2), (32, 1, "parse", None, 3),
        ]  # fmt: skip
        for number, source, reason, value, hours in values:
            cursor.execute(
                "INSERT INTO quarantine (line_id, source_id, kafka_offset, log_format, host, reason, detail, value,"
                " value_bytes, revision, stored_at) VALUES (%s, %s, %s, 'json', 'node1', %s, 'because', %s, %s,"
                " '0000000000000000', UTC_TIMESTAMP(3) - INTERVAL %s HOUR)",
                (
                    number.to_bytes(16, "big"), source, number, reason, value,
                    None if value is None else len(value) + (5 if number == 31 else 0), hours,
                ),
            )  # fmt: skip
    yield mariadb
    with mariadb.root() as cursor:
        cursor.execute(f"DROP DATABASE {DATABASE}")


@pytest.fixture
def sections(tmp_path: Path) -> dict[str, Any]:
    document, secret = tmp_path / "fleet.json", tmp_path / "replay"
    document.write_bytes(msgspec.json.encode(Fleet()))
    secret.write_text(f"{REPLAY_PASSWORD}\n")
    secret.chmod(0o600)
    return {"fleet": {"document": str(document)}, "replay": {"user": REPLAY_USER, "password": f"file:{secret}"}}


def count(page: Console, table: str) -> int:
    with page.rows() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        return int(cursor.fetchone()[0])


@pytest.fixture
def page(tables: MariaDB, tmp_path: Path, sections: dict[str, Any]) -> Iterator[Console]:
    with console(tables, tmp_path, **sections) as running:
        yield running


def test_the_lines_are_shown_newest_first_page_after_page(page: Console) -> None:
    vera = Browser(page, "vera")
    first = vera.ask("GET", "/quarantine", params={"limit": "20"})
    second = vera.ask("GET", "/quarantine", params={"limit": "20", "before": first["next"]})
    assert second["next"] is None
    ids = [int(line["id"], 16) for line in [*first["lines"], *second["lines"]]]
    assert sorted(ids[:30]) == list(range(30))
    assert ids[30:] == [30, 31, 32]
    assert first["reasons"] == [
        {"reason": "format", "lines": 30}, {"reason": "parse", "lines": 2}, {"reason": "refused_1366", "lines": 1}
    ]  # fmt: skip
    assert first["topics"] == ["nginxlog", "nginxlog-error"]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({"reason": "parse"}, [30, 32]),
        ({"reason": "refused"}, [31]),
        ({"topic": "nginxlog-error"}, [31]),
        ({"reason": "parse", "since": "90m"}, [30]),
        ({"since": "24h", "until": "150m"}, [32]),
        ({"host": "node2"}, []),
    ],
)
def test_the_lines_are_filtered(page: Console, asked: dict[str, str], numbers: list[int]) -> None:
    found = Browser(page, "vera").ask("GET", "/quarantine", params=asked)["lines"]
    assert [int(line["id"], 16) for line in found] == numbers


def test_bytes_are_shown_as_text_and_as_far_as_a_page_can(page: Console) -> None:
    lines = Browser(page, "vera").ask("GET", "/quarantine", params={"since": "24h", "until": "30m"})["lines"]
    by_number = {int(line["id"], 16): line for line in lines}
    assert by_number[30]["value"] == '<script>alert(1)</script>\\x1b[31m\\xff\\u202e"'
    assert by_number[31]["value"] == "x" * 4096
    assert (by_number[31]["cut"], by_number[30]["cut"]) == (True, False)
    assert by_number[32]["value"] is None


def test_a_replay_is_tried_first_and_then_moves_each_line_once(page: Console) -> None:
    olga, vera = Browser(page, "olga"), Browser(page, "vera")
    one = {"lines": [(7).to_bytes(16, "big").hex()]}
    assert vera.ask("POST", "/quarantine/replay", 403, json=one)["code"] == "forbidden"
    tried = olga.ask("POST", "/quarantine/replay", json=one)
    assert (tried["dry_run"], tried["moved"], tried["allowed"]) == (True, 1, True)
    assert (count(page, "access_log"), count(page, "quarantine")) == (0, 33)
    assert olga.ask("POST", "/quarantine/replay", json={**one, "dry_run": False})["moved"] == 1
    assert (count(page, "access_log"), count(page, "quarantine")) == (1, 32)
    wanted = {"reason": "format", "since": "1h"}
    tried = olga.ask("POST", "/quarantine/replay", json={**wanted, "limit": 9})
    assert (tried["examined"], tried["moved"], tried["left"]) == (9, 9, 20)
    assert tried["command"].startswith("obsctl consumer replay --reason format --since 20")
    done = olga.ask("POST", "/quarantine/replay", json={**wanted, "dry_run": False})
    assert (done["examined"], done["moved"], done["known"], done["left"]) == (29, 29, 0, 0)
    assert (count(page, "access_log"), count(page, "quarantine")) == (30, 3)
    with page.rows() as cursor:
        cursor.execute("SELECT SUM(requests) FROM rollup_minute")
        assert cursor.fetchone()[0] == 30
    stays = olga.ask("POST", "/quarantine/replay", json={"reason": "parse", "dry_run": False})
    assert (stays["moved"], sum(stays["stays"].values())) == (0, 2)
    assert olga.ask("POST", "/quarantine/replay", json={"reason": "refused"})["cut"] == 1
    assert [entry[:2] for entry in recorded(page)] == [("olga", "quarantine.replay")] * 3


@pytest.mark.parametrize(
    "wanted", [{}, {"reason": "a' OR 1=1"}, {"lines": ["xyz"]}, {"reason": "parse", "lines": ["0" * 32]}, {"cats": 1}]
)
def test_what_names_no_lines_is_refused(page: Console, wanted: dict[str, Any]) -> None:
    assert Browser(page, "olga").ask("POST", "/quarantine/replay", 422, json=wanted)["code"] == "invalid-parameter"


def test_without_the_second_account_a_replay_is_a_command(
    tables: MariaDB, tmp_path: Path, sections: dict[str, Any]
) -> None:
    with console(tables, tmp_path, fleet=sections["fleet"]) as page:
        olga = Browser(page, "olga")
        wanted = {"reason": "format", "since": (NOW - datetime.timedelta(days=1)).isoformat()}
        tried = olga.ask("POST", "/quarantine/replay", json=wanted)
        assert (tried["moved"], tried["allowed"]) == (30, False)
        refused = olga.ask("POST", "/quarantine/replay", 403, json={**wanted, "dry_run": False})
        assert refused["hint"] == tried["command"]
        assert count(page, "quarantine") == 33
