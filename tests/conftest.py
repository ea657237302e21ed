"""What all levels share: where the real logs are, and why a test is skipped."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from obsctl.core import secrets
from rig.kafka import KafkaNode, unpack_kafka
from rig.tools import kafka_archive, missing_tools

ROOT = Path(__file__).resolve().parent.parent
#: Files of minutes, the longest first: begun last, they would run on alone when the other processes have nothing left.
_LONG = (
    "contract/roles/test_certificates.py",
    "contract/test_preflight.py",
    "contract/test_preflight_unreachable.py",
    "integration/test_consumer.py",
    "integration/test_alerter.py",
    "integration/test_conservation.py",
    "integration/test_positions.py",
    "integration/test_workers.py",
    "integration/test_two_alerters.py",
    "integration/test_silences_and_history.py",
)


# A failure prints what repeats it; how long an example takes is the machine's business.
settings.register_profile("project", deadline=None, database=None, print_blob=True)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    """Have SIGTERM (of `timeout`, of a build server) unwind the fixtures as Ctrl-C does: they end what they started."""
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        # The first one alone: `timeout` sends it to each process of the group, and so does the line below.
        if not ended:
            ended = True
            # One that spreads the tests (pytest-xdist) has no other children than those that run them.
            for pid in _children() if config.pluginmanager.hasplugin("dsession") else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)


def _children() -> list[int]:
    return [int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((number for number, name in enumerate(_LONG) if path.endswith(f"tests/{name}")), len(_LONG))

    items.sort(key=place)


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


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep mutes of the person who runs the tests out of them, and theirs out of the person's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _own_secrets() -> Iterator[None]:
    """Have the process forget the secrets of each test: another one's message may hold the same word."""
    # Not the fixture of that name, which a test may undo.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_seen", set(secrets._seen))
        patch.setattr(secrets, "_vault", secrets._vault)
        yield


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


@pytest.fixture(scope="session")
def kafka_libs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive's libs; skips where it or java is absent."""
    if reason := missing_tools():
        pytest.skip(reason)
    archive = kafka_archive()
    assert archive is not None
    return unpack_kafka(archive, tmp_path_factory.mktemp("kafka-libs"))


@pytest.fixture(scope="session")
def kafka(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A running broker."""
    node = KafkaNode(kafka_libs, tmp_path_factory.mktemp("kafka"))
    node.start()
    yield node
    node.kill()
