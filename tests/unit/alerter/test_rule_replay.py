"""What rules would have made of recorded lines."""

from __future__ import annotations

import random

from obsctl.alerter.rule_replay import replay
from obsctl.lines.formats.line import AccessLine
from tests.unit.alerter.builders import CLIENT, T, rate, share, written


def lines(count: int, start: float, *, client: str = CLIENT, status: int = 200) -> list[AccessLine]:
    return [AccessLine(written(start + n / 50), client, status, 0, host="recorded") for n in range(count)]


def test_conditions_and_messages_come_from_the_lines_own_times() -> None:
    rules = (rate(100), share(0.5, 50))
    recorded = lines(150, 0) + lines(150, 5 * 3600, client="192.0.2.7") + lines(80, 9000, status=502)
    random.Random(1).shuffle(recorded)  # noqa: S311
    found = replay(rules, recorded)
    rates, messages = found.of_rule("client-request-rate")
    assert [alert.labels["client_addr"] for alert in rates] == [CLIENT, "192.0.2.7"]
    assert messages == 4
    shares, messages = found.of_rule("server-error-share")
    assert [alert.started - T in range(9000, 9003) for alert in shares] == [True]
    assert messages == 2
    assert found.lines == 380
    assert replay(rules, recorded).messages == found.messages


def test_no_line_is_passed_over_after_a_gap() -> None:
    recorded = [line for hour in range(1, 20) for line in lines(60, hour * 3607.0)]
    done: list[float] = []
    found = replay((rate(60),), recorded, done.append)
    assert len(found.of_rule("client-request-rate")[0]) == 19
    assert done[-1] == 1.0
    assert len(done) <= 10


def test_nothing_recorded_is_nothing() -> None:
    assert replay((rate(1),), []).messages == []
