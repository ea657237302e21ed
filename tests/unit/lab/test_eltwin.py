"""The pure parts of the EL twin: its packages, their spec files, the places of their files."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
import yaml

from obsctl.lab.base import RECIPES
from obsctl.lab.eltwin import ingredients, repository, root, specfile
from obsctl.lab.eltwin.packages import PACKAGES, Directory, Package, User
from obsctl.lab.eltwin.tree import Tree

SERVER = Package(
    debs=("server",),
    user=User("srv", "/var/lib/srv"),
    directories=(Directory("/var/lib/srv", "0750", "srv", "srv"),),
    provides=("srv-core",),
)


def spec(package: Package = SERVER, files: tuple[str, ...] = ("/usr/bin/srv",)) -> list[str]:
    text = specfile.of_package("srv", package, "1.2", tree="/tree", files=files, directories=["/etc/srv.d"])
    return text.splitlines()


def test_a_spec_names_files_directories_and_configuration_by_their_kind() -> None:
    lines = spec(files=("/etc/srv.conf", "/usr/bin/s r v"))
    listed = lines[lines.index("%files") + 1 :]
    assert listed == [
        '%dir "/etc/srv.d"',
        '%dir %attr(0750,srv,srv) "/var/lib/srv"',
        '%config(noreplace) "/etc/srv.conf"',
        '"/usr/bin/s r v"',
    ]


def test_a_directory_with_an_owner_is_listed_once() -> None:
    package = Package(debs=("d",), directories=(Directory("/etc/srv.d", "0711"),))
    assert [line for line in spec(package) if "/etc/srv.d" in line] == ['%dir %attr(0711,root,root) "/etc/srv.d"']


def test_the_account_is_made_before_the_files_that_it_owns() -> None:
    lines = spec()
    assert lines.index("%pre") < lines.index("%files")
    assert "useradd -r -g srv -d /var/lib/srv -M -s /sbin/nologin srv" in lines[lines.index("%pre") + 2]
    assert "%pre" not in spec(Package(debs=("d",)))


def test_units_are_stopped_when_the_package_goes_and_not_when_it_is_renewed() -> None:
    units = tuple(f"/usr/lib/systemd/system/{name}" for name in ("b.timer", "a.service", "a@.service", "a.target"))
    lines = spec(files=units)
    stop = lines[lines.index("%preun") + 1]
    assert stop.startswith("[ $1 -ne 0 ] ||")
    assert " --now a.service b.timer " in stop
    assert "%preun" not in spec()


def test_each_package_needs_the_package_that_stands_for_the_userland() -> None:
    assert f"Requires: {specfile.RELEASE_PACKAGE}" in spec()
    release = specfile.of_release().splitlines()
    # A path has no version; rpm refuses one.
    assert {"Provides: /bin/sh", "Provides: system-release = 9"} <= set(release)


def test_a_package_is_made_of_debian_packages_or_fills_itself() -> None:
    for name, package in PACKAGES.items():
        assert bool(package.debs) != bool(package.fill), name


def test_the_projects_own_files_belong_to_a_package() -> None:
    assert {path.name for path in repository.FILES.iterdir()} <= {*PACKAGES, "root"}


def test_the_repository_is_signed_twice_and_needs_no_server() -> None:
    parser = configparser.ConfigParser()
    parser.read(repository.FILES / "root/etc/yum.repos.d/el-twin.repo")
    (section,) = parser.sections()
    settings = parser[section]
    assert (settings["gpgcheck"], settings["repo_gpgcheck"]) == ("1", "1")
    assert settings["baseurl"] == f"file:///{root.REPOSITORY}"
    assert settings["gpgkey"] == f"file:///etc/pki/rpm-gpg/{repository.PUBLIC_KEY}"


def test_the_twin_says_what_it_is() -> None:
    text = (repository.FILES / "root/usr/lib/os-release").read_text()
    assert re.search('^ID="centos"$', text, re.MULTILINE)
    assert re.search('^PRETTY_NAME=".*twin.*"$', text, re.MULTILINE)


def plain_names(value: object) -> set[str]:
    """Return the words of a variable that can be names of packages, templates apart."""
    if isinstance(value, dict):
        return set().union(*(plain_names(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(plain_names(item) for item in value))
    if "{{" in str(value):
        return set(re.findall(r"else \['([^']+)', '([^']+)'\]", str(value))[0]) if "else [" in str(value) else set()
    return {str(value)}


def test_what_the_roles_install_on_el_is_in_the_repository(project: Path) -> None:
    wanted: set[str] = set()
    for path in project.glob("roles/*/vars/RedHat.yml"):
        for name, value in yaml.safe_load(path.read_text()).items():
            if name.endswith("_packages"):
                wanted |= plain_names(value)
    assert {"nginx", "mysql-server", "python3.11", "python3-policycoreutils"} <= wanted
    # The other flavour; it was not tried on an EL twin.
    assert wanted - {"mariadb-server"} <= set(PACKAGES)


def test_a_change_of_the_projects_files_makes_a_new_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert RECIPES["el9"].ingredients() == ingredients()
    copy = tmp_path / "root.py"
    monkeypatch.setattr(root, "__file__", str(copy))
    copy.write_text("one")
    first = ingredients()
    copy.write_text("two")
    assert ingredients() != first


def test_what_lies_outside_usr_moves_there(tmp_path: Path) -> None:
    (tmp_path / "lib/systemd/system").mkdir(parents=True)
    (tmp_path / "lib/systemd/system/a.service").touch()
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/kept").touch()
    tree = Tree(tmp_path)
    tree.merge_usr()
    assert list(tree.files()) == ["/usr/lib/kept", "/usr/lib/systemd/system/a.service"]


def test_a_link_without_a_target_is_removed_too(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.link("usr/bin/python3", "nowhere")
    tree.remove(("/usr/bin/python3", "usr/bin/absent"))
    assert list(tree.files()) == []
    assert list(tree.empty_directories()) == ["/usr/bin"]


def test_files_replace_what_is_there(tmp_path: Path) -> None:
    files, place = tmp_path / "files", Tree(tmp_path / "tree")
    (files / "etc").mkdir(parents=True)
    (files / "etc/run").write_text("new")
    (files / "etc/run").chmod(0o755)
    place.link("etc/run", "elsewhere")
    place.add(files)
    assert place.at("/etc/run").read_text() == "new"
    assert place.at("/etc/run").stat().st_mode & 0o777 == 0o755
