# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Operating systems and their Pythons, against what ansible-core and the wheels need."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import Look
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem

#: The oldest Python that modules of an ansible-core still run under on the managed host; 2.16 also serves 2.7.
TARGET_PYTHON = {
    (2, 16): (3, 6),
    (2, 17): (3, 7),
    (2, 18): (3, 8),
    (2, 19): (3, 8),
    (2, 20): (3, 9),
    (2, 21): (3, 9),
}
EL_IDS = ("centos", "rhel", "rocky", "almalinux", "ol", "fedora")


def target_python(fleet: Fleet) -> Iterator[Problem]:
    oldest = TARGET_PYTHON.get((fleet.core[0], fleet.core[1]), TARGET_PYTHON[max(TARGET_PYTHON)])
    core = ".".join(str(part) for part in fleet.core)
    legacy = "use ansible-core 2.16 on the control node (pip install 'obscraft[legacy]')"
    for host, look in fleet.answers():
        text, system = look.python, look.os_name or "the host"
        if _el_major(look) in ("7", "8") and fleet.core > (2, 16):
            # A second Python does not help: only the platform's has bindings for dnf, yum and SELinux.
            what = f"the package manager of {system} runs on a Python that ansible-core {core} no longer supports"
            yield Problem(host, what, legacy)
            continue
        if not text:
            yield Problem(host, "has no Python", "on the host: `apt-get install python3`, or `dnf install python3`")
            continue
        version = tuple(int(part) for part in text.split("."))
        if version >= oldest or (fleet.core == (2, 16) and version == (2, 7)):
            continue
        yield Problem(
            host,
            f"{system} has Python {text}; ansible-core {core} needs {oldest[0]}.{oldest[1]} there",
            f"{legacy}, or set ansible_python_interpreter to a newer Python of the host",
        )


def _el_major(look: Look) -> str | None:
    """Return the major version of a host of the RedHat family, None for others (Fedora counts its own way)."""
    return look.os_version.split(".")[0] if look.os_id in EL_IDS and look.os_id != "fedora" else None


def operating_systems(fleet: Fleet) -> Iterator[Problem]:
    for host, look in fleet.answers():
        if not look.os_id:
            continue
        groups = [name for name in ("consumer", "backend") if host in fleet.groups.get(name, ())]
        if _el_major(look) == "7" and groups:
            yield Problem(
                host,
                f"is an EL7 host in the group {' and '.join(groups)}: its glibc 2.17 is too old for the wheels, and it "
                "has no Python 3.11",
                "move it to EL8 or newer; EL7 can carry the other roles",
            )
        if look.os_id not in EL_IDS and look.os_id != "debian":
            yield Problem(host, f"runs {look.os_name or look.os_id}", "use CentOS, Rocky, Alma, RHEL or Debian")
