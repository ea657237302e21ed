"""A real sshd on loopback for one test module, with its keys, and what logs in on it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.ports import free_port
from rig.waiting import wait_for

PROGRAM = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
#: Where sshd wants an empty directory when root starts it.
_PRIVILEGE_SEPARATION = Path("/run/sshd")


@dataclass(frozen=True)
class Sshd:
    """Where it listens, and files.

    Attributes:
        port: on 127.0.0.1.
        key: private key of a user that may log in.
        other_key: one that may not.
        known_hosts: a file that knows the server.
        folder: for further files.
    """

    port: int
    key: Path
    other_key: Path
    known_hosts: Path
    folder: Path


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Sshd]:
    """Start an sshd that lets the tests' own user in by one key."""
    assert PROGRAM, "sshd is not installed"
    for name in ("host", "user", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nAllowUsers {getpass.getuser()}\nPermitRootLogin yes\n",
        encoding="ascii",
    )
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}", encoding="ascii")
    made = os.geteuid() == 0 and not _PRIVILEGE_SEPARATION.exists()
    if made:
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    server = subprocess.Popen([PROGRAM, "-D", "-f", folder / "config", "-E", folder / "log"])
    try:
        wait_for("sshd listens", lambda: _listens(port, server), seconds=10)
        yield Sshd(port, folder / "user", folder / "other", folder / "known_hosts", folder)
    finally:
        server.terminate()
        server.wait(10)
        if made:
            _PRIVILEGE_SEPARATION.rmdir()


def _listens(port: int, server: subprocess.Popen[bytes]) -> bool:
    assert server.poll() is None, f"sshd ended with {server.returncode}"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
