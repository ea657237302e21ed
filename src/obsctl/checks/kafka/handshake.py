"""TLS on a connection to a broker, and what it means where it does not come about."""

from __future__ import annotations

import socket
import ssl
import time
from typing import NamedTuple

from obsctl.checks.kafka.snapshot import CERTIFICATE, CLEAR, EXPIRED, NAME, UNTRUSTED

#: A TLS handshake on a network that answers takes less, in seconds.
_HANDSHAKE_S = 0.5
#: OpenSSL's names of what is no TLS at all.
_NO_TLS = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", None)
#: OpenSSL's numbers of what is wrong with a certificate (``X509_V_ERR_…``): its time, its name, the rest its issuer.
_NOT_YET_VALID, _HAS_EXPIRED = 9, 10
_OTHER_NAME = (62, 64)
#: Alerts by which a server refuses the client's certificate, or that there is none (RFC 8446, section 6.2).
_ABOUT_THE_CLIENT = (
    "CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED",
    "UNSUPPORTED_CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED",
)  # fmt: skip
SPEAKS_CLEAR = "the port does not use TLS, but obsctl connects with it"


class Failure(NamedTuple):
    """Why there is no TLS, in a few words, and which kind of silence that is; empty for none of them."""

    words: str
    kind: str


def encrypt(line: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Return the connection with TLS on it.

    Raises:
        OSError: it does not come about; :func:`failure` says what that means.
    """
    return context.wrap_socket(line, server_hostname=host)


def is_end(error: OSError) -> bool:
    """Return whether the other side has only closed the connection, and said nothing."""
    return isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError))


def failure(error: OSError, host: str) -> Failure | None:
    """Return what an error says about TLS, None where it is not about that."""
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
    """Return whether the port answers a TLS handshake, in whatever way: one that closes on clear text may say nothing.

    Nothing is sent on that connection, so the certificate need not be good.
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
        # It hangs up on everybody.
        return False
    except ssl.SSLError as error:
        # An alert is an answer too, as is a version that is too old for us; text that is no TLS is not.
        return error.reason not in _NO_TLS
    except OSError:
        return False
