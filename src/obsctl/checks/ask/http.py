"""One GET on a new connection, or several on a kept one; each with one deadline up to the answer's last byte."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Mapping

from obsctl.checks.ask.failure import in_words
from obsctl.checks.ask.tls import NoTlsError, RefusedError, Tls
from obsctl.checks.web_refusal import Refusal
from obsctl.core.deadline import Deadline

_PIECE_BYTES = 64 * 1024
#: nginx's message for a plain HTTP request on a TLS port, and the beginning of a TLS alert.
_WANTS_TLS = b"The plain HTTP request was sent to HTTPS port"
_ALERT = "\x15\x03"
#: Answered by nginx itself, without a line in its log (roles/nginx): checks are not traffic.
HEALTH_PATH = "/obscraft-health"


class SpeaksTlsError(http.client.HTTPException):
    """The peer expects TLS, and got plain HTTP."""


def get(
    address: str,
    port: int,
    path: str,
    *,
    deadline_s: float,
    headers: Mapping[str, str] | None = None,
    tls: Tls | None = None,
) -> http.client.HTTPResponse:
    """Request a path and return the answer's status and headers; the body is read to its end and discarded.

    Args:
        tls: checks the peer's certificate; None for plain HTTP.

    Raises:
        TimeoutError: the answer was not complete within ``deadline_s`` seconds.
        RefusedError: the peer's certificate is not valid, or it does not speak TLS.
        OSError: the connection failed or was broken.
        http.client.HTTPException: the answer is not HTTP, or is incomplete.
    """
    connection = prepared(address, port, tls)
    with Deadline(deadline_s) as deadline, contextlib.closing(connection):
        connection.sock = connect(deadline, address, port, tls)
        return _ask(connection, path, {"Connection": "close", **(headers or {})})


class KeptConnection:
    """Several GETs, one after the other, on the same connection, which is opened again after a failed one."""

    def __init__(self, address: str, port: int, tls: Tls | None = None) -> None:
        self._address, self._port, self._tls = address, port, tls
        self._connection = prepared(address, port, tls)

    def get(
        self, path: str, *, deadline_s: float, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """Do as :func:`get` does, and raise the same."""
        connection = self._connection
        try:
            with Deadline(deadline_s) as deadline:
                if connection.sock is None:
                    connection.sock = connect(deadline, self._address, self._port, self._tls)
                else:
                    deadline.watch(connection.sock)
                return _ask(connection, path, headers or {})
        except (OSError, http.client.HTTPException):
            connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def prepared(address: str, port: int, tls: Tls | None) -> http.client.HTTPConnection:
    """Return a connection that is not open yet; its ``Host`` header leaves out the default port."""
    if tls is None:
        return http.client.HTTPConnection(address, port)
    return http.client.HTTPSConnection(address, port, context=tls.context)


def connect(deadline: Deadline, address: str, port: int, tls: Tls | None) -> socket.socket:
    """Open a connection, the handshake of TLS included.

    Raises:
        RefusedError: as :func:`get`.
        OSError: as :func:`get`.
    """
    line = deadline.connect(address, port)
    if tls is None:
        return line
    try:
        return tls.speak(line, address)
    except NoTlsError as error:
        line.close()
        words = "speaks HTTP, not TLS" if _speaks_http(deadline, address, port) else str(error)
        raise RefusedError(Refusal(kind="clear", words=words)) from None
    except OSError:
        line.close()
        raise


def _speaks_http(deadline: Deadline, address: str, port: int) -> bool:
    connection = http.client.HTTPConnection(address, port)
    with contextlib.closing(connection):
        try:
            connection.sock = deadline.connect(address, port)
            connection.request("HEAD", HEALTH_PATH)
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
    return True


def _ask(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    connection.request("GET", path, headers={"User-Agent": "obsctl", **headers})
    try:
        answer = connection.getresponse()
    except http.client.BadStatusLine as error:
        if str(error.args[0]).startswith(_ALERT):
            raise SpeaksTlsError from None
        raise
    while piece := answer.read1(_PIECE_BYTES):
        if answer.status == http.client.BAD_REQUEST and _WANTS_TLS in piece:
            raise SpeaksTlsError
    if answer.length:
        raise http.client.IncompleteRead(b"", answer.length)
    # Without this, the answer stays open if it has no body, and a kept connection then accepts no further request.
    answer.close()
    return answer


def words(error: OSError | http.client.HTTPException) -> str:
    """Return, in a few words, why there was no answer."""
    if (refusal := refusal_of(error)) is not None:
        return refusal.words
    if isinstance(error, OSError):
        return in_words(error)
    return f"not HTTP ({type(error).__name__})"


def refusal_of(error: OSError | http.client.HTTPException) -> Refusal | None:
    """Return why no request was sent to a peer that answers; None if that is not the reason."""
    if isinstance(error, RefusedError):
        return error.refusal
    return Refusal(kind="tls", words="speaks TLS, not HTTP") if isinstance(error, SpeaksTlsError) else None
