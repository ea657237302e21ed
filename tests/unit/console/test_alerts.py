"""Everything about one alert is there in time, however much the history has."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from obsctl.alerter.history.records import About, AnyRecord, Started
from obsctl.console import alerts
from obsctl.console.alerts import Alerts
from obsctl.console.config import FleetConfig
from obsctl.console.kept import Answer
from obsctl.kafka.topic_log import TopicMissingError

_DAY_S = 86_400.0


def _started(incident: str) -> Started:
    now = time.time()
    about = About(
        rule="r", kind="rate", labels={}, severity="warning", incident=incident, started=int(now), last_true=int(now)
    )
    return Started(at=now, alert=about)


def _asked(monkeypatch: pytest.MonkeyPatch, endless_s: float) -> Answer[alerts.Told]:
    """Return what is known of the alert ``new``, where the history that is older than a time has no end.

    Args:
        monkeypatch: stands in for Kafka.
        endless_s: of this age, seconds.
    """

    class Past:
        def __init__(self, _: Sequence[str], __: str, since: float) -> None:
            self._is_endless = time.time() - since > endless_s

        def __iter__(self) -> Iterator[AnyRecord]:
            while self._is_endless:
                yield _started("other")
            yield _started("new")

    def no_silences(_: Alerts) -> Any:
        raise TopicMissingError("the cluster has no topic")

    monkeypatch.setattr(alerts, "Past", Past)
    monkeypatch.setattr(alerts, "_WHOLE", (alerts.KEPT_S, 0.1))
    monkeypatch.setattr(alerts, "_LAST_DAY", (_DAY_S, 0.1))
    monkeypatch.setattr(Alerts, "_read_silences", no_silences)
    kafka = SimpleNamespace(brokers=("b:1",), topics=SimpleNamespace(history="h"))
    return Alerts(cast("Any", kafka), FleetConfig()).story("new")


def test_all_of_the_history_is_read_if_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = _asked(monkeypatch, 365 * _DAY_S)
    assert answer.value is not None
    assert answer.value.whole
    assert answer.value.story is not None
    assert [one["incident"] for one in answer.value.story["alerts"]] == ["new"]


def test_what_is_older_than_a_day_is_left_out_if_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = _asked(monkeypatch, 2 * _DAY_S)
    assert answer.value is not None
    assert not answer.value.whole
    assert answer.value.story is not None
    assert [one["incident"] for one in answer.value.story["alerts"]] == ["new"]


def test_a_day_that_cannot_be_read_in_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = _asked(monkeypatch, 0.0)
    assert answer.trouble is not None
    assert answer.trouble.detail == "the history of the last day could not be read in time"
