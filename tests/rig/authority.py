"""A certificate authority that issues certificates as a test wants them: for other names, for another time."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from rig.http_server import answering

_PEM = serialization.Encoding.PEM
_HOUR = datetime.timedelta(hours=1)


class Authority:
    """An authority.

    Args:
        folder: takes ``ca.pem``, and for each certificate a file with key and chain.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._key: Any = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"CA of {folder.name}")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = self._builder(self._name, self._key, (-_HOUR, _HOUR))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self._certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self._certificate)

    @classmethod
    def existing(cls, folder: Path, ca_file: Path, key_file: Path, passphrase: str) -> Authority:
        """Return an authority that others have made, such as the fleet's own.

        Args:
            folder: as of the class.
            ca_file: its certificate.
            key_file: its key.
            passphrase: that encrypts the key.
        """
        made = cls(folder)
        made.ca_file.write_bytes(ca_file.read_bytes())
        made._certificate = made.ca_file.read_bytes()
        made._key = serialization.load_pem_private_key(key_file.read_bytes(), passphrase.encode())
        made._name = x509.load_pem_x509_certificate(made._certificate).subject
        return made

    def issue(
        self,
        subject: str,
        names: Sequence[str] = ("127.0.0.1",),
        valid: tuple[datetime.timedelta, datetime.timedelta] = (-_HOUR, _HOUR),
        unit: str = "",
        responder: str = "",
    ) -> Path:
        """Return a file with a new key (PKCS 8), its certificate and the authority's.

        Args:
            names: addresses or host names in it.
            valid: from and to, from now.
            unit: what the fleet's own authority would write it for (``OU``, with ``O=obscraft``); empty for none.
            responder: address of the OCSP responder, which says whether it is revoked; empty for none.
        """
        parts = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "obscraft")] if unit else []
        parts += [x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else []
        parts.append(x509.NameAttribute(x509.NameOID.COMMON_NAME, subject))
        key = ec.generate_private_key(ec.SECP256R1())
        general = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        builder = self._builder(x509.Name(parts), key, valid)
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if responder:
            place = x509.AccessDescription(
                x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
        signed = builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)
        secret = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = self._folder / f"{subject}.pem"
        path.write_bytes(secret + signed + self._certificate)
        return path

    @contextmanager
    def responder(self) -> Iterator[str]:
        """Answer on loopback whether certificates of this authority are revoked (OCSP, RFC 6960): none is.

        Yields:
            the responder's address.
        """
        issuer, key = x509.load_pem_x509_certificate(self._certificate), self._key

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:
                self._answer(base64.b64decode(unquote(self.path[1:])))

            def _answer(self, asked: bytes) -> None:
                request = ocsp.load_der_ocsp_request(asked)
                now = datetime.datetime.now(datetime.UTC)
                builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
                    request.issuer_name_hash, request.issuer_key_hash, request.serial_number, request.hash_algorithm,
                    ocsp.OCSPCertStatus.GOOD, now, now + _HOUR, None, None,
                )  # fmt: skip
                signed = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer).sign(key, hashes.SHA256())
                body = signed.public_bytes(serialization.Encoding.DER)
                self.send_response(200)
                self.send_header("Content-Type", "application/ocsp-response")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        with answering(Handler) as url:
            yield url

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        valid: tuple[datetime.timedelta, datetime.timedelta],
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + valid[0])
            .not_valid_after(now + valid[1])
        )
