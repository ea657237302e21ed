# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""A site's own ready certificates, and whether they can be used."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.obscraft.fleet.plugins.plugin_utils.certificate_authority import (
    UTC,
    AuthorityError,
    as_pem,
    chain_fault,
    is_address,
    is_of,
    read_certificates,
    valid_from,
    valid_until,
)
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

_SERVER = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH}
#: Brokers show theirs to each other as clients too; the other uses are servers only.
_USAGES = {"kafka": {**_SERVER, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}}


def read_ready(
    certificate_file: Path, key_file: Path, trusted_file: Path, use: str, names: Sequence[str]
) -> tuple[str, str]:
    """Return a site's ready certificate with its chain, and its key (PKCS 8), both PEM.

    Args:
        use: what it is for (``kafka``, ``mysql``, ``nginx``, ``backend``).
        names: what clients use.

    Raises:
        AuthorityError: a file cannot be read, or they do not fit each other, the use, the addresses among the
            names, the trusted CA or the time.
    """
    chain = read_certificates(certificate_file)
    leaf = chain[0]
    key = _key_of(chain, certificate_file, _read(key_file), str(key_file))
    # Clients use the addresses; a site's certificates seldom have the names of an inventory.
    lacking = sorted(set(filter(is_address, names)) - set(names_of(leaf)))
    if lacking:
        raise AuthorityError(
            f"{certificate_file} is not for {', '.join(lacking)}, so clients would refuse it",
            "have it issued with these subject alternative names",
        )
    usages = _usages_of(leaf)
    denied = sorted(name for name, usage in _USAGES.get(use, _SERVER).items() if usages and usage not in usages)
    if denied:
        raise AuthorityError(
            f"{certificate_file} does not allow {' and '.join(denied)} (extended key usage), which {use} needs",
            "have it issued for " + " and ".join(_USAGES.get(use, _SERVER)),
        )
    _check_time(leaf, certificate_file)
    fault = chain_fault(leaf, chain[1:], read_certificates(trusted_file))
    if fault:
        raise AuthorityError(
            f"{certificate_file} is not of the CA in {trusted_file} ({fault})",
            "put the intermediate certificates after it, or the root into that file",
        )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return as_pem(chain), private.decode()


def check_own(certificate_file: Path, key: str, key_name: str) -> None:
    """Raise where a server cannot use the site's own certificate; which authority signed it does not matter.

    Args:
        certificate_file: the certificate, then intermediate ones.
        key: its key, PEM.
        key_name: what the inventory calls it.

    Raises:
        AuthorityError: they do not fit each other or the time.
    """
    chain = read_certificates(certificate_file)
    _key_of(chain, certificate_file, key.encode(), key_name)
    _check_time(chain[0], certificate_file)


def _check_time(leaf: x509.Certificate, path: Path) -> None:
    now = datetime.datetime.now(UTC)
    if not valid_from(leaf) <= now <= valid_until(leaf):
        raise AuthorityError(
            f"{path} is valid from {valid_from(leaf):%Y-%m-%d %H:%M} to {valid_until(leaf):%Y-%m-%d %H:%M} UTC, "
            "and not now",
            "have it renewed, or set the clock of this machine",
        )


def _usages_of(certificate: x509.Certificate) -> frozenset[x509.ObjectIdentifier]:
    """Return what the extended key usage allows; empty where there is none, which allows everything."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset() if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in found else frozenset(found)


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the addresses and DNS names that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return found.get_values_for_type(x509.DNSName) + [str(a) for a in found.get_values_for_type(x509.IPAddress)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthorityError(
            f"{path} cannot be read: {error.strerror}", "set certificates_ready_key to the key's file"
        ) from None


def _key_of(chain: Sequence[x509.Certificate], certificate_file: Path, pem: bytes, name: str) -> Any:
    """Return the key, which is not encrypted, of the first certificate."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (TypeError, ValueError):
        raise AuthorityError(
            f"{name} is no private key, or is encrypted", "put the key there in PEM, without encryption"
        ) from None
    except UnsupportedAlgorithm as error:
        raise AuthorityError(f"{name} is of a kind that is not known here ({error})", "use an RSA or EC key") from None
    if is_of(chain[0], key):
        return key
    if any(is_of(other, key) for other in chain[1:]):
        raise AuthorityError(
            f"{certificate_file} does not begin with the certificate of {name}",
            "put that certificate first, and the intermediate ones after it",
        )
    raise AuthorityError(f"{name} is not the key of {certificate_file}", "put its key there")
