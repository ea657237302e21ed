"""The root below every guest's disk: built once, and read-only afterwards.

A minimal system with what a first ``ssh`` and Ansible need. The packages that the roles install are *not* installed,
but lie in apt's own cache beside the package lists, so that installing them fetches nothing: five guests, one
download. A twin of another system is made from such a root, by :mod:`obsctl.lab.eltwin`.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from obsctl.core.cachedir import cache_root
from obsctl.lab import apt, eltwin, processes
from obsctl.lab.bootstrap import Note, bootstrap
from obsctl.lab.mounts import detach
from obsctl.lab.programs import run

#: Increase it when the steps below change, so that bases built by older code are not used.
_REVISION = 3


@dataclass(frozen=True)
class Recipe:
    """How one operating system's root is made.

    Attributes:
        title: the system as a person calls it.
        codename: the Debian release that it is made of.
        installed: packages of the naked root.
        at_hand: packages that the roles install; downloaded with what they recommend, not installed.
        at_hand_bare: the same without recommendations (pip would bring a compiler along).
        ssh_unit: the unit of the system's sshd.
        lasts: how long making it takes, for the person who waits.
        convert: turns the Debian root in a directory into an EL twin, or None.
        ingredients: names what ``convert`` works with, so that a change of it makes a new root.
    """

    title: str
    codename: str
    installed: tuple[str, ...]
    at_hand: tuple[str, ...] = ()
    at_hand_bare: tuple[str, ...] = ()
    ssh_unit: str = "ssh.service"
    lasts: str = "about a minute"
    convert: Callable[[Path, Note], None] | None = None
    ingredients: Callable[[], str] = str


#: What a first ``ssh`` and Ansible need.
_NAKED = (
    "ca-certificates", "curl", "dbus", "iproute2", "iputils-arping", "iputils-ping", "netbase",
    "openssh-server", "procps", "python3", "sudo", "systemd", "systemd-sysv",
)  # fmt: skip

RECIPES = {
    "debian12": Recipe(
        title="Debian 12",
        codename="bookworm",
        installed=(*_NAKED, "python3-apt"),
        at_hand=(
            "acl", "chrony", "firewalld", "keepalived", "logrotate", "mariadb-server", "nginx",
            "openjdk-17-jre-headless", "python3-pymysql", "python3-venv", "rsync", "rsyslog", "tcpdump", "unzip",
        ),
        at_hand_bare=("gnupg", "python3-dev", "python3-pip"),
    ),
    "el9": Recipe(
        title="an EL twin of CentOS Stream 9",
        codename="bookworm",
        installed=(*_NAKED, *eltwin.USERLAND),
        ssh_unit="sshd.service",
        lasts="about two minutes",
        convert=eltwin.convert,
        ingredients=eltwin.ingredients,
    ),
}  # fmt: skip

#: Units that cannot work in a guest and only delay its start, and timers that would download during a test.
_MASKED = (
    "systemd-networkd-wait-online.service",
    "getty.target",
    "console-getty.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)


def cache_dir() -> Path:
    """The directory of bases: the only one that ``down`` does not remove."""
    return cache_root() / "lab"


def provide(os_name: str, note: Note) -> Path:
    """Return the directory of the base root, building it where the cache does not hold it.

    Raises:
        ConfigError: the machine's package sources do not hold the release.
        LabError: the build failed.
    """
    recipe = RECIPES[os_name]
    sources = apt.of_machine(recipe.codename)
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    base = cache / f"{os_name}-{_digest(recipe, sources)}"
    if not base.is_dir():
        with _locked(cache, note):
            if not base.is_dir():
                clean_interrupted(cache)
                _build(recipe, sources, base, note)
                _remove_outdated(base)
    return base / "root"


def clean_interrupted(cache: Path | None = None) -> None:
    """End and remove interrupted builds. The caller must hold the cache's lock, or know that no build runs."""
    for draft in (cache or cache_dir()).glob(".building-*"):
        for builder in processes.naming_below(draft):
            for pid in processes.session_of(builder):
                processes.send(pid, signal.SIGKILL)
            processes.wait_gone([builder], 5)
        detach(draft)
        shutil.rmtree(draft)


def clean_interrupted_unless_building() -> None:
    """Remove interrupted builds, but leave one that another command is making at this moment."""
    cache = cache_dir()
    if cache.is_dir():
        directory = os.open(cache, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            clean_interrupted(cache)
        except BlockingIOError:
            pass
        finally:
            os.close(directory)


def _remove_outdated(base: Path) -> None:
    """Remove the system's bases of older recipes (half a gigabyte each) that no lab of this machine stands on."""
    in_use = Path("/proc/self/mountinfo").read_text()
    for other in base.parent.glob(f"{base.name.rpartition('-')[0]}-*"):
        if other != base and str(other) not in in_use:
            shutil.rmtree(other)


def _digest(recipe: Recipe, sources: apt.AptSources) -> str:
    packages = (recipe.installed, recipe.at_hand, recipe.at_hand_bare)
    text = repr((_REVISION, platform.machine(), recipe.codename, packages, recipe.ingredients(), sources))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def _locked(cache: Path, note: Note) -> Iterator[None]:
    directory = os.open(cache, os.O_RDONLY)
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("another command is building the base root; waiting for it")
            fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _build(recipe: Recipe, sources: apt.AptSources, base: Path, note: Note) -> None:
    note(f"building the root of the hosts ({recipe.title}; once, {recipe.lasts})")
    draft = base.with_name(f".building-{base.name}")
    root = draft / "root"
    draft.mkdir()
    try:
        _bootstrap(recipe, sources, root, note)
        apt.give(root, sources)
        if recipe.convert:
            recipe.convert(root, note)
        else:
            run(["chroot", str(root), "apt-cache", "gencaches"])
        _make_bootable(root, recipe.ssh_unit)
        # Written last, for people who look into the cache; the directory's name is what is trusted.
        (draft / "recipe.json").write_text(json.dumps({"os": recipe.title, "installed": recipe.installed}) + "\n")
        draft.rename(base)
    except BaseException:
        clean_interrupted(base.parent)
        raise


def _bootstrap(recipe: Recipe, sources: apt.AptSources, root: Path, note: Note) -> None:
    # mmdebstrap's own settings leave recommended packages out; what installs in a guest takes them.
    fetch = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --quiet --download-only install'
    options = [
        "--variant=minbase",
        # Unpacking is what an installation spends its time on: no fsync a file, no files that are never opened.
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        # Whatever the bootstrap itself downloaded is installed; only what is still to come stays in the cache.
        "--customize-hook=rm -f \"$1\"/var/cache/apt/archives/*.deb",
        f"--customize-hook={fetch} --install-recommends {' '.join(recipe.at_hand)}",
        f"--customize-hook={fetch} --no-install-recommends {' '.join(recipe.at_hand_bare)}",
        "--skip=cleanup/apt",
    ]  # fmt: skip
    bootstrap(root, recipe.codename, sources, recipe.installed, note, options=options)


def _make_bootable(root: Path, ssh_unit: str) -> None:
    run(["systemctl", f"--root={root}", "enable", "--quiet", "systemd-networkd.service", ssh_unit])
    run(["systemctl", f"--root={root}", "mask", "--quiet", *_MASKED])
    # Identities belong to each guest, not to the shared base.
    for path in [*(root / "etc/ssh").glob("ssh_host_*"), root / "var/lib/dbus/machine-id", root / "etc/resolv.conf"]:
        path.unlink(missing_ok=True)
    (root / "etc/machine-id").write_text("")
    (root / "etc/ssh/sshd_config.d/10-lab.conf").write_text("UseDNS no\nPasswordAuthentication no\n")
    # Kept over a crash, and small: the disk is the machine's.
    (root / "var/log/journal").mkdir(exist_ok=True)
    (root / "etc/systemd/journald.conf.d").mkdir(parents=True, exist_ok=True)
    (root / "etc/systemd/journald.conf.d/10-lab.conf").write_text("[Journal]\nSystemMaxUse=64M\n")


if __name__ == "__main__":
    # Builds the roots named, so that a later `obsctl lab up` finds them: ./test.sh does it beside other tests.
    os.umask(0o022)
    for system in sys.argv[1:]:
        provide(system, lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201 - a program of its own
