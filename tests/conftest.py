"""What all levels share: where the real logs are, and why a test is skipped."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
#: Files of minutes: begun last, they would run on alone when the other processes have nothing left.
_LONG = (
    "contract/test_preflight.py",
    "contract/test_preflight_unreachable.py",
    "integration/test_conservation.py",
    "integration/test_consumer.py",
    "integration/test_positions.py",
    "integration/test_workers.py",
)


# A failure prints what repeats it; how long an example takes is the machine's business.
settings.register_profile("project", deadline=None, database=None, print_blob=True)
settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(_LONG))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add to the file that ``./test.sh`` names how long each level took, and in the lab each file."""
    if not (file := os.environ.get("OBSCRAFT_TEST_TIMES")):
        return
    seconds: Counter[str] = Counter()
    failed = set()
    for reports in terminalreporter.stats.values():
        for report in (report for report in reports if isinstance(report, pytest.TestReport)):
            path = Path(report.location[0])
            part = str(path if path.parts[:2] == ("tests", "lab") else Path(*path.parts[:2]))
            seconds[part] += report.duration
            if report.failed:
                failed.add(part)
    with Path(file).open("a") as lines:
        for part, taken in seconds.items():
            lines.write(f"{taken:.0f}\t{'failed' if part in failed else 'passed'}\t  {part}\n")


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
