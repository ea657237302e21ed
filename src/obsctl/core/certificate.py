"""Parses certificates: validity, names, subject.

Python's ssl gives this only for a peer's trusted certificate, so it is parsed here: RFC 5280, 4.1, in the encoding of
X.690.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address

import msgspec

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_SEQUENCE, _VERSION, _EXTENSIONS, _OID = 0x30, 0xA0, 0xA3, 0x06
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_DNS_NAME, _ADDRESS = 0x82, 0x87
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")
#: Attributes of a subject by the ends of their object identifiers (2.5.4.x).
_ATTRIBUTES = {0x03: "CN", 0x0A: "O", 0x0B: "OU"}


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a certificate that are compared.

    Attributes:
        subject, issuer: such as ``CN=node1,OU=kafka,O=obscraft``, the last part of the encoding first.
        begins, ends: its validity, seconds since the epoch.
        names: addresses and DNS names that it is for.
        fingerprint: SHA-256 of its encoding, in hexadecimal.
    """

    subject: str
    issuer: str
    begins: float
    ends: float
    names: tuple[str, ...] = ()
    fingerprint: str = ""


def read_pem(text: str) -> Iterator[Certificate]:
    """Yield the certificates of a PEM text, in order.

    Raises:
        ValueError: one of them is invalid.
    """
    for block in _PEM.findall(text):
        try:
            encoded = base64.b64decode(block)
        except binascii.Error:
            raise ValueError("no certificate in PEM") from None
        yield read(encoded)


def read(encoded: bytes) -> Certificate:
    """Parse a DER-encoded certificate.

    Raises:
        ValueError: it is not a certificate.
    """
    try:
        return _read(encoded)
    except (IndexError, OverflowError):
        raise ValueError("no certificate") from None


def _read(encoded: bytes) -> Certificate:
    certificate = _first(encoded)
    parts = list(_parts(_first(certificate[1])[1]))
    # tbsCertificate: version (where there is one), serialNumber, signature, issuer, validity, subject, key, extensions.
    at = 1 if parts and parts[0][0] == _VERSION else 0
    if len(parts) < at + 6 or parts[at + 3][0] != _SEQUENCE:
        raise ValueError("no certificate")
    begins, ends = (_time(kind, text) for kind, text in _exactly(parts[at + 3][1], 2))
    extensions = next((content for kind, content in parts[at + 6 :] if kind == _EXTENSIONS), b"")
    return Certificate(
        subject=_name(parts[at + 4][1]),
        issuer=_name(parts[at + 2][1]),
        begins=begins,
        ends=ends,
        names=tuple(_names(extensions)),
        fingerprint=hashlib.sha256(encoded).hexdigest(),
    )


def _time(kind: int, text: bytes) -> float:
    if kind not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("no certificate")
    written = text.decode("ascii")
    if kind == _UTC_TIME:
        written = ("19" if written[:2] >= "50" else "20") + written
    return datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _name(encoded: bytes) -> str:
    found = []
    for _kind, of_set in _parts(encoded):
        for _kind_too, pair in _parts(of_set):
            (_oid, oid), (_text, text) = _exactly(pair, 2)
            found.append(f"{_ATTRIBUTES.get(oid[-1], 'OTHER')}={text.decode('utf-8', 'replace')}")
    return ",".join(reversed(found))


def _names(encoded: bytes) -> Iterator[str]:
    """Yield the alternative names of a certificate's extensions."""
    for _kind, extension in _parts(_first(encoded)[1]) if encoded else ():
        parts = list(_parts(extension))
        if parts[0] != (_OID, _SUBJECT_ALT_NAME):
            continue
        for kind, content in _parts(_first(parts[-1][1])[1]):
            if kind == _DNS_NAME:
                yield content.decode("ascii", "replace")
            elif kind == _ADDRESS:
                yield str(ip_address(content))


def _exactly(encoded: bytes, count: int) -> list[tuple[int, bytes]]:
    found = list(_parts(encoded))
    if len(found) != count:
        raise ValueError("no certificate")
    return found


def _first(encoded: bytes) -> tuple[int, bytes]:
    found = next(_parts(encoded), None)
    if found is None:
        raise ValueError("no certificate")
    return found


def _parts(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of an encoding: tag and content of each.

    Raises:
        ValueError: it ends within one of them.
    """
    at = 0
    while at < len(encoded):
        head = encoded[at : at + 2]
        if len(head) < 2:
            raise ValueError("no certificate")
        tag, length = head
        at += 2
        if length & 0x80:
            more = length & 0x7F
            length = int.from_bytes(encoded[at : at + more], "big")
            at += more
        if at + length > len(encoded):
            raise ValueError("no certificate")
        yield tag, encoded[at : at + length]
        at += length
