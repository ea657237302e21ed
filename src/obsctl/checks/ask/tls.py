"""The client's side of TLS with a balancer: what is trusted, and why a handshake failed, in a few words."""

from __future__ import annotations

import socket
import ssl

from obsctl.checks.web_refusal import Refusal
from obsctl.core.errors import ConfigError
from obsctl.fleet.model import Https

# OpenSSL's numbers (x509_vfy.h); Python has no names for them.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME, _OTHER_ADDRESS = 62, 64
_UNKNOWN_AUTHORITY = frozenset((2, 18, 19, 20, 21))
#: OpenSSL's errors if the first bytes are not a TLS record.
_NO_RECORD = frozenset(("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"))


class RefusedError(OSError):
    """The peer answers, but no request was sent to it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.words)
        self.refusal = refusal


class NoTlsError(OSError):
    """The peer's first bytes are not TLS."""


class Tls:
    """How certificates of balancers are checked.

    Args:
        https: from the fleet document.

    Raises:
        ConfigError: the file of trusted CAs cannot be read.
    """

    def __init__(self, https: Https) -> None:
        self._https = https
        try:
            self.context = ssl.create_default_context(cafile=https.ca_file or None)
        except OSError as error:
            # Includes ssl.SSLError: the file has no certificate.
            why = "holds no certificate" if isinstance(error, ssl.SSLError) else (error.strerror or str(error)).lower()
            raise ConfigError(
                f"the trusted certificates of nginx cannot be read: {https.ca_file}: {why}",
                hint="nginx_tls_ca_file in the inventory names the file; that of the fleet's own CA is made by the "
                "playbooks",
            ) from None

    def speak(self, line: socket.socket, address: str) -> ssl.SSLSocket:
        """Return the connection with TLS on it; the certificate is valid and has the expected name.

        Args:
            line: an open connection to the address.
            address: the peer's; the certificate must name it, unless the fleet gives another name.

        Raises:
            RefusedError: the certificate is not valid.
            NoTlsError: the peer does not speak TLS.
            OSError: the handshake was interrupted.
        """
        name = self._https.server_name or address
        try:
            return self.context.wrap_socket(line, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            raise RefusedError(self._refusal(error, name)) from None
        except ssl.SSLEOFError:
            raise OSError("broke off the TLS handshake") from None
        except ssl.SSLError as error:
            if error.reason in _NO_RECORD:
                raise NoTlsError("does not speak TLS") from None
            raise OSError(f"TLS failed ({(error.reason or str(error)).replace('_', ' ').lower()})") from None

    def _refusal(self, error: ssl.SSLCertVerificationError, name: str) -> Refusal:
        code = error.verify_code
        if code == _EXPIRED:
            return Refusal(kind="expired", words="its certificate has expired")
        if code == _NOT_YET_VALID:
            return Refusal(kind="early", words="its certificate is not valid yet")
        if code in (_OTHER_NAME, _OTHER_ADDRESS):
            return Refusal(kind="name", words=f"its certificate does not name {name}")
        if code in _UNKNOWN_AUTHORITY:
            whom = f"a CA of {self._https.ca_file}" if self._https.ca_file else "a CA that this machine trusts"
            return Refusal(kind="authority", words=f"its certificate is not signed by {whom}")
        return Refusal(kind="certificate", words=f"its certificate is refused: {error.verify_message}")
