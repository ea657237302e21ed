"""How this machine speaks with a guest: one key for the lab, and each host's key known beforehand."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence
from pathlib import Path

from obsctl.lab.programs import run
from obsctl.lab.spec import HostSpec, LabSpec

_CONNECT_S = 5


def make_keys(spec: LabSpec) -> None:
    """Make the lab's key pair and one host key a guest, as far as they are missing, and the list of known hosts."""
    spec.ssh_dir.mkdir(mode=0o700, exist_ok=True)
    _generate(client_key(spec), "obsctl-lab")
    known = []
    for host in spec.hosts:
        _generate(host_key(spec, host), host.name)
        kind, key, _ = host_key(spec, host).with_suffix(".pub").read_text().split()
        known.append(f"{host.name},{spec.address(host)} {kind} {key}\n")
    (spec.ssh_dir / "known_hosts").write_text("".join(known))


def client_key(spec: LabSpec) -> Path:
    """The private key that every guest lets in as root."""
    return spec.ssh_dir / "id_ed25519"


def host_key(spec: LabSpec, host: HostSpec) -> Path:
    """The private key that the guest shows."""
    return spec.ssh_dir / f"host_{host.name}"


def command(spec: LabSpec, host: HostSpec, argv: Sequence[str] = (), *, terminal: bool = False) -> list[str]:
    """Return the argument list of an ssh that runs ``argv`` (or a shell) as root on the guest.

    ssh joins its arguments with blanks and the guest's shell splits them again, so each is quoted for that shell:
    it reaches the program exactly as given.
    """
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(_CONNECT_S),
        "IdentitiesOnly": "yes",
        "IdentityFile": str(client_key(spec)),
        "LogLevel": "ERROR",
        "ServerAliveInterval": "5",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(spec.ssh_dir / "known_hosts"),
        # The person's own ssh_config must not change what the lab's connections do.
        "ControlPath": "none",
    }
    flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    tty = ["-t"] if terminal else ["-T"] if argv else []
    target = f"root@{spec.address(host)}"
    return ["ssh", "-F", "none", *flags, *tty, target, *(["--", shlex.join(argv)] if argv else [])]


def answers(spec: LabSpec, host: HostSpec, seconds: float = 1.0) -> bool:
    """Return whether the guest's sshd greets."""
    try:
        with socket.create_connection((str(spec.address(host)), 22), timeout=seconds) as connection:
            connection.settimeout(seconds)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _generate(key: Path, comment: str) -> None:
    if not key.with_suffix(".pub").is_file():
        # A key without its public half is what an interrupted ssh-keygen leaves; it would ask before overwriting.
        key.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(key)])
