"""The records of a turn, and their bound."""

from __future__ import annotations

from obsctl.alerter.alerts import Alert, AlertState, Level, Measure
from obsctl.alerter.history.of_turn import MOST_A_TURN, of_turn
from obsctl.alerter.history.records import Decided, Ended, HeldBack, Omitted, Started
from obsctl.alerter.messages.message import Kind, Message
from obsctl.alerter.notify.notification import Notification, Reason
from obsctl.alerter.notify.turn import Suppressed
from tests.unit.alerter.builders import T


def alert(number: int = 0, state: AlertState = AlertState.FIRING, rule: str = "rate") -> Alert:
    return Alert(
        rule=rule, kind="frequency", severity=Level.WARNING, labels={"client_addr": f"192.0.2.{number}"},
        incident=f"i{number}", state=state, started=T, last_true=T + 5, peak=Measure(1.0, 1, 1),
        ended=0 if state is AlertState.FIRING else T + 9,
    )  # fmt: skip


def held(number: int, cause: str = "41c0") -> Suppressed:
    return Suppressed("silence", cause, "rate", {"client_addr": str(number)}, f"i{number}", "default", T)


def test_each_thing_that_happened_is_a_record_in_its_order() -> None:
    notification = Notification(
        id="m", thread="t", reason=Reason.FIRST, route="default", channels=("ops",), labels={"rule": "rate"},
        severity=Level.WARNING, at=T, since=T, started=1, firing=1, total=1, alerts=(alert(),),
    )  # fmt: skip
    message = Message(id="m", thread="t", kind=Kind.FIRING, title="[FIRING] rate")
    started, ended, held_back, decided = of_turn(
        [alert(), alert(1, AlertState.ENDED)], [held(2)], [(message, notification)], T + 10
    )
    assert isinstance(started, Started)
    assert (started.alert.incident, started.alert.ended, started.at) == ("i0", 0, T + 10)
    assert isinstance(ended, Ended)
    assert (ended.alert.incident, ended.alert.ended) == ("i1", T + 9)
    assert isinstance(held_back, HeldBack)
    assert (held_back.stage, held_back.cause, held_back.incident) == ("silence", "41c0", "i2")
    assert isinstance(decided, Decided)
    assert (decided.message_id, decided.title, decided.channels) == ("m", "[FIRING] rate", ("ops",))
    assert [about.incident for about in decided.alerts] == ["i0"]
    assert len({record.id for record in (started, ended, held_back, decided)}) == 4


def test_a_flood_is_some_records_and_a_number() -> None:
    """As many causes as alerts, too: an inhibition names the values that are equal."""
    flood = [held(number, cause=f"dead-upstream {number}") for number in range(100_000)]
    records = of_turn([alert(number) for number in range(5_000)], flood, [], T)
    assert len(records) == 2 * (MOST_A_TURN + 1)
    omitted = [record for record in records if isinstance(record, Omitted)]
    assert [(record.what, record.rule, record.stage, record.records) for record in omitted] == [
        ("started", "rate", "", 5_000 - MOST_A_TURN),
        ("held_back", "rate", "silence", 100_000 - MOST_A_TURN),
    ]


def test_nothing_that_happened_is_no_record() -> None:
    assert of_turn([], [], [], T) == []
