"""A console of its own: a process, a database, and what a browser does with it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import requests
import yaml

from obsctl.console.people import users
from obsctl.console.people.audit import Actor
from obsctl.console.people.roles import Role
from obsctl.console.privileges import PRIVILEGES
from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.store import rollup
from obsctl.store.mysql import rows
from rig.database import MariaDB, grant, make_schema
from rig.ending import with_us
from rig.ports import free_port
from rig.waiting import wait_for

DATABASE = "obs_console_test"
USER, PASSWORD = "obs_console", "console-account-password"
#: Of each user that :func:`console` adds, by name and role.
PEOPLE = {"ada": Role.ADMIN, "olga": Role.OPERATOR, "vera": Role.VIEWER}


def password_of(name: str) -> str:
    """Return the password of a user of the rig."""
    return f"correct horse of {name[::-1]}"


class Console:
    """A running console.

    Attributes:
        url: where it is.
        log: what it has written.
    """

    def __init__(self, server: MariaDB, url: str, log: Path) -> None:
        self.server = server
        self.url = url
        self.log = log

    @contextmanager
    def rows(self) -> Iterator[pymysql.cursors.Cursor]:
        """Yield a cursor of the administrator in its database."""
        with self.server.root(DATABASE) as cursor:
            yield cursor

    def browser(self) -> requests.Session:
        """Return a browser without a login."""
        return requests.Session()

    def log_in(self, name: str, password: str | None = None, browser: requests.Session | None = None) -> Any:
        """Send the login's form; return the answer, whose redirect is not followed."""
        given = {"name": name, "password": password_of(name) if password is None else password}
        return (browser or self.browser()).post(f"{self.url}/login", data=given, allow_redirects=False, timeout=30)

    def logged_in(self, name: str = "vera") -> requests.Session:
        """Return a browser in which a user is logged in."""
        browser = self.browser()
        answer = self.log_in(name, browser=browser)
        assert answer.status_code == 303, answer.text
        return browser


def csrf(page: str) -> str:
    """Return what the forms of a page repeat of the session."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]


def write_config(folder: Path, server: MariaDB, port: int, **sections: Mapping[str, Any]) -> Path:
    """Write a configuration."""
    secret = folder / "password"
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    config = {
        "listen": {"address": "127.0.0.1", "port": port},
        "database": {
            "host": "127.0.0.1", "port": server.port, "name": DATABASE, "user": USER, "password": f"file:{secret}",
        },
        **sections,
    }  # fmt: skip
    path = folder / "console.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def make_database(server: MariaDB) -> None:
    """Make the tables, the console's account and its users."""
    with server.root() as cursor:
        make_schema(cursor, DATABASE)
        grant(cursor, DATABASE, USER, PASSWORD, PRIVILEGES)
        for name, role in PEOPLE.items():
            users.add(cursor, Actor("root"), name, role, password_of(name))


def store_lines(server: MariaDB, access: Sequence[AccessLine], error: Sequence[ErrorLine] = ()) -> None:
    """Store lines and the roll-ups of those of the access log in one transaction, as the consumer does."""
    minutes = rollup.count(access)
    with server.root(DATABASE) as cursor:
        cursor.execute(rows.SESSION)
        cursor.execute("BEGIN")
        for (before, after), stored in (
            (rows.INSERT_ACCESS, rows.line_rows(access)),
            (rows.INSERT_ERROR, rows.line_rows(error)),
            (rows.INSERT_MINUTES, rows.rollup_rows(minutes)),
            (rows.INSERT_HOURS, rows.rollup_rows(rollup.hours(minutes))),
        ):
            if stored:
                cursor.execute(before + b",".join(stored) + after)
        cursor.execute("COMMIT")


def statements(server: MariaDB, like: str) -> int:
    """Return how many statements of the console's account run now.

    Args:
        like: those that fit this pattern of SQL.
    """
    with server.root() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s AND info LIKE %s", (USER, like)
        )
        return int(cursor.fetchone()[0])  # type: ignore[index]


@contextmanager
def console(server: MariaDB, folder: Path, port: int = 0, **sections: Mapping[str, Any]) -> Iterator[Console]:
    """Run a console over the database that :func:`make_database` made, on a free port if none is given."""
    port = port or free_port()
    path = write_config(folder, server, port, **sections)
    command = [sys.executable, "-m", "obsctl.console.service", "--config", path]
    log = folder / "console.log"
    with log.open("wb") as out, subprocess.Popen(with_us(command), stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            url = f"http://127.0.0.1:{port}"

            def answers() -> bool:
                assert process.poll() is None, log.read_text()
                try:
                    return requests.get(f"{url}/login", timeout=5).status_code == 200
                except requests.ConnectionError:
                    return False

            wait_for(lambda: log.read_text()[-3000:], answers)
            yield Console(server, url, log)
        finally:
            process.terminate()
            process.wait(20)
