"""A worker as its supervisor sees it, with a process and a clock of the test's own."""

from __future__ import annotations

import io
import logging
import os
from typing import Any

import msgspec
import pytest

from obsctl.consumer.config import Config
from obsctl.consumer.telemetry import Counters, PartitionState, Report
from obsctl.consumer.unit import worker_process as module
from obsctl.consumer.unit.worker_process import FIRST_REPORT_S, Child
from obsctl.core.consumer_page import Note
from rig.waiting import wait_for
from tests.unit.consumer.doubles import Clock
from tests.unit.consumer.settings import config, database, kafka

CONFIG = config(
    kafka=kafka(instance="app1"),
    database=database(),
    stuck_seconds=10,
    drain_seconds=5,
)


class Pipe(io.BytesIO):
    """Keeps what was written when it is closed."""

    kept = b""

    def close(self) -> None:
        self.kept = self.getvalue()
        super().close()


class FakeProcess:
    """A process that does what the test says."""

    pid = 4711

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.stdin = Pipe()
        read, self._write = os.pipe()
        self.stdout = os.fdopen(read, "rb")
        self.code: int | None = None
        self.kills = 0

    def poll(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.kills += 1

    def terminate(self) -> None:
        self.end(0)

    def say(self, line: bytes) -> None:
        os.write(self._write, line)

    def end(self, code: int) -> None:
        self.code = code
        os.close(self._write)


def report(stored: int = 0, *, next_offset: int = 0, end: int = 0, trouble: str = "") -> Report:
    return Report(
        Counters(stored=stored, refused=stored),
        {trouble: Note("away")} if trouble else {},
        {},
        [PartitionState("nginxlog", 0, next_offset, end)],
        None,
        None,
        "",
    )


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.started: list[FakeProcess] = []
        self.fails = ""
        monkeypatch.setattr(module, "time", self.clock)
        monkeypatch.setattr(module.subprocess, "Popen", self._start)
        monkeypatch.setattr(module.Backoff, "delay", lambda _: 3.0)
        monkeypatch.setattr(module, "_LISTENER_S", 5.0)
        self.child = Child(1, CONFIG)

    def _start(self, argv: list[str], **_: Any) -> FakeProcess:
        if self.fails:
            raise OSError(self.fails)
        self.started.append(FakeProcess(argv))
        return self.started[-1]

    @property
    def process(self) -> FakeProcess:
        return self.started[-1]

    def turn(self, seconds: float = 0.0) -> None:
        self.clock.now += seconds
        self.child.turn(self.clock.now)

    def hear(self, said: Report, seconds: float = 0.0) -> None:
        """Let the worker report some seconds later, and the supervisor receive it."""
        self.clock.now += seconds
        before = self.child._report
        self.process.say(msgspec.json.encode(said) + b"\n")
        wait_for("the state", lambda: self.child._report is not before, seconds=5)

    @property
    def state(self) -> Any:
        return self.child.state(self.clock.now)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Bench(monkeypatch)
    yield made
    for process in made.started:
        if process.code is None:
            process.end(0)


def test_a_worker_is_started_with_its_number_its_log_level_and_its_configuration(bench: Bench) -> None:
    assert (bench.state.state, bench.state.pid) == ("starting", None)
    bench.turn()
    assert bench.process.argv[-3:] == ["obsctl.consumer.unit.worker", "1", str(logging.getLogger().level)]
    given = msgspec.json.decode(bench.process.stdin.getvalue(), type=Config)
    assert given == CONFIG.of_worker(1)
    assert (bench.state.state, bench.state.pid) == ("starting", 4711)
    assert "no report yet" in bench.state.trouble.message


def test_what_it_reports_is_its_state(bench: Bench) -> None:
    bench.turn()
    bench.hear(report(7))
    bench.turn(1)
    assert (bench.state.state, bench.state.trouble) == ("running", None)
    assert bench.state.report.counters.stored == 7
    assert bench.child.refused() == 7


def test_an_unreadable_report_is_passed_over(bench: Bench) -> None:
    bench.turn()
    bench.process.say(b"Traceback (most recent call last):\n")
    bench.hear(report(7))
    assert bench.state.state == "running"


def test_a_silent_worker_is_named_and_then_replaced(bench: Bench) -> None:
    bench.turn()
    bench.hear(report(7))
    bench.turn(6)
    assert bench.state.state == "silent"
    assert "no report for 6 s" in bench.state.trouble.message
    assert bench.state.current is None, "what it does is not known"
    bench.turn(4)
    assert bench.process.kills == 0
    bench.turn(1)
    bench.turn(1)
    assert bench.process.kills == 1, "once"
    bench.process.end(-9)
    bench.turn()
    assert (bench.state.restarts, bench.state.stuck_restarts) == (1, 1)
    assert "sent no report for 11 s" in bench.state.trouble.message
    assert bench.child.quiet_seconds(bench.clock.now) == 12


def test_the_first_report_may_take_longer(bench: Bench) -> None:
    bench.turn()
    bench.turn(FIRST_REPORT_S)
    assert bench.process.kills == 0
    bench.turn(1)
    assert bench.process.kills == 1


def test_a_stalled_worker_is_replaced(bench: Bench) -> None:
    bench.turn()
    bench.hear(report(next_offset=10, end=10))
    bench.turn()
    for end in range(11, 60):
        bench.hear(report(next_offset=10, end=end), seconds=1)
        bench.turn()
        if bench.process.kills:
            break
    assert end - 11 > CONFIG.stuck_seconds + CONFIG.drain_seconds, "a hand-over may hold it up for so long"
    bench.process.end(-9)
    bench.turn()
    assert "stored nothing" in bench.state.trouble.message


def test_a_worker_that_reports_a_trouble_is_left_alone(bench: Bench) -> None:
    bench.turn()
    for end in range(11, 90):
        bench.hear(report(next_offset=10, end=end, trouble="database"), seconds=1)
        bench.turn()
    assert bench.process.kills == 0


@pytest.mark.parametrize(
    ("code", "words"), [(70, "exit code 70"), (-9, "signal SIGKILL"), (-99, "signal 99"), (0, "exit code 0")]
)
def test_a_worker_that_ends_is_started_again_after_a_wait(bench: Bench, code: int, words: str) -> None:
    bench.turn()
    bench.hear(report(7))
    bench.process.end(code)
    bench.turn(1)
    assert (bench.state.state, bench.state.pid, bench.state.restarts) == ("restarting", None, 1)
    assert words in bench.state.trouble.message
    assert "is being replaced" in bench.state.trouble.message
    bench.turn(2)
    assert len(bench.started) == 1
    bench.turn(1)
    assert len(bench.started) == 2
    bench.hear(report(5))
    assert "was replaced" in bench.state.trouble.message
    assert bench.state.past.stored == 7, "what its earlier processes have counted"
    assert bench.child.refused() == 12


def test_a_replacement_is_a_trouble_for_a_minute(bench: Bench) -> None:
    bench.turn()
    bench.process.end(1)
    bench.turn()
    bench.turn(3)
    for seconds, known in ((50, True), (10, False)):
        bench.hear(report(), seconds=seconds)
        assert (bench.state.trouble is not None) is known


def test_what_it_reports_last_counts_although_it_has_ended(bench: Bench) -> None:
    bench.turn()
    bench.process.say(msgspec.json.encode(report(9)) + b"\n")
    bench.process.end(0)
    bench.turn()
    assert bench.state.past.stored == 9


def test_a_worker_that_cannot_be_started_is_tried_again(bench: Bench) -> None:
    bench.fails = "Cannot allocate memory"
    bench.turn()
    assert (bench.state.state, bench.state.restarts) == ("restarting", 1)
    assert "could not be started: Cannot allocate memory" in bench.state.trouble.message
    assert bench.child.gone()
    bench.fails = ""
    bench.turn(3)
    assert not bench.child.gone()
    assert bench.child.quiet_seconds(bench.clock.now) == 3, "since the first try"


def test_a_stop_ends_the_process(bench: Bench) -> None:
    bench.child.terminate()  # without one there is nothing to do
    bench.child.kill()
    bench.turn()
    assert not bench.child.gone()
    bench.child.kill()
    assert bench.process.kills == 1
    bench.child.terminate()
    assert bench.child.gone()


def test_the_waits_grow_until_a_process_has_lived_for_a_minute(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(module, "time", bench.clock)
    monkeypatch.setattr(module.subprocess, "Popen", bench._start)
    monkeypatch.setattr("obsctl.core.backoff.random.uniform", lambda _low, high: high)
    child = Child(0, CONFIG)
    waits = []
    for lived in (1, 1, 1, 61, 1):
        child.turn(bench.clock.now)
        bench.clock.now += lived
        bench.process.end(1)
        child.turn(bench.clock.now)
        waits.append(child._due - bench.clock.now)
        bench.clock.now = child._due
    assert waits == [1, 2, 4, 1, 2]
