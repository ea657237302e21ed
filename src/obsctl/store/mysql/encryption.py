"""TLS on a connection to the database: whom a client trusts, and what a failure means.

With authorities to trust, PyMySQL starts TLS before it sends a user's name, closes the connection to a server without
TLS, and sends the password of ``caching_sha2_password`` inside TLS: there is no fall-back to clear text, nor to a
password that is encrypted with a key from the server itself.
"""

from __future__ import annotations

import ssl
from typing import NamedTuple

from obsctl.core.errors import ConfigError
from obsctl.store.mysql import hints

#: PyMySQL's error number for a server without TLS; its text names neither server nor setting.
_NOT_OFFERED = 2026
#: OpenSSL's numbers of what is wrong with a certificate (``X509_V_ERR_…``): its time, its name, the rest its issuer.
_NOT_YET_VALID, _HAS_EXPIRED = 9, 10
_OTHER_NAME = (62, 64)


class Failure(NamedTuple):
    """Why there is no trusted connection: one sentence, and what to do."""

    message: str
    hint: str


def context(ca_file: str, role: str = hints.ROLE) -> ssl.SSLContext | None:
    """Return the TLS context of a client that verifies chain and name; None without authorities to trust.

    Args:
        ca_file: authorities to trust (PEM); empty for none.
        role: the command that runs the database's role on the inventory in use.

    Raises:
        ConfigError: the file cannot be read, or has no certificate.
    """
    if not ca_file:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise ConfigError(
            f"{ca_file}, by which the database's certificate is verified, holds no certificate in PEM",
            hint=f"database.ca_file names it; {_written_by(role)}",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{ca_file}, by which the database's certificate is verified, cannot be read: "
            f"{(error.strerror or '').lower()}",
            hint=f"database.ca_file names it; {_written_by(role)}",
        ) from None
    return made


def failure(error: BaseException, host: str, port: int, ca_file: str, role: str = hints.ROLE) -> Failure | None:
    """Return what a connection's error says about its encryption; None if it is not about that.

    Args:
        error: PyMySQL's.
        host: as given to the client.
        port: TCP port.
        ca_file: authorities that are trusted; empty for a connection that verifies nothing.
        role: the command that runs the database's role on the inventory in use.
    """
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if isinstance(error, RuntimeError) and "cryptography" in str(error):
        return _asks_for_a_key(host, port, role)
    if code == _NOT_OFFERED:
        return Failure(
            f"the database at {host}:{port} offers no TLS, and database.ca_file allows no other connection",
            f"with fleet_tls: true in the inventory (and mysql_tls not clear), {role} sets it up",
        )
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate(cause, host, port, ca_file, role)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        words = (cause.reason or str(cause)).replace("_", " ").lower()
        return Failure(
            f"no TLS connection to the database at {host}:{port} can be established: {words}",
            f"what it offers: openssl s_client -starttls mysql -connect {host}:{port} </dev/null",
        )
    return None


def _certificate(error: ssl.SSLCertVerificationError, host: str, port: int, ca_file: str, role: str) -> Failure:
    shown = (
        f"openssl s_client -starttls mysql -connect {host}:{port} -showcerts </dev/null 2>/dev/null | "
        "openssl x509 -noout -subject -issuer -dates -ext subjectAltName"
    )
    subject = f"the certificate of the database at {host}:{port}"
    if error.verify_code == _HAS_EXPIRED:
        return Failure(f"{subject} has expired", f"if date -u is right here and there, {role} renews it; now: {shown}")
    if error.verify_code == _NOT_YET_VALID:
        return Failure(
            f"{subject} is not valid yet by this machine's clock",
            f"compare date -u here and on the database's host, and set the clock that is wrong; its dates: {shown}",
        )
    if error.verify_code in _OTHER_NAME:
        return Failure(
            f"{subject} was issued for another name than {host}",
            f"its names: {shown}; {role} issues one for ansible_host and the inventory's name of the database's host",
        )
    return Failure(
        f"{subject} is signed by no authority in {ca_file} ({error.verify_message})",
        f"who signed it: {shown}; {_written_by(role)}",
    )


def _asks_for_a_key(host: str, port: int, role: str) -> Failure:
    """Whether PyMySQL has no library to encrypt a password for an unencrypted connection, by its RuntimeError."""
    return Failure(
        f"the database at {host}:{port} wants the password, which is sent over TLS only, and offers no TLS",
        f"with fleet_tls: true in the inventory, {role} sets it up",
    )


def _written_by(role: str) -> str:
    clients = role.replace("playbooks/mysql.yml", "playbooks/consumer.yml")
    return f"on a consumer's host {clients} writes it, on the control node it is the inventory's mysql_client_ca_file"
