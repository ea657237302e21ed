"""What a session makes of a server's errors, without a server."""

from __future__ import annotations

import re

import pymysql
import pytest

from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql import hints
from obsctl.store.mysql import session as module
from obsctl.store.mysql.session import ConflictError, Session, retry_conflicts
from obsctl.store.settings import Database

SETTINGS = Database(host="db1", port=3306, name="obs", user="u", password="env:NOT_READ")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session that need not connect."""
    monkeypatch.setattr(Session, "_open", lambda self: None)
    return Session(SETTINGS)


def failure(session: Session, code: int) -> StoreUnavailableError:
    def action() -> None:
        raise pymysql.OperationalError(code, "what the server says")

    with pytest.raises(StoreUnavailableError, match=f"database error {code}: what the server says") as caught:
        session.guard(action)
    return caught.value


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (1036, "read_only"),
        (1290, "read_only"),
        (1792, "read_only"),
        (1836, "read_only"),
        (1040, "max_connections"),
        (1045, "password"),
        (1114, "disk"),
        (1129, "FLUSH HOSTS"),
        (1130, "mysql_client_sources"),
        (1203, "max_user_connections"),
        (1226, "max_user_connections"),
        (1820, "password has expired"),
        (1862, "password has expired"),
        (1526, "partition"),
        (2003, "port"),
    ],
)
def test_an_error_that_a_person_can_mend_says_how(session: Session, code: int, named: str) -> None:
    assert named in failure(session, code).hint


def test_a_hint_gives_commands_and_never_a_bare_statement() -> None:
    """Nor a placeholder of this program's own."""
    for code, hint in hints._HINTS.items():
        said = hints.hint_for(code, "ansible-playbook playbooks/mysql.yml -i 'our hosts'")
        assert "{" not in said, code
        assert "inventories/prod" not in said, code
        alone = re.sub(r"mysql -e '[^']*'|mysql -e \"[^\"]*\"", "", hint)
        assert not re.search(r"\b(SELECT|SHOW|FLUSH|TRUNCATE|KILL)\b", alone), code


def test_an_unknown_error_is_passed_on_without_a_hint(session: Session) -> None:
    assert failure(session, 9999).hint == ""


def test_a_transaction_that_loses_deadlocks_is_tried_again_and_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    tries: list[int] = []

    def action() -> str:
        tries.append(1)
        if len(tries) < 5:
            raise ConflictError("deadlock")
        return "stored"

    assert retry_conflicts(action) == "stored"
    assert len(tries) == 5

    def never() -> None:
        raise ConflictError("1213")

    with pytest.raises(StoreUnavailableError, match=r"keeps losing deadlocks \(20 retries\): 1213") as caught:
        retry_conflicts(never)
    assert not isinstance(caught.value, ConflictError)
    assert "INNODB STATUS" in caught.value.hint
