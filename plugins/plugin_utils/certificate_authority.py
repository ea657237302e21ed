# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The fleet's certificate authority (CA): its files on the control node, its change in steps, and what it signs.

The folder holds

- ``ca.pem``: the certificates that are trusted, the signing one among them;
- ``ca.key.pem``: the signing key, encrypted; it is absent where a site brings ready certificates;
- ``ca.next.key.pem``: the key that signs after the change of the CA, once the step ``trust`` has made it;
- ``ca.old.pem``, ``ca.old.key.pem``: what the step ``move`` replaces, until ``drop`` removes it; of a site's own CA
  also its issuers, unless the next CA has them too.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: ansible-core 2.16 also runs on Python 3.10, which has no datetime.UTC.
UTC = datetime.timezone.utc  # noqa: UP017
_PEM = serialization.Encoding.PEM
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
#: A certificate begins this much before now, since clocks differ; a tenth of its life where that is less.
_BACKDATED = datetime.timedelta(hours=1)
_LONGEST_COMMON_NAME = 64
_PEM_FILE = "put the certificate there, in PEM"
ORGANIZATION = "obscraft"


class AuthorityError(Exception):
    """What is wrong with a file of certificates or keys; never a secret.

    Attributes:
        problem: what is wrong.
        fix: what to do; empty where the problem says it.
    """

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(f"{problem}: {fix}" if fix else problem)
        self.problem = problem
        self.fix = fix


class Folder(NamedTuple):
    """Where the CA's files are.

    Attributes:
        trusted: file with the trusted certificates, PEM.
        path: folder of the keys.
    """

    trusted: Path
    path: Path

    @property
    def key(self) -> Path:
        """The signing key."""
        return self.path / "ca.key.pem"

    @property
    def next_key(self) -> Path:
        """The key that signs after the change."""
        return self.path / "ca.next.key.pem"

    @property
    def old_key(self) -> Path:
        """The key that signed before the change."""
        return self.path / "ca.old.key.pem"

    @property
    def old(self) -> Path:
        """The certificate of that key, and its issuers that are not those of the next one."""
        return self.path / "ca.old.pem"


class Authority(NamedTuple):
    """A CA that can sign.

    Attributes:
        trusted: all trusted certificates.
        certificate: the one of the signing key, among them.
        key: the signing key.
    """

    trusted: Sequence[x509.Certificate]
    certificate: x509.Certificate
    key: Any

    def has_expired(self) -> bool:
        """Whether nothing that it signs is valid any more."""
        return valid_until(self.certificate) <= datetime.datetime.now(UTC)

    def intermediates(self) -> list[x509.Certificate]:
        """Return what a host sends after its own certificate: the signer and its issuers, without the root."""
        return [found for found in _with_issuers(self.certificate, self.trusted) if not is_root(found)]

    def sign(self, request: str, use: str, host: str, names: Sequence[str], days: float) -> str:
        """Return a certificate for the key of a request, and the intermediates, as PEM.

        Only the key is taken from the request: a host that was taken over must not choose its names.

        Args:
            request: certificate request, PEM.
            use: what the key is for; the unit of the subject.
            host: name of the host; the common name of the subject.
            names: addresses and DNS names that clients use.
            days: life, in days.

        Raises:
            AuthorityError: the request is none, or the CA's own certificate has expired.
        """
        try:
            asked = x509.load_pem_x509_csr(request.encode())
        except ValueError:
            raise AuthorityError(f"the certificate request of {host} cannot be read") from None
        if not asked.is_signature_valid:
            raise AuthorityError(f"the certificate request of {host} is not signed by its own key")
        now = datetime.datetime.now(UTC)
        life = datetime.timedelta(days=days)
        ends = valid_until(self.certificate)
        if self.has_expired():
            raise AuthorityError(
                f"the CA's certificate expired on {ends:%Y-%m-%d}",
                "change it (docs/guides/tls.md): run `ansible-playbook playbooks/certificates.yml -i INVENTORY -e "
                "certificates_ca_step=trust`, which ends with this message again, then the same with "
                "`-e certificates_ca_step=move`",
            )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = (
            _builder(subject(use, host), self.certificate.subject, asked.public_key())
            .not_valid_before(now - min(_BACKDATED, life / 10))
            .not_valid_after(min(now + life, ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(x509.SubjectAlternativeName(general_names(names)), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        # Keys of these two kinds hash by themselves.
        hashed = isinstance(self.key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
        return as_pem([builder.sign(self.key, None if hashed else hashes.SHA256()), *self.intermediates()])


def subject(use: str, host: str) -> x509.Name:
    """Return the subject of a host's certificate, written as C(CN=HOST,OU=USE,O=obscraft).

    Raises:
        AuthorityError: the host's name does not fit into a subject.
    """
    # RFC 5280, appendix A.1 (ub-common-name).
    if len(host) > _LONGEST_COMMON_NAME:
        raise AuthorityError(
            f"the inventory's name {host} is longer than a certificate allows, {_LONGEST_COMMON_NAME} characters",
            "give the host a shorter name in the inventory; ansible_host has its address",
        )
    parts = ((NameOID.ORGANIZATION_NAME, ORGANIZATION), (NameOID.ORGANIZATIONAL_UNIT_NAME, use),
             (NameOID.COMMON_NAME, host))  # fmt: skip
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


def general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Return addresses and DNS names as a certificate holds them, each once.

    Raises:
        AuthorityError: a name has letters that a DNS name has in another spelling.
    """
    foreign = [name for name in names if not name.isascii()]
    if foreign:
        raise AuthorityError(
            f"{foreign[0]} is no DNS name", "write it as in the DNS, where letters beyond ASCII are encoded (xn--...)"
        )
    return [
        x509.IPAddress(ip_address(name)) if is_address(name) else x509.DNSName(name) for name in dict.fromkeys(names)
    ]


def is_address(name: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def valid_until(certificate: x509.Certificate) -> datetime.datetime:
    """Return the end of a certificate's life in UTC."""
    try:
        return certificate.not_valid_after_utc
    except AttributeError:  # cryptography before 42
        return certificate.not_valid_after.replace(tzinfo=UTC)


def valid_from(certificate: x509.Certificate) -> datetime.datetime:
    """Return the beginning of a certificate's life in UTC."""
    try:
        return certificate.not_valid_before_utc
    except AttributeError:  # cryptography before 42
        return certificate.not_valid_before.replace(tzinfo=UTC)


def as_pem(certificates: Sequence[x509.Certificate]) -> str:
    """Return certificates as one PEM text."""
    return "".join(certificate.public_bytes(_PEM).decode() for certificate in certificates)


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file; text between them is skipped.

    Raises:
        AuthorityError: the file cannot be read, or holds no certificate.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        blocks = [_BEGIN + part.partition(_END)[0] + _END + "\n" for part in text.split(_BEGIN)[1:]]
        found = [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except OSError as error:
        raise AuthorityError(f"{path} cannot be read: {error.strerror}", _PEM_FILE) from None
    except ValueError:
        raise AuthorityError(f"{path} holds a certificate that cannot be read", _PEM_FILE) from None
    if not found:
        raise AuthorityError(f"{path} holds no certificate", _PEM_FILE)
    return found


def read_key(path: Path, passphrase: str) -> Any:
    """Return the private key of a PEM file.

    Args:
        path: the file.
        passphrase: what it is encrypted with; empty for a file that is not encrypted.

    Raises:
        AuthorityError: it cannot be read, or not with this passphrase.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AuthorityError(f"{path} cannot be read: {error.strerror}", "it must be readable for you") from None
    try:
        return serialization.load_pem_private_key(data, passphrase.encode() or None)
    except TypeError:
        if passphrase:
            raise AuthorityError(
                f"{path} is not encrypted",
                f"encrypt it: `openssl pkcs8 -topk8 -v2 aes-256-cbc -in {path} -out {path}.new`, then `mv {path}.new "
                f"{path}`",
            ) from None
        raise AuthorityError(f"{path} is encrypted", "set fleet_tls_ca_passphrase to its passphrase") from None
    except ValueError:
        raise AuthorityError(
            f"{path} cannot be opened", "it must be a private key, and fleet_tls_ca_passphrase its passphrase"
        ) from None
    except UnsupportedAlgorithm as error:
        raise AuthorityError(f"{path} is of a kind that cannot sign here ({error})", "use an RSA or EC key") from None


def load(folder: Folder, passphrase: str) -> Authority:
    """Return the CA.

    Raises:
        AuthorityError: a file is missing or does not fit the others.
    """
    trusted = read_certificates(folder.trusted)
    if not folder.key.exists():
        raise AuthorityError(
            f"{folder.key} does not exist, and {folder.trusted} does",
            "put the signing key there, or set certificates_ready_certificate and certificates_ready_key",
        )
    key = read_key(folder.key, passphrase)
    return Authority(trusted, _of_key(trusted, key, folder.key, folder.trusted), key)


def prepare(folder: Folder, passphrase: str, days: float, *, dry: bool = False) -> bool:
    """Make the CA where there is none, and return whether that was needed.

    Args:
        folder: where.
        passphrase: encrypts the key.
        days: life of the CA's certificate, in days.
        dry: only say so.

    Raises:
        AuthorityError: no passphrase, or one of the two files exists without the other.
    """
    with _locked(folder, dry=dry):
        if folder.trusted.exists():
            load(folder, passphrase)
            return False
        if not passphrase:
            raise AuthorityError(
                "the fleet has no CA yet, and no passphrase for its key",
                "set fleet_tls_ca_passphrase to a reference (vault:NAME, file:PATH or env:NAME)",
            )
        if not dry:
            # The key first: a run that ends between the two finds it, and makes its certificate.
            key = _own_key(folder.key, passphrase)
            _write(folder.trusted, as_pem([_root(key, days)]), 0o644)
        return True


def change(folder: Folder, step: str, passphrase: str, days: float, *, dry: bool = False) -> bool:
    """Do one step of a change of the CA, and return whether there was something to do; each may be repeated.

    ``trust`` makes the next key and has its certificate trusted beside the old one; ``move`` lets it sign; ``drop``
    ends the trust in the old one. A site's own next CA takes the place of what ``trust`` makes: its key is put into
    ``ca.next.key.pem``, its certificate added to ``ca.pem``.

    Raises:
        AuthorityError: the step is not the next one.
    """
    with _locked(folder, dry=dry):
        return {"trust": _trust, "move": _move, "drop": _drop}[step](folder, passphrase, days, dry)


def _trust(folder: Folder, passphrase: str, days: float, dry: bool) -> bool:
    trusted = list(load(folder, passphrase).trusted)
    if folder.next_key.exists():
        following = read_key(folder.next_key, passphrase)
        if _fits(trusted, following):
            _of_key(trusted, following, folder.next_key, folder.trusted)
            return False
    if folder.old.exists():
        raise AuthorityError(
            f"the last change of the CA is not finished ({folder.old} exists)", "run the step drop first"
        )
    if not dry:
        key = _own_key(folder.next_key, passphrase)
        _write(folder.trusted, as_pem([*trusted, _root(key, days)]), 0o644)
    return True


def _move(folder: Folder, passphrase: str, _days: float, dry: bool) -> bool:
    if not folder.next_key.exists():
        if folder.old.exists():
            return False
        raise AuthorityError("no change of the CA has begun", "run the step trust first")
    present = load(folder, passphrase)
    following = _of_key(present.trusted, read_key(folder.next_key, passphrase), folder.next_key, folder.trusted)
    kept = _with_issuers(following, present.trusted)
    old = [found for found in _with_issuers(present.certificate, present.trusted) if found not in kept]
    if not old:
        raise AuthorityError(
            f"the present CA is an issuer of the next one ({folder.next_key}), so it would stay trusted",
            "use a next CA that the present one has not issued",
        )
    if not dry:
        _write(folder.old, as_pem(old), 0o644)
        # Copied, not moved: a run that ends here finds a signing key, and repeats the step.
        _write(folder.old_key, folder.key.read_text(encoding="ascii"), 0o600)
        folder.next_key.replace(folder.key)
    return True


def _drop(folder: Folder, passphrase: str, _days: float, dry: bool) -> bool:
    if folder.next_key.exists():
        raise AuthorityError(f"the next CA does not sign yet ({folder.next_key} exists)", "run the step move first")
    if not folder.old.exists():
        return False
    old = read_certificates(folder.old)
    kept = [certificate for certificate in load(folder, passphrase).trusted if certificate not in old]
    if not dry:
        _write(folder.trusted, as_pem(kept), 0o644)
        folder.old_key.unlink(missing_ok=True)
        folder.old.unlink()
    return True


def chain_fault(leaf: x509.Certificate, others: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]) -> str:
    """Return why a chain does not end at a trusted root, empty where it does.

    Args:
        leaf: the host's certificate, or a CA's.
        others: those that are sent after it.
        trusted: those that are trusted; a root ends a chain, an intermediate one only continues it.
    """
    # Trusted ones first: a site may send its root as another CA has signed it.
    last = _with_issuers(leaf, [*trusted, *others])[-1]
    if last in trusted and is_root(last):
        return ""
    missing = last.issuer.rfc4514_string()
    return f"no trusted certificate is that of {'the root' if is_root(last) else 'the issuer'} {missing}"


def is_root(certificate: x509.Certificate) -> bool:
    """Whether a certificate is its own issuer."""
    return certificate.issuer == certificate.subject


def _with_issuers(certificate: x509.Certificate, known: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Return a certificate, its issuer, and so on, as far as they are known."""
    chain = [certificate]
    while not is_root(chain[-1]):
        issuer = next((other for other in known if other not in chain and _signed(chain[-1], other)), None)
        if issuer is None:
            break
        chain.append(issuer)
    return chain


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def same_key(one: Any, other: Any) -> bool:
    """Whether two public keys are the same."""
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return bool(one.public_bytes(*form) == other.public_bytes(*form))


def is_of(certificate: x509.Certificate, key: Any) -> bool:
    """Whether a private key is the certificate's; one whose kind of key this machine does not know is another's."""
    try:
        return same_key(certificate.public_key(), key.public_key())
    except (UnsupportedAlgorithm, ValueError):
        return False


def _fits(certificates: Sequence[x509.Certificate], key: Any) -> list[x509.Certificate]:
    return [found for found in certificates if is_of(found, key)]


def _of_key(certificates: Sequence[x509.Certificate], key: Any, key_path: Path, path: Path) -> x509.Certificate:
    """Return the certificate of a key; of several the one that lives longest."""
    own = _fits(certificates, key)
    if not own:
        raise AuthorityError(f"{key_path} is not the key of a certificate in {path}", "put its certificate there")
    found = max(own, key=valid_until)
    fault = chain_fault(found, [], certificates)
    if fault:
        # OpenSSL accepts a chain only up to its root, so hosts would reject every certificate.
        raise AuthorityError(
            f"{path} has the certificate of an intermediate CA, but not all of its issuers ({fault})",
            "add the missing ones up to the root",
        )
    return found


def _own_key(path: Path, passphrase: str) -> Any:
    """Return the key of a file, made where it is missing."""
    if path.exists():
        return read_key(path, passphrase)
    key = ec.generate_private_key(ec.SECP384R1())
    encrypted = key.private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(passphrase.encode())
    )
    _write(path, encrypted.decode(), 0o600)
    return key


def _root(key: Any, days: float) -> x509.Certificate:
    now = datetime.datetime.now(UTC)
    # The moment distinguishes the CAs of a change, also for software that finds an issuer by its name alone.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"fleet CA {now:%Y-%m-%d %H:%M:%S}"),
        ]
    )
    builder = (
        _builder(name, name, key.public_key())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    return builder.sign(key, hashes.SHA256())


def _builder(own: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(**given: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file at once or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _locked(folder: Folder, *, dry: bool) -> Iterator[None]:
    """Let one process at a time change the files: Ansible runs a task for several hosts at once."""
    try:
        if dry:
            yield
            return
        folder.path.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AuthorityError(f"{error.filename or folder.path}: {error.strerror}") from None
