"""The machine's own programs that the lab starts: which are needed, and how each is run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence

from obsctl.core.errors import MissingDependencyError, RefusedError
from obsctl.lab.errors import LabError

#: Program to the Debian package that brings it.
_PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "systemctl": "systemd",
    "apt-config": "apt",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "mount": "mount",
    "umount": "mount",
    "unshare": "util-linux",
    "chattr": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}

TO_BUILD_AND_RUN = tuple(_PACKAGES)
TO_TAKE_DOWN = ("ip", "nft", "umount", "chattr")


def require(programs: Iterable[str], what: str) -> None:
    """Check the privilege and the programs before anything is touched.

    Args:
        programs: keys of the package table.
        what: what is about to be done, as the subject of a message.

    Raises:
        RefusedError: not root, or root without the right to mount and to change links.
        MissingDependencyError: programs are absent; the message names the packages that bring them.
    """
    if os.geteuid() != 0:
        raise RefusedError(f"{what} needs root: it makes mounts and network links", hint="run it with sudo")
    if not _has_capability(_CAP_SYS_ADMIN) or not _has_capability(_CAP_NET_ADMIN):
        raise RefusedError(
            f"{what} needs the right to mount and to change links, which this root does not have",
            hint="in a container: start it with --privileged",
        )
    missing = sorted({_PACKAGES[name] for name in programs if shutil.which(name) is None})
    if missing:
        raise MissingDependencyError(
            f"{what} needs programs that this machine does not have: apt-get install {' '.join(missing)}"
        )


def run(argv: Sequence[str], *, stdin: str | None = None, own_session: bool = False) -> str:
    """Run a program to its end and return what it wrote to standard output.

    Args:
        argv: the program and its arguments.
        stdin: what it reads.
        own_session: start it in a session of its own, so that an orphan can be ended with all that it started, and
            nothing else with it.

    Raises:
        LabError: it failed; the message holds the first line of its complaint, which names the cause.
    """
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, start_new_session=own_session)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise LabError(f"`{' '.join(argv[:3])} …` failed: {said[0] if said else f'exit {done.returncode}'}")
    return done.stdout


# Bits of the effective set in /proc/self/status, from linux/capability.h.
_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21


def _has_capability(bit: int) -> bool:
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - proc, line by line
        effective = next(line for line in status if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> bit & 1)
