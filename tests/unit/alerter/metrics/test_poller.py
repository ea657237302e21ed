"""The thread that reads the pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from obsctl.alerter.config import SourceConfig
from obsctl.alerter.metrics.machine import Machine
from obsctl.alerter.metrics.poller import OWN, Poller
from obsctl.alerter.rules.metric import Metric
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.windows.observation import SOURCE, UP, Number
from obsctl.core import serve
from rig.ports import free_port
from rig.waiting import wait_for
from tests.unit.alerter.builders import rate

RULES: list[Rule] = [
    Metric(name="up", metric=UP, below=1),
    Metric(name="x", metric="obsctl_alerter_up", below=1),
    rate(),
]


@contextmanager
def running(poller: Poller) -> Iterator[Poller]:
    poller.start()
    try:
        yield poller
    finally:
        poller.stop()
        poller.join(10)
        assert not poller.is_alive()


def own() -> list[Number]:
    return [Number("obsctl_alerter_up", {SOURCE: OWN}, 1.0), Number("obsctl_alerter_keys", {SOURCE: OWN}, 1.0)]


def test_each_page_is_read_and_one_that_is_away_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    server = serve.Server("127.0.0.1", 0, health=lambda: serve.Health(True, b""), metrics=lambda: "x 1\n")
    sources = [SourceConfig(name=name, url=f"http://127.0.0.1:{port}/metrics")
               for name, port in (("here", server.port), ("away", free_port()))]  # fmt: skip
    poller = Poller(sources, RULES, own, Machine, every_s=0.02, on_failure=lambda: None)
    with running(poller):
        wait_for(lambda: "nothing was observed", lambda: poller.take() is not None, seconds=10)
        wait_for(lambda: "nothing new was observed", lambda: poller.take() is not None, seconds=10)
        assert poller.problems == {"here": "", "away": "nothing listens there"}
        server.stop()
        for _ in range(3):
            wait_for(lambda: str(poller.problems), lambda: poller.take() is not None, seconds=10)
        assert poller.problems["here"]
    warned = [record for record in caplog.records if record.message == "a metrics page cannot be read"]
    assert sorted(record.source for record in warned) == ["away", "here"], "each once"


def test_what_is_observed_holds_what_rules_ask_for() -> None:
    poller = Poller([SourceConfig(name="away", url=f"http://127.0.0.1:{free_port()}/")], RULES, own, Machine, every_s=1,
                    on_failure=lambda: None)  # fmt: skip
    seen = poller._look()
    assert seen.unread == {"away"}
    assert {(number.name, number.labels[SOURCE], number.value) for number in seen.numbers} == {
        (UP, "away", 0.0), (UP, OWN, 1.0), ("obsctl_alerter_up", OWN, 1.0),
    }  # fmt: skip


def test_without_such_a_rule_no_page_is_read_and_this_machine_is() -> None:
    def asked() -> list[Number]:
        raise AssertionError

    free = iter(range(1, 1000))
    poller = Poller(
        [SourceConfig(name="a", url="http://127.0.0.1:1/")],
        [rate()],
        asked,
        lambda: Machine(disk_free={"/": next(free)}),
        every_s=0.02,
        on_failure=lambda _: None,
    )
    assert poller.machine == Machine()
    with running(poller):
        wait_for(lambda: str(poller.machine), lambda: poller.machine.disk_free.get("/", 0) > 2, seconds=10)
    assert (poller.take(), poller.problems) == (None, {})


def broken() -> list[Number]:
    raise ZeroDivisionError


def test_an_alerter_that_cannot_say_how_it_does_is_a_page_that_is_away() -> None:
    seen = Poller([], RULES, broken, Machine, every_s=1, on_failure=lambda: None)._look()
    assert (seen.unread, [number.value for number in seen.numbers]) == ({OWN}, [0.0])


def test_a_thread_that_cannot_go_on_is_a_failure() -> None:
    failed = threading.Event()
    poller = Poller([], RULES, own, Machine, every_s=0.01, on_failure=lambda _: failed.set())
    poller._look = broken  # type: ignore[method-assign,assignment]
    poller.start()
    assert failed.wait(10)
