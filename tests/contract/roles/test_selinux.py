"""SELinux' modules run under the platform's own Python, which alone has the bindings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rig import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.filter.platform_python import platform_python  # isort: skip

ROLES = Path(__file__).resolve().parents[3] / "roles"
MODULES = {"ansible.posix.seboolean", "community.general.seport", "community.general.sefcontext"}
INTERPRETER = {"ansible_python_interpreter": "{{ ansible_facts | obscraft.fleet.platform_python }}"}


def _tasks(path: Path) -> list[dict[str, Any]]:
    return yaml.safe_load(path.read_text()) or []


def _chosen(task: dict[str, Any]) -> bool:
    return INTERPRETER.items() <= task.get("vars", {}).items()


def _users(role: Path) -> dict[Path, list[dict[str, Any]]]:
    found = {path: [t for t in _tasks(path) if MODULES & t.keys()] for path in (role / "tasks").glob("*.yml")}
    return {path: tasks for path, tasks in found.items() if tasks}


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir() if _users(path)))
def test_every_use_has_the_platforms_python(role: str) -> None:
    includes = [t for path in (ROLES / role / "tasks").glob("*.yml") for t in _tasks(path)]
    for path, tasks in _users(ROLES / role).items():
        including = [t for t in includes if t.get("ansible.builtin.include_tasks") == path.name]
        assert all(map(_chosen, including or tasks)), path


@pytest.mark.parametrize(
    ("family", "major", "expected"),
    [
        ("RedHat", "7", "/usr/bin/python"),
        ("RedHat", "8", "/usr/libexec/platform-python"),
        ("RedHat", "9", "/usr/libexec/platform-python"),
        ("Debian", "12", "/usr/bin/python3"),
    ],
)
def test_the_platforms_python(family: str, major: str, expected: str) -> None:
    assert platform_python({"os_family": family, "distribution_major_version": major}) == expected
