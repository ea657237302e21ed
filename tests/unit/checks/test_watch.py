"""What becomes of requests is seen until the block is left, and what does not answer is said."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from obsctl.checks.ask import watch
from obsctl.checks.ask.alerter import NoPageError
from obsctl.checks.ask.watch import Watch
from obsctl.fleet.model import Alerter, Fleet, Host, KafkaNode
from obsctl.kafka.topic_log import NotAnsweredError, Record

FLEET = Fleet(
    hosts=(
        Host(name="node1", address="192.0.2.11", groups=("kafka",), kafka=KafkaNode(node_id=1)),
        Host(name="app1", address="192.0.2.31", groups=("consumer",)),
        Host(name="app2", address="192.0.2.32", groups=("consumer",)),
    ),
    alerter=Alerter(access_topic="nginxlog"),
)
_mark = re.compile(rb"mark=([a-z]+)").search
#: No answer of a stand-in takes long; a test that waits so long hangs.
_HANGS_S = 30


class Log:
    """A topic that is at its end and has one batch, or fails."""

    def __init__(self, batch: list[Record], failure: str = "") -> None:
        self.at_end, self.closed = True, False
        self._batch, self._failure = batch, failure

    def poll(self, _timeout_s: float) -> list[Record]:
        if self._failure:
            raise NotAnsweredError(self._failure)
        batch, self._batch = self._batch, []
        return batch

    def close(self) -> None:
        self.closed = True


def _ignore(*_: Any) -> None:
    pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let alerters answer, or not, and return the list of those that were asked."""

    def answer(failing: tuple[str, ...] = ()) -> list[str]:
        names: list[str] = []

        def page(_fleet: Fleet, host: Host, _kind: type, **_options: Any) -> str:
            names.append(host.name)
            if host.name in failing:
                raise NoPageError("no route")
            return f"page of {host.name}"

        monkeypatch.setattr(watch, "ask_alerter", page)
        return names

    return answer


def test_a_marked_record_is_taken_with_its_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    other, marked = Record(0, 7, b"", b"another line"), Record(1, 8, b"", b"?mark=abc")
    log = Log([other, Record(0, 9, b"", None), marked])
    monkeypatch.setattr(watch, "TopicLog", lambda *_, **__: log)
    taken: list[tuple[str, Record]] = []
    arrived = threading.Event()

    def take(mark: str, record: Record, _now: float) -> None:
        taken.append((mark, record))
        arrived.set()

    with Watch(FLEET) as watching:
        watching.lines(_mark, take)
        assert arrived.wait(_HANGS_S)
    assert taken == [("abc", marked)]
    assert log.closed
    assert watching.failures == {}


def test_a_topic_that_cannot_be_read_is_named_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_READY_S", 10 * _HANGS_S)
    log = Log([], "Kafka does not answer")
    monkeypatch.setattr(watch, "TopicLog", lambda *_, **__: log)
    with Watch(FLEET) as watching:
        watching.lines(_mark, _ignore)
    assert watching.failures == {"topic/nginxlog": "Kafka does not answer"}
    assert log.closed
    with Watch(Fleet()) as watching:
        watching.lines(_mark, _ignore)
    assert list(watching.failures) == ["topic/"]


def test_alerters_are_asked_once_more_at_the_end(asked: Callable[..., list[str]]) -> None:
    names = asked(failing=("app2",))
    pages: list[str] = []
    with Watch(FLEET) as watching:
        watching.alerters(str, lambda page, *_: pages.append(page), every_s=10 * _HANGS_S)
    assert sorted(names) == ["app1", "app2"]
    assert pages == ["page of app1"]
    assert watching.failures == {"obsctl-alerter/app2": "no route"}


def test_an_alerter_that_answers_again_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([NoPageError("no route"), "page", "page"])
    heard = threading.Event()

    def page(*_: Any, **__: Any) -> str:
        answer = next(answers, "page")
        if isinstance(answer, NoPageError):
            raise answer
        heard.set()
        return answer

    monkeypatch.setattr(watch, "ask_alerter", page)
    one = Fleet(hosts=FLEET.hosts[1:2])
    with Watch(one) as watching:
        watching.alerters(str, _ignore, every_s=0.0)
        assert heard.wait(_HANGS_S)
    assert watching.failures == {}


def test_nobody_is_asked_for_what_is_of_no_use(asked: Callable[..., list[str]]) -> None:
    names = asked()
    with Watch(FLEET) as watching:
        watching.alerters(str, _ignore, every_s=0.0, wanted=lambda: False)
    assert names == []


def test_a_block_that_is_broken_off_asks_nobody_any_more(asked: Callable[..., list[str]]) -> None:
    """Ctrl-C shall not wait for a host that is down."""
    names = asked()

    def broken_off() -> None:
        with Watch(FLEET) as watching:
            watching.alerters(str, _ignore, every_s=10 * _HANGS_S)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert names == []
