"""What is EL about an EL twin, and that the roles left its packages as they came. Skipped where no host is one."""

from __future__ import annotations

import pytest

from obsctl.lab.eltwin import repository, root
from obsctl.lab.eltwin.packages import PACKAGES
from tests.lab.conftest import NODES, Fleet

#: Packages that the roles install, by a group's host.
INSTALLED = {
    "node1": ("firewalld", "java-17-openjdk-headless", "keepalived", "logrotate", "nginx", "python3.11"),
    "db1": ("firewalld", "mysql-server"),
    "app1": ("firewalld", "python3.11", "python3.11-pip"),
}
#: The shipper, which is not root, lists the log directory: role nginx opens it to a group.
OPENED = {".M....G..    /var/log/nginx"}


@pytest.fixture(params=["node1", "node2", "node3", "db1", "app1"])
def twin(request: pytest.FixtureRequest, fleet: Fleet) -> str:
    """Each host in turn that is an EL twin."""
    if request.param not in fleet.hosts_of("el9"):
        pytest.skip(f"{request.param} runs no EL: ./test.sh lab-el9 has EL on all hosts")
    name: str = request.param
    return name


def test_it_is_known_as_centos_and_has_no_other_package_manager(fleet: Fleet, twin: str) -> None:
    assert 'ID="centos"' in fleet.ssh(twin, "cat", "/etc/os-release")
    shown = fleet.ssh(twin, "which", "dnf", "yum", "rpm", "apt", "apt-get", "dpkg", check=False)
    assert shown.split() == ["/usr/bin/dnf", "/usr/bin/yum", "/usr/bin/rpm"]
    # EL's unit, and nothing that systemd makes of Debian's start scripts.
    assert fleet.ssh(twin, "systemctl", "is-active", "sshd.service", "ssh.service", check=False) == "active\ninactive\n"


def test_the_packages_of_the_roles_came_from_the_signed_repository(fleet: Fleet, twin: str) -> None:
    wanted = INSTALLED["node1" if twin in NODES else twin]
    for line in fleet.ssh(twin, "rpm", "-q", "--qf", "%{NAME} %{RSAHEADER:pgpsig}\\n", *wanted).splitlines():
        assert "Key ID" in line, line
    assert set(wanted) <= set(PACKAGES)


def test_installed_files_are_as_they_were_packaged(fleet: Fleet, twin: str) -> None:
    wanted = INSTALLED["node1" if twin in NODES else twin]
    # The third column is c for a configuration file, which is there to be changed.
    shown = fleet.ssh(twin, "rpm", "-V", *wanted, check=False).splitlines()
    changed = {line for line in shown if line.split()[1] != "c"}
    assert changed == (OPENED if twin in NODES else set())


def test_metadata_that_somebody_changed_are_refused(fleet: Fleet, twin: str) -> None:
    copy = "/tmp/changed-repository"
    key = f"file:///etc/pki/rpm-gpg/{repository.PUBLIC_KEY}"
    ask = [
        "dnf", "--quiet", "--assumeyes", "--disablerepo=*", f"--repofrompath=changed,file://{copy}",
        "--setopt=changed.repo_gpgcheck=1", f"--setopt=changed.gpgkey={key}", "makecache", "--refresh",
    ]  # fmt: skip
    try:
        fleet.ssh(twin, "cp", "-r", f"/{root.REPOSITORY}", copy)
        fleet.ssh(twin, *ask)
        fleet.ssh(twin, "sh", "-c", f"echo '<!-- -->' >> {copy}/repodata/repomd.xml")
        answer = fleet.obsctl("lab", "ssh", twin, "--", *ask)
    finally:
        fleet.ssh(twin, "sh", "-c", f"rm -rf {copy} /var/cache/dnf/changed-*")
    assert answer.code != 0
    assert "GPG" in answer.err
