"""What ``certs status`` sees of real handshakes, and of files on a host."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from obsctl.checks.certs.collect import collect_certs
from obsctl.checks.certs.judge import judge_certs
from obsctl.checks.certs.snapshot import CertsSnapshot
from obsctl.fleet.model import Fleet, Host, Ssh, Tls, TlsListener
from rig.authority import Authority
from rig.ports import free_port

_HOUR = datetime.timedelta(hours=1)


@contextmanager
def presenting(certificate: Path) -> Iterator[int]:
    """Serve a certificate on a port; nothing follows the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(line, server_side=True) as encrypted:
                        encrypted.recv(1)
                except OSError:
                    continue

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        # accept() of another thread goes on with a closed socket's number.
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def speaking_clear() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    line, _ = listener.accept()
                except OSError:
                    return
                with line:
                    line.sendall(b"220 no TLS here\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


def fleet_of(authority: Authority, port: int, directory: Path) -> Fleet:
    host = Host(
        name="node1", address="127.0.0.1", ssh=Ssh(local=True), certificates=(TlsListener(use="kafka", port=port),)
    )
    return Fleet(hosts=(host,), tls=Tls(ca_file=str(authority.ca_file), directory=str(directory)))


def installed(tmp_path: Path, authority: Authority, certificate: Path, *, mode: int = 0o640) -> Path:
    """Return a folder as the role leaves it."""
    text = certificate.read_text()
    at = text.index("-----BEGIN CERTIFICATE")
    folder, hidden = tmp_path / "tls", tmp_path / "tls/.kafka-1"
    hidden.mkdir(parents=True)
    (folder / "kafka").symlink_to(hidden.name)
    (folder / "ca.pem").write_bytes(authority.ca_file.read_bytes())
    (hidden / "cert.pem").write_text(text[at:])
    for name, content in (("key.pem", text[:at]), ("keystore.pem", text)):
        (hidden / name).write_text(content)
        (hidden / name).chmod(mode)
    return folder


def findings(fleet: Fleet) -> tuple[CertsSnapshot, dict[str, str]]:
    snapshot = collect_certs(fleet)
    return snapshot, {one.code: one.summary for one in judge_certs(fleet, snapshot)}


def test_a_fleet_that_is_well(tmp_path: Path, authority: Authority) -> None:
    good = authority.issue("good", valid=(-_HOUR, _HOUR * 24 * 300))
    folder = installed(tmp_path, authority, good)
    with presenting(good) as port:
        snapshot, found = findings(fleet_of(authority, port, folder))
    # The authority of these tests lives for an hour.
    assert set(found) <= {"CERT_EXPIRING"}
    (served,), (host,) = snapshot.served, snapshot.hosts
    assert served.certificate is not None
    assert served.certificate.names == ("127.0.0.1",)
    assert served.certificate.subject == "CN=good"
    assert (served.untrusted, served.failure, host.failure) == ("", "", "")
    assert host.clock == pytest.approx(time.time(), abs=60)
    (held,) = host.uses
    assert held.certificate == served.certificate
    assert snapshot.trusted == host.trusted
    assert b"PRIVATE" not in repr(snapshot).encode()


def test_a_key_that_others_read_and_a_certificate_that_is_not_loaded(tmp_path: Path, authority: Authority) -> None:
    folder = installed(tmp_path, authority, authority.issue("newer"), mode=0o644)
    with presenting(authority.issue("older")) as port:
        _snapshot, found = findings(fleet_of(authority, port, folder))
    assert "key.pem (mode 644), keystore.pem (mode 644)" in found["CERT_KEY_READABLE"]
    assert "CERT_NOT_LOADED" in found


def test_a_key_that_its_service_cannot_read(tmp_path: Path, authority: Authority) -> None:
    certificate = authority.issue("good")
    folder = installed(tmp_path, authority, certificate, mode=0o600)
    with presenting(certificate) as port:
        _snapshot, found = findings(fleet_of(authority, port, folder))
    assert "key.pem (mode 600), keystore.pem (mode 600)" in found["CERT_KEY_UNREADABLE"]


def test_a_foreign_authority_an_end_and_a_wrong_name(tmp_path: Path, authority: Authority) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with presenting(Authority(other).issue("foreign")) as port:
        _snapshot, found = findings(fleet_of(authority, port, tmp_path))
    assert "CN=CA of other" in found["CERT_UNTRUSTED"]
    with presenting(authority.issue("old", valid=(-2 * _HOUR, -_HOUR))) as port:
        _snapshot, found = findings(fleet_of(authority, port, tmp_path))
    assert "expired 60 min ago" in found["CERT_EXPIRED"]
    assert "CERT_UNTRUSTED" not in found
    with presenting(authority.issue("named", names=("node1",))) as port:
        _snapshot, found = findings(fleet_of(authority, port, tmp_path))
    assert "not for 127.0.0.1 but for node1" in found["CERT_NAME_MISMATCH"]


@pytest.mark.parametrize("foreign", [False, True])
def test_the_chain_of_a_file_that_nobody_presents(tmp_path: Path, authority: Authority, foreign: bool) -> None:
    signer = Authority(tmp_path / "other") if foreign else authority
    # One that has expired is not of another CA.
    folder = installed(tmp_path, authority, signer.issue("old", valid=(-2 * _HOUR, -_HOUR)))
    snapshot, found = findings(fleet_of(authority, free_port(), folder))
    ((held,),) = (host.uses for host in snapshot.hosts)
    assert bool(held.untrusted) is foreign
    assert ("CERT_EXPIRED" in found, "CERT_UNTRUSTED" in found) == (True, foreign)
    if foreign:
        assert "issued by CN=CA of other" in found["CERT_UNTRUSTED"]


def test_a_host_without_certificates_and_ports_without_tls(tmp_path: Path, authority: Authority) -> None:
    with speaking_clear() as port:
        _snapshot, found = findings(fleet_of(authority, port, tmp_path / "absent"))
    assert "no TLS connection" in found["CERT_NOT_SERVED"]
    assert found["CERT_MISSING"] == "the host has no certificate for this"
    _snapshot, found = findings(fleet_of(authority, free_port(), tmp_path / "absent"))
    assert "connection refused" in found["CERT_NOT_SERVED"]


def test_files_that_hold_something_else(tmp_path: Path, authority: Authority) -> None:
    folder = installed(tmp_path, authority, authority.issue("good"))
    (folder / "kafka/cert.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\nend")
    (folder / "ca.pem").write_bytes(b"\xff\xfe no certificate")
    snapshot, found = findings(fleet_of(authority, free_port(), folder))
    assert found["CERT_MISSING"] == "cert.pem cannot be read"
    assert snapshot.hosts[0].trusted == ()


def test_without_tls_nothing_is_asked() -> None:
    assert collect_certs(Fleet(hosts=(Host(name="node1", address="192.0.2.1"),))).off
