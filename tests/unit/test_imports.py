"""The import rules of pyproject.toml hold, and starting the command line stays light."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: Client libraries and what only a running command needs.
HEAVY = {
    "ansible", "asyncio", "confluent_kafka", "http.client", "jinja2", "kafka", "lark", "obsctl.alerter",
    "obsctl.checks", "obsctl.consumer", "obsctl.fleet", "obsctl.store", "pymysql", "urllib3", "yaml",
}  # fmt: skip


def test_the_import_rules_hold(project: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def _loaded(*argv: str, **environment: str) -> set[str]:
    """Return the modules that the program has loaded when it ends."""
    script = (
        "import sys; from obsctl.cli.main import run; run(sys.argv[1:]); print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["--version"],
        ["health", "--help"],
        ["verify", "lb", "--help"],
        ["kafka", "partitions", "--help"],
        ["consumer", "replay", "--help"],
        ["alert", "test", "--help"],
        ["artifacts", "build", "--help"],
        ["lab", "up", "--help"],
    ],
)
def test_help_loads_no_heavy_library(argv: list[str]) -> None:
    assert not HEAVY & _loaded(*argv)


@pytest.mark.parametrize("words", ["obsctl ", "obsctl ka", "obsctl kafka partitions --", "obsctl lab ssh n"])
def test_completion_loads_what_it_needs(words: str) -> None:
    typed = words.split(" ")
    loaded = _loaded(_OBSCTL_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(typed) - 1))
    assert not (HEAVY | {"msgspec", "rich"}) & loaded


def test_the_program_imports_a_command_only_when_it_is_called() -> None:
    assert not {"msgspec", "obsctl.cli.kafka", "obsctl.cli.lab", "obsctl.cli.checking"} & _loaded("--help")
    assert "obsctl.cli.lab" not in _loaded("kafka", "--help")
