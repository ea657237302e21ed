"""Certificates that are no good, and the fleet's own authority, which signs some of them."""

from __future__ import annotations

import datetime
from pathlib import Path

from obsctl.lab.spec import FLEET_LAB
from rig.authority import Authority
from tests.lab.conftest import VIP, Fleet

CA = FLEET_LAB.state_dir / "ca.pem"
_KEY = FLEET_LAB.state_dir / "ca.key.pem"
_PASSPHRASE = FLEET_LAB.secrets_dir / "ca_passphrase"
#: On the hosts, ``fleet_tls_dir``.
TLS = "/etc/obscraft/tls"
_HOUR = datetime.timedelta(hours=1)
#: Names that no client of the fleet uses.
_ELSEWHERE = ("192.0.2.9", "elsewhere.example")
#: In front of a certificate, behind the key.
_BEGIN = "-----BEGIN CERTIFICATE-----"


def fleet_authority(folder: Path) -> Authority:
    """Return the fleet's own authority; its certificates and their keys are written to the folder."""
    return Authority.existing(folder, CA, _KEY, _PASSPHRASE.read_text().strip())


def issue(fault: str, host: str, use: str, folder: Path) -> str:
    """Return a key and a certificate for a use of a host, both PEM, which clients refuse.

    Args:
        fault: ``expired``; ``misnamed``, for other names; ``foreign``, of another authority.
        host: of the lab.
        use: such as ``kafka``.
        folder: for the authority's files.
    """
    address = str(FLEET_LAB.address(FLEET_LAB.host(host)))
    names = (address, host, *((VIP,) if use == "nginx" else ()))
    if fault == "foreign":
        return Authority(folder / "foreign").issue(host, names, unit=use).read_text()
    own = fleet_authority(folder / "own")
    if fault == "expired":
        return own.issue(host, names, valid=(-2 * _HOUR, -_HOUR), unit=use).read_text()
    assert fault == "misnamed", fault
    return own.issue(host, _ELSEWHERE, unit=use).read_text()


def place(fleet: Fleet, host: str, use: str, fault: str, folder: Path) -> None:
    """Put such a certificate in the place of a host's own; ``catalogue.present_own`` takes it back.

    As the role does it: into a hidden folder, to which the use's name leads from then on.
    """
    key, begin, chain = issue(fault, host, use, folder).partition(_BEGIN)
    chain = begin + chain
    new = f".{use}-drill"
    files = {"key.pem": key, "cert.pem": chain, "keystore.pem": key + chain}
    # A copy of the folder, so that owners and modes are those that the service expects.
    script = f"cd {TLS}; rm -rf {new}; readlink {use} >/run/kept-{use}; cp -a $(readlink {use}) {new}\n"
    script += "".join(f"cat >{new}/{name} <<'EOF'\n{text}EOF\n" for name, text in files.items())
    fleet.ssh(host, "sh", "-ec", f"{script}ln -sfn {new} {use}")
