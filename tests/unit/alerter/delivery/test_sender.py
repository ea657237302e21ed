"""One channel's thread: what it says of a message that its vendor refuses for good."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from obsctl.alerter.channels.channel import ChannelOptions, Resolve
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.delivery.sender import Sender
from obsctl.alerter.messages.message import Kind, Message
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.state import outbox
from obsctl.alerter.state.outbox import DeadLetters
from obsctl.alerter.state.state_file import State
from obsctl.alerter.state.transaction import connect, transaction
from obsctl.core.secrets import resolve

NO = Delivery(Verdict.REFUSED, "310000", "keywords not in content", "set keyword")


class Refusing(ChannelOptions, frozen=True, kw_only=True, tag="refusing"):
    """A channel whose vendor takes nothing."""

    def open(self, _: Resolve) -> Any:
        return self

    def send(self, _: Message) -> Delivery:
        return NO


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    State(path).close()
    return path


def test_a_message_that_is_given_up_is_named_once_and_shown(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    sender = Sender(Refusing(name="ops"), state, resolve, lambda: None, Templates())
    with closing(connect(state)) as connection:
        with transaction(connection):
            outbox.put(connection, Message(id="1", kind=Kind.FIRING, title="[FIRING] one"), ["ops"], time.time())
            connection.execute(
                "UPDATE outbox SET refusals = ?, refused_since = ?",
                (outbox.MOST_REFUSALS - 1, time.time() - outbox.REFUSED_FOR_S - 1),
            )
        for _ in range(3):
            sender._turn(connection)
    (given_up,) = (record for record in caplog.records if "abandoned" in record.message)
    assert (given_up.levelname, given_up.title, given_up.channel) == ("ERROR", "[FIRING] one", "ops")  # type: ignore[attr-defined]
    assert sender.dead == DeadLetters(1, "[FIRING] one")
    assert sender.pace.waiting == 0
    assert dict(sender.attempts.by_outcome) == {("refused", "310000"): 1}
