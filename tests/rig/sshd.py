"""A real sshd on loopback for one test module, with its keys, and what logs in on it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.ending import with_us
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
def running(folder: Path, password: str = "") -> Iterator[Sshd]:
    """Start an sshd that lets the tests' own user in by one key.

    Args:
        folder: for its files.
        password: lets the user in as well; only root can start such a server. It knows the password from a file that
            it alone sees in the place of /etc/shadow.
    """
    assert PROGRAM, "sshd is not installed"
    for name in ("host", "user", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PasswordAuthentication {'yes' if password else 'no'}\nKbdInteractiveAuthentication no\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nAllowUsers {getpass.getuser()}\nPermitRootLogin yes\n",
        encoding="ascii",
    )
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}", encoding="ascii")
    made = os.geteuid() == 0 and not _PRIVILEGE_SEPARATION.exists()
    if made:
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    command = [PROGRAM, "-D", "-f", str(folder / "config"), "-E", str(folder / "log")]
    server = subprocess.Popen(with_us(_with_password(folder, password, command) if password else command))
    try:
        wait_for("sshd listens", lambda: _listens(port, server))
        yield Sshd(port, folder / "user", folder / "other", folder / "known_hosts", folder)
    finally:
        server.terminate()
        server.wait(10)
        if made:
            _PRIVILEGE_SEPARATION.rmdir()


def _with_password(folder: Path, password: str, command: list[str]) -> list[str]:
    """Return the command with a /etc/shadow of its own, in which the tests' user has the password."""
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
    ).stdout.strip()
    shadow = folder / "shadow"
    shadow.write_text(f"{getpass.getuser()}:{hashed}:19000:0:99999:7:::\n", encoding="ascii")
    shadow.chmod(0o600)
    mount = f"mount --bind {shlex.quote(str(shadow))} /etc/shadow && exec {shlex.join(command)}"
    return ["unshare", "--mount", "sh", "-c", mount]


def _listens(port: int, server: subprocess.Popen[bytes]) -> bool:
    assert server.poll() is None, f"sshd ended with {server.returncode}"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
