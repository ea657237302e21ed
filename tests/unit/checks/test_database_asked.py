"""What the checks make of a database server's refusal: the server's words, and what can be done about this error."""

from __future__ import annotations

import pymysql
import pytest

from obsctl.checks.ask import database
from obsctl.checks.health.judge import judge_database
from obsctl.fleet.model import Database, Fleet

FLEET = Fleet(
    database=Database(host="127.0.0.1", port=3306, reader_password="env:READER_PASSWORD"), inventory="our hosts"
)


def hint(monkeypatch: pytest.MonkeyPatch, error: Exception) -> str:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setenv("READER_PASSWORD", "a-word-of-the-reader")
    monkeypatch.setattr(database.Deadline, "connect", refuse)
    (finding,) = judge_database(FLEET, database.probe(FLEET))
    assert finding.code == "HEALTH_DATABASE_DOWN"
    return finding.hint


@pytest.mark.parametrize(
    ("code", "named"),
    [(1045, "password"), (1130, "mysql_client_sources"), (1203, "PROCESSLIST"), (1862, "expired"), (1820, "expired")],
)
def test_a_server_that_refuses_runs(monkeypatch: pytest.MonkeyPatch, code: int, named: str) -> None:
    """So systemctl status, which is what helps with a server that does not answer, would lead nowhere."""
    said = hint(monkeypatch, pymysql.OperationalError(code, "refused"))
    assert named in said
    assert "systemctl" not in said
    assert "inventories/prod" not in said


@pytest.mark.parametrize("error", [pymysql.OperationalError(2003, "no route"), ConnectionRefusedError(111, "refused")])
def test_a_server_that_cannot_be_reached_is_looked_for(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    assert "systemctl status mysqld" in hint(monkeypatch, error)


@pytest.mark.parametrize(
    "error", [pymysql.InternalError("Packet sequence number wrong - got 80 expected 0"), IndexError("no more bytes")]
)
def test_another_program_on_the_port_is_no_server_that_is_down(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    said = hint(monkeypatch, error)
    assert "ss -ltnp sport = :3306" in said
    assert "systemctl" not in said
    assert "is not MySQL" in database.probe(FLEET).failure
