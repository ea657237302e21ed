"""What lies between a channel and its vendor: a certificate authority, a TLS listener, a proxy."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rig.peers import peer


class Authority:
    """A certificate authority with one server certificate for 127.0.0.1.

    Args:
        folder: takes ``ca.pem`` and ``server.pem`` (certificate and key).
        names: for which the certificate is made.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        folder.mkdir(exist_ok=True)
        self.ca_file, self._server = folder / "ca.pem", folder / "server.pem"
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"CA of {folder.name}")])
        basics = x509.BasicConstraints(ca=True, path_length=0)
        ca = self._unsigned(issuer, issuer, ca_key).add_extension(basics, critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        ca = ca.add_extension(usage, critical=True)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "robot")])
        addresses = [x509.IPAddress(ip_address("127.0.0.1"))] if not names else [x509.DNSName(name) for name in names]
        server = self._unsigned(subject, issuer, key).add_extension(
            x509.SubjectAlternativeName(addresses), critical=False
        )
        server = server.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        signed = server.sign(ca_key, hashes.SHA256()).public_bytes(pem)
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        ca = ca.add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        self.ca_file.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
        self._server.write_bytes(signed + secret)

    @staticmethod
    def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )

    def context(self) -> ssl.SSLContext:
        """Return what a server with this certificate speaks TLS with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._server)
        return context

    @contextmanager
    def serving(self, talk: Callable[[ssl.SSLSocket], None]) -> Iterator[int]:
        """Run the function on each connection to a port, below TLS."""
        context = self.context()

        def below_tls(line: socket.socket) -> None:
            with suppress(ssl.SSLError), context.wrap_socket(line, server_side=True) as inner:
                talk(inner)

        with peer(below_tls) as port:
            yield port


def request_of(line: socket.socket) -> bytes:
    """Read one request, with its body."""
    with line.makefile("rb") as wire:
        head = b""
        while (part := wire.readline()) not in (b"\r\n", b""):
            head += part
        length = [int(h.split(b":")[1]) for h in head.splitlines() if h.lower().startswith(b"content-length:")]
        return head + b"\r\n" + wire.read(sum(length))


def answering(body: bytes = b'{"errcode":0}', head: str = "HTTP/1.1 200 OK") -> Callable[[socket.socket], None]:
    """Return a peer that answers each request so."""

    def talk(line: socket.socket) -> None:
        if request_of(line).strip():
            line.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return talk


@dataclass
class Proxy:
    """A forward proxy and what it was asked."""

    url: str = ""
    #: Answers CONNECT and plain requests with this instead.
    refuses: str = ""
    heads: list[bytes] = field(default_factory=list)


@contextmanager
def proxying(authority: Authority | None = None) -> Iterator[Proxy]:
    """Run a forward proxy: CONNECT, and plain requests in absolute form; with an authority it is asked below TLS."""
    state = Proxy()

    def talk(line: socket.socket) -> None:
        head = request_of(line)
        state.heads.append(head)
        if state.refuses:
            line.sendall(f"HTTP/1.1 {state.refuses}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        method, target, _ = head.split(b" ", 2)
        if method == b"CONNECT":
            host, _, port = target.decode().rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as onward:
                line.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pump, args=(onward, line), daemon=True)
                back.start()
                _pump(line, onward)
                back.join(10)
            return
        place = target.decode().removeprefix("http://")
        host, _, port = place.partition("/")[0].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as onward:
            path = "/" + place.partition("/")[2]
            onward.sendall(head.replace(target, path.encode(), 1))
            _pump(onward, line)

    with authority.serving(talk) if authority else peer(talk) as port:
        state.url = f"http{'s' if authority else ''}://127.0.0.1:{port}"
        yield state


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
