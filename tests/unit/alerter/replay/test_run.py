"""Rules over recorded lines: the same as with the alerter's clock, and without waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pytest

from obsctl.alerter.replay import run as rules_replay
from obsctl.alerter.replay.run import Read, Replayed
from obsctl.alerter.rules.flatline import Flatline
from obsctl.alerter.rules.frequency import Frequency
from obsctl.alerter.rules.match import Match
from obsctl.alerter.rules.rule import Log, Rule
from obsctl.lines.event import Event
from tests.unit.alerter.builders import CLIENT, T, error_event, errors, event, rate, share

HOUR = 3600
SILENCE = Flatline(name="silence", window_s=600)


def replay(
    rules: Sequence[Rule],
    lines: Sequence[Event],
    progress: Callable[[int, int], None] = lambda _lines, _second: None,
    *,
    since: float | None = None,
    until: float | None = None,
) -> Replayed:
    """Replay lines that are in order."""
    reads = (Read(line.time, line) for line in lines)
    return rules_replay.replay(rules, reads, progress, since=since, until=until)


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


def test_a_condition_that_is_on_at_the_end_is_told_from_one_that_has_ended() -> None:
    over, on = replay([rate(100)], burst(0) + burst(HOUR), until=T + HOUR + 20).conditions
    assert (over.still_on, on.still_on) == (False, True)


def test_a_moment_without_a_line_moves_the_clock_and_changes_nothing() -> None:
    lines = burst(0) + burst(HOUR)
    reads = [Read(line.time, line) for line in lines]
    marked = [*reads[:150], Read(T + 100, None), Read(T + 2000.5, None), *reads[150:], Read(T + HOUR + 15, None)]
    said: list[int] = []
    found = rules_replay.replay([rate(100), SILENCE], marked, lambda _, second: said.append(second))
    assert msgspec.to_builtins(found) == msgspec.to_builtins(replay([rate(100), SILENCE], lines))
    assert T + 2000 in said
    assert [one.rule for one in found.conditions] == ["client-request-rate", "silence", "client-request-rate"]


def test_it_says_how_far_it_is() -> None:
    said: list[tuple[int, int]] = []
    replay([rate(100)], burst(0), lambda lines, second: said.append((lines, second)))
    assert said[0] == (1, T)
    assert said[-1] == (141, T + 14)


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


def test_what_is_known_to_be_silent_counts_from_the_first_moment_to_the_last() -> None:
    """Of a time that the log goes back to, and goes on to, no line is known to be missing."""
    (before,) = replay([SILENCE], [event(2000)], since=T).conditions
    # A line may take five seconds to Kafka.
    assert (before.started, before.ended) == ("2027-01-15T08:09:55Z", "2027-01-15T08:33:14Z")
    (after,) = replay([SILENCE], [event(0)], until=T + 2000).conditions
    assert (after.started, after.ended) == ("2027-01-15T08:10:00Z", None)
    (all_the_time,) = replay([SILENCE], [], since=T, until=T + 2000).conditions
    assert (all_the_time.started, all_the_time.ended) == ("2027-01-15T08:09:55Z", None)
    # The time after the end is not known.
    assert replay([SILENCE], [event(0)], until=T + 500).conditions == []


def test_a_line_that_is_read_late_or_before_its_time_or_twice_does_not_count() -> None:
    calm = [Read(line.time, line) for line in burst(0, 99)]
    late, ahead = event(0), event(1000)
    more = [Read(T + 400, late), Read(T + 400, ahead), Read(T + 400, calm[-1].event)]
    found = rules_replay.replay([rate(100)], [*calm, *calm[-2:], *more])
    assert counts(found) == {"client-request-rate": (0, 0)}
    assert (found.late, found.ahead, found.repeated) == (2, 1, 2)


def test_a_flood_of_one_second_is_counted_in_portions() -> None:
    sizes = []
    flood = [Read(T, event(n / 100_000)) for n in range(12_000)]
    feed = rules_replay.Engine.feed

    def counted(engine: Any, events: list[Event], now: float) -> Any:
        sizes.append(len(events))
        return feed(engine, events, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules_replay.Engine, "feed", counted)
        found = rules_replay.replay([rate(100)], flood)
    assert counts(found) == {"client-request-rate": (1, 2)}
    assert sizes == [5000, 5000, 2000]


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

    def counted(run: rules_replay._Run, events: Iterable[Event], second: int) -> None:
        turns.append(second)
        turn(run, events, second)

    monkeypatch.setattr(rules_replay._Run, "turn", counted)
    year = 365 * 24 * HOUR
    replayed = replay([rate(100), SILENCE], burst(0) + burst(year))
    assert counts(replayed)["client-request-rate"] == (2, 4)
    # The minutes around both bursts, the silence's beginning, and one for each repetition.
    assert len(turns) < 5000
