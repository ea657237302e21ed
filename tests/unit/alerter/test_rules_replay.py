"""Rules over recorded lines: the same as with the alerter's clock, and without waiting."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from obsctl.alerter import rules_replay
from obsctl.alerter.events import Event
from obsctl.alerter.rules.flatline import Flatline
from obsctl.alerter.rules.frequency import Frequency
from obsctl.alerter.rules.match import Match
from obsctl.alerter.rules.rule import Log, Rule
from obsctl.alerter.rules_replay import Replayed, replay
from tests.unit.alerter.builders import CLIENT, error_event, errors, event, rate, share

HOUR = 3600
SILENCE = Flatline(name="silence", window_s=600)


def burst(at: float, count: int = 150, *, status: int = 200, **fields: str) -> list[Event]:
    return [event(at + n / 10, status=status, **fields) for n in range(count)]


def steady(first: int, last: int, every: int = 60) -> list[Event]:
    return [event(float(at)) for at in range(first, last, every)]


def counts(replayed: Replayed) -> dict[str, tuple[int, int]]:
    return {result.name: (result.fires, result.messages) for result in replayed.rules}


def test_a_burst_is_a_first_and_a_resolved_message() -> None:
    replayed = replay([rate(100), errors(50)], burst(0))
    assert counts(replayed) == {"client-request-rate": (1, 2), "client-errors": (0, 0)}
    assert [message.title.split("]")[0] for message in replayed.messages] == ["[FIRING", "[RESOLVED"]
    hit, calm = replayed.rules
    assert hit.first == hit.last == "2027-01-15T08:00:09Z"
    assert (calm.first, calm.last) == (None, None)
    assert (replayed.first, replayed.last) == ("2027-01-15T08:00:00Z", "2027-01-15T08:00:14Z")


def test_each_condition_has_its_labels_its_times_and_its_peak() -> None:
    lines = burst(0) + burst(HOUR, 120, client="192.0.2.7")
    found = replay([rate(100)], lines).conditions
    assert [(one.rule, list(one.labels.values()), one.started, one.ended, one.peak) for one in found] == [
        ("client-request-rate", [CLIENT], "2027-01-15T08:00:09Z", "2027-01-15T08:01:04Z", "150 requests"),
        ("client-request-rate", ["192.0.2.7"], "2027-01-15T09:00:09Z", "2027-01-15T09:01:01Z", "120 requests"),
    ]


def test_a_condition_that_outlives_the_log_has_no_end() -> None:
    endless = Match(name="endless", filter="status:500", resolve_after_s=10**9)
    (one,) = replay([endless], [event(0, status=500), event(1, status=500)]).conditions
    assert (one.ended, one.peak) == (None, "2 lines")


def test_it_says_how_far_it_is() -> None:
    said: list[str] = []
    replay([rate(100)], burst(0), said.append)
    assert said[0] == "1 of 150 lines replayed, until 2027-01-15T08:00:00Z"
    assert said[-1] == "150 of 150 lines replayed, until 2027-01-15T08:00:15Z"


def test_conditions_of_one_rule_are_grouped_into_few_messages() -> None:
    lines = sorted((line for n in range(40) for line in burst(0, client=f"192.0.2.{n}")), key=lambda line: line.time)
    assert counts(replay([rate(100)], lines)) == {"client-request-rate": (40, 2)}


def test_no_lines_are_no_conditions() -> None:
    replayed = replay([rate(100), SILENCE], [])
    assert counts(replayed) == {"client-request-rate": (0, 0), "silence": (0, 0)}
    assert (replayed.first, replayed.last, replayed.messages) == (None, None, [])


def test_a_silence_within_the_log_counts_and_its_end_does_not() -> None:
    replayed = replay([SILENCE], [event(0), event(2000)])
    assert counts(replayed) == {"silence": (1, 2)}
    assert replayed.rules[0].first == "2027-01-15T08:10:00Z"
    assert counts(replay([SILENCE], [event(0)])) == {"silence": (0, 0)}


def test_error_lines_are_looked_at() -> None:
    rule = Match(name="severe", lines=Log.ERROR, filter="level:>=crit")
    assert counts(replay([rule], [error_event(0), error_event(5, level="crit")])) == {"severe": (1, 2)}


def test_a_condition_that_never_ends_is_not_waited_for() -> None:
    endless = Match(name="endless", filter="status:500", resolve_after_s=10**9)
    assert counts(replay([endless], [event(0, status=500)]))["endless"][0] == 1


CASES: dict[str, tuple[Sequence[Rule], list[Event]]] = {
    "bursts in quiet hours": ([rate(100)], burst(0) + burst(2 * HOUR) + burst(2 * HOUR + 200)),
    "a silence that is repeated": ([SILENCE], [event(0), event(5 * HOUR), event(5 * HOUR + 700)]),
    "a silence and what goes on": ([SILENCE, share(0.05, 100)], burst(0, status=500) + burst(3 * HOUR, status=500)),
    "one that must last": (
        [Frequency(name="lasting", threshold=3, for_s=300), SILENCE],
        steady(0, 1200, 15) + steady(2 * HOUR, 2 * HOUR + 100, 15) + steady(9 * HOUR, 9 * HOUR + 900, 15),
    ),
    "a silence that must last": (
        [Flatline(name="long", window_s=300, for_s=3000)],
        [event(0), event(2000), event(2 * HOUR), event(4 * HOUR)],
    ),
    "a silence by host": (
        [Flatline(name="hosts", by=("host",), expect=("node1", "node2"), window_s=300)],
        [event(0), event(100, host="node2"), event(HOUR, host="node2"), event(2 * HOUR), event(3 * HOUR)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_skipped_changes_nothing(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rules, lines = CASES[case]
    quick = replay(rules, lines)
    monkeypatch.setattr(rules_replay._Run, "next_second", lambda _self, second, _upcoming: second + 1)
    assert msgspec.to_builtins(quick) == msgspec.to_builtins(replay(rules, lines))
    assert quick.messages


def test_quiet_time_takes_no_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = []
    turn = rules_replay._Run.turn

    def counted(run: rules_replay._Run, events: Sequence[Event], second: int) -> None:
        turns.append(second)
        turn(run, events, second)

    monkeypatch.setattr(rules_replay._Run, "turn", counted)
    year = 365 * 24 * HOUR
    replayed = replay([rate(100), SILENCE], burst(0) + burst(year))
    assert counts(replayed)["client-request-rate"] == (2, 4)
    # The minutes around both bursts, the silence's beginning, and one for each repetition.
    assert len(turns) < 5000
