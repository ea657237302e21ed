"""When a certificate expires: one in a file, or one that a port presents."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from obsctl.core.certificate import read, read_pem

_DAY_S = 86_400.0
#: Longest file of certificates, bytes.
_LONGEST_BYTES = 1024 * 1024
#: How often a port is asked (seconds): a certificate is replaced once in months, and each handshake costs the server a
#: connection.
_ASKED_EVERY_S = 600.0
_HANDSHAKE_S = 2.0
_PORT = re.compile(r"([^/\s]+):(\d{1,5})")


def is_port(name: str) -> bool:
    """Whether a name is that of a port (``HOST:PORT``) and not of a file."""
    return _PORT.fullmatch(name) is not None


class Certificates:
    """The certificates that are watched; a port is asked once in ten minutes, and its last answer counts until then."""

    def __init__(self, names: Iterable[str], ask: Callable[[str], float] | None = None) -> None:
        """Prepare to look.

        Args:
            names: PEM files, and ports (``HOST:PORT``).
            ask: returns when the certificate that a port presents expires, seconds since the epoch; raises OSError or
                ValueError where there is none.
        """
        self._names = tuple(names)
        self._ask = ask or presented_end
        self._asked: dict[str, float] = {}
        self._ends: dict[str, float] = {}

    def days_left(self, now: float) -> dict[str, float | None]:
        """Return the days until each certificate expires; negative if it has.

        None stands for a file that cannot be read. A port that has never answered is left out: that a service is down
        is another rule's matter.

        Args:
            now: wall-clock time, seconds since the epoch.
        """
        found: dict[str, float | None] = {}
        for name in self._names:
            end = self._presented(name, now) if is_port(name) else _in_file(name)
            if end is not None:
                found[name] = round((end - now) / _DAY_S, 2)
            elif not is_port(name):
                found[name] = None
        return found

    def _presented(self, name: str, now: float) -> float | None:
        if abs(now - self._asked.get(name, 0.0)) >= _ASKED_EVERY_S:
            self._asked[name] = now
            # If the port does not answer, its last answer counts.
            with contextlib.suppress(OSError, OverflowError, ValueError):
                self._ends[name] = self._ask(name)
        return self._ends.get(name)


def presented_end(name: str) -> float:
    """Return when the certificate that a port presents expires, whether trusted or not, seconds since the epoch.

    Raises:
        OSError: the port does not answer, or does not speak TLS.
        ValueError: it presents something that is not a certificate.
    """
    host, _, port = name.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=_HANDSHAKE_S) as line,
        context.wrap_socket(line, server_hostname=host) as encrypted,
    ):
        return read(encrypted.getpeercert(binary_form=True) or b"").ends


def _in_file(path: str) -> float | None:
    try:
        with Path(path).open("rb") as file:
            return not_after(file.read(_LONGEST_BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError):
        return None


def not_after(pem: str) -> float:
    """Return when the first certificate of a PEM text expires, seconds since the epoch.

    Raises:
        ValueError: there is no certificate, or it is invalid.
    """
    first = next(read_pem(pem), None)
    if first is None:
        raise ValueError("no certificate in PEM")
    return first.ends
