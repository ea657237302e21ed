"""TLS on a connection to a broker, and the meaning of its failures."""

from __future__ import annotations

import socket
import ssl
import time
from typing import NamedTuple

from obsctl.checks.kafka.snapshot import CERTIFICATE, CLEAR, EXPIRED, NAME, UNTRUSTED

#: Longer than any TLS handshake on a working network, seconds.
_HANDSHAKE_S = 0.5
#: OpenSSL's names of errors for peers that do not speak TLS.
_NO_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", None)
#: OpenSSL's numbers of what is wrong with a certificate (``X509_V_ERR_…``): its time, its name, the rest its issuer.
_NOT_YET_VALID, _HAS_EXPIRED = 9, 10
_OTHER_NAME = (62, 64)
#: Alerts with which a server refuses the client's certificate, or a client without one (RFC 8446, section 6.2).
_ABOUT_THE_CLIENT = (
    "CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED",
    "UNSUPPORTED_CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED",
)  # fmt: skip
SPEAKS_CLEAR = "the port does not use TLS, but obsctl connects with it"


class Failure(NamedTuple):
    """Why TLS failed, in a few words, and the kind of silence; empty for none of the kinds."""

    words: str
    kind: str


def encrypt(line: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Return the connection with TLS on it.

    Raises:
        OSError: TLS failed; :func:`failure` says what that means.
    """
    return context.wrap_socket(line, server_hostname=host)


def is_end(error: OSError) -> bool:
    """Return whether the other side only closed the connection, without sending anything."""
    return isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError))


def failure(error: OSError, host: str) -> Failure | None:
    """Return what an error says about TLS; None if it is not about TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, host)
    if not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or ""
    if error.reason in _NO_TLS and not is_end(error):
        return Failure(SPEAKS_CLEAR, CLEAR)
    if "ALERT" in reason and reason.partition("ALERT_")[2] in _ABOUT_THE_CLIENT:
        return Failure(f"refuses the client's certificate, or that it has none ({_words(reason)})", CERTIFICATE)
    return Failure(f"no TLS connection: {_words(reason) or str(error).lower()}", "")


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> Failure:
    if error.verify_code == _HAS_EXPIRED:
        return Failure("its certificate has expired", EXPIRED)
    if error.verify_code == _NOT_YET_VALID:
        return Failure("its certificate is not valid yet", EXPIRED)
    if error.verify_code in _OTHER_NAME:
        return Failure(f"its certificate does not name {host}", NAME)
    return Failure(f"its certificate is not trusted: {error.verify_message}", UNTRUSTED)


def _words(reason: str) -> str:
    return reason.partition("ALERT_")[2].replace("_", " ").lower() or reason.replace("_", " ").lower()


def speaks_tls(host: str, port: int, deadline: float) -> bool:
    """Return whether the port answers a TLS handshake, even with an error: it may close a plain connection silently.

    No request is sent on that connection, so the certificate need not be valid.
    """
    left = min(_HANDSHAKE_S, deadline - time.monotonic())
    if left <= 0:
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout=left) as line, context.wrap_socket(line):
            return True
    except ssl.SSLEOFError:
        # It closes every connection.
        return False
    except ssl.SSLError as error:
        # An alert counts as an answer, as does a version that is too old for us; a text that is not TLS does not.
        return error.reason not in _NO_TLS
    except OSError:
        return False
