"""TLS to the database without a database: what a client sends to a server that offers none, and what errors mean."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from pathlib import Path

import pymysql
import pytest

from obsctl.core.errors import ConfigError
from obsctl.store.interface import StoreUnavailableError
from obsctl.store.mysql import encryption
from obsctl.store.mysql.session import Session
from obsctl.store.settings import Database
from rig.authority import Authority

_TLS_IN_CAPABILITIES = 0x0800
#: MySQL's greeting: protocol, version, connection id, scramble, capabilities and the name of its way to log in.
_LOWER, _UPPER = 0xFFFF & ~_TLS_IN_CAPABILITIES, 0x000F


def greeting() -> bytes:
    """A server's first packet, which offers no TLS."""
    body = b"\x0a9.7.4\0" + struct.pack("<I", 7) + b"scramble\0" + struct.pack("<HBHH", _LOWER, 45, 2, _UPPER)
    body += bytes([21]) + bytes(10) + b"more-scramble\0"[:13].ljust(13, b"\0") + b"caching_sha2_password\0"
    return struct.pack("<I", len(body)) + body


class ClearServer:
    """Greets as a server that offers no TLS, and keeps what it is sent."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.received = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        line, _ = self._listener.accept()
        with line:
            line.sendall(greeting())
            while more := line.recv(4096):
                self.received += more

    def close(self) -> bytes:
        """Return what the client sent."""
        self._thread.join(10)
        self._listener.close()
        return self.received


def session(port: int, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("DATABASE_PASSWORD", "a-word-of-the-consumer")
    settings = Database(
        host="127.0.0.1", port=port, name="obs", user="consumer", password="env:DATABASE_PASSWORD", ca_file=str(ca_file)
    )
    return Session(settings)


def test_a_server_without_tls_is_sent_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a password nor a user's name: who stands in between could take the offer out of the greeting."""
    server = ClearServer()
    with pytest.raises(StoreUnavailableError, match="offers no TLS") as caught:
        session(server.port, Authority(tmp_path / "ca").ca_file, monkeypatch).guard(lambda: None)
    assert server.close() == b""
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert "ansible-playbook playbooks/mysql.yml" in caught.value.hint


@pytest.mark.parametrize(("text", "words"), [(None, "cannot be read: no such file"), ("x", "no certificate in PEM")])
def test_a_file_without_authorities_is_named(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        encryption.context(str(path), "ansible-playbook playbooks/mysql.yml -i here")
    assert str(path) in str(caught.value)
    assert "ansible-playbook playbooks/consumer.yml -i here" in caught.value.hint


def test_who_is_trusted_is_verified_by_chain_and_name(tmp_path: Path) -> None:
    made = encryption.context(str(Authority(tmp_path / "ca").ca_file))
    assert made is not None
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(made.get_ca_certs()) == 1, "this machine's own authorities sign no database of the fleet"
    assert encryption.context("") is None


def failure(error: BaseException) -> encryption.Failure | None:
    return encryption.failure(error, "db1", 3306, "/etc/ca.pem", "ansible-playbook playbooks/mysql.yml -i here")


def test_a_password_that_is_not_sent_in_clear() -> None:
    """What PyMySQL says where its library for MySQL's RSA key is absent, as it is on the hosts."""
    said = failure(RuntimeError("'cryptography' package is required for sha256_password or caching_sha2_password auth"))
    assert said is not None
    assert "offers no TLS" in said.message
    assert failure(RuntimeError("dictionary changed size during iteration")) is None


def test_other_errors_are_not_about_tls() -> None:
    assert failure(pymysql.OperationalError(1045, "Access denied")) is None
    assert failure(pymysql.OperationalError(2003, "Can't connect")) is None
    lost = pymysql.OperationalError(2003, "Can't connect")
    lost.original_exception = ssl.SSLEOFError(8, "EOF occurred")  # type: ignore[attr-defined]
    assert failure(lost) is None, "the server went away, whatever was spoken"
