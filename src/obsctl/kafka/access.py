"""Turns :class:`~obsctl.core.brokers.Security` into a TLS context, a password, and librdkafka's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from obsctl.core.brokers import IN_CLEAR, Security
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, resolve

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True)
class Access:
    """What connections need, read once for all of them.

    Attributes:
        context: of TLS; None without TLS.
        password: of the login; None without a login.
    """

    security: Security = IN_CLEAR
    context: ssl.SSLContext | None = None
    password: Secret | None = None


#: Without TLS and without a login.
UNPROTECTED = Access()


def open_access(security: Security) -> Access:
    """Read the password and the certificates.

    Raises:
        ConfigError: one of them cannot be read, or is missing.
    """
    return Access(security, _context(security) if security.tls else None, _password(security))


def librdkafka(security: Security) -> dict[str, object]:
    """Return librdkafka's settings for TLS and login.

    Raises:
        ConfigError: the password or a certificate cannot be read, or is missing.
    """
    if security == IN_CLEAR:
        return {}
    found: dict[str, object] = {"security.protocol": security.protocol}
    if security.tls:
        # librdkafka's own error for a file that it cannot load does not name the file.
        _context(security)
        files = {
            "ssl.ca.location": security.ca_file,
            "ssl.certificate.location": security.certificate_file,
            "ssl.key.location": security.key_file or security.certificate_file,
        }
        found |= {name: path for name, path in files.items() if path}
        found["ssl.endpoint.identification.algorithm"] = "https" if security.check_hostname else "none"
    password = _password(security)
    if password is not None:
        found |= {
            "sasl.mechanism": security.mechanism,
            "sasl.username": security.user,
            "sasl.password": password.reveal(),
        }
    return found


def _password(security: Security) -> Secret | None:
    if not security.sasl:
        return None
    if not security.user or not security.password:
        missing = "password" if security.user else "user"
        raise ConfigError(
            f"Kafka is reached by {security.protocol}, and no {missing} is set",
            hint="set kafka_client_user and kafka_client_password (a reference: vault:NAME, file:/PATH or env:NAME)",
        )
    return resolve(security.password)


def _context(security: Security) -> ssl.SSLContext:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = security.check_hostname
    if security.ca_file:
        _readable(security.ca_file, "kafka_client_ca_file")
        try:
            context.load_verify_locations(security.ca_file)
        except (ssl.SSLError, ValueError):
            raise ConfigError(
                f"{security.ca_file} holds no certificate in PEM",
                hint="give kafka_client_ca_file the certificate of the authority that signed the brokers' certificates",
            ) from None
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if security.certificate_file:
        _readable(security.certificate_file, "kafka_client_certificate_file")
        _readable(security.key_file or security.certificate_file, "kafka_client_key_file")
        try:
            # For an encrypted key OpenSSL would prompt on the terminal; an empty password makes it fail instead.
            context.load_cert_chain(security.certificate_file, security.key_file or None, password="")
        except (ssl.SSLError, ValueError):
            raise ConfigError(
                f"{security.certificate_file} and {security.key_file or 'its key'} are no certificate and key in PEM "
                "that belong together",
                hint="kafka_client_certificate_file and kafka_client_key_file; the key must not be encrypted",
            ) from None
    return context


def _readable(path: str, variable: str) -> None:
    try:
        with Path(path).open("rb"):
            return
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {(error.strerror or '').lower()}",
            hint=f"{variable} names it; this user must be able to read it",
        ) from None
