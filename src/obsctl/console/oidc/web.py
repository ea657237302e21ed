"""Requests to the provider: with a shared deadline, a limited answer size, and without following redirects."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from obsctl.console.oidc.errors import ProviderAwayError
from obsctl.core.deadline import Deadline
from obsctl.core.http_exchange import Reply, exchange

#: Largest answer, bytes. A document or a set of keys has some thousand.
_MOST_BYTES = 256 * 1024


class Web:
    """The connection to the provider.

    Args:
        ca_file: PEM file of the authorities to trust for its certificate; empty for this machine's.

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
        """Return the answer to a GET request, or to a POST request if there is a form.

        Args:
            deadline: of the whole exchange with the provider.
            url: of the request.
            form: the fields of the body, URL-encoded.
            headers: besides the usual ones.

        Raises:
            ProviderAwayError: there is no complete answer.
        """
        parts = urlsplit(url)
        sent, data = {"Accept": "application/json", **(headers or {})}, None
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            data = urlencode(form).encode()
        try:
            reply = exchange(deadline, url, most_bytes=_MOST_BYTES + 1, headers=sent, data=data, tls=self._tls)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ProviderAwayError(f"{parts.scheme}://{parts.netloc}: {_words(error)}") from None
        if len(reply.body) > _MOST_BYTES:
            raise ProviderAwayError(f"{parts.scheme}://{parts.netloc}: an answer of more than {_MOST_BYTES} bytes")
        return reply


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
