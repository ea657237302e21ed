"""The fleet's CA: made once, signs for the names of the inventory alone, and survives a run that breaks off."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from rig import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.plugin_utils import certificate_authority as ca  # isort: skip

PASSPHRASE = "passphrase"
PEM = serialization.Encoding.PEM


@pytest.fixture
def folder(tmp_path: Path) -> ca.Folder:
    return ca.Folder(tmp_path / "ca.pem", tmp_path)


def request(key: ec.EllipticCurvePrivateKey | None = None) -> str:
    """A request that asks for another host's names."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
    builder = x509.CertificateSigningRequestBuilder(name)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("other")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(PEM).decode()


def leaf_of(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def test_of_a_request_only_the_key_counts(folder: ca.Folder) -> None:
    ca.prepare(folder, PASSPHRASE, 3650)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = leaf_of(ca.load(folder, PASSPHRASE).sign(request(key), "kafka", "node1", ["192.0.2.1"], 397))
    assert leaf.public_key() == key.public_key()
    assert leaf.subject.rfc4514_string() == "CN=node1,OU=kafka,O=obscraft"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["192.0.2.1"]
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


def test_a_request_that_its_key_has_not_signed_is_refused(folder: ca.Folder) -> None:
    ca.prepare(folder, PASSPHRASE, 3650)
    whole = x509.load_pem_x509_csr(request().encode()).public_bytes(serialization.Encoding.DER)
    changed = whole.replace(b"admin", b"nimda")
    text = x509.load_der_x509_csr(changed).public_bytes(PEM).decode()
    for wrong in (text, "no request"):
        with pytest.raises(ca.AuthorityError, match="certificate request of node1"):
            ca.load(folder, PASSPHRASE).sign(wrong, "kafka", "node1", [], 1)


@pytest.mark.parametrize(("days", "ca_days"), [(397, 3650), (397, 10), (10 / 1440, 3650)])
def test_a_life_begins_a_little_earlier_and_never_outlives_the_ca(
    folder: ca.Folder, days: float, ca_days: float
) -> None:
    ca.prepare(folder, PASSPHRASE, ca_days)
    ours = ca.load(folder, PASSPHRASE)
    leaf = leaf_of(ours.sign(request(), "kafka", "node1", [], days))
    now = datetime.datetime.now(datetime.UTC)
    wanted = datetime.timedelta(days=min(days, ca_days))
    assert abs(ca.valid_until(leaf) - now - wanted) < datetime.timedelta(minutes=1)
    assert ca.valid_until(leaf) <= ca.valid_until(ours.certificate)
    early = now - ca.valid_from(leaf)
    assert datetime.timedelta(seconds=50) < early <= datetime.timedelta(hours=1, minutes=1)
    # Ten minutes must not become a life of seventy, of which a third is always left.
    assert early < datetime.timedelta(days=days) / 5


def test_many_hosts_at_once_get_one_ca(folder: ca.Folder) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ca.prepare(folder, PASSPHRASE, 10), range(8)))
    assert made.count(True) == 1
    assert {path.name for path in folder.path.iterdir()} == {"ca.pem", "ca.key.pem"}


def test_a_run_that_ended_between_key_and_certificate_is_continued(folder: ca.Folder) -> None:
    ca.prepare(folder, PASSPHRASE, 10)
    key = folder.key.read_text()
    folder.trusted.unlink()
    assert ca.prepare(folder, PASSPHRASE, 10)
    assert folder.key.read_text() == key
    assert ca.load(folder, PASSPHRASE).certificate.subject.rfc4514_string().startswith("CN=fleet CA ")
    # The same in a change: the next key is there, and its certificate is not.
    first = folder.trusted.read_text()
    ca.change(folder, "trust", PASSPHRASE, 10)
    folder.trusted.write_text(first)
    assert ca.change(folder, "trust", PASSPHRASE, 10)
    assert len(ca.read_certificates(folder.trusted)) == 2


@pytest.fixture
def ends_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the process end after so many changes of the files' names."""
    left = [0]

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def change(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
            return method(*given, **named)

        return change

    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    return lambda changes: left.__setitem__(0, changes)


def test_a_change_that_ended_within_a_step_is_continued(folder: ca.Folder, ends_after: Callable[[int], None]) -> None:
    """Each run looks at the CA first, so it must be whole at each moment."""
    ends_after(1000)
    ca.prepare(folder, PASSPHRASE, 10)
    ca.change(folder, "trust", PASSPHRASE, 10)
    following = ca.read_key(folder.next_key, PASSPHRASE).public_key()
    for step, changes in (("move", 3), ("drop", 3)):
        for number in range(changes):
            ends_after(number)
            with pytest.raises(KeyboardInterrupt):
                ca.change(folder, step, PASSPHRASE, 10)
            ends_after(1000)
            assert ca.prepare(folder, PASSPHRASE, 10) is False
        assert ca.change(folder, step, PASSPHRASE, 10)
    assert {path.name for path in folder.path.iterdir()} == {"ca.pem", "ca.key.pem"}
    assert ca.load(folder, PASSPHRASE).certificate.public_key() == following


class Site:
    """A CA of a site: a root, and an intermediate one that signs."""

    def __init__(self, path: Path) -> None:
        root_folder = ca.Folder(path / "ca.pem", path)
        ca.prepare(root_folder, PASSPHRASE, 3650)
        root = ca.load(root_folder, PASSPHRASE)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        self.root = root.certificate
        self.intermediate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site CA")]))
            .issuer_name(root.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(root.key, hashes.SHA256())
        )
        self.key = encrypted(key)


def encrypted(key: Any) -> bytes:
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    return bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))


def test_an_intermediate_ca_sends_its_chain(folder: ca.Folder, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    folder.trusted.write_text(ca.as_pem([site.intermediate, site.root]))
    folder.key.write_bytes(site.key)
    signed = ca.load(folder, PASSPHRASE).sign(request(), "nginx", "node1", ["node1"], 10)
    (folder.path / "chain.pem").write_text(signed)
    leaf, *others = ca.read_certificates(folder.path / "chain.pem")
    assert others == [site.intermediate]
    assert ca.chain_fault(leaf, others, [site.root]) == ""
    assert "CN=site CA" in ca.chain_fault(leaf, [], [site.root])
    # OpenSSL ends a chain at a root alone.
    assert "the issuer CN=fleet CA" in ca.chain_fault(leaf, others, [site.intermediate])
    folder.trusted.write_text(ca.as_pem([site.intermediate]))
    with pytest.raises(ca.AuthorityError, match=r"not all of its issuers .* up to the root"):
        ca.load(folder, PASSPHRASE)


def test_a_chain_may_have_the_root_as_another_ca_has_signed_it(folder: ca.Folder) -> None:
    ca.prepare(folder, PASSPHRASE, 3650)
    ours = ca.load(folder, PASSPHRASE)
    leaf = leaf_of(ours.sign(request(), "nginx", "node1", ["node1"], 10))
    key = ec.generate_private_key(ec.SECP256R1())
    other, crossed = certificate_of(key.public_key(), key), certificate_of(ours.key.public_key(), key, ours.certificate)
    assert ca.chain_fault(leaf, [crossed], [ours.certificate]) == ""
    assert ca.chain_fault(leaf, [crossed], [other]) == ""
    assert "the issuer CN=another CA" in ca.chain_fault(leaf, [crossed], [crossed])


def certificate_of(public: Any, signer: Any, named: x509.Certificate | None = None) -> x509.Certificate:
    """Return what "another CA" has signed: its own certificate, or one with the name of another."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another CA")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, named.subject if named else name, public, x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=30))
    return builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def test_with_an_intermediate_ca_its_root_is_dropped_too(folder: ca.Folder, tmp_path: Path) -> None:
    """While the root is trusted, so is each certificate of the former CA that is sent with its chain."""
    first, second = Site(tmp_path / "first"), Site(tmp_path / "second")
    folder.trusted.write_text(ca.as_pem([first.intermediate, first.root, second.intermediate, second.root]))
    folder.key.write_bytes(first.key)
    folder.next_key.write_bytes(second.key)
    whole = folder.trusted.read_text()
    folder.trusted.write_text(ca.as_pem([first.intermediate, first.root, second.intermediate]))
    for step in ("trust", "move"):
        with pytest.raises(ca.AuthorityError, match="up to the root"):
            ca.change(folder, step, PASSPHRASE, 10)
    folder.trusted.write_text(whole)
    assert not ca.change(folder, "trust", PASSPHRASE, 10)
    assert ca.change(folder, "move", PASSPHRASE, 10)
    assert ca.change(folder, "drop", PASSPHRASE, 10)
    assert ca.read_certificates(folder.trusted) == [second.intermediate, second.root]


def test_a_next_ca_that_the_present_one_has_issued_is_refused(folder: ca.Folder, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    folder.trusted.write_text(ca.as_pem([site.root, site.intermediate]))
    folder.key.write_bytes((tmp_path / "site/ca.key.pem").read_bytes())
    folder.next_key.write_bytes(site.key)
    with pytest.raises(ca.AuthorityError, match="would stay trusted"):
        ca.change(folder, "move", PASSPHRASE, 10)


def test_a_key_of_any_kind_signs(folder: ca.Folder) -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)):
        folder.trusted.write_text(ca.as_pem([certificate_of(key.public_key(), key)]))
        folder.key.write_bytes(encrypted(key))
        ours = ca.load(folder, PASSPHRASE)
        leaf = leaf_of(ours.sign(request(), "nginx", "node1", ["node1"], 10))
        assert ca.chain_fault(leaf, [], ours.trusted) == ""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
def test_a_trusted_certificate_of_an_unknown_kind_of_key_is_left_alone(folder: ca.Folder) -> None:
    """A company's file of CAs may have any; cryptography raises for a curve that it does not know."""
    ca.prepare(folder, PASSPHRASE, 10)
    foreign = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224k1", "-nodes",
         "-keyout", "/dev/null", "-subj", "/CN=other"], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    folder.trusted.write_text(foreign + folder.trusted.read_text())
    assert ca.load(folder, PASSPHRASE).certificate.subject.rfc4514_string().startswith("CN=fleet CA ")


@pytest.mark.parametrize(
    ("host", "names", "words"),
    [("n" * 65, ["node1"], "longer than a certificate allows, 64"), ("node1", ["b\u00fccher.example"], "xn--")],
)
def test_names_that_no_certificate_holds_are_refused(
    folder: ca.Folder, host: str, names: list[str], words: str
) -> None:
    ca.prepare(folder, PASSPHRASE, 3650)
    with pytest.raises(ca.AuthorityError, match=words):
        ca.load(folder, PASSPHRASE).sign(request(), "nginx", host, names, 10)


def test_files_that_do_not_fit_are_named_with_the_fix(folder: ca.Folder) -> None:
    with pytest.raises(ca.AuthorityError, match="set fleet_tls_ca_passphrase to a reference"):
        ca.prepare(folder, "", 10)
    ca.prepare(folder, PASSPHRASE, 10)
    for passphrase, words in (("another", "cannot be opened"), ("", "is encrypted")):
        with pytest.raises(ca.AuthorityError, match=words) as refused:
            ca.load(folder, passphrase)
        assert "fleet_tls_ca_passphrase" in refused.value.fix
    encrypted = folder.key.read_bytes()
    plain = serialization.load_pem_private_key(encrypted, PASSPHRASE.encode())
    folder.key.write_bytes(plain.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    with pytest.raises(ca.AuthorityError, match="openssl pkcs8 -topk8"):
        ca.load(folder, PASSPHRASE)
    folder.key.write_bytes(encrypted)
    other = ca.Folder(folder.path / "other/ca.pem", folder.path / "other")
    ca.prepare(other, PASSPHRASE, 10)
    folder.trusted.write_text(other.trusted.read_text())
    with pytest.raises(ca.AuthorityError, match="is not the key of a certificate in"):
        ca.load(folder, PASSPHRASE)
    folder.trusted.write_text("")
    with pytest.raises(ca.AuthorityError, match="holds no certificate"):
        ca.load(folder, PASSPHRASE)
