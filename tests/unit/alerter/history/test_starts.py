"""Which alerts of a rule the history has of a time."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.alerter.history import starts as subject
from obsctl.alerter.history.records import About, AnyRecord, Ended, Omitted, Started
from obsctl.alerter.history.starts import Recorded, starts
from tests.unit.alerter.builders import T


def about(rule: str, started: int, *, client: str = "192.0.2.1", last_true: int = 0, ended: int = 0) -> About:
    return About(
        rule=rule, kind="match", labels={"client_addr": client}, severity="warning",
        incident=f"{rule}{started}{client}", started=T + started,
        last_true=T + (last_true or started), ended=T + ended if ended else 0,
    )  # fmt: skip


def test_the_alerts_that_started_within_the_time_with_their_ends() -> None:
    records: list[AnyRecord] = [
        Started(at=T - 1, alert=about("rate", -5)),
        Started(at=T + 11, alert=about("rate", 10)),
        Started(at=T + 11, alert=about("rate", 10)),  # twice, by an alerter that took over
        Started(at=T + 12, alert=about("other", 11)),
        Omitted(at=T + 12, what="started", rule="rate", records=5),
        Omitted(at=T + 12, what="started", rule="other", records=7),
        Omitted(at=T + 12, what="ended", rule="rate", records=9),
        Started(at=T + 13, alert=about("rate", 12, client="192.0.2.2")),
        Ended(at=T + 60, alert=about("rate", 10, last_true=30, ended=55)),
        Ended(at=T + 60, alert=about("rate", -5, last_true=30, ended=55)),
        Started(at=T + 130, alert=about("rate", 101)),
    ]
    found = starts(records, "rate", T, T + 100, seconds=60)
    assert (found.fires, found.whole) == (7, True)
    assert found.alerts == [
        Recorded(
            incident="rate10192.0.2.1", labels={"client_addr": "192.0.2.1"}, started="2027-01-15T08:00:10Z",
            ended="2027-01-15T08:00:30Z",
        ),
        Recorded(incident="rate12192.0.2.2", labels={"client_addr": "192.0.2.2"}, started="2027-01-15T08:00:12Z"),
    ]  # fmt: skip


def test_the_last_ones_are_listed_and_all_are_counted() -> None:
    many = [Started(at=T + n, alert=about("rate", n)) for n in range(subject.MOST_LISTED + 10)]
    found = starts(many, "rate", T, T + 10_000, seconds=60)
    assert found.fires == subject.MOST_LISTED + 10
    assert [one.incident for one in found.alerts] == [one.alert.incident for one in many[10:]]


def test_reading_stops_when_the_time_is_over() -> None:
    read = 0

    def endless() -> Iterator[AnyRecord]:
        nonlocal read
        while True:
            read += 1
            yield Started(at=T + read, alert=about("rate", read))

    found = starts(endless(), "rate", T, T + 10**9, seconds=0.05)
    assert not found.whole
    assert found.fires == read
