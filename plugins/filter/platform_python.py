# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The Python that a system's own tools run under, for modules that need its bindings."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: platform_python
short_description: The Python that has the bindings of SELinux and the package manager
version_added: 0.1.0
description:
  - Whatever C(ansible_python_interpreter) says, only the platform's own Python has these bindings. On EL7 that is
    Python 2.7, on EL8 and newer one that lies outside of the search path.
options:
  _input:
    description: The host's facts (C(ansible_facts), the subset C(min)).
    type: dict
    required: true
author:
  - The ObsCraft authors (@obscraft)
"""

EXAMPLES = r"""
- name: Let nginx connect to the back ends
  ansible.posix.seboolean:
    name: httpd_can_network_connect
    state: true
    persistent: true
  vars:
    ansible_python_interpreter: "{{ ansible_facts | obscraft.fleet.platform_python }}"
"""

RETURN = r"""
_value:
  description: Path of the interpreter.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any


def platform_python(facts: Mapping[str, Any]) -> str:
    """Return the path of the platform's Python."""
    if facts["os_family"] != "RedHat":
        return "/usr/bin/python3"
    return "/usr/bin/python" if facts["distribution_major_version"] == "7" else "/usr/libexec/platform-python"


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"platform_python": platform_python}
