"""A real database server, started by the tests on loopback: MariaDB, or MySQL's own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pymysql

from obsctl.store.mysql.schema import PRIVILEGES
from rig.authority import Authority
from rig.ports import free_port
from rig.server import START_SECONDS, Server, ServerProcess
from rig.tools import MYSQLD, REPOSITORY
from rig.waiting import wait_for

MIGRATIONS = REPOSITORY / "roles" / "mysql" / "files" / "migrations"
SMALL_MARIADB = ("--innodb-buffer-pool-size=256M",)


class MariaDB(Server):
    """A MariaDB server of its own: a socket, a loopback port, a data folder. ``options`` are further ones of it."""

    #: Its error number for a row that violates a CHECK.
    check_violated = 4025

    def __init__(self, folder: Path, options: Sequence[str] = SMALL_MARIADB) -> None:
        self.folder = folder
        self._options = options
        self.port = free_port()
        # A socket's path may have 107 characters; temporary folders can be longer.
        self.socket = f"/tmp/obs-test-{self.port}.sock"
        self._process = ServerProcess(folder, "database")
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        self._install()

    def _install(self) -> None:
        command = ["mariadb-install-db", "--no-defaults", *self._user, f"--datadir={self.folder / 'data'}"]
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*command, *options], check=True, capture_output=True, timeout=120)

    def _command(self) -> list[str]:
        return ["mariadbd", "--no-defaults", "--skip-name-resolve"]

    def start(self) -> None:
        """Start the server and wait until it answers."""
        own = self.folder / "tmp"  # a server that starts deletes others' temporary tables from a folder they share
        own.mkdir(exist_ok=True)
        self._process.launch(
            [
                *self._command(),
                *self._user,
                f"--datadir={self.folder / 'data'}",
                f"--tmpdir={own}",
                f"--socket={self.socket}",
                f"--port={self.port}",
                "--bind-address=127.0.0.1",
                f"--pid-file={self.folder / 'pid'}",
                *self._options,
                "--innodb-flush-log-at-trx-commit=1",
            ]
        )
        wait_for(self._process.output, self._answers, seconds=START_SECONDS, every=0.1)

    def _answers(self) -> bool:
        assert self._process.running, f"the database ended: {self._process.output()}"
        with contextlib.suppress(pymysql.MySQLError), self.root():
            return True
        return False

    @contextlib.contextmanager
    def root(self, database: str | None = None) -> Iterator[pymysql.cursors.Cursor]:
        """Yield a cursor of the administrator, with autocommit."""
        # Nothing can be read on a local socket; to make a TLS context costs more than all else here.
        connection = pymysql.connect(
            unix_socket=self.socket,
            user="root",
            database=database,
            autocommit=True,
            charset="utf8mb4",
            ssl_disabled=True,
        )
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.end(signal.SIGTERM)
        Path(self.socket).unlink(missing_ok=True)


class MySQL(MariaDB):
    """The same with MySQL's own server; :data:`MYSQLD` names it.

    Args:
        folder: for its data and output.
        tls: offer TLS, as it does by itself. Without it a cable can read the statements.
        options: further ones of the server.
    """

    check_violated = 3819

    def __init__(self, folder: Path, *, tls: bool = True, options: Sequence[str] = SMALL_MARIADB) -> None:
        self._tls = tls
        super().__init__(folder, options)

    def _install(self) -> None:
        command = [MYSQLD, "--no-defaults", "--initialize-insecure", *self._user, f"--datadir={self.folder / 'data'}"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def _command(self) -> list[str]:
        plain = [] if self._tls else ["--tls-version="]
        return [MYSQLD, "--no-defaults", "--mysqlx=0", "--disable-log-bin", "--secure-file-priv=NULL", *plain]


def database_server(folder: Path, *, tls: bool = True, options: Sequence[str] = ()) -> MariaDB:
    """Return the server that the tests use: MariaDB, or MySQL where :data:`MYSQLD` is set."""
    options = (*SMALL_MARIADB, *options)
    return MySQL(folder, tls=tls, options=options) if MYSQLD else MariaDB(folder, options)


class Certificates:
    """What a database server presents: one file with key and chain, which a test replaces while the server runs.

    Attributes:
        options: by which a server uses it, and refuses clear text.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.authority = Authority(folder / "ca")
        self.file = folder / "server.pem"
        self._server_ca = folder / "server-ca.pem"
        self._write(self.authority.issue("server"))
        self.options = (
            f"--ssl-ca={self._server_ca}",
            f"--ssl-cert={self.file}",
            f"--ssl-key={self.file}",
            "--tls-version=TLSv1.2,TLSv1.3",
            "--require-secure-transport=ON",
        )

    def present(self, issued: Path, server: MariaDB) -> None:
        """Have the server present another one from now on. MySQL itself refuses one that is not valid now."""
        self._write(issued)
        with server.root() as cursor:
            cursor.execute("ALTER INSTANCE RELOAD TLS" if MYSQLD else "FLUSH SSL")

    def _write(self, issued: Path) -> None:
        """Write the server's files: MySQL wants to trust its own certificate."""
        self.file.write_bytes(issued.read_bytes())
        begin = "-----BEGIN CERTIFICATE-----"
        self._server_ca.write_text(begin + issued.read_text().rpartition(begin)[2])


def migration_statements(text: str) -> list[str]:
    """Return a migration's statements: each ends with a semicolon at the end of a line."""
    without_comments = re.sub(r"(?m)^\s*--.*$", "", text)
    return [s.strip() for s in re.split(r";[ \t]*(?:\n|$)", without_comments) if s.strip()]


def make_schema(cursor: pymysql.cursors.Cursor, database: str) -> None:
    """Make a database as the role does: the migrations, and the table that remembers them."""
    cursor.execute(f"DROP DATABASE IF EXISTS {database}")
    cursor.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    cursor.execute(f"USE {database}")
    cursor.execute(
        "CREATE TABLE schema_migrations (version INT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL,"
        " checksum CHAR(64) NOT NULL, applied_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
    for path in sorted(MIGRATIONS.glob("*.sql")):
        for statement in migration_statements(path.read_text()):
            cursor.execute(statement)
        version, name = path.stem.split("_", 1)
        cursor.execute("INSERT INTO schema_migrations (version,name,checksum) VALUES (%s,%s,'')", (int(version), name))


def grant(
    cursor: pymysql.cursors.Cursor,
    database: str,
    user: str,
    password: str,
    privileges_of: Mapping[str, Sequence[str]] = PRIVILEGES,
) -> None:
    """Make a user, the consumer's unless others are given, with exactly the privileges that it declares."""
    cursor.execute(f"CREATE USER IF NOT EXISTS '{user}'@'127.0.0.1' IDENTIFIED BY '{password}'")
    for table, privileges in privileges_of.items():
        cursor.execute(f"GRANT {', '.join(privileges)} ON {database}.{table} TO '{user}'@'127.0.0.1'")
