"""The one environment of a host has what its channels and its console need, whichever role comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rig import collection  # noqa: F401  # lets Ansible find obscraft.fleet in this tree
from rig.rendered_role import RenderedNode

WITHOUT = {"console_enabled": False}


def environment(folder: Path, **variables: Any) -> tuple[str, str]:
    """Return the extras of a host's environment, and the digest of all it is built from but the project itself."""
    path = folder / "hosts.yml"
    inventory = {"all": {"vars": {"fleet_artifacts_dir": "/nowhere", **variables}, "hosts": {"app1": {}}}}
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
