"""What takes minutes of a fleet without other faults: an alert from its cause to its end, and a dry run meanwhile.

Between the first test and the second one come files that only look (conftest.py), while the alert comes to its end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.lab.conftest import Fleet, Robot, get, play, wait_for

#: The machine that the tests run on, as the balancers see it.
CLIENT = "198.18.0.1"
Messages = Callable[[], list[str]]


@pytest.fixture(scope="session")
def flood(fleet: Fleet) -> Iterator[Messages]:
    """Give what was said about the 200 requests that were sent."""
    robot = Robot()

    def calm() -> bool:
        page = fleet.alerter_page()
        return not page["waiting"] and "client-request-rate" not in {alert["rule"] for alert in page["alerts"]}

    def messages() -> list[str]:
        texts = (str(m) for m in robot.received() if m.get("channel") == "dingtalk")
        return [text for text in texts if "client-request-rate" in text and CLIENT in text]

    fleet.wait_healthy()
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
    yield messages
    robot.reset()


def test_a_flood_gives_one_message(flood: Messages) -> None:
    wait_for("the message", lambda: len(flood()) >= 1, seconds=15)
    (got,) = flood()
    assert "FIRING" in got


@pytest.mark.long
def test_a_dry_run_of_the_installed_fleet_would_change_nothing(fleet: Fleet) -> None:
    run = play("site.yml", "--check", "--diff")
    assert run.code == 0, run.said
    assert set(run.changes.values()) == {0}, run.said


def test_its_end_gives_one_message_too(flood: Messages) -> None:
    wait_for("the resolved message", lambda: len(flood()) >= 2, seconds=180)
    # The rule is judged each second: one that came and went would have said so.
    time.sleep(8)
    got = flood()
    assert len(got) == 2, got
    assert "FIRING" in got[0]
    assert "RESOLVED" in got[1]
