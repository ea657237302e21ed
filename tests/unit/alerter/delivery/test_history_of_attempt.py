"""An attempt to deliver, as the history has it."""

from __future__ import annotations

from pathlib import Path

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.delivery.history_of_attempt import of_attempt
from obsctl.alerter.messages.message import Kind, Message
from obsctl.alerter.state import outbox
from obsctl.alerter.state.state_file import State
from tests.unit.alerter.builders import T


def test_a_delivery_names_the_messages_that_it_carried(tmp_path: Path) -> None:
    connection = State(tmp_path / "state.db").connect()
    for number in (1, 2):
        message = Message(id=f"m{number}", thread="t", kind=Kind.FIRING, title=f"标题 {number}")
        outbox.put(connection, message, ["ops"], T)
    parcel = outbox.Parcel(Message(id="d", kind=Kind.DIGEST, title="digest"), (1, 2), "ops#2")
    delivery = Delivery(Verdict.REFUSED, "310000", "keywords not in content", "set keyword")
    record = of_attempt(connection, "ops", parcel, delivery, took_s=0.1234, now=T)
    assert (record.channel, record.robot, record.verdict, record.code, record.took_ms) == (
        "ops", "ops#2", "refused", "310000", 123,
    )  # fmt: skip
    assert [(one.message_id, one.thread, one.title) for one in record.messages] == [
        ("m1", "t", "标题 1"),
        ("m2", "t", "标题 2"),
    ]
