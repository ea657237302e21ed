"""One GET on a new connection, with one deadline from connecting to the last byte."""

from __future__ import annotations

import contextlib
import http.client

from obsctl.core.deadline import Deadline

_PIECE_BYTES = 64 * 1024


def get(address: str, port: int, path: str, *, deadline_s: float) -> http.client.HTTPResponse:
    """Ask for a path and return the answer's status and headers; its body is read to the end and not kept.

    Raises:
        TimeoutError: the answer was not whole within ``deadline_s`` seconds.
        OSError: no connection, or it broke.
        http.client.HTTPException: an answer that is not HTTP, or is cut.
    """
    connection = http.client.HTTPConnection(address, port)
    with Deadline(deadline_s) as deadline, contextlib.closing(connection):
        connection.sock = deadline.connect(address, port)
        connection.request("GET", path, headers={"Connection": "close", "User-Agent": "obsctl"})
        answer = connection.getresponse()
        while answer.read1(_PIECE_BYTES):
            pass
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        return answer


def words(error: OSError | http.client.HTTPException) -> str:
    """Return in a few words why there was no answer."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return f"not HTTP ({type(error).__name__})"
