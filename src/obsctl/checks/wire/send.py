"""Signed requests through the virtual address, each on a new connection."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import time

from obsctl.checks.ask.http import connect, prepared, words
from obsctl.checks.ask.web import Web
from obsctl.core.deadline import Deadline
from obsctl.core.rule_test import BODY_BYTES, Request
from obsctl.core.secrets import Secret

#: How long a signature is valid, seconds; enough even if a balancer's clock is a little off.
_VALID_S = 300
#: Time limit of a request beyond its own delay, seconds.
_DEADLINE_S = 5.0
#: A header in each answer of nginx to a test, and in no answer of a back end.
_HEADER = "X-Obscraft-Test"
#: Size of the head of an answer, bytes.
_HEAD_BYTES = 149
_PIECE_BYTES = 64 * 1024


class NotATestError(Exception):
    """A back end answered: nginx did not treat the request as a test. No further request may be sent."""


def key_of(secret: Secret) -> Secret:
    """Return the key that nginx compares with (``obscraft-test.conf`` of the role): a digest of the secret."""
    return Secret(hashlib.sha256(secret.reveal().encode()).hexdigest(), secret.reference)


def rate_of(delay_s: int) -> int:
    """Return the rate limit of an answer, bytes a second, that makes it take a second more than its delay.

    nginx sends pieces of this many bytes with a second between two, and sometimes, when a second ends, the last two
    pieces at once.
    """
    return (BODY_BYTES + _HEAD_BYTES) // (delay_s + 1)


def signed(mark: str, key: Secret, now: float) -> dict[str, str]:
    """Return the headers by which nginx recognizes a test request.

    Args:
        mark: of the test and the rule.
        key: from :func:`key_of`.
        now: seconds since the epoch.
    """
    expires = str(int(now) + _VALID_S)
    # nginx's secure_link compares this MD5 digest; the signed request is worth nothing to others, and only valid for
    # minutes.
    digest = hashlib.md5(f"{expires} {mark} {key.reveal()}".encode(), usedforsecurity=False).digest()
    signature = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return {"X-Obscraft-Test": mark, "X-Obscraft-Test-Expires": expires, "X-Obscraft-Test-Signature": signature}


def send(address: str, asked_by: Web, request: Request, mark: str, key: Secret) -> str:
    """Send a request; return the wrong answer, or an empty text for the right one.

    Raises:
        NotATestError: nginx did not treat it as a test.
    """
    headers = {"User-Agent": "obsctl", "Host": address, **request.headers, **signed(mark, key, time.time())}
    headers |= {"X-Obscraft-Test-Status": str(request.status), "Connection": "close"}
    if request.delay_s:
        headers["X-Obscraft-Test-Rate"] = str(rate_of(request.delay_s))
    if request.method in {"POST", "PUT", "PATCH"}:
        headers["Content-Length"] = "0"
    connection = prepared(address, asked_by.port, asked_by.tls)
    try:
        with Deadline(request.delay_s * 2 + _DEADLINE_S) as deadline, contextlib.closing(connection):
            connection.sock = connect(deadline, address, asked_by.port, asked_by.tls)
            connection.putrequest(request.method, request.uri, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            while answer.read1(_PIECE_BYTES):
                pass
    except (OSError, http.client.HTTPException) as error:
        return words(error)
    if answer.getheader(_HEADER) is None:
        raise NotATestError(f"status {answer.status} from a back end: nginx did not take the request for a test")
    return "" if answer.status == request.status else f"status {answer.status} instead of {request.status}"
