"""Requests to the provider: each within a deadline that they share, with a bounded answer, and no redirect followed."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from obsctl.console.oidc.errors import ProviderAwayError
from obsctl.core.deadline import Deadline

#: Bytes of an answer. A document or a set of keys has some thousand.
_MOST_BYTES = 256 * 1024


class Reply(NamedTuple):
    """An answer of the provider.

    Attributes:
        status: of HTTP.
        body: all of it.
    """

    status: int
    body: bytes


class Web:
    """The way to the provider.

    Args:
        ca_file: PEM file of the authorities that its certificate may be of; empty for those of this machine.

    Raises:
        OSError: the file cannot be read, or holds no certificate (:class:`ssl.SSLError`).
    """

    def __init__(self, ca_file: str) -> None:
        self._tls = ssl.create_default_context(cafile=ca_file or None)

    def ask(
        self,
        deadline: Deadline,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the answer to a GET, or to a POST where there is a form.

        Args:
            deadline: of the whole exchange with the provider.
            url: what is asked.
            form: is sent, as a browser sends one.
            headers: beside the usual ones.

        Raises:
            ProviderAwayError: there is no whole answer.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            with contextlib.closing(kind(host, port)) as connection:
                line = deadline.connect(host, port)
                connection.sock = line
                if parts.scheme == "https":
                    connection.sock = self._tls.wrap_socket(line, server_hostname=host)
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                sent = {"Accept": "application/json", "User-Agent": "obsctl", "Connection": "close", **(headers or {})}
                if form is None:
                    connection.request("GET", target, headers=sent)
                else:
                    sent["Content-Type"] = "application/x-www-form-urlencoded"
                    connection.request("POST", target, urlencode(form).encode(), sent)
                answer = connection.getresponse()
                body = answer.read(_MOST_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ProviderAwayError(f"{parts.scheme}://{parts.netloc}: {_words(error)}") from None
        if len(body) > _MOST_BYTES:
            raise ProviderAwayError(f"{parts.scheme}://{parts.netloc}: an answer of more than {_MOST_BYTES} bytes")
        return Reply(answer.status, body)


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
