"""What an alerter says about itself: late enough, seldom, once more when it is over, and not again after a restart."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.delivery import self_notice
from obsctl.alerter.delivery.self_notice import REPEAT_S, RETRY_S, WAIT_S, Notices
from obsctl.alerter.messages.templates import Templates
from obsctl.core.secrets import resolve

T = 1_800_000_000.0
OK = Delivery(Verdict.DELIVERED, "0", "errcode 0")
AWAY = Delivery(Verdict.UNREACHABLE, "", "no connection")
WHY = "Kafka does not answer for topic nginxlog: obsctl kafka status"


class Alerter:
    """An alerter's notices, and what its channels were sent."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "notice.json"
        self.answers: dict[str, Delivery] = {}
        self.sent: list[tuple[float, str, str]] = []
        self.restart()

    def restart(self) -> None:
        self._notices = Notices(self._path, "app1", ["ops", "mail"], Templates())

    def run(self, since: float, until: float, reason: str) -> None:
        """Look every 5 seconds."""
        now = since
        while now <= until:
            self._notices.look(reason, T + now)
            for channel, message in list(self._notices.due(T + now)):
                delivery = self.answers.get(channel, OK)
                if delivery.delivered:
                    self.sent.append((now, channel, message.title))
                self._notices.sent(channel, delivery, T + now)
            now += 5


@pytest.fixture
def alerter(tmp_path: Path) -> Alerter:
    return Alerter(tmp_path)


FIRING, STILL, RESOLVED = (
    f"[{word}] obsctl-alerter on app1 cannot work" for word in ("FIRING", "STILL FIRING", "RESOLVED")
)


def test_a_restart_of_the_brokers_is_no_news(alerter: Alerter) -> None:
    for start in range(0, 2000, 200):
        alerter.run(start, start + WAIT_S - 10, WHY)
        alerter.run(start + WAIT_S, start + 195, "")
    assert alerter.sent == []


def test_each_channel_gets_the_start_and_the_end(alerter: Alerter) -> None:
    alerter.run(0, 600, WHY)
    alerter.run(605, 1000, "")
    assert alerter.sent == [
        (WAIT_S, "ops", FIRING), (WAIT_S, "mail", FIRING), (605, "ops", RESOLVED), (605, "mail", RESOLVED),
    ]  # fmt: skip


def test_it_is_repeated_after_an_hour_and_then_ever_more_seldom(alerter: Alerter) -> None:
    alerter.run(0, 86400, WHY)
    times = [(now - WAIT_S) / REPEAT_S for now, channel, _ in alerter.sent if channel == "ops"]
    assert times == [0, 1, 3, 7, 15]
    assert {title for _, _, title in alerter.sent[2:]} == {STILL}


def test_a_channel_that_is_away_gets_it_later_and_the_others_do_not_wait(alerter: Alerter) -> None:
    alerter.answers["ops"] = AWAY
    alerter.run(0, 1000, WHY)
    alerter.answers["ops"] = OK
    alerter.run(1005, 1005 + RETRY_S, WHY)
    assert [(channel, title) for _, channel, title in alerter.sent] == [("mail", FIRING), ("ops", FIRING)]


def test_one_that_never_heard_of_it_hears_of_no_end(alerter: Alerter) -> None:
    alerter.answers["ops"] = AWAY
    alerter.run(0, 300, WHY)
    alerter.answers["ops"] = OK
    alerter.run(305, 500, "")
    assert [channel for _, channel, _ in alerter.sent] == ["mail", "mail"]


def test_a_restart_repeats_nothing_and_forgets_nothing(alerter: Alerter) -> None:
    alerter.run(0, 300, WHY)
    alerter.restart()
    alerter.run(305, 600, WHY)
    alerter.restart()
    alerter.run(605, 700, "")
    alerter.restart()
    alerter.run(705, 1200, "")
    assert [title for _, channel, title in alerter.sent if channel == "ops"] == [FIRING, RESOLVED]


def test_a_file_that_cannot_be_read_is_no_reason_to_stay_silent(tmp_path: Path) -> None:
    (tmp_path / "notice.json").write_text("{")
    again = Alerter(tmp_path)
    again.run(0, 300, WHY)
    assert [channel for _, channel, _ in again.sent] == ["ops", "mail"]


def test_a_look_that_fails_is_not_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_notice, "_LOOK_EVERY_S", 0.01)
    looked = threading.Event()
    looks = 0

    def look() -> str:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("dictionary changed size during iteration")
        looked.set()
        return ""

    watch = self_notice.Watch(Notices(tmp_path / "notice.json", "app1", [], Templates()), [], resolve, look)
    watch.start()
    assert looked.wait(10)
    watch.stop()
