"""Where the RPMs are made: a copy of the naked root with the tools that neither the guests nor the machine need."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from obsctl.lab import apt
from obsctl.lab.bootstrap import Note, bootstrap
from obsctl.lab.eltwin.tree import Tree
from obsctl.lab.programs import run

_TOOLS = ("createrepo-c", "gpg", "gpg-agent", "patchelf")
#: Needed by Debian's packages only to be installed, or to be started by what EL starts otherwise.
_LEFT_OUT = {"adduser", "anacron", "cron", "cron-daemon-common", "init-system-helpers", "sensible-utils", "ucf"}
#: Namespaces of its own: its mounts are seen by no other process, and all end with the first process.
_ALONE = ("unshare", "--mount", "--ipc", "--uts", "--pid", "--fork", "--kill-child")
_ENTER = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'


class Workshop:
    """A root in which packages are unpacked, changed and built.

    Args:
        naked: the root without any of the packages to be made; it is only read.
        directory: a new directory beside it, which the caller removes.
        note: called with each line of progress.
    """

    def __init__(self, naked: Path, directory: Path, note: Note) -> None:
        self.naked = naked
        self._directory = directory
        self._root = directory / "root"
        self._note = note
        directory.mkdir()
        run(["cp", "-a", "--reflink=auto", str(naked), str(self._root)])
        resolver = self._root / "etc/resolv.conf"
        resolver.unlink(missing_ok=True)
        shutil.copy("/etc/resolv.conf", resolver)
        # What a package needs is asked before the tools are there, which need much of the same.
        status = self.tree("status")
        shutil.copy(naked / "var/lib/dpkg/status", status.root)
        self._status = self.inside(status.root / "status")
        self.run(["apt-get", "-qq", "--yes", "--no-install-recommends", "install", *_TOOLS])

    def run(self, argv: Sequence[str]) -> str:
        """Run a program in the workshop and return what it wrote to standard output.

        Raises:
            LabError: it failed.
        """
        environment = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "HOME=/root"]
        return run([*_ALONE, "sh", "-c", _ENTER, str(self._root), *environment, *argv], own_session=True)

    def tree(self, name: str) -> Tree:
        """Make a new directory in the workshop and return it."""
        root = self._root / "build" / name
        root.mkdir(parents=True)
        return Tree(root)

    def inside(self, path: Path) -> str:
        """Return a path in the workshop as its programs see it."""
        return f"/{path.relative_to(self._root)}"

    def needed(self, debs: Sequence[str]) -> list[str]:
        """Return the Debian packages and all that they need beyond the naked root."""
        plan = ["apt-get", "--simulate", "--no-install-recommends", "-o", f"Dir::State::status={self._status}"]
        said = self.run([*plan, "install", *debs])
        return sorted(set(re.findall(r"^Inst (\S+)", said, re.MULTILINE)) - _LEFT_OUT)

    def unpack(self, debs: Sequence[str], tree: Tree) -> None:
        """Unpack the Debian packages into the tree; none of their scripts runs."""
        archives = self.tree("archives")
        # No sandbox: apt's own account may not write into a directory of root's.
        fetch = ["sh", "-c", 'cd "$0" && exec apt-get -qq -o APT::Sandbox::User=root download "$@"']
        self.run([*fetch, self.inside(archives.root), *debs])
        for archive in sorted(archives.root.iterdir()):
            self.run(["dpkg-deb", "--extract", self.inside(archive), self.inside(tree.root)])
        shutil.rmtree(archives.root)

    def version(self, deb: str) -> str:
        """Return the upstream version of a Debian package: no epoch, no revision, nothing that rpm refuses."""
        shown = self.run(["apt-cache", "show", "--no-all-versions", deb])
        found = re.search(r"^Version: (?:\d+:)?([0-9A-Za-z.]+)", shown, re.MULTILINE)
        return found[1] if found else "0"

    def other_root(self, release: str, debs: Sequence[str]) -> Path:
        """Unpack packages of another release, with all that they need, into a root of their own."""
        root = self._directory / release
        bootstrap(root, release, apt.of_machine(release), debs, self._note, options=["--variant=extract"])
        return root
