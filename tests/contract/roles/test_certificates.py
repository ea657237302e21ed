"""Keys and certificates of hosts, made by the role with the real openssl program below a folder."""

from __future__ import annotations

import grp
import json
import os
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from obsctl.checks.certs import judge
from rig import collection  # noqa: F401  # makes ansible_collections importable
from rig.authority import Authority
from tests.contract.roles.conftest import BIN, HERE, ROOT

from ansible_collections.obscraft.fleet.plugins.modules import host_certificate  # isort: skip

#: The environment with ansible-core 2.16, the last one that runs on old Pythons.
LEGACY = Path(os.environ.get("OBSCTL_TEST_LEGACY_VENV", ROOT / ".venv-legacy"))
PASSPHRASE = "a passphrase that nobody may see"

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None or not any(group.gr_name == "nogroup" for group in grp.getgrall()),
    reason="needs the program openssl and the group nogroup",
)


class Play:
    """Runs the role for the hosts node1 and node2, whose files are folders of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = folder / "pki"
        (folder / "passphrase").write_text(PASSPHRASE + "\n")

    def run(self, *options: str, fails: bool = False, hosts: str = "node1,", path: str = "", **variables: Any) -> str:
        """Return what Ansible printed; programs are looked for in the folder ``path`` first."""
        given = {"folder": str(self.folder), "fleet_tls_ca_passphrase": f"file:{self.folder}/passphrase", **variables}
        done = subprocess.run(
            [BIN / "ansible-playbook", "-i", hosts, HERE / "certificates.yml", "-e", json.dumps(given), *options],
            cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
                           "PATH": f"{path}:{os.environ['PATH']}".lstrip(":")},
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, said
        assert PASSPHRASE not in said
        assert "PRIVATE KEY" not in said
        return said

    def file(self, name: str, host: str = "node1") -> Path:
        return self.folder / host / "tls" / name

    def certificate(self, host: str = "node1") -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.file("kafka/cert.pem", host).read_bytes())

    def chain_is_good(self, host: str = "node1") -> bool:
        return verified(self.file("ca.pem", host), self.file("kafka/cert.pem", host))


def verified(ca: Path, certificate: Path) -> bool:
    done = subprocess.run(
        ["openssl", "verify", "-no-CApath", "-CAfile", ca, "-untrusted", certificate, certificate],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


@pytest.fixture
def play(tmp_path: Path) -> Play:
    if not (BIN / "ansible-playbook").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    return Play(tmp_path)


def changes(said: str) -> set[str]:
    return set(re.findall(r"changed=(\d+)", said))


@pytest.mark.root
def test_a_host_makes_its_key_and_the_control_node_signs(play: Play) -> None:
    dry = play.run("--check", hosts="node1,node2")
    assert changes(dry) != {"0"}
    assert not play.pki.exists()
    assert not play.file("").exists()

    said = play.run("-vvv", hosts="node1,node2", names=["192.168.100.150", "2001:db8::7"])
    assert "certificates_changed of node1 is True" in said
    for host in ("node1", "node2"):
        found = play.certificate(host)
        assert found.subject.rfc4514_string() == f"CN={host},OU=kafka,O=obscraft"
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name.value) for name in names] == ["192.168.100.150", "2001:db8::7", host]
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert {oid._name for oid in usage} == {"serverAuth", "clientAuth"}
        assert play.chain_is_good(host)
        key = play.file("kafka/key.pem", host).read_text()
        assert key.startswith("-----BEGIN PRIVATE KEY-----")
        assert play.file("kafka/keystore.pem", host).read_text() == key + play.file("kafka/cert.pem", host).read_text()
        private = serialization.load_pem_private_key(key.encode(), None)
        assert private.curve.name == "secp256r1"  # type: ignore[union-attr]
        assert private.public_key() == found.public_key()
    modes = {
        name: play.file(name).stat() for name in ("ca.pem", "kafka/cert.pem", "kafka/key.pem", "kafka/keystore.pem")
    }
    assert {name: oct(stat.st_mode & 0o777) for name, stat in modes.items()} == {
        "ca.pem": "0o644", "kafka/cert.pem": "0o644", "kafka/key.pem": "0o640", "kafka/keystore.pem": "0o640",
    }  # fmt: skip
    assert modes["kafka/key.pem"].st_gid == grp.getgrnam("nogroup").gr_gid

    # On the control node: one CA for both hosts, its key encrypted, and no key of a host.
    assert {path.name for path in play.pki.iterdir()} == {"ca.pem", "ca.key.pem"}
    assert (play.pki / "ca.key.pem").stat().st_mode & 0o777 == 0o600
    assert (play.pki / "ca.key.pem").read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert play.file("ca.pem").read_text() == play.file("ca.pem", "node2").read_text()

    names = ["192.168.100.150", "2001:db8::7"]
    assert changes(play.run(hosts="node1,node2", names=names)) == {"0"}
    assert changes(play.run("--check", hosts="node1,node2", names=names)) == {"0"}


@pytest.mark.root
def test_obsctl_warns_from_the_share_of_the_life_on_from_which_the_role_renews() -> None:
    """Both state it: the module runs on hosts without obsctl, and obsctl without the collection."""
    assert judge.SOON_SHARE == host_certificate.SHARE_LEFT


def test_modes_are_mended_and_another_name_gets_a_new_key(play: Play) -> None:
    play.run()
    first = play.certificate()
    play.file("kafka/key.pem").chmod(0o644)
    assert "certificates_changed of node1 is True" in play.run()
    assert play.file("kafka/key.pem").stat().st_mode & 0o777 == 0o640
    assert play.certificate() == first
    said = play.run("--diff", names=["192.168.100.151"])
    assert "it is for node1, not for 192.168.100.151, node1" in said
    assert play.certificate().public_key() != first.public_key()
    assert len([path for path in play.file("").iterdir() if path.name.startswith(".kafka")]) == 1, (
        "old keys are removed"
    )


@pytest.mark.long
@pytest.mark.root
def test_the_ca_changes_in_three_steps_and_each_may_be_repeated(play: Play) -> None:
    play.run()
    first, old_ca = play.certificate(), play.file("ca.pem").read_text()
    assert "run the step trust first" in play.run(certificates_ca_step="move", fails=True)
    play.run(certificates_ca_step="trust")
    assert changes(play.run(certificates_ca_step="trust")) == {"0"}
    assert play.file("ca.pem").read_text().startswith(old_ca)
    assert play.file("ca.pem").read_text().count("BEGIN CERTIFICATE") == 2
    assert play.certificate() == first, "the old CA signs until everybody trusts the new one"
    assert "run the step move first" in play.run(certificates_ca_step="drop", fails=True)
    # A host that the first step has not reached.
    trusting = play.file("ca.pem").read_text()
    play.file("ca.pem").write_text(old_ca)
    said = " ".join(play.run(certificates_ca_step="move", fails=True).split())
    assert "may not trust the next CA yet" in said
    assert "ansible-playbook playbooks/certificates.yml -i node1, -e certificates_ca_step=trust" in said
    assert (play.pki / "ca.next.key.pem").exists()
    play.file("ca.pem").write_text(trusting)
    for step in ("move", "drop"):
        assert "checks all hosts first" in play.run(certificates_ca_step=step, looks_first=False, fails=True)
        assert "without --limit" in play.run("--limit", "node1", certificates_ca_step=step, fails=True)
    spare = play.folder / "spare"
    shutil.copytree(play.file(""), spare, symlinks=True)
    play.run(certificates_ca_step="move")
    assert changes(play.run(certificates_ca_step="move")) == {"0"}
    assert play.certificate().issuer != first.issuer
    assert play.chain_is_good()
    (play.folder / "old.pem").write_text(old_ca)
    assert not verified(play.folder / "old.pem", play.file("kafka/cert.pem"))
    assert "run the step drop first" in play.run(certificates_ca_step="trust", fails=True)
    moved = play.certificate()
    # A host that the second step has not reached.
    play.file("").rename(play.folder / "moved")
    spare.rename(play.file(""))
    said = " ".join(play.run(certificates_ca_step="drop", fails=True).split())
    assert "not of the present CA: kafka" in said
    assert "ansible-playbook playbooks/certificates.yml -i node1, -e certificates_ca_step=move" in said
    shutil.rmtree(play.file(""))
    (play.folder / "moved").rename(play.file(""))
    assert (play.pki / "ca.old.pem").exists()
    play.run(certificates_ca_step="drop")
    assert changes(play.run(certificates_ca_step="drop")) == {"0"}
    assert play.file("ca.pem").read_text().count("BEGIN CERTIFICATE") == 1
    assert play.certificate() == moved
    assert play.chain_is_good()
    assert {path.name for path in play.pki.iterdir()} == {"ca.pem", "ca.key.pem"}


@pytest.mark.long
@pytest.mark.root
def test_a_step_waits_until_the_brokers_have_read_the_files_of_the_last_one(play: Play) -> None:
    """A run that ended between file and restart leaves brokers that would refuse each other's new certificates."""
    (play.folder / "hosts.ini").write_text("[kafka]\nnode1\n")
    given = {"hosts": str(play.folder / "hosts.ini"), "path": str(play.folder / "bin")}
    play.run()
    _running_since(play, datetime.now(UTC))
    play.run(certificates_ca_step="trust")
    said = " ".join(play.run(certificates_ca_step="move", fails=True, **given).split())
    assert "Still running with files of before the last step: kafka. First:" in said
    assert "-e certificates_ca_step=trust" in said
    assert (play.pki / "ca.next.key.pem").exists()
    _running_since(play, datetime.now(UTC))
    play.run(certificates_ca_step="move", **given)
    play.run(certificates_ca_step="move", **given)
    said = " ".join(play.run(certificates_ca_step="drop", fails=True, **given).split())
    assert "-e certificates_ca_step=move" in said
    _running_since(play, datetime.now(UTC))
    play.run(certificates_ca_step="drop", **given)
    assert play.file("ca.pem").read_text().count("BEGIN CERTIFICATE") == 1


def _running_since(play: Play, started: datetime) -> None:
    """Make a program ``systemctl`` for which each unit was started then."""
    monotonic = time.monotonic() - (datetime.now(UTC) - started).total_seconds()
    program = play.folder / "bin/systemctl"
    program.parent.mkdir(exist_ok=True)
    shown = f"ActiveState=active\nInactiveExitTimestampMonotonic={int(monotonic * 1e6)}\nNeedDaemonReload=no\n"
    program.write_text(f"#!/bin/sh\ncat <<END\n{shown}END\n")
    program.chmod(0o755)


@pytest.mark.root
def test_a_certificate_that_openssl_refuses_is_not_installed(play: Play) -> None:
    """With a site's own CA that is none: everything fits, and every client would refuse what it signs."""
    play.run()
    present = play.certificate()
    (play.pki / "ca.pem").write_bytes(_without_the_right_to_sign(play))
    said = " ".join(play.run(fails=True).split())
    assert "openssl on this host refuses the new certificate, so the present one stays: error" in said
    assert play.certificate() == present
    hidden = [path.name for path in play.file("").iterdir() if path.name.startswith(".kafka")]
    assert hidden == [play.file("kafka").readlink().name]


def _without_the_right_to_sign(play: Play) -> bytes:
    """Return the CA's certificate as that of a server, PEM."""
    from cryptography.hazmat.primitives import hashes

    present = x509.load_pem_x509_certificate((play.pki / "ca.pem").read_bytes())
    key = serialization.load_pem_private_key((play.pki / "ca.key.pem").read_bytes(), PASSPHRASE.encode())
    builder = x509.CertificateBuilder(
        present.issuer, present.subject, present.public_key(), x509.random_serial_number(),
        present.not_valid_before_utc, present.not_valid_after_utc,
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)  # fmt: skip
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


@pytest.mark.long
@pytest.mark.root
def test_a_ca_that_has_expired_can_be_changed(play: Play) -> None:
    """Then the run cannot have made every host trust the next CA."""
    play.run()
    present = x509.load_pem_x509_certificate((play.pki / "ca.pem").read_bytes())
    ended = datetime.now(UTC) - timedelta(hours=1)
    (play.pki / "ca.pem").write_bytes(_again(play, present, ended - timedelta(days=1), ended))
    _replaced(play, ended - timedelta(days=1), ended)
    said = " ".join(play.run(certificates_ca_step="trust", fails=True).split())
    assert "the CA's certificate expired on" in said
    assert "-e certificates_ca_step=trust" in said
    play.file("ca.pem").write_bytes(present.public_bytes(serialization.Encoding.PEM))
    play.run(certificates_ca_step="move")
    assert play.chain_is_good()
    # One of the present CA that has expired meanwhile is no reason to refuse.
    _replaced(play, ended - timedelta(days=1), ended)
    play.run(certificates_ca_step="drop")
    assert play.chain_is_good()


@pytest.mark.root
def test_without_a_way_to_sign_nothing_is_made_and_the_fix_is_said(play: Play) -> None:
    said = play.run(fleet_tls_ca_passphrase="", fails=True)
    assert "set fleet_tls_ca_passphrase to a reference" in said
    assert not play.pki.joinpath("ca.pem").exists()
    play.run()
    (play.folder / "passphrase").write_text("another one\n")
    assert "and fleet_tls_ca_passphrase its passphrase" in play.run(fails=True)
    (play.pki / "ca.key.pem").unlink()
    assert "put the signing key there" in play.run(fails=True)


@pytest.fixture
def ready(play: Play) -> dict[str, str]:
    """A certificate of another department, its key apart, and its CA trusted."""
    folder = play.folder / "site"
    folder.mkdir()
    authority = Authority(folder)
    play.pki.mkdir()
    (play.pki / "ca.pem").write_bytes(authority.ca_file.read_bytes())
    text = authority.issue("site", names=("node1", "192.0.2.1")).read_text()
    at = text.index("-----BEGIN CERTIFICATE")
    (folder / "cert.pem").write_text(text[at:])
    (folder / "key.pem").write_text(text[:at])
    return {
        "certificates_ready_certificate": str(folder / "cert.pem"),
        "certificates_ready_key": str(folder / "key.pem"),
        "fleet_tls_ca_passphrase": "",
    }


@pytest.mark.root
def test_ready_certificates_are_installed_and_replaced_when_the_site_does(play: Play, ready: dict[str, str]) -> None:
    play.run("-vvv", **ready)
    assert play.certificate().subject.rfc4514_string() == "CN=site"
    assert play.file("kafka/key.pem").stat().st_mode & 0o777 == 0o640
    assert play.chain_is_good()
    assert changes(play.run(**ready)) == {"0"}
    assert {path.name for path in play.pki.iterdir()} == {"ca.pem"}


@pytest.mark.root
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("name", "is not for 192.0.2.9"),
        ("key", "is not the key of"),
        ("ca", "is not of the CA in"),
        ("expired", "and not now"),
    ],
)
def test_ready_certificates_that_do_not_fit_are_refused(
    play: Play, ready: dict[str, str], spoil: str, words: str
) -> None:
    names = ["192.0.2.9"] if spoil == "name" else []
    other = play.folder / "other"
    other.mkdir()
    foreign = Authority(other)
    if spoil == "key":
        Path(ready["certificates_ready_key"]).write_text(foreign.issue("x").read_text())
    if spoil == "ca":
        (play.pki / "ca.pem").write_bytes(foreign.ca_file.read_bytes())
    if spoil == "expired":
        ended = Authority(play.folder / "site").issue("old", ("node1",), (-timedelta(hours=2), -timedelta(hours=1)))
        ready |= {"certificates_ready_certificate": str(ended), "certificates_ready_key": str(ended)}
    assert words in play.run(fails=True, names=names, **ready)
    assert not play.file("kafka").exists()


def _pythons() -> list[str]:
    """Return this Python, and those of old hosts where they are (as tests/lab/test_ansible_versions.py has them)."""
    folder = Path(os.environ.get("OBSCTL_TEST_PYTHONS", Path.home() / ".pyenv/versions"))
    found = [str(path) for version in ("2.7", "3.6") for path in sorted(folder.glob(f"{version}.*/bin/python"))]
    return ["", *(found if LEGACY.exists() else [])]


class Module:
    """The host's half, run by itself as a host's Python would."""

    def __init__(self, play: Play, python: str) -> None:
        self.play, self.python = play, python or str(BIN / "python")
        self.environment = dict(os.environ)
        if python:
            utils = play.folder / "utils"
            utils.mkdir()
            (package,) = LEGACY.glob("lib/python3*/site-packages/ansible")
            (utils / "ansible").symlink_to(package)
            self.environment["PYTHONPATH"] = str(utils)

    def look(self, *, dry: bool = True, **changed: Any) -> dict[str, Any]:
        ca = self.play.file("ca.pem").read_text()
        given = {
            "step": "look", "directory": str(self.play.file("")), "use": "kafka", "group": "nogroup", "host": "node1",
            "names": ["node1"], "trusted": ca, "signer": ca, "_ansible_check_mode": dry, **changed,
        }  # fmt: skip
        done = subprocess.run(
            [self.python, ROOT / "plugins/modules/host_certificate.py"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": given}), env=self.environment,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.mark.root
@pytest.mark.parametrize("python", _pythons(), ids=lambda path: path.split("/")[-3] if path else "own")
def test_what_calls_for_a_new_certificate(play: Play, python: str) -> None:
    play.run()
    module = Module(play, python)
    good = module.look()
    assert (good["due"], good["changed"]) == ("", False)
    assert "it is for node1, not for 192.0.2.1, node1" in module.look(names=["node1", "192.0.2.1"])["due"]
    assert "its subject is CN=node1" in module.look(host="node2")["due"]
    assert "there is none yet" in module.look(use="nginx")["due"]
    other = play.folder / "other"
    other.mkdir()
    foreign = Authority(other).ca_file.read_text()
    assert "it is not signed by a trusted CA" in module.look(trusted=foreign, signer=foreign)["due"]
    assert "the CA has changed" in module.look(signer=foreign)["due"]
    assert module.look(trusted=foreign + play.file("ca.pem").read_text())["due"] == ""

    asked = module.look(dry=False, use="nginx")
    request = x509.load_pem_x509_csr(asked["request"].encode())
    assert request.is_signature_valid
    key = play.file(f"{asked['pending']}/key.pem")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert not play.file("nginx").exists(), "what is in place changes only with the certificate"

    whole = play.file("kafka/keystore.pem").read_text()
    for spoiled in (whole[:-30].encode(), bytes(range(256))):
        play.file("kafka/keystore.pem").write_bytes(spoiled)
        assert "keystore.pem differs" in module.look()["due"]
    play.file("kafka/keystore.pem").write_text(whole)
    play.file("kafka/key.pem").write_text(key.read_text())
    assert "key.pem is not the key of the certificate" in module.look()["due"]
    play.file("kafka/cert.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
    assert "cert.pem cannot be read" in module.look()["due"]
    play.file("kafka/cert.pem").unlink()
    assert "cert.pem is missing" in module.look()["due"]


@pytest.mark.root
def test_a_host_without_certificates_needs_no_openssl(play: Play) -> None:
    play.run()
    module = Module(play, "")
    module.environment["PATH"] = str(play.pki)
    client = play.folder / "client"
    client.mkdir()
    (client / "ca.pem").write_text(play.file("ca.pem").read_text())
    assert module.look(step="issued", directory=str(client))["others"] == []
    with pytest.raises(AssertionError, match="install the package openssl"):
        module.look(step="issued", dry=False)


@pytest.mark.root
def test_a_short_life_is_renewed_from_its_last_third_on(play: Play) -> None:
    """The life is a matter of dates, so the certificate of a moment ago is made here, by the CA of the role."""
    play.run()
    module = Module(play, "")
    ends = datetime.now(UTC) + timedelta(days=100)
    for began, due in ((ends - timedelta(days=290), False), (ends - timedelta(days=310), True)):
        _replaced(play, began, ends)
        found = module.look()["due"]
        assert bool(found) is due
        assert not due or "of its 310.0 days are left" in found
    _replaced(play, ends - timedelta(days=300), datetime.now(UTC) - timedelta(days=1))
    assert module.look()["due"] == "it has expired"
    _replaced(play, datetime.now(UTC) + timedelta(days=1), ends)
    assert module.look()["due"] == "it is not valid yet"


def _again(play: Play, certificate: x509.Certificate, began: datetime, ends: datetime) -> bytes:
    """Return a certificate of the CA with another life, PEM."""
    from cryptography.hazmat.primitives import hashes

    ca_key = serialization.load_pem_private_key((play.pki / "ca.key.pem").read_bytes(), PASSPHRASE.encode())
    builder = x509.CertificateBuilder(
        certificate.issuer, certificate.subject, certificate.public_key(), x509.random_serial_number(), began, ends,
        list(certificate.extensions),
    )  # fmt: skip
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


def _replaced(play: Play, began: datetime, ends: datetime) -> None:
    signed = _again(play, play.certificate(), began, ends)
    play.file("kafka/cert.pem").write_bytes(signed)
    play.file("kafka/keystore.pem").write_bytes(play.file("kafka/key.pem").read_bytes() + signed)
