"""One unit with several workers: one that ends, freezes or stores nothing is replaced, and each line stays one row."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import site
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from obsctl.consumer.unit.supervisor import NOTIFY_S
from rig.consumer import Consumer, Pipeline, assert_conserved
from rig.records import json_line, record
from rig.tools import REPOSITORY
from rig.waiting import HANGS_S, wait_for

#: Short, because the tests wait for it, but not so short that a busy machine looks like a worker that is silent.
STUCK_SECONDS = 10
#: The consumer, which does not wait as long as ours for what a worker says first.
IMPATIENT = Path(__file__).with_name("impatient_consumer.py")


def values(count: int, first: int = 0) -> list[bytes | None]:
    return [record(json_line(n), n * 400) for n in range(first, first + count)]


def running(unit: Consumer) -> bool:
    """Whether both workers run and hold partitions."""
    return [bool(w["state"] == "running" and w["partitions"]) for w in unit.workers()] == [True, True]


def wait_running(unit: Consumer, timeout: float = 60) -> None:
    wait_for(lambda: json.dumps(unit.health()), lambda: running(unit), seconds=timeout)


def metric(unit: Consumer, name: str) -> float:
    text = unit.get("/metrics")[1]
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.split("{")[0].split()[0] == name)


def logged(unit: Consumer) -> list[dict[str, Any]]:
    return [json.loads(line) for line in unit.log.read_text().splitlines()]


def state_of(pid: int) -> str:
    """Return the letter of proc(5) for what a process does; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process lives; one that is only waiting to be reaped does not."""
    return state_of(pid) not in ("", "Z")


@pytest.fixture
def unit(pipeline: Pipeline) -> Consumer:
    """A unit whose two workers hold partitions, and 600 lines that are stored."""
    started = pipeline.start(processes=2, stuck_seconds=STUCK_SECONDS, drain_seconds=1)
    wait_running(started)
    pipeline.send(values(600))
    pipeline.wait_kept(600)
    return started


def test_the_workers_share_the_partitions(pipeline: Pipeline, unit: Consumer) -> None:
    held = [set(worker["partitions"]) for worker in unit.workers()]
    assert held[0].isdisjoint(held[1])
    assert len(held[0] | held[1]) == 4
    wait_for(lambda: str(unit.health()), lambda: unit.health()["lines"]["stored"] == 600)
    wait_for(lambda: str(unit.health()), lambda: unit.health()["status"] == "ok")
    assert {part["worker"] for part in unit.health()["partitions"]} == {0, 1}
    assert metric(unit, "obsctl_consumer_worker_up") == 2
    assert metric(unit, "obsctl_consumer_batch_records_sum") == 600
    assert metric(unit, "obsctl_consumer_last_row_age_seconds") < 60
    assert {entry.get("worker") for entry in logged(unit) if entry["message"] == "partitions assigned"} == {0, 1}
    pids = [worker["pid"] for worker in unit.workers()]
    assert unit.terminate() == 0
    assert not [pid for pid in pids if alive(pid)]
    assert_conserved(pipeline.query)


def test_a_killed_worker_is_replaced(pipeline: Pipeline, unit: Consumer) -> None:
    unit.wait_health(lambda page: page["lines"]["stored"] == 600)
    victim = unit.workers()[1]["pid"]
    pipeline.send(values(3000, first=600))
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: str(unit.health()), lambda: "worker 1" in unit.health()["troubles"])
    pipeline.send(values(3000, first=3600))
    pipeline.wait_kept(6600)
    wait_running(unit)
    again = unit.workers()[1]
    assert again["pid"] != victim
    assert (again["restarts"], again["stuck_restarts"]) == (1, 0)
    assert "SIGKILL" in unit.health()["troubles"]["worker 1"]["message"]
    # What it had stored and not yet reported is not counted: of the first 3000, those of its two partitions at most.
    wait_for(lambda: str(unit.health()), lambda: unit.health()["lines"]["stored"] >= 4600)
    assert_conserved(pipeline.query)


def test_a_frozen_worker_is_told_and_replaced(pipeline: Pipeline, unit: Consumer) -> None:
    victim = unit.workers()[0]["pid"]
    pipeline.send(values(3000, first=600))
    os.kill(victim, signal.SIGSTOP)
    pipeline.send(values(600, first=3600))
    wait_for(lambda: str(unit.health()), lambda: unit.workers()[0]["pid"] != victim, seconds=30)
    assert not alive(victim)
    pipeline.wait_kept(4200)
    wait_running(unit)
    assert unit.workers()[0]["stuck_restarts"] == 1
    assert metric(unit, "obsctl_consumer_stuck_restarts_total") == 1
    assert "sent no report" in unit.health()["troubles"]["worker 0"]["message"]
    assert [e for e in logged(unit) if e["message"] == "a worker is replaced" and e["worker"] == 0]
    assert_conserved(pipeline.query)


def test_a_frozen_worker_that_wakes_stores_nothing_of_the_others(pipeline: Pipeline) -> None:
    """Silent for longer than its session, not long enough to be replaced: its partitions are the other one's then."""
    unit = pipeline.start(processes=2, stuck_seconds=120)
    wait_running(unit)
    pipeline.send(values(600))
    pipeline.wait_kept(600)
    zombie = unit.workers()[0]
    pipeline.send(values(6000, first=600))
    os.kill(zombie["pid"], signal.SIGSTOP)
    try:
        pipeline.wait_kept(6600)
        seen = unit.health()
        assert seen["status"] == "waiting"
        assert "worker 0" in seen["troubles"]
        assert metric(unit, "obsctl_consumer_worker_up") == 1
    finally:
        os.kill(zombie["pid"], signal.SIGCONT)
    pipeline.send(values(600, first=6600))
    pipeline.wait_kept(7200)
    pipeline.wait_positions(7200)
    wait_running(unit)
    assert unit.workers()[0]["pid"] == zombie["pid"]
    assert_conserved(pipeline.query)


def test_no_worker_outlives_its_supervisor(pipeline: Pipeline, unit: Consumer) -> None:
    pids = [worker["pid"] for worker in unit.workers()]
    os.kill(pids[1], signal.SIGSTOP)  # whatever state it is in
    pipeline.send(values(3000, first=600))
    unit.kill()
    wait_for(lambda: f"of {pids} some live", lambda: not any(map(alive, pids)))
    pipeline.start(processes=2)
    pipeline.wait_kept(3600)
    assert_conserved(pipeline.query)


def test_units_of_several_hosts_share_the_partitions(pipeline: Pipeline) -> None:
    first, second = pipeline.start("one", processes=2), pipeline.start("two", processes=2)

    def held() -> list[list[str]]:
        return [worker["partitions"] for unit in (first, second) for worker in unit.workers()]

    pipeline.send(values(600))
    # Four partitions, four workers.
    wait_for(lambda: str(held()), lambda: [len(parts) for parts in held()] == [1] * 4, seconds=60)
    pipeline.send(values(6000, first=600))
    pipeline.wait_kept(6600)
    first.kill()
    pipeline.send(values(600, first=6600))
    pipeline.wait_kept(7200)
    wait_for(lambda: str(second.health()), lambda: sum(len(w["partitions"]) for w in second.workers()) == 4, seconds=30)
    assert_conserved(pipeline.query)


class _Tracer:
    """Stops a single thread of another process, as ptrace(2) can and no signal does."""

    SEIZE, INTERRUPT = 0x4206, 0x4207
    #: ``__WALL`` of waitpid(2): also those that are no child of this process.
    ALL = 0x40000000

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).ptrace
        self._call.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

    @contextmanager
    def holding(self, thread: int) -> Iterator[None]:
        """Hold a thread until it is killed. Its parent sees its end only after its tracer has collected it."""
        if self._call(self.SEIZE, thread, None, None):
            pytest.skip("this machine does not let one process trace another")
        assert self._call(self.INTERRUPT, thread, None, None) == 0
        assert os.WIFSTOPPED(os.waitpid(thread, self.ALL)[1])
        yield


def test_a_worker_that_stands_still_is_replaced(pipeline: Pipeline, unit: Consumer) -> None:
    """Its reader hangs, everything else in it is well: it reports, it is in the group, the topics' ends are known."""
    wait_for(lambda: str(unit.health()), lambda: unit.health()["status"] == "ok")
    victim = unit.workers()[0]["pid"]
    with _Tracer().holding(victim):  # the main thread, which is the reader
        time.sleep(3)
        if unit.workers()[0]["state"] != "running":
            pytest.skip("the thread was stopped with the interpreter's lock in its hands")
        again = values(3, first=600)

        def ended() -> bool:
            pipeline.send(again)  # one into each partition, so that their ends move
            return os.waitpid(victim, os.WNOHANG | _Tracer.ALL)[0] == victim

        wait_for(lambda: str(unit.health()), ended, seconds=60)
    wait_for(lambda: str(unit.health()), lambda: unit.workers()[0]["pid"] != victim)
    assert "stored nothing" in unit.health()["troubles"]["worker 0"]["message"]
    wait_running(unit)
    assert metric(unit, "obsctl_consumer_stuck_restarts_total") == 1
    pipeline.send(values(600, first=1000))
    pipeline.wait_kept(1203)
    assert_conserved(pipeline.query)


class Manager:
    """The service manager's end of ``NOTIFY_SOCKET``."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def hears(self, what: str, wanted: Callable[[list[str]], bool]) -> list[str]:
        """Wait for a notification that is wanted, and return its assignments."""
        self._socket.settimeout(HANGS_S)

        def got() -> list[str]:
            states = self._socket.recv(4096).decode().split("\n")
            return states if wanted(states) else []

        return wait_for(what, got, every=0)

    def hears_nothing(self, seconds: float) -> bool:
        """Say whether some seconds pass without a notification."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        return False

    def forget(self) -> None:
        """Throw away what has come and was not heard."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


@pytest.mark.long
def test_systemd_gets_signs_of_life_while_all_are_alive(pipeline: Pipeline, manager: Manager, tmp_path: Path) -> None:
    # A Python of its own, which can be taken away: then no worker can be started any more.
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    config = tmp_path / "notified.yml"
    settings = pipeline.config(stuck_seconds=STUCK_SECONDS)
    config.write_text(yaml.safe_dump(settings))
    source = REPOSITORY / "src"
    environment = os.environ | {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "PYTHONPATH": os.pathsep.join([str(source), *site.getsitepackages()]),
    }
    unit = Consumer(
        config, settings["health"]["port"], program=[str(IMPATIENT)], python=python, environment=environment
    )
    process = unit.process
    try:
        assert manager.hears("anything", bool)[0] == "READY=1"
        for _ in range(2):
            manager.hears("a sign of life", lambda states: "WATCHDOG=1" in states)
        wait_for(lambda: str(unit.health()), lambda: unit.health()["status"] == "ok")
        manager.hears("the status", lambda states: any(state.startswith("STATUS=1 workers") for state in states))
        process.send_signal(signal.SIGSTOP)
        wait_for("the supervisor is stopped", lambda: state_of(process.pid) == "T")
        manager.forget()
        assert manager.hears_nothing(2 * NOTIFY_S), "a supervisor that hangs must not look alive"
        process.send_signal(signal.SIGCONT)
        victim = wait_for(lambda: str(unit.health()), lambda: unit.workers()[0]["pid"])
        python.unlink()
        os.kill(victim, signal.SIGKILL)
        wait_for("the worker is dead", lambda: not alive(victim))
        manager.forget()
        died = manager.hears("the worker's end", lambda states: any("STATUS=worker 0: " in state for state in states))
        assert "WATCHDOG=1" in died, "there is still hope"
        manager.hears("no sign of life", lambda states: "WATCHDOG=1" not in states)
        for _ in range(3):
            states = manager.hears("anything", bool)
            assert "WATCHDOG=1" not in states
            assert any(state.startswith("STATUS=worker 0: ") for state in states)
        process.terminate()
        manager.hears("the stop", lambda states: "STOPPING=1" in states)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
