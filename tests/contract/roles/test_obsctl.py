"""The one environment of a host has what its channels and its console need, whichever role comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rig import collection  # noqa: F401  # lets Ansible find obscraft.fleet in this tree
from rig.rendered_role import RenderedNode

WITHOUT = {"console_enabled": False}


def environment(folder: Path, group: str = "console", **variables: Any) -> tuple[str, str]:
    """Return the extras of the environment on a host of a group, and the digest of all but the project in it."""
    path = folder / "hosts.yml"
    inventory = {
        "all": {"vars": {"fleet_artifacts_dir": "/nowhere", **variables}, "children": {group: {"hosts": {"app1": {}}}}}
    }
    path.write_text(yaml.safe_dump(inventory))
    node = RenderedNode(path, "app1", "obsctl")
    return node.value("__obsctl_extras"), node.value("__obsctl_wheel_set")


@pytest.mark.parametrize(
    ("types", "more", "extras"),
    [
        ([], WITHOUT, ""),
        (["dingtalk", "smtp"], WITHOUT, ""),
        (["dingtalk", "apprise", "apprise"], WITHOUT, "[apprise]"),
        ([], {}, "[console]"),
        (["apprise"], {"console_enabled": True}, "[apprise,console]"),
        ([], {"console_redis_url": "vault:redis"}, "[console,redis]"),
        ([], {"console_redis_url": "vault:redis", **WITHOUT}, ""),
    ],
)
def test_a_host_gets_the_libraries_that_it_needs(
    tmp_path: Path, types: list[str], more: dict[str, Any], extras: str
) -> None:
    channels = [{"name": str(number), "type": type_} for number, type_ in enumerate(types)]
    found, _ = environment(tmp_path, obsctl_python="python3.11", consumer_alert_channels=channels, **more)
    assert found == extras


def test_another_set_of_libraries_is_another_environment(tmp_path: Path) -> None:
    digests = [environment(tmp_path, obsctl_python="python3.11", **more)[1] for more in ({}, WITHOUT)]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("group", "wheels", "more", "extras"),
    [
        ("consumer", ["obscraft_native-0.1.0+1-cp39-abi3-any.whl"], {}, "[native]"),
        ("consumer", ["obscraft_native-0.1.0+1-cp39-abi3-any.whl"], {"consumer_native": False}, ""),
        ("consumer", [], {}, ""),
        ("console", ["obscraft_native-0.1.0+1-cp39-abi3-any.whl"], {}, ""),
    ],
)
def test_a_host_gets_the_native_module_where_it_was_built_and_records_are_read(
    tmp_path: Path, group: str, wheels: list[str], more: dict[str, Any], extras: str
) -> None:
    folder = tmp_path / "wheels" / "py3.11"
    folder.mkdir(parents=True)
    for name in ["obscraft-0.1.0-py3-none-any.whl", *wheels]:
        (folder / name).touch()
    settings = WITHOUT | {"fleet_artifacts_dir": str(tmp_path), "obsctl_python": "python3.11"} | more
    assert environment(tmp_path, group, **settings)[0] == extras


def test_another_native_module_is_another_environment(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        folder = tmp_path / str(number) / "wheels" / "py3.11"
        folder.mkdir(parents=True)
        for name in ("obscraft-0.1.0-py3-none-any.whl", f"obscraft_native-0.1.0+{number}-cp39-abi3-any.whl"):
            (folder / name).touch()
        variables = {"fleet_artifacts_dir": str(tmp_path / str(number)), "obsctl_python": "python3.11"}
        digests.add(environment(tmp_path, "consumer", **variables)[1])
    assert len(digests) == 2
