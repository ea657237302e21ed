"""When a certificate ends.

Python's ssl shows the dates of a peer's certificate and of certificate authorities only, so the place of the dates in
the file is looked up here: RFC 5280, 4.1, in the encoding of X.690.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

_DAY_S = 86_400.0
#: More is no file of certificates.
_LONGEST_BYTES = 1024 * 1024
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def days_left(paths: Iterable[str], now: float) -> dict[str, float | None]:
    """Return for each file the days until its first certificate ends, below 0 when it has; None where none can be read.

    Args:
        paths: PEM files.
        now: wall-clock time, seconds since the epoch.
    """
    found: dict[str, float | None] = {}
    for path in paths:
        found[path] = None
        try:
            with Path(path).open("rb") as file:
                end = not_after(file.read(_LONGEST_BYTES).decode("utf-8", "replace"))
        except (OSError, ValueError):
            continue
        found[path] = round((end - now) / _DAY_S, 2)
    return found


def not_after(pem: str) -> float:
    """Return when the first certificate of a PEM text ends, seconds since the epoch.

    Raises:
        ValueError: there is none, or it is none.
    """
    first = _PEM.search(pem)
    if first is None:
        raise ValueError("no certificate in PEM")
    (certificate,) = _parts(ssl.PEM_cert_to_DER_cert(first[0]), 1)
    # tbsCertificate: version (where there is one), serialNumber, signature, issuer, validity.
    (to_be_signed,) = _parts(certificate[1], 1)
    parts = _parts(to_be_signed[1], 5)
    validity = parts[4 if parts[0][0] == _VERSION else 3]
    kind, text = _parts(validity[1], 2)[1]
    if validity[0] != _SEQUENCE or kind not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("no certificate")
    written = text.decode("ascii")
    if kind == _UTC_TIME:
        written = ("19" if written[:2] >= "50" else "20") + written
    return datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _parts(encoded: bytes, most: int) -> list[tuple[int, bytes]]:
    """Return the first parts of an encoding: tag and content of each.

    Raises:
        ValueError: it ends within one of them.
    """
    found: list[tuple[int, bytes]] = []
    at = 0
    while len(found) < most:
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
        found.append((tag, encoded[at : at + length]))
        at += length
    return found
