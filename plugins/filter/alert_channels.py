# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Alert channels on their way from the inventory to a host: their secrets go into files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: alert_channels
short_description: Separate alert channels from their secrets
version_added: 0.1.0
description:
  - A channel's options C(token), C(secret) and C(password) are secrets, and so are those of each entry of C(robots).
    The inventory gives them as references (C(file:), C(env:), C(vault:)) that are valid on the control node, or as
    values.
options:
  _input:
    description: The channels as in the inventory.
    type: list
    elements: dict
    required: true
  folder:
    description: Folder of the secrets on the host.
    type: path
    required: true
author:
  - The ObsCraft authors (@obscraft)
"""

EXAMPLES = r"""
- name: Show what the alerter will read
  ansible.builtin.debug:
    msg: "{{ (consumer_alert_channels | obscraft.fleet.alert_channels('/etc/obsctl/secrets')).on_host }}"
"""

RETURN = r"""
_value:
  description:
    - C(on_host), the channels with references to the files on the host;
    - C(on_control), the channels with the inventory's own references, an empty string in place of a value;
    - C(secrets), C(path) on the host and C(source) (the inventory's reference or value) of each secret.
  type: dict
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

SECRET_OPTIONS = ("token", "secret", "password")
REFERENCE = re.compile(r"^(file|env|vault):.")


def secret_file(channel: Mapping[str, Any], option: str) -> str:
    """Return the name of the file on the host that holds a channel's secret."""
    return f"alert_{re.sub('[^A-Za-z0-9_-]', '_', str(channel['name']))}_{option}"


def channel_secrets(channel: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (name, reference or value) of each secret of a channel; those of a pool are C(robots_1_token), ..."""
    yield from ((option, channel[option]) for option in SECRET_OPTIONS if channel.get(option))
    for number, robot in enumerate(_robots(channel), 1):
        yield from ((f"robots_{number}_{option}", robot[option]) for option in SECRET_OPTIONS if robot.get(option))


def alert_channels(channels: Iterable[Mapping[str, Any]], folder: str) -> dict[str, list[dict[str, Any]]]:
    """Return the channels as a host reads them, as the control node reads them, and the secrets between the two."""
    on_host: list[dict[str, Any]] = []
    on_control: list[dict[str, Any]] = []
    secrets: list[dict[str, Any]] = []
    for channel in channels:
        files = {name: f"{folder}/{secret_file(channel, name)}" for name, _source in channel_secrets(channel)}
        secrets += [{"path": files[name], "source": source} for name, source in channel_secrets(channel)]
        on_host.append(_replaced(channel, {name: f"file:{path}" for name, path in files.items()}))
        references = {name: source if REFERENCE.match(str(source)) else "" for name, source in channel_secrets(channel)}
        on_control.append(_replaced(channel, references))
    return {"on_host": on_host, "on_control": on_control, "secrets": secrets}


def _robots(channel: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    # What is no list of robots is named by the role's own specification.
    robots = channel.get("robots")
    return [robot for robot in robots if isinstance(robot, Mapping)] if isinstance(robots, (list, tuple)) else []


def _replaced(channel: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the channel with other values in place of its secrets."""
    found = {**channel, **{option: values[option] for option in SECRET_OPTIONS if option in values}}
    if _robots(channel):
        found["robots"] = [
            {**robot, **{option: values[f"robots_{number}_{option}"] for option in SECRET_OPTIONS if robot.get(option)}}
            for number, robot in enumerate(_robots(channel), 1)
        ]
    return found


class FilterModule:
    """Offers the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"alert_channels": alert_channels}
