"""The supervisor's loop: what it starts and ends, what it reports, and when the watchdog is notified."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from obsctl.consumer.config import Config, Health, Kafka
from obsctl.consumer.telemetry import Counters, Report, Telemetry
from obsctl.consumer.unit import supervisor as module
from obsctl.consumer.unit import worker
from obsctl.consumer.unit.supervisor import Supervisor
from obsctl.consumer.unit.worker_process import FIRST_REPORT_S
from obsctl.core.consumer_page import Note
from tests.unit.consumer.doubles import Clock
from tests.unit.consumer.settings import config, database, kafka
from tests.unit.consumer.unit.builders import worker as worker_state

CONFIG = config(
    kafka=kafka(),
    database=database(),
    processes=2,
    stuck_seconds=40,
    drain_seconds=5,
    health=Health(address="127.0.0.1", port=0),
)


class FakeChild:
    """A worker that lives as long as it is let."""

    def __init__(self, number: int, _settings: Config) -> None:
        self.number = number
        self.turns = 0
        self.quiet = 0.0
        self.refusals = 0
        self.stored = 0
        self.calls: list[str] = []
        self.ends_on = "terminate"
        self.trouble: Note | None = None

    def turn(self, _now: float) -> None:
        self.turns += 1

    def refused(self) -> int:
        return self.refusals

    def quiet_seconds(self, _now: float) -> float:
        return self.quiet

    def terminate(self) -> None:
        self.calls.append("terminate")

    def kill(self) -> None:
        self.calls.append("kill")

    def gone(self) -> bool:
        return self.ends_on in self.calls

    def state(self, _now: float) -> Any:
        report = Report(Counters(stored=self.stored), {}, {}, [], None, None, "")
        return msgspec.structs.replace(worker_state(self.number, report, trouble=self.trouble), past=Counters())


class FakeHousekeeping:
    def __init__(self, _store: Any, _kafka: Kafka, telemetry: Telemetry) -> None:
        self.tables_ready = True
        self.letters = 0
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def ready(self) -> bool:
        return self.tables_ready

    def letters_due(self) -> None:
        self.letters += 1

    def stop(self, timeout: float) -> None:
        self.calls.append(f"stop {timeout:g}")


class Bench(Clock):
    """A supervisor between doubles. It runs in the test's thread; each sleep of its loop runs a step of the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.states: list[tuple[float, str]] = []
        self.stop = threading.Event()
        self.step: Callable[[], None] = lambda: None
        monkeypatch.setattr(module, "time", self)
        monkeypatch.setattr(module, "Child", FakeChild)
        monkeypatch.setattr(module, "MySQLStore", lambda *_: None)
        monkeypatch.setattr(module, "Housekeeping", self._housekeeping)
        self.supervisor = Supervisor(CONFIG, self)  # type: ignore[arg-type]  # it is the notifier, too

    def _housekeeping(self, *arguments: Any) -> FakeHousekeeping:
        self.housekeeping = FakeHousekeeping(*arguments)
        return self.housekeeping

    @property
    def children(self) -> list[FakeChild]:
        return self.supervisor._children  # type: ignore[return-value]

    def send(self, *states: str) -> None:
        self.states += [(self.now, state) for state in states]

    def said(self, state: str) -> list[float]:
        return [moment for moment, what in self.states if what == state]

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if not self.stop.is_set():
            self.step()

    def run(self, seconds: float, step: Callable[[], None] = lambda: None) -> None:
        """Let it run for some seconds, with a step of the test in each turn, and then stop."""
        until = self.now + seconds

        def one() -> None:
            step()
            if self.now >= until:
                self.stop.set()

        self.step = one
        self.supervisor.run(self.stop)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_systemd_hears_that_it_is_ready_lives_and_stops(bench: Bench) -> None:
    bench.run(20)
    assert bench.states[0][1] == "READY=1"
    assert len(bench.said("WATCHDOG=1")) == 10, "every two seconds"
    assert len(bench.said("STOPPING=1")) == 1
    assert any(state.startswith("STATUS=2 workers") for _, state in bench.states)


def test_no_worker_starts_before_todays_partitions_exist(bench: Bench) -> None:
    def step() -> None:
        bench.housekeeping.tables_ready = bench.now > 1010
        if not bench.housekeeping.tables_ready:
            assert [child.turns for child in bench.children] == [0, 0]

    bench.run(20, step)
    assert all(child.turns for child in bench.children)
    assert len(bench.said("WATCHDOG=1")) == 10, "a wait for the database is no reason for a restart"


def test_the_watchdog_is_not_notified_while_a_worker_does_not_come_back(bench: Bench) -> None:
    limit = 2 * max(CONFIG.stuck_seconds, FIRST_REPORT_S)

    def step() -> None:
        bench.children[1].quiet = {True: limit + 1, False: limit}[1010 < bench.now < 1020]

    bench.run(30, step)
    alive = bench.said("WATCHDOG=1")
    assert [moment for moment in alive if 1011 < moment < 1019] == []
    assert min(alive) < 1010
    assert max(alive) > 1020, "it came back"


def test_a_refused_line_has_the_dead_letters_sent(bench: Bench) -> None:
    def step() -> None:
        bench.children[0].refusals = 3 if bench.now > 1005 else 0

    bench.run(10, step)
    assert bench.housekeeping.letters == 1


def test_a_stop_lets_the_workers_store_what_is_in_flight(bench: Bench) -> None:
    bench.run(5)
    assert [child.calls for child in bench.children] == [["terminate"], ["terminate"]]
    assert bench.housekeeping.calls == ["start", f"stop {worker.STOP_S:g}"]


def test_a_worker_that_does_not_end_is_killed(bench: Bench) -> None:
    bench.children[1].ends_on = "kill"
    bench.run(5)
    assert [child.calls for child in bench.children] == [["terminate"], ["terminate", "kill"]]
    (stopping,) = bench.said("STOPPING=1")
    assert bench.now - stopping >= CONFIG.drain_seconds + 2 * worker.STOP_S


def test_the_rate_is_that_of_the_last_seconds(bench: Bench) -> None:
    rates = []

    def step() -> None:
        bench.children[0].stored = 100 * int(bench.now)
        rates.append(bench.supervisor.overview().lines_per_second)

    bench.run(20, step)
    assert rates[0] is None
    assert rates[-1] == pytest.approx(100, rel=0.2)


def test_a_loop_that_hangs_is_reported(bench: Bench) -> None:
    bench.run(5)
    assert bench.supervisor.overview().status == "ok"
    bench.now += 11
    seen = bench.supervisor.overview()
    assert seen.status == "waiting"
    assert "has been stuck for" in seen.troubles["supervisor"].message


def test_troubles_are_the_status_that_systemctl_shows(bench: Bench) -> None:
    bench.children[0].trouble = Note("its process ended", "", "2026")
    bench.run(5)
    assert any(state == "STATUS=worker 0: its process ended" for _, state in bench.states)


def test_the_page_names_the_dead_letter_topic(bench: Bench) -> None:
    assert bench.supervisor.overview().dead_letter_topic == CONFIG.kafka.topics.dlq


def test_a_taken_port_costs_the_page_only(bench: Bench) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bench.supervisor._settings = msgspec.structs.replace(CONFIG, health=Health(address="127.0.0.1", port=port))
        bench.run(5)
    assert all(child.turns for child in bench.children)
