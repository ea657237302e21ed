"""The naked root of the twin: Debian's userland under EL's identity, without apt and dpkg."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from obsctl.lab.bootstrap import Note
from obsctl.lab.eltwin import repository, specfile
from obsctl.lab.eltwin.tree import Tree
from obsctl.lab.eltwin.workshop import Workshop
from obsctl.lab.programs import run

#: What the naked root has beside every lab root's packages: EL's package manager, and what EL's minimal system has.
USERLAND = (
    "dnf", "dnf-plugins-core", "gpg", "kmod", "polkitd", "python3-dbus", "python3-dnf", "python3-gi", "python3-libdnf",
    "python3-rpm", "python3-selinux", "rpm",
)  # fmt: skip

#: Read by every guest as a part of its own root: nothing has to run, no port is open, and it is there at every start.
REPOSITORY = "usr/share/el-twin/repository"
_DEBIAN_ONLY = (
    "etc/apt", "etc/dpkg", "etc/debian_version", "etc/alternatives/README", "etc/cron.daily/*", "etc/default/*",
    "usr/bin/apt*", "usr/bin/dpkg*", "usr/bin/update-alternatives", "usr/lib/apt", "usr/lib/dpkg",
    "usr/lib/systemd/system/apt-*", "usr/lib/systemd/system/dpkg-*", "usr/lib/systemd/system/ssh*",
    "etc/systemd/system/timers.target.wants/*", "etc/systemd/system/*/ssh*", "etc/systemd/system/sshd.service",
    # systemd would make an ssh.service of the old script, beside sshd.service.
    "etc/init.d/*", "etc/rc?.d/*",
    "usr/lib/python3.11/EXTERNALLY-MANAGED", "usr/sbin/dpkg*", "var/cache/apt", "var/lib/apt", "var/lib/dpkg",
    # dnf's plugin "local" adds a repository without a key, which stops every run with gpgcheck.
    "etc/dnf/plugins/local.conf", "usr/lib/python3/dist-packages/dnf-plugins/local.py",
)  # fmt: skip


def ingredients() -> str:
    """Return a digest of this package's own files: the recipe of the twin is all of them."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def convert(root: Path, note: Note) -> None:
    """Make an EL twin of a Debian root that has the :data:`USERLAND`, with its repository inside.

    Args:
        root: the root; a directory ``workshop`` beside it exists meanwhile.
        note: called with each line of progress.

    Raises:
        LabError: a step failed; the message names it.
    """
    workshop = Workshop(root, root.with_name("workshop"), note)
    repository.build(workshop, root / REPOSITORY, note)
    shutil.rmtree(root.with_name("workshop"))
    tree = Tree(root)
    tree.remove(_DEBIAN_ONLY)
    tree.add(repository.FILES / "root")
    tree.link("etc/redhat-release", "centos-release")
    tree.link("etc/system-release", "centos-release")
    tree.move("usr/bin/python3.11", "usr/libexec/platform-python")
    tree.remove(("usr/bin/python3",))
    tree.link("usr/bin/python3", "../libexec/platform-python")
    tree.link("usr/bin/yum", "dnf-3")
    # Debian's is dash, which a script for EL need not be written for.
    tree.remove(("usr/bin/sh",))
    tree.link("usr/bin/sh", "bash")
    shutil.copy(root / REPOSITORY / repository.PUBLIC_KEY, _made(tree, "etc/pki/rpm-gpg"))
    for directory in ("etc/sysconfig", "etc/yum.repos.d", "usr/lib64"):
        _made(tree, directory)
    _make_rpm_database(root)


def _make_rpm_database(root: Path) -> None:
    run(["chroot", str(root), "rpm", "--initdb"])
    (package,) = (root / REPOSITORY).glob(f"{specfile.RELEASE_PACKAGE}-*.rpm")
    run(["chroot", str(root), "rpm", "--install", f"/{package.relative_to(root)}"])


def _made(tree: Tree, path: str) -> Path:
    tree.at(path).mkdir(parents=True, exist_ok=True)
    return tree.at(path)
