"""What all levels share: where the real logs are, and why a test is skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the project's tree."""
    return ROOT


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """The folder of real access logs (OBSCTL_TEST_DATA, default ../shared/data); skips where it is absent."""
    folder = Path(os.environ.get("OBSCTL_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real logs are not at {folder}; OBSCTL_TEST_DATA names their folder")
    return folder
