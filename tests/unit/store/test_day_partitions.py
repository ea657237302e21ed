"""The plan of the day partitions, without a server."""

from __future__ import annotations

import datetime
import re

from obsctl.store.mysql.day_partitions import Change, Partition, from_server, plan

TODAY = datetime.date(2026, 3, 10)
DAY = datetime.timedelta(days=1)


def carry_out(existing: list[Partition], changes: list[Change]) -> list[Partition]:
    """Do to a list what the statements do to a table; checks that ranges are never lost."""
    parts = {p.name: p.before for p in existing}
    for change in changes:
        if drop := re.search(r"DROP PARTITION (.+)", change.sql):
            for name in drop[1].split(", "):
                del parts[name]
        elif into := re.search(r"REORGANIZE PARTITION (.+) INTO \((.+)\)$", change.sql):
            taken = into[1].split(", ")
            upper = parts[taken[-1]]
            new = {
                name: None if bound == "MAXVALUE" else datetime.date.fromisoformat(bound.strip("'"))
                for name, bound in re.findall(r"PARTITION (\S+) VALUES LESS THAN \((\S+?)\)", into[2])
            }
            assert list(new.values())[-1] == upper, "a reorganization must keep the whole range"
            for name in taken:
                del parts[name]
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


def test_a_shorter_retention_lets_go() -> None:
    parts = carry_out(fresh(), plan("access_log", fresh(), TODAY, 30))
    parts = carry_out(parts, plan("access_log", parts, TODAY, 3))
    assert parts[0] == Partition("p_old", datetime.date(2026, 3, 8))


def test_reading_both_servers_descriptions() -> None:
    assert from_server([("p_old", "'2026-03-08'"), ("p20260308", "'2026-03-09 00:00:00'"), ("p_max", "MAXVALUE")]) == [
        Partition("p_old", datetime.date(2026, 3, 8)),
        Partition("p20260308", datetime.date(2026, 3, 9)),
        Partition("p_max", None),
    ]
