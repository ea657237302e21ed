"""What the twin's repository offers: EL's package names over Debian's programs.

A package is data: which Debian packages it is made of, what of them EL does not have, what moves, and the files below
``files/NAME`` that replace Debian's (units, configuration in EL's form). Only where data does not suffice a function
does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from obsctl.lab.eltwin import java, mysql
from obsctl.lab.eltwin.tree import Tree
from obsctl.lab.eltwin.workshop import Workshop

_UNITS = "usr/lib/systemd/system"
#: What Debian's packages have and EL's do not.
NEVER = (
    "etc/init.d", "etc/rc?.d", "etc/default", "etc/cron*", "etc/apparmor.d", "etc/insserv.conf.d", "etc/ufw",
    "etc/logcheck", "usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/bug", "usr/share/locale",
    "usr/share/apport", "usr/share/vim", "usr/share/bash-completion", "usr/share/zsh",
)  # fmt: skip


@dataclass(frozen=True)
class User:
    """The system account that a package makes: its name, which is also its group's, and its home."""

    name: str
    home: str


@dataclass(frozen=True)
class Directory:
    """A directory of a package whose mode or owner matters."""

    path: str
    mode: str = "0755"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Package:
    """One RPM.

    Attributes:
        debs: the Debian packages whose programs it holds; what they need and the twin lacks comes along. The first
            one's version is the RPM's.
        fill: makes the content where it is not the twin's own release that has it, and returns its version.
        remove: patterns of what EL's package does not have.
        move: (from, to).
        from_root: files that the naked root has at the same place and loses to this package.
        adapt: does to the unpacked tree what data cannot say.
        user: the account that it makes.
        directories: those with a mode or an owner of their own.
        provides: further names that EL's package answers to.
    """

    debs: tuple[str, ...] = ()
    fill: Callable[[Tree, Workshop], str] | None = None
    remove: tuple[str, ...] = ()
    move: tuple[tuple[str, str], ...] = ()
    from_root: tuple[str, ...] = ()
    adapt: Callable[[Tree], None] | None = None
    user: User | None = None
    directories: tuple[Directory, ...] = ()
    provides: tuple[str, ...] = ()


PACKAGES = {
    "acl": Package(debs=("acl",)),
    "chrony": Package(
        debs=("chrony",),
        remove=(
            f"{_UNITS}/chrony*", "etc/chrony", "etc/dhcp", "etc/network", "etc/ppp", "usr/lib/NetworkManager",
            "usr/lib/networkd-dispatcher", "usr/lib/systemd/ntp-units.d", "usr/libexec/chrony",
        ),
        user=User("chrony", "/var/lib/chrony"),
        directories=(
            Directory("/var/lib/chrony", "0750", "chrony", "chrony"),
            Directory("/var/log/chrony", "0755", "chrony", "chrony"),
        ),
    ),
    "firewalld": Package(
        debs=("firewalld", "nftables"),
        # Debian's maintainer script chooses between two policies; no such script runs here.
        move=(
            (
                "usr/share/polkit-1/actions/org.fedoraproject.FirewallD1.server.policy.choice",
                "usr/share/polkit-1/actions/org.fedoraproject.FirewallD1.policy",
            ),
        ),
        remove=("usr/share/polkit-1/actions/*.choice", f"{_UNITS}/nftables.service", "etc/nftables.conf"),
        provides=("firewalld-filesystem", "nftables", "python3-firewall"),
    ),
    "java-17-openjdk-headless": Package(
        debs=("openjdk-17-jre-headless",),
        adapt=java.adapt,
        provides=("java-headless", "java-17-headless", "jre-headless", "jre-17-headless"),
    ),
    "keepalived": Package(
        debs=("keepalived",),
        remove=("etc/dbus-1", "etc/keepalived/*", "usr/share/snmp"),
        directories=(Directory("/usr/libexec/keepalived"),),
    ),
    "logrotate": Package(
        debs=("logrotate",),
        directories=(Directory("/var/lib/logrotate"),),
    ),
    "mysql-server": Package(
        fill=mysql.fill,
        user=User("mysql", "/var/lib/mysql"),
        directories=(
            Directory("/var/lib/mysql", "0755", "mysql", "mysql"),
            Directory("/var/lib/mysql-files", "0750", "mysql", "mysql"),
            Directory("/var/log/mysql", "0750", "mysql", "mysql"),
        ),
        provides=("mysql", "mysql-common", "mysql-errmsg"),
    ),
    "nginx": Package(
        debs=("nginx",),
        remove=(
            "etc/nginx/modules-*", "etc/nginx/sites-*", "etc/nginx/snippets", "etc/nginx/proxy_params",
            "usr/lib/nginx", "usr/share/nginx/modules*", "var/www",
        ),
        user=User("nginx", "/var/lib/nginx"),
        directories=(
            Directory("/etc/nginx/conf.d"),
            Directory("/etc/nginx/default.d"),
            Directory("/usr/share/nginx/modules"),
            Directory("/var/lib/nginx", "0770", "nginx", "root"),
            Directory("/var/lib/nginx/tmp", "0770", "nginx", "root"),
            Directory("/var/log/nginx", "0711"),
        ),
        provides=("nginx-core", "nginx-filesystem", "webserver"),
    ),
    "policycoreutils-python-utils": Package(debs=("policycoreutils-python-utils",)),
    "python3-libsemanage": Package(debs=("python3-semanage",)),
    "python3-policycoreutils": Package(debs=("python3-sepolgen", "python3-sepolicy")),
    # The naked root keeps its own Python as EL does, as platform-python: without this package there is no
    # /usr/bin/python3.11, and no venv.
    "python3.11": Package(debs=("python3.11-venv",), from_root=("usr/bin/python3.11",)),
    "python3.11-pip": Package(debs=("python3-pip",), remove=("usr/bin/pip", "usr/bin/pip3")),
    "rsyslog": Package(
        debs=("rsyslog",),
        remove=("etc/logrotate.d/rsyslog", "usr/lib/rsyslog"),
        directories=(Directory("/var/lib/rsyslog", "0700"),),
    ),
    "tcpdump": Package(debs=("tcpdump",)),
    "unzip": Package(debs=("unzip",)),
}  # fmt: skip
