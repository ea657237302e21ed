"""Environments with other releases of ansible-core than the one that runs the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def programs_of(name: str) -> Path:
    """Return the folder of the programs of an environment: ``legacy`` (core 2.16) or ``newest``; skips without it."""
    variable = f"OBSCTL_TEST_{name.upper()}_VENV"
    folder = Path(os.environ.get(variable, ROOT / f".venv-{name}"))
    if not (folder / "bin/ansible-playbook").exists():
        pytest.skip(f"no environment at {folder} (CONTRIBUTING.md makes it), and {variable} names none")
    return folder / "bin"
