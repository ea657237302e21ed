"""Daemon and obsctl on a real database server with TLS: who is believed, who is not, and the words for each."""

from __future__ import annotations

import contextlib
import datetime
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from obsctl.checks.ask.database import ask, probe
from obsctl.fleet import model
from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql.session import Session
from obsctl.store.settings import Database
from rig.authority import Authority
from rig.consumer import Pipeline
from rig.database import Certificates, MariaDB, database_server, grant, make_schema
from rig.kafka import KafkaNode
from rig.tools import MYSQLD, missing_tools

PASSWORD = "obs-tls-password"
_HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def certificates(folder: Path) -> Certificates:
    return Certificates(folder / "certificates")


@pytest.fixture(scope="module")
def server(folder: Path, certificates: Certificates) -> Iterator[MariaDB]:
    """A server that refuses clear text, with a schema and a user of each kind."""
    if reason := missing_tools():
        pytest.skip(reason)
    made = database_server(folder, options=certificates.options)
    made.start()
    try:
        with made.root() as cursor:
            make_schema(cursor, "obs")
            grant(cursor, "obs", "writer", PASSWORD)
            cursor.execute("ALTER USER 'writer'@'127.0.0.1' REQUIRE SSL")
            grant(cursor, "obs", "unbound", PASSWORD)
        yield made
    finally:
        made.stop()


class Clients:
    """The daemon's and obsctl's way to one server."""

    def __init__(self, folder: Path, port: int, ca_file: Path | str) -> None:
        (folder / "password").write_text(PASSWORD)
        self.daemon = Database(
            host="127.0.0.1",
            port=port,
            name="obs",
            user="writer",
            password=f"file:{folder / 'password'}",
            ca_file=str(ca_file),
        )
        self.fleet = model.Fleet(
            database=model.Database(
                host="127.0.0.1",
                port=port,
                name="obs",
                reader_user="writer",
                reader_password=f"file:{folder / 'password'}",
                ca_file=str(ca_file),
            ),
            inventory="here",
        )

    def cipher(self) -> str:
        """Return the daemon's cipher."""
        session = Session(self.daemon)
        ((_, value),) = session.guard(lambda: session.read("SHOW SESSION STATUS LIKE 'Ssl_cipher'"))
        session.close()
        return str(value)

    def refused(self) -> tuple[str, str]:
        """Return message and hint of both, which are the same but for the inventory in commands."""
        with pytest.raises(StoreUnavailableError) as caught:
            self.cipher()
        seen = probe(self.fleet)
        assert (seen.asked, seen.untrusted) == (True, True)
        assert seen.failure == str(caught.value)
        assert seen.hint == caught.value.hint.replace("inventories/prod", "here")
        return seen.failure, seen.hint


class Tap:
    """A line to a server that keeps what passes, both ways."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while more := one.recv(65536):
                self.passed += more
                other.sendall(more)
            other.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def clients(folder: Path, server: MariaDB, certificates: Certificates) -> Iterator[Clients]:
    yield Clients(folder, server.port, certificates.authority.ca_file)
    certificates.present(certificates.authority.issue("server"), server)


def test_both_connect_over_tls(clients: Clients) -> None:
    assert clients.cipher().startswith("TLS_"), "the names of TLS 1.3"

    def cipher(cursor: pymysql.cursors.Cursor) -> str:
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        return str(cursor.fetchone()[1])  # type: ignore[index]

    assert ask(clients.fleet, cipher).startswith("TLS_")


_FAULTS: dict[str, tuple[Callable[[Authority, Path], Path], str, str]] = {
    "another authority": (
        lambda _, folder: Authority(folder / "other").issue("server"),
        "is signed by no authority in",
        "-issuer",
    ),
    "another name": (
        lambda own, _: own.issue("named", ("db9.example",)),
        "was issued for another name than 127.0.0.1",
        "ansible-playbook playbooks/mysql.yml -i here issues one",
    ),
    "expired": (
        lambda own, _: own.issue("expired", valid=(-2 * _HOUR, -_HOUR)),
        "has expired",
        "ansible-playbook playbooks/mysql.yml -i here renews it",
    ),
    "not yet valid": (
        lambda own, _: own.issue("early", valid=(_HOUR, 2 * _HOUR)),
        "is not valid yet by this machine's clock",
        "date -u",
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_certificate_that_is_not_believed(
    clients: Clients, server: MariaDB, certificates: Certificates, tmp_path: Path, fault: str
) -> None:
    issue, words, command = _FAULTS[fault]
    issued = issue(certificates.authority, tmp_path)
    if MYSQLD and fault in ("expired", "not yet valid"):
        with pytest.raises(pymysql.OperationalError, match="Invalid certificates"):
            certificates.present(issued, server)
        return
    certificates.present(issued, server)
    message, hint = clients.refused()
    assert words in message
    assert f"127.0.0.1:{server.port}" in message
    assert command in hint
    assert f"openssl s_client -starttls mysql -connect 127.0.0.1:{server.port}" in hint


def test_a_certificate_is_replaced_while_connections_stay(
    clients: Clients, server: MariaDB, certificates: Certificates
) -> None:
    def question(cursor: pymysql.cursors.Cursor) -> int:
        certificates.present(certificates.authority.issue("renewed"), server)
        return cursor.execute("SELECT 1")

    assert ask(clients.fleet, question) == 1
    assert clients.cipher()


def test_both_authorities_are_trusted_while_one_takes_over(
    clients: Clients, folder: Path, server: MariaDB, certificates: Certificates, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "next")
    both = tmp_path / "both.pem"
    both.write_bytes(certificates.authority.ca_file.read_bytes() + other.ca_file.read_bytes())
    moving = Clients(folder, server.port, both)
    assert moving.cipher()
    certificates.present(other.issue("server"), server)
    assert moving.cipher()
    assert "is signed by no authority" in clients.refused()[0]


#: What a wire shows of a session without TLS: who logs in, and the statements.
_MARKS = (b"writer", b"SELECT '4711-on-the-wire'", b"access_log")


def on_the_wire(folder: Path, port: int, ca_file: Path | str) -> list[bytes]:
    """Return the marks that can be read on the wire while the daemon works."""
    tap = Tap(port)
    session = Session(Clients(folder, tap.port, ca_file).daemon)
    session.guard(lambda: session.read("SELECT '4711-on-the-wire'"))
    session.close()
    tap.close()
    assert len(tap.passed) > 1000
    return [mark for mark in _MARKS if mark in tap.passed]


def test_nothing_can_be_read_on_the_wire(folder: Path, server: MariaDB, certificates: Certificates) -> None:
    assert on_the_wire(folder, server.port, certificates.authority.ca_file) == []


def test_all_can_be_read_on_the_wire_without_tls(folder: Path, tmp_path: Path) -> None:
    """So that the test above can fail."""
    (tmp_path / "clear").mkdir()
    clear = database_server(tmp_path / "clear", tls=False)
    clear.start()
    try:
        with clear.root() as cursor:
            make_schema(cursor, "obs")
            grant(cursor, "obs", "writer", PASSWORD)
        assert on_the_wire(folder, clear.port, "") == list(_MARKS)
    finally:
        clear.stop()


def test_a_server_that_offers_no_tls(folder: Path, certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "clear").mkdir()
    clear = database_server(tmp_path / "clear", tls=False)
    clear.start()
    try:
        message, hint = Clients(folder, clear.port, certificates.authority.ca_file).refused()
    finally:
        clear.stop()
    assert "offers no TLS" in message
    assert "ansible-playbook playbooks/mysql.yml -i here sets it up" in hint


def test_clear_text_is_refused_by_the_port_and_by_the_account(server: MariaDB) -> None:
    def in_clear(user: str) -> int:
        """Return the server's error, 0 where it lets the user in."""
        login = {"host": "127.0.0.1", "port": server.port, "user": user, "password": PASSWORD}
        try:
            pymysql.connect(**login, ssl_disabled=True).close()  # type: ignore[call-overload]
        except pymysql.OperationalError as error:
            return int(error.args[0])
        return 0

    # MariaDB says of both no more than that it denies access.
    assert in_clear("unbound") == (3159 if MYSQLD else 1045)
    with server.root() as cursor:
        cursor.execute("SET GLOBAL require_secure_transport=OFF")
    try:
        assert in_clear("unbound") == 0
        assert in_clear("writer") == 1045
    finally:
        with server.root() as cursor:
            cursor.execute("SET GLOBAL require_secure_transport=ON")


@pytest.mark.skipif(not MYSQLD, reason="MariaDB has no caching_sha2_password: set OBSCTL_TEST_MYSQLD")
def test_no_key_is_asked_for_over_tls(clients: Clients, server: MariaDB) -> None:
    """The whole login of caching_sha2_password, which only a password that the server has forgotten leads to."""
    with server.root() as cursor:
        cursor.execute("FLUSH PRIVILEGES")

    def key(cursor: pymysql.cursors.Cursor) -> object:
        return cursor.connection.server_public_key

    assert ask(clients.fleet, key) is None


def test_a_consumer_stores_over_tls(
    kafka: KafkaNode, server: MariaDB, certificates: Certificates, tmp_path: Path
) -> None:
    pipeline = Pipeline(kafka, server, tmp_path, "tls")
    try:
        with server.root() as cursor:
            cursor.execute("ALTER USER 'obs_consumer'@'127.0.0.1' REQUIRE SSL")
        database = pipeline.config()["database"] | {"ca_file": str(certificates.authority.ca_file)}
        pipeline.start(database=database)
        pipeline.send([b"no line"] * 3)
        pipeline.wait_kept(3)
    finally:
        pipeline.close()
