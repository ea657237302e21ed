"""What takes minutes of a fleet without other faults: an alert from its cause to its end, and a dry run meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.lab.conftest import Answer, Fleet, Robot, get, play, wait_for

#: The machine that the tests run on, as the balancers see it.
CLIENT = "198.18.0.1"


class DryRun:
    """A run that changes nothing, in the background from the moment at which it is first asked for."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._run: Future[Answer] | None = None

    def start(self) -> Future[Answer]:
        """Begin it, unless it has begun."""
        if self._run is None:
            self._run = self._pool.submit(play, "site.yml", "--check", "--diff")
        return self._run


@pytest.fixture(scope="module")
def dry_run() -> Iterator[DryRun]:
    """The one dry run of both tests."""
    with ThreadPoolExecutor(1) as pool:
        yield DryRun(pool)


def test_a_flood_gives_one_message_and_one_resolved(healthy: Fleet, robot: Robot, dry_run: DryRun) -> None:
    def calm() -> bool:
        page = json.loads(healthy.ssh("app1", "curl", "-s", "-m", "2", "http://127.0.0.1:9601/health"))
        return not page["waiting"] and "client-request-rate" not in {alert["rule"] for alert in page["alerts"]}

    # The drills before asked a lot too: what they have set off is not over yet.
    wait_for("the end of what was before", calm, seconds=150, every=2)
    robot.reset()
    end = time.monotonic() + 10
    threads = [threading.Thread(target=get, args=(f"/flood?n={n}",)) for n in range(200)]
    for number, thread in enumerate(threads):
        time.sleep(max(0.0, end - 10 + number * 0.05 - time.monotonic()))
        thread.start()
    for thread in threads:
        thread.join()

    def messages() -> list[str]:
        texts = (str(m) for m in robot.received() if m.get("channel") == "dingtalk")
        return [text for text in texts if "client-request-rate" in text and CLIENT in text]

    wait_for("the first message", lambda: len(messages()) >= 1, seconds=15)
    dry_run.start()
    wait_for("the resolved message", lambda: len(messages()) >= 2, seconds=180, every=2)
    time.sleep(15)
    got = messages()
    assert len(got) == 2, got
    assert "FIRING" in got[0]
    assert "RESOLVED" in got[1]


def test_a_dry_run_of_the_installed_fleet_would_change_nothing(fleet: Fleet, dry_run: DryRun) -> None:
    run = dry_run.start().result()
    assert run.code == 0, run.said
    assert set(run.changes.values()) == {0}, run.said
