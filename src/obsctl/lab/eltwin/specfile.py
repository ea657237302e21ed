"""The text of an RPM's spec file."""

from __future__ import annotations

from collections.abc import Iterable

from obsctl.lab.eltwin.packages import Package

#: The base's own package; every other one needs it.
RELEASE_PACKAGE = "el-twin-release"

#: EL's names of what the naked root has, so that a package may require them and a role may ask for them.
_USERLAND = (
    "/bin/bash", "/bin/sh", "/usr/bin/bash", "/usr/bin/python3", "/usr/bin/sh", "bash", "ca-certificates",
    "centos-stream-release", "coreutils", "curl", "dbus", "dnf", "findutils", "glibc", "gzip", "hostname", "iproute",
    "iputils", "openssh-clients", "openssh-server", "openssl", "platform-python", "polkit", "procps-ng", "python3",
    "python3-dnf", "python3-libs", "redhat-release", "rpm", "shadow-utils", "sudo", "system-release", "systemd", "tar",
    "util-linux", "which",
)  # fmt: skip

_HEAD = """\
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%global _build_id_links none
%global _binary_payload w3.zstdio
Name: {name}
Version: {version}
Release: 1.el9
Summary: {summary}
License: as in Debian
AutoReqProv: no
"""


def of_release() -> str:
    """Return the spec of the package that stands for the naked root."""
    head = _HEAD.format(name=RELEASE_PACKAGE, version="9", summary="EL's names of the EL twin's own userland")
    # A path is provided without a version.
    provides = "".join(f"Provides: {name}{'' if name.startswith('/') else ' = 9'}\n" for name in _USERLAND)
    return f"{head}{provides}%description\nThe EL twin's userland is Debian's.\n%files\n"


def of_package(
    name: str, package: Package, version: str, *, tree: str, files: Iterable[str], directories: Iterable[str]
) -> str:
    """Return the spec of a package.

    Args:
        name: EL's name.
        package: what it is made of.
        version: the version of its programs.
        tree: the directory with its content.
        files: the host's path of every file and link.
        directories: the host's path of the directories that the package has for themselves.
    """
    head = _HEAD.format(name=name, version=version, summary=f"Debian's {name} at EL's places, for a lab")
    own = {directory.path: directory for directory in package.directories}
    listed = [f'%dir "{path}"' for path in directories if path not in own]
    listed += [f'%dir %attr({d.mode},{d.owner},{d.group}) "{d.path}"' for d in own.values()]
    # As EL's packages do: what an administrator changed survives, and `rpm -V` names it by its kind.
    listed += [f'{"%config(noreplace) " if path.startswith("/etc/") else ""}"{path}"' for path in files]
    sections = [
        f"{head}Requires: {RELEASE_PACKAGE}",
        *(f"Provides: {other} = {version}" for other in package.provides),
        "%description\nFor a lab only.",
        f'%install\nmkdir -p %{{buildroot}}\ncp -a "{tree}/." %{{buildroot}}/',
        *(_account(package.user.name, package.user.home) if package.user else ()),
        "%post\nldconfig\nsystemctl daemon-reload >/dev/null 2>&1 || :",
        *_goodbye(files),
        "%files",
        *listed,
    ]
    return "\n".join(sections) + "\n"


def _account(name: str, home: str) -> Iterable[str]:
    yield "%pre"
    yield f"getent group {name} >/dev/null || groupadd -r {name}"
    yield f"getent passwd {name} >/dev/null || useradd -r -g {name} -d {home} -M -s /sbin/nologin {name}"


def _goodbye(files: Iterable[str]) -> Iterable[str]:
    units = [path.rpartition("/")[2] for path in files if path.startswith("/usr/lib/systemd/system/")]
    services = sorted(unit for unit in units if unit.endswith((".service", ".timer")) and "@" not in unit)
    if services:
        yield f"%preun\n[ $1 -ne 0 ] || systemctl --quiet disable --now {' '.join(services)} >/dev/null 2>&1 || :"
