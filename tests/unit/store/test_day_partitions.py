"""The plan of the day partitions, without a server."""

from __future__ import annotations

import datetime
import random
import re

from obsctl.store.mysql.day_partitions import Change, Partition, from_server, holds, plan

TODAY = datetime.date(2026, 3, 10)
DAY = datetime.timedelta(days=1)


def carry_out(existing: list[Partition], changes: list[Change]) -> list[Partition]:
    """Do to a list what the statements do to a table; checks that ranges are never lost."""
    parts = {p.name: p.before for p in existing}
    for sql in (change.sql.replace("`", "") for change in changes):
        if drop := re.search(r"DROP PARTITION (.+)", sql):
            for name in drop[1].split(", "):
                del parts[name]
        elif sql.endswith("ADD PARTITION (PARTITION p_max VALUES LESS THAN (MAXVALUE))"):
            assert None not in parts.values(), "nothing can be added behind a partition without a bound"
            parts["p_max"] = None
        elif into := re.search(r"REORGANIZE PARTITION (.+) INTO \((.+)\)$", sql):
            taken = into[1].split(", ")
            upper = parts[taken[-1]]
            new = {
                name: None if bound == "MAXVALUE" else datetime.date.fromisoformat(bound.strip("'"))
                for name, bound in re.findall(r"PARTITION (\S+) VALUES LESS THAN \((\S+?)\)", into[2])
            }
            assert list(new.values())[-1] == upper, "a reorganization must keep the whole range"
            order = sorted(parts, key=lambda name: parts[name] or datetime.date.max)
            assert order[order.index(taken[0]) :][: len(taken)] == taken, "only neighbours can be reorganized"
            for name in taken:
                del parts[name]
            assert parts.keys().isdisjoint(new), "a name is taken already"
            parts |= new
    ordered = sorted(parts.items(), key=lambda item: item[1] or datetime.date.max)
    return [Partition(*item) for item in ordered]


def fresh() -> list[Partition]:
    return [Partition("p_old", datetime.date(2000, 1, 1)), Partition("p_max", None)]


def test_first_start() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    assert parts[0] == Partition("p_old", datetime.date(2026, 3, 8))
    assert parts[1] == Partition("p20260308", datetime.date(2026, 3, 9))
    assert [p.name for p in parts[-2:]] == ["p20260317", "p_max"]
    assert plan("access_log", parts, TODAY, 3) == []


def test_the_next_day() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    changes = plan("access_log", parts, TODAY + DAY, 3)
    assert [c.sql.split(" (")[0] for c in changes] == [
        "ALTER TABLE access_log TRUNCATE PARTITION p20260308",
        "ALTER TABLE access_log REORGANIZE PARTITION p_old, p20260308 INTO",
        "ALTER TABLE access_log REORGANIZE PARTITION p_max INTO",
    ]
    parts = carry_out(parts, changes)
    assert parts[0] == Partition("p_old", datetime.date(2026, 3, 9))
    assert parts[1].name == "p20260309"
    assert parts[-2].name == "p20260318"


def test_after_a_while_away() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    changes = plan("access_log", parts, TODAY + 5 * DAY, 3)
    assert changes[0].sql == "ALTER TABLE access_log DROP PARTITION p20260308, p20260309, p20260310, p20260311"
    parts = carry_out(parts, changes)
    assert parts[0] == Partition("p_old", datetime.date(2026, 3, 13))
    assert plan("access_log", parts, TODAY + 5 * DAY, 3) == []


def test_after_so_long_that_every_day_has_expired() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    later = TODAY + 100 * DAY
    parts = carry_out(parts, plan("access_log", parts, later, 3))
    assert parts[0] == Partition("p_old", later - 2 * DAY)  # nothing of the time between falls to the first day
    assert parts[1].before == later - 1 * DAY
    assert parts[-1].name == "p_max"
    assert plan("access_log", parts, later, 3) == []


def test_a_longer_retention_begins_when_its_days_come() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    assert plan("access_log", parts, TODAY, 30) == []


def test_a_shorter_retention_drops_days() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 30))
    parts = carry_out(parts, plan("access_log", parts, TODAY, 3))
    assert parts[0] == Partition("p_old", datetime.date(2026, 3, 8))


def test_reading_both_servers_descriptions() -> None:
    assert from_server([("p_old", "'2026-03-08'"), ("p20260308", "'2026-03-09 00:00:00'"), ("p_max", "MAXVALUE")]) == [
        Partition("p_old", datetime.date(2026, 3, 8)),
        Partition("p20260308", datetime.date(2026, 3, 9)),
        Partition("p_max", None),
    ]


def test_a_bound_within_a_day_counts_as_the_days_end() -> None:
    """Else half a day would be dropped a day too early."""
    assert from_server([("noon", "'2026-03-08 12:00:00'"), ("Rest", "'2026-03-09 00:00:00.000'")]) == [
        Partition("noon", datetime.date(2026, 3, 9)),
        Partition("rest", datetime.date(2026, 3, 9)),
    ]


def assert_sound(parts: list[Partition], today: datetime.date) -> None:
    assert parts[0].name == "p_old"
    assert parts[-1] == Partition("p_max", None)
    for days in range(8):
        assert holds(parts, today + days * DAY), f"no partition for {today + days * DAY}"


def test_today_was_dropped_by_hand() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    damaged = [p for p in parts if p.name != "p20260310"]
    assert not holds(damaged, TODAY)
    changes = plan("access_log", damaged, TODAY, 3)
    assert [c.summary for c in changes] == ["access_log: created p20260310 to p20260311"]
    assert carry_out(damaged, changes) == parts


def test_the_catch_all_was_dropped_by_hand() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    changes = plan("access_log", parts[:-1], TODAY, 3)
    assert [c.summary for c in changes] == ["access_log: restored p_max, which was missing"]
    assert carry_out(parts[:-1], changes) == parts


def test_p_old_was_dropped_by_hand() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    assert carry_out(parts[1:], plan("access_log", parts[1:], TODAY, 3)) == parts


def test_a_partition_of_somebody_else_is_split_into_days() -> None:
    foreign = [
        Partition("p_old", datetime.date(2026, 1, 1)),
        Partition("quarter", datetime.date(2026, 4, 1)),
        Partition("rest", None),
    ]
    parts = carry_out(foreign, plan("access_log", foreign, TODAY, 3))
    assert_sound(parts, TODAY)
    assert Partition("quarter", datetime.date(2026, 4, 1)) in parts
    assert plan("access_log", parts, TODAY, 3) == []
    later = TODAY + 60 * DAY
    assert_sound(carry_out(parts, plan("access_log", parts, later, 3)), later)


def test_whatever_was_dropped_is_repaired() -> None:
    draw = random.Random(1)  # noqa: S311  the same draws each time
    for _ in range(2000):
        retention = draw.randint(1, 10)
        parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, retention))
        left = draw.sample(parts, draw.randint(1, len(parts)))
        damaged = [p for p in parts if p in left]
        today = TODAY + draw.choice((0, 0, 1, 3, 30)) * DAY
        repaired = carry_out(damaged, plan("access_log", damaged, today, retention))
        assert_sound(repaired, today)
        assert plan("access_log", repaired, today, retention) == [], damaged


def test_whatever_was_renamed_is_repaired() -> None:
    draw = random.Random(2)  # noqa: S311  the same draws each time
    for _ in range(2000):
        retention = draw.randint(1, 10)
        parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, retention))
        left = [p for p in parts if draw.random() < 0.8] or parts
        names = [p.name for p in draw.sample(parts, len(left))] if draw.random() < 0.7 else [p.name for p in left]
        damaged = [Partition(name, part.before) for name, part in zip(names, left, strict=True)]
        today = TODAY + draw.choice((0, 0, 1, 3, 30)) * DAY
        repaired = carry_out(damaged, plan("access_log", damaged, today, retention))
        assert_sound(repaired, today)
        assert plan("access_log", repaired, today, retention) == [], damaged


def test_rows_kept_by_their_arrival_are_not_emptied_with_a_day() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 3))
    for damaged in (
        [Partition("somebodys", datetime.date(1999, 1, 1)), *parts],
        [Partition("p_max", parts[0].before), *parts[1:-1], Partition("rest", None)],
    ):
        changes = plan("access_log", damaged, TODAY, 3)
        assert not [c for c in changes if "TRUNCATE" in c.sql or "DROP" in c.sql]
        assert carry_out(damaged, changes) == parts


def test_p_old_that_a_clock_ahead_has_widened_gives_today_back() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY + 20 * DAY, 3))
    assert not holds(parts, TODAY)
    repaired = carry_out(parts, plan("access_log", parts, TODAY, 3))
    assert_sound(repaired, TODAY)
    assert plan("access_log", repaired, TODAY, 3) == []
    # The statement for a table without partitions leaves the days before today in p_old: they stay there.
    again = [Partition("p_old", TODAY), *parts[-1:]]
    assert not [c for c in plan("access_log", again, TODAY, 3) if "which p_old held" in c.summary]


def test_names_that_people_chose_are_quoted() -> None:
    foreign = [Partition("p_old", TODAY - 9 * DAY), Partition("my `part-1", TODAY + DAY), Partition("p_max", None)]
    (first, *_) = plan("access_log", foreign, TODAY, 3)
    assert "REORGANIZE PARTITION p_old, `my ``part-1` INTO" in first.sql
