"""The lock in the tree is whole: it fits the roles, the project's dependencies and the Pythons of the hosts."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from obsctl.artifacts import kafka, lock, refresh, wheels
from obsctl.core.errors import ConfigError

LOCK = lock.load()


@pytest.mark.parametrize(("role", "version"), [("kafka", lock.DEFAULT_KAFKA), ("filebeat", lock.DEFAULT_FILEBEAT)])
def test_the_roles_install_by_default_what_is_built_by_default(project: Path, role: str, version: str) -> None:
    defaults = yaml.safe_load((project / "roles" / role / "defaults/main.yml").read_text())
    assert defaults[f"{role}_version"] == version
    assert version in getattr(LOCK, role)


def test_every_checksum_has_its_form() -> None:
    tables = [LOCK.go, *LOCK.wheels.values(), *(entry.jars for entry in LOCK.kafka.values())]
    assert all(re.fullmatch("[0-9a-f]{64}", checksum) for table in tables for checksum in table.values())
    assert all(re.fullmatch(r"h1:[\w+/]{43}=", entry.module_sum) for entry in LOCK.filebeat.values())


@pytest.mark.parametrize(
    "page", ["docs/verified.md", "docs/guides/artifacts.md", "roles/kafka/meta/argument_specs.yml"]
)
def test_every_version_of_kafka_that_can_be_built_is_named(project: Path, page: str) -> None:
    """The lock is the list of versions; these are the pages that repeat it."""
    text = (project / page).read_text()
    assert [version for version in LOCK.kafka if version not in text] == []


@pytest.mark.parametrize("version", sorted(LOCK.kafka))
def test_kafka_has_a_broker_its_tools_and_exactly_one_binding_of_slf4j(version: str) -> None:
    entry = LOCK.kafka[version]
    assert entry.modules == kafka.modules(version)
    assert {f"kafka_2.13-{version}.jar", f"kafka-tools-{version}.jar"} <= entry.jars.keys()
    bindings = [
        jar for jar in entry.jars if re.match("slf4j-reload4j|log4j-slf4j|slf4j-log4j|logback|slf4j-simple", jar)
    ]
    assert len(bindings) == 1


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_the_wheels_satisfy_what_the_project_and_the_back_ends_need(project: Path, python: str) -> None:
    locked = {name: version for name, version, _, _ in map(parse_wheel_filename, LOCK.wheels[python])}
    for text in wheels.requirements(project):
        need = Requirement(text)
        version = locked.get(canonicalize_name(need.name))
        assert version is not None, f"{text}: run `obsctl artifacts lock --only wheels`"
        assert need.specifier.contains(version), f"{text}: run `obsctl artifacts lock --only wheels`"


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_a_wheel_runs_on_that_python_and_on_glibc_2_28(python: str) -> None:
    abi = f"cp{python.replace('.', '')}"
    for name in LOCK.wheels[python]:
        tags = parse_wheel_filename(name)[3]
        assert any(tag.interpreter in {abi, "py3"} or tag.abi == "abi3" for tag in tags), name
        glibc = [int(found[1]) for tag in tags if (found := re.match(r"manylinux_2_(\d+)_x86_64", tag.platform))]
        assert "any" in {tag.platform for tag in tags} or min(glibc) <= 28, name


def test_a_damaged_lock_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    path.write_text('{"schema": "obsctl/artifacts-lock/v1", "kafka": 3}')
    with pytest.raises(ConfigError, match=r"lock\.json is not a lock"):
        lock.load(path)


def test_a_lock_survives_being_written_and_a_refresh_names_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "lock.json"
    lock.save(LOCK, path)
    assert lock.load(path) == LOCK
    assert refresh.differences(LOCK, LOCK) == []
    changed = msgspec.structs.replace(LOCK, kafka={}, go={"go.whl": "1"})
    words = [row["what"] for row in refresh.differences(LOCK, changed)]
    assert "go go.whl" in words
    assert "kafka 3.9.1 kafka_2.13-3.9.1.jar" in words
    assert not any(word.startswith("wheels") for word in words)
