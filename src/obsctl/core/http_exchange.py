"""One HTTP request on a connection of its own, within a deadline: no redirect, no proxy, and a bounded answer."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from obsctl.core.deadline import Deadline


class Reply(NamedTuple):
    """An answer.

    Attributes:
        status: of HTTP.
        body: its first bytes; all of them where there are no more than were asked for.
    """

    status: int
    body: bytes


def exchange(
    deadline: Deadline,
    url: str,
    *,
    most_bytes: int,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Return the answer to a GET, or to a POST where there are data.

    Args:
        deadline: of the conversation, which may have further requests.
        url: ``http://`` or ``https://``.
        most_bytes: so many bytes of the body are returned at most.
        headers: beside the usual ones.
        data: what is posted; ``headers`` names its type.
        tls: with which the server's certificate is checked; needed for ``https://``.

    Raises:
        OSError: no connection, or it broke; :class:`ssl.SSLError` where the certificate is not good.
        http.client.HTTPException: what answers is not an HTTP server.
        ValueError: the URL has no usable port, or something in it cannot be sent.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    with contextlib.closing(kind(host, port)) as connection:
        connection.sock = line = deadline.connect(host, port)
        if secure:
            assert tls is not None  # noqa: S101 - the caller's duty
            connection.sock = tls.wrap_socket(line, server_hostname=host)
        sent = {"User-Agent": "obsctl", "Connection": "close", **(headers or {})}
        connection.request("GET" if data is None else "POST", target, data, sent)
        answer = connection.getresponse()
        return Reply(answer.status, answer.read(most_bytes))
