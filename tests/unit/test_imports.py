"""The import rules of pyproject.toml hold, and starting the command line stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("kafka", "confluent_kafka", "pymysql", "rich", "urllib3", "yaml", "ansible", "http.client", "asyncio")


def test_the_import_rules_hold(project: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("argv", [["--help"], ["--version"]])
def test_help_loads_no_heavy_library(argv: list[str]) -> None:
    script = (
        "import sys; from obsctl.cli.main import run; run(sys.argv[1:]);"
        "print(*sorted(m for m in sys.modules if '.' not in m or m == 'http.client'), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stderr.split())
