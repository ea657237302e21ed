"""One HTTP request on a new connection, within a deadline: no redirects, no proxy, and a limited answer size."""

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
        body: its first bytes, or all of it if it is not longer than the limit.
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
    """Return the answer to a GET request, or to a POST request if there are data.

    Args:
        deadline: of the conversation, which may have further requests.
        url: ``http://`` or ``https://``.
        most_bytes: how many bytes of the body are returned at most.
        headers: beside the usual ones.
        data: what is posted; ``headers`` names its type.
        tls: checks the server's certificate; required for ``https://``.

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
