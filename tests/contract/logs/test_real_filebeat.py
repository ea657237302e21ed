"""What is read of a real Filebeat in each kind of trouble: registry, open files, page and configuration."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from obsctl.checks.ask import ssh
from obsctl.checks.logs import collect
from obsctl.checks.logs.judge import judge_logs, shipping_detail
from obsctl.checks.logs.progress import deliveries
from obsctl.checks.logs.snapshot import HostLogs, LogsSnapshot
from obsctl.fleet.model import Fleet, Host
from rig.filebeat import archive, unpack
from rig.log_host import LogHost
from rig.waiting import wait_for

HOST = Host(name="node1", address="192.0.2.11", groups=("lb", "filebeat"))
FLEET = Fleet(hosts=(HOST,))

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it looks at processes of other accounts"),
    pytest.mark.skipif(archive() is None, reason="Filebeat is not built: obsctl artifacts build"),
]


@pytest.fixture(scope="module")
def binary() -> Iterator[Path]:
    # Not below pytest's own folder, which other accounts cannot enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield unpack(Path(folder))


class World(LogHost):
    """The host, and what is seen of it."""

    def request(self, agent: str = "curl") -> None:
        """Write the line of a request of now."""
        self.line(f'{{"time":"x","msec":{time.time():.3f},"user_agent":"{agent}"}}')

    def look(self) -> HostLogs:
        return collect.look(HOST)

    def settle(self) -> HostLogs:
        """Wait until all is delivered."""
        seen: list[HostLogs] = []

        def settled() -> bool:
            seen[:] = [self.look()]
            files = list(deliveries(seen[0].last))
            return bool(files) and seen[0].last.events is not None and not any(file.undelivered for file in files)

        wait_for(lambda: repr(seen), settled, seconds=30, every=0.2)
        return seen[0]

    def findings(self) -> dict[str, str]:
        return {one.code: one.summary for one in judge_logs(FLEET, LogsSnapshot(hosts=(self.look(),)))}


@pytest.fixture
def world(binary: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    made = World(folder, binary)
    monkeypatch.setattr(ssh, "run", made.run)
    monkeypatch.setattr(collect, "command", made.command)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


def test_what_was_delivered_is_known_to_the_byte(world: World) -> None:
    world.write("access.log", "error.log")
    world.request()
    world.request(agent="obsctl")
    world.ship()
    size = (world.logs / "access.log").stat().st_size

    def open_and_delivered() -> HostLogs | None:
        # One look asks for the open files first: it may see none, and right afterwards that all is delivered.
        seen = world.settle()
        return seen if size in {file.read for file in deliveries(seen.last)} else None

    seen = wait_for("an open file", open_and_delivered)
    files = {Path(file.path).name: file for file in deliveries(seen.last)}
    assert files.keys() == {"access.log", "error.log"}
    assert (files["access.log"].delivered, files["access.log"].read, files["access.log"].written) == (size, size, True)
    assert [one.id for one in seen.last.inputs or ()] == ["nginx-access", "nginx-error"]
    assert seen.last.events is not None
    assert seen.last.events.acked == 2
    # Its own requests are no traffic.
    assert seen.last.newest_line is not None
    assert seen.last.at - seen.last.newest_line < 60
    assert judge_logs(FLEET, LogsSnapshot(hosts=(seen,))) == []
    assert shipping_detail(FLEET, LogsSnapshot(hosts=(seen,))).startswith("1 of 1 ship, newest line ")


def test_only_obsctls_own_requests_are_no_traffic(world: World) -> None:
    world.write("access.log")
    world.request(agent="obsctl")
    world.ship()
    assert shipping_detail(FLEET, LogsSnapshot(hosts=(world.settle(),))) == "1 of 1 ship, no traffic"


def test_a_frozen_shipper(world: World) -> None:
    world.write("access.log")
    world.request()
    world.ship()
    world.settle()
    world.signal(signal.SIGSTOP)
    world.request()
    found = world.findings()
    assert found.keys() == {"LOGS_SHIPPER_SILENT"}
    assert "SIGSTOP" in found["LOGS_SHIPPER_SILENT"]
    world.signal(signal.SIGCONT)
    world.settle()


def test_a_log_that_its_account_may_not_read(world: World) -> None:
    world.write("access.log")
    world.request()
    world.ship()
    world.settle()
    world.logs.chmod(0o700)
    # It reads on what it has open.
    assert "it still reads" in world.findings()["LOGS_UNREADABLE"]
    world.restart()
    world.request()
    wait_for("a finding", lambda: "it still reads" not in world.findings().get("LOGS_UNREADABLE", "it still reads"))
    world.logs.chmod(0o755)
    world.settle()
    assert world.findings() == {}


def test_a_shipper_that_is_pointed_elsewhere(world: World) -> None:
    world.write("access.log", "error.log")
    world.request()
    text = world.shipper.config.read_text()
    world.shipper.config.write_text(text.replace(f"{world.logs}/access.log*", f"{world.logs}/acces.log*"))
    world.ship()
    wait_for("a finding", lambda: "LOGS_NO_INPUT" in world.findings())
    assert str(world.logs / "access.log") in world.findings()["LOGS_NO_INPUT"]
    world.shipper.config.write_text(text)
    world.restart()
    world.settle()


def test_a_link_that_is_not_followed(world: World) -> None:
    (world.folder / "elsewhere").mkdir()
    (world.logs / "access.log").symlink_to(world.folder / "elsewhere" / "access.log")
    world.write("access.log")
    world.request()
    text = world.shipper.config.read_text()
    world.shipper.config.write_text(text.replace("scanner.symlinks: true", "scanner.symlinks: false"))
    world.ship()
    wait_for("a finding", lambda: "LOGS_LINK_IGNORED" in world.findings())
    world.shipper.config.write_text(text)
    world.restart()
    world.settle()
    assert world.findings() == {}


def test_a_rotated_log_that_was_never_read(world: World) -> None:
    world.write("access.log")
    rotated = world.logs / "access.log.1"
    rotated.write_text("old\nlines\n")
    rotated.chmod(0o600)
    os.utime(rotated, (0, time.time() - 3600))
    (world.logs / "access.log.2.gz").write_text("packed")
    world.request()
    world.ship()
    found = wait_for("a finding", lambda: world.findings().get("LOGS_ROTATION_UNREAD"))
    assert found.startswith("10 bytes of ")
    assert "may not read" in found
    rotated.chmod(0o644)
    assert "may not read" not in world.findings()["LOGS_ROTATION_UNREAD"]
    world.restart()
    world.settle()
    assert world.findings() == {}


def test_a_long_log_is_known_to_the_byte_after_a_restart(world: World) -> None:
    """Filebeat then writes its offset as a floating point number with an exponent."""
    world.write("access.log")
    with (world.logs / "access.log").open("a") as log:
        log.writelines(f"{'x' * 120_000}\n" for _ in range(200))
    world.ship()
    world.settle()
    world.restart()
    (world.logs / "access.log").rename(world.logs / "access.log.1")
    wait_for("an exponent", lambda: "e+07" in (world.shipper.registry / "log.json").read_text())
    assert {file.delivered for file in deliveries(world.settle().last)} == {200 * 120_001}


def test_a_line_is_found_where_it_is_and_it_is_known_whether_it_was_read(world: World) -> None:
    world.write("access.log")
    world.request()
    world.ship()
    world.settle()
    world.signal(signal.SIGSTOP)
    before = (world.logs / "access.log").stat().st_size
    world.request(agent="mark-4711")
    seen = collect.look(HOST, ["mark-4711", "mark-4712"])
    (mark,) = seen.last.marks
    assert mark.id == "mark-4711"
    assert before < mark.offset < (world.logs / "access.log").stat().st_size
    (reader,) = (file for file in seen.last.opened if file.key == (mark.device, mark.inode))
    assert reader.position <= mark.offset
    world.signal(signal.SIGCONT)
    world.settle()


def test_removed_logs_that_are_kept_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("access.log")
    world.request()
    world.ship()
    world.settle()
    (world.logs / "access.log").unlink()
    monkeypatch.setattr("obsctl.checks.logs.judge.REMOVED_BYTES", 10)
    found = world.findings()
    assert found.keys() == {"LOGS_REMOVED_KEPT_OPEN", "LOGS_WRITTEN_TO_REMOVED"}


def test_the_registry_is_read_across_its_checkpoints(world: World) -> None:
    """Filebeat writes its whole state to a file of its own when the log of changes is long, and begins it again."""
    world.write("access.log")
    world.request()
    world.ship()
    world.settle()
    # A log that it cannot read makes it write its state at the next change.
    world.signal(signal.SIGKILL)
    with (world.shipper.registry / "log.json").open("a") as log:
        log.write('{"op":"set","id":99}\n{"k":')
    world.restart()
    world.request()
    wait_for("a state", lambda: list(world.shipper.registry.glob("[0-9]*.json")))
    seen = world.settle()
    assert {file.delivered for file in deliveries(seen.last)} == {(world.logs / "access.log").stat().st_size}
