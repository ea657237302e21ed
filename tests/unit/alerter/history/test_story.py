"""Everything about one alert, put together from records."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from obsctl.alerter.history.records import (
    Abandoned,
    About,
    AnyRecord,
    Carried,
    Decided,
    Delivered,
    Ended,
    HeldBack,
    Lost,
    Omitted,
    Started,
)
from obsctl.alerter.history.sentences import row
from obsctl.alerter.history.story import Relevant, incidents_of, next_step, of_rule, story
from obsctl.alerter.notify.silences import Silence
from tests.unit.alerter.builders import T


def about(incident: str = "a", rule: str = "rate", *, ended: bool = False) -> About:
    return About(
        rule=rule, kind="frequency", labels={"client_addr": f"192.0.2.{incident}"}, severity="warning",
        incident=incident, started=T, last_true=T + 60, ended=T + 90 if ended else 0,
    )  # fmt: skip


def started(incident: str = "a", at: float = T, rule: str = "rate") -> Started:
    return Started(at=at, alert=about(incident, rule))


def ended(incident: str = "a", at: float = T + 90) -> Ended:
    return Ended(at=at, alert=about(incident, ended=True))


def decided(message: str, *alerts: About, at: float = T + 1, reason: str = "first", **changes: Any) -> Decided:
    made = Decided(
        at=at, message_id=message, thread="group", reason=reason, route="default", channels=("ops", "mail"),
        labels={"rule": "rate"}, severity="warning", title=f"[{reason}] rate", started=1, resolved=0, firing=1,
        total=len(alerts), alerts=alerts,
    )  # fmt: skip
    return replace(made, **changes)


def delivered(message: str, channel: str, verdict: str = "delivered", at: float = T + 2) -> Delivered:
    return Delivered(
        at=at, channel=channel, robot=channel, verdict=verdict, code="0", summary="said so", took_ms=12,
        messages=(Carried(message_id=message, thread="group", title="t"),),
    )  # fmt: skip


def held(incident: str = "a", at: float = T + 3, *, stage: str = "silence", gone: int = 0) -> HeldBack:
    return HeldBack(
        at=at, stage=stage, cause="41c0", rule="rate", labels=about(incident).labels, incident=incident,
        route="default", gone=gone,
    )  # fmt: skip


SILENCE = Silence(id="41c0", filter="rule:rate", starts=T, ends=T + 600, author="li", reason="load test", created=T)


def test_from_the_start_to_the_end_with_each_delivery() -> None:
    records: list[AnyRecord] = [
        started(), started("b"), decided("1", about()), delivered("1", "ops"), delivered("1", "mail", "refused"),
        ended(), decided("2", about(ended=True), reason="resolved", at=T + 91), delivered("2", "ops"),
    ]  # fmt: skip
    found = story(records, "a")
    assert found is not None
    assert started("b").alert not in found.alerts.values()
    assert [(sent.message.message_id, sent.named, sent.waiting) for sent in found.sent] == [
        ("1", True, ("mail",)),
        ("2", True, ("mail",)),
    ]
    assert not found.firing
    assert "is waiting to be delivered by mail, last attempt: refused: said so" in next_step(found, [], T)
    found = story([*records, delivered("1", "mail"), delivered("2", "mail")], "a")
    assert found is not None
    assert next_step(found, [], T) == "nothing: it has ended and was reported"


def test_what_is_held_back_by_a_silence_says_by_whom_and_until_when() -> None:
    records: list[AnyRecord] = [started(), held()]
    found = story(records, "a")
    assert found is not None
    assert found.held_back == records[1]
    step = next_step(found, [SILENCE], T + 10)
    assert step == ("sent when silence 41c0 of li (load test) ends, at 2027-01-15T08:10:00Z, if it is still firing")
    found = story([*records, decided("1", about(), at=T + 601)], "a")
    assert found is not None
    assert found.held_back is None


def test_an_alert_that_a_message_only_counts_is_found_by_its_group() -> None:
    records: list[AnyRecord] = [
        started("a"), started("b"), started("c"),
        decided("1", about("b"), total=3),
        decided("other", about("x", "other"), total=3, labels={"rule": "other"}, at=T + 2),
        ended("a"),
        decided("2", about("b", ended=True), reason="resolved", total=3, at=T + 91),
        # Of the group's next time, which is not about it.
        decided("3", about("z"), total=3, at=T + 500),
    ]  # fmt: skip
    found = story(records, "a")
    assert found is not None
    assert [(sent.message.message_id, sent.named) for sent in found.sent] == [("1", False), ("2", False)]


def test_a_thread_is_all_messages_of_the_group_and_the_alerts_that_they_name() -> None:
    records: list[AnyRecord] = [
        started("a"), started("b"), started("c"), decided("1", about("a"), about("b")), held("b", at=T + 4),
        decided("x", about("c"), thread="another"),
    ]  # fmt: skip
    found = story(records, "group")
    assert found is not None
    assert set(found.alerts) == {"a", "b"}
    assert [sent.message.message_id for sent in found.sent] == ["1"]


def test_what_is_kept_of_a_flood_is_the_same_story() -> None:
    records: list[AnyRecord] = [
        started("a"), *(started(str(n)) for n in range(50)), decided("1", about("a"), total=51), held("a"),
        *(held(str(n)) for n in range(50)), delivered("1", "ops"), ended("a"),
    ]  # fmt: skip
    kept = list(filter(Relevant({"a"}).takes, records))
    assert len(kept) == 5
    assert story(kept, "a") == story(records, "a")
    assert incidents_of(records, "group") == {"a"}
    assert incidents_of(records, "a") == set()


def test_a_channel_that_is_no_longer_configured_is_not_waited_for() -> None:
    gone = Abandoned(at=T + 9, channel="mail", message=Carried(message_id="1", thread="group", title="t"))
    found = story([started(), decided("1", about()), delivered("1", "ops"), gone], "a")
    assert found is not None
    assert found.sent[0].waiting == ()


def test_what_is_missing_is_counted() -> None:
    omitted = Omitted(at=T + 1, what="held_back", rule="rate", stage="silence", records=7)
    found = story([Lost(at=T - 1, records=100), started(), omitted, Lost(at=T + 2, records=5)], "a")
    assert found is not None
    assert found.gaps == 12
    assert story([started()], "unknown") is None


def test_the_records_of_a_rule() -> None:
    records: list[AnyRecord] = [
        started(), started("x", rule="other"), decided("1", about()), decided("2", about("x", "other"), labels={}),
        delivered("1", "ops"), delivered("2", "ops"), held(), Lost(at=T, records=1),
    ]  # fmt: skip
    assert list(of_rule(records, "rate")) == [records[0], records[2], records[4], records[6]]
    assert list(of_rule(records, "other")) == [records[1], records[3], records[5]]
    assert list(of_rule(records, None)) == records


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (started(), "rate client_addr=192.0.2.a fires (warning), incident a"),
        (ended(), "rate client_addr=192.0.2.a has ended after 60 s, incident a"),
        (held(), "rate client_addr=192.0.2.a is suppressed: silence 41c0"),
        (
            held(gone=3, stage="mute"),
            "3 alerts as rate client_addr=192.0.2.a started and ended without a message: mute",
        ),
        (decided("1", about()), "[first] rate: a message (first, route default) for ops, mail"),
        (delivered("1", "ops"), "t: delivered by ops (0) in 12 ms"),
        (delivered("1", "ops", "throttled"), "t: not delivered by ops: throttled (0): said so"),
        (Omitted(at=T, what="started", rule="rate", records=4800), "4,800 more started of rule rate at once"),
        (Lost(at=T, records=5), "5 records were dropped"),
    ],
)
def test_a_record_is_a_sentence(record: AnyRecord, text: str) -> None:
    assert text in row(record)["text"]
