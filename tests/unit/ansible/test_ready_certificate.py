"""Which of a site's certificates can work for what."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rig import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.plugin_utils import ready_certificate  # isort: skip
from ansible_collections.obscraft.fleet.plugins.plugin_utils.certificate_authority import AuthorityError  # isort: skip

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
PEM = serialization.Encoding.PEM


def read(folder: Path, use: str, usages: list[x509.ObjectIdentifier], *, ended: bool = False) -> None:
    """Read a certificate that is its own CA, with this extended key usage; one that has ended is only written."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2 if ended else 0)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    certificate, secret = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain))
    if ended:
        return
    ready_certificate.read_ready(certificate, secret, certificate, use, [])


def test_a_certificate_of_nginxs_own_fits_its_key_and_the_time(tmp_path: Path) -> None:
    read(tmp_path, "nginx", [])
    certificate, key = tmp_path / "cert.pem", (tmp_path / "key.pem").read_text()
    ready_certificate.check_own(certificate, key, "nginx_tls_key")
    read(tmp_path, "nginx", [])
    with pytest.raises(AuthorityError, match=r"nginx_tls_key is not the key of .*/cert\.pem"):
        ready_certificate.check_own(certificate, key, "nginx_tls_key")
    read(tmp_path, "nginx", [], ended=True)
    with pytest.raises(AuthorityError, match="and not now"):
        ready_certificate.check_own(certificate, (tmp_path / "key.pem").read_text(), "nginx_tls_key")


def test_a_chain_in_the_wrong_order_is_named(tmp_path: Path) -> None:
    read(tmp_path, "nginx", [])
    certificate, key = tmp_path / "cert.pem", (tmp_path / "key.pem").read_text()
    own = certificate.read_text()
    read(tmp_path, "nginx", [])
    certificate.write_text(certificate.read_text() + own)
    with pytest.raises(AuthorityError, match="does not begin with the certificate of nginx_tls_key"):
        ready_certificate.check_own(certificate, key, "nginx_tls_key")


@pytest.mark.parametrize("usages", [[], [ANY], [SERVER, CLIENT]], ids=str)
@pytest.mark.parametrize("use", ["kafka", "nginx"])
def test_a_usage_that_allows_it(tmp_path: Path, use: str, usages: list[x509.ObjectIdentifier]) -> None:
    read(tmp_path, use, usages)


def test_a_broker_is_a_client_too(tmp_path: Path) -> None:
    read(tmp_path, "nginx", [SERVER])
    with pytest.raises(AuthorityError, match=r"does not allow clientAuth .* which kafka needs") as refused:
        read(tmp_path, "kafka", [SERVER])
    assert refused.value.fix == "have it issued for serverAuth and clientAuth"
    for use in ("kafka", "mysql", "nginx", "backend"):
        with pytest.raises(AuthorityError, match="does not allow serverAuth"):
            read(tmp_path, use, [CLIENT])
