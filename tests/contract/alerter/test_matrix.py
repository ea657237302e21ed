"""Every behaviour of the stand-ins on every channel: verdict, the message's fate, hint, and no token anywhere."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from obsctl.alerter.channels.channel import ChannelOptions
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.delivery.sender import Sender
from obsctl.alerter.messages.message import Kind, Message
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.state import outbox
from obsctl.alerter.state.state_file import State
from obsctl.alerter.state.transaction import connect, transaction
from obsctl.core.secrets import Secret
from obsctl.lab import standins
from rig.ports import free_port

TOKENS = {
    "dingtalk_token": "dt-5c1f0e9a77b2sentinel",
    "dingtalk_secret": "SECdt-d41a7790fsentinel",
    "feishu_token": "fs-0b11aa22cc33sentinel",
    "feishu_secret": "fs-9f8e7d6c5bsentinel",
    "wecom_token": "wc-44dd55ee66ffsentinel",
    "slack_token": "T01/B02/sl-77aa88bb99sentinel",
    "webhook_token": "wh-12ab34cd56efsentinel",
}
PLACES = {
    "dingtalk": ("/robot/send", {"token": "env:dingtalk_token", "secret": "env:dingtalk_secret"}),
    "feishu": ("/open-apis/bot/v2/hook", {"token": "env:feishu_token", "secret": "env:feishu_secret"}),
    "wecom": ("/cgi-bin/webhook/send", {"token": "env:wecom_token"}),
    "slack": ("/services", {"token": "env:slack_token"}),
    "webhook": ("/hook", {"token": "env:webhook_token", "secret": "env:dingtalk_secret"}),
}
MESSAGE = Message(
    id="i-1", kind=Kind.FIRING, title="[FIRING] rule", lines=("200 requests",), facts={"severity": "critical"}
)


class Expected(NamedTuple):
    """What becomes of an attempt.

    Attributes:
        verdict: of the channel.
        code: the vendor's.
        hint: a piece of it, empty for none.
        again_s: tried again after so many seconds, None where it is done.
    """

    verdict: Verdict
    code: str
    hint: str
    again_s: float | None


def done(code: str) -> Expected:
    return Expected(Verdict.DELIVERED, code, "", None)


def refused(code: str, hint: str) -> Expected:
    return Expected(Verdict.REFUSED, code, hint, 300)


def throttled(code: str, hint: str, again_s: float = 60) -> Expected:
    return Expected(Verdict.THROTTLED, code, hint, again_s)


#: The same whatever the channel.
IN_BETWEEN = {
    "429": throttled("429", "per_minute", 30),
    "500": Expected(Verdict.UNREACHABLE, "500", "try again later", 2),
    "502": Expected(Verdict.UNKNOWN, "502", "check whether", 10),
    "html": refused("200", "check the url"),
    "empty": refused("200", "check the url"),
    "slow": Expected(Verdict.UNKNOWN, "", "before sending again", 10),
    "reset": Expected(Verdict.UNKNOWN, "", "before sending again", 10),
    "redirect": Expected(Verdict.REDIRECTED, "302", "never redirect", 300),
}
BY_CHANNEL: dict[str, dict[str, Expected]] = {
    "dingtalk": {
        "success": done("0"),
        "310000": refused("310000", "begins with SEC"),
        "130101": throttled("130101", "10 minutes"),
        "300005": refused("300005", "access token is unknown"),
        "310000-keyword": refused("310000", "keyword option"),
        "310000-sign": refused("310000", "begins with SEC"),
        "310000-expired": refused("310000", "clock"),
        "310000-address": refused("310000", "public address"),
        "-1": Expected(Verdict.DEFERRED, "-1", "busy", 60),
        "410100": throttled("410100", "10 minutes"),
        "400013": refused("400013", "dissolved"),
        "400101": refused("400101", "access token is unknown"),
        "400102": refused("400102", "disabled"),
        "400106": refused("400106", "no longer in the group"),
        "430104": refused("430104", "filter"),
        "460101": refused("460101", "too long"),
    },
    "feishu": {
        "success": done("0"),
        "19001": refused("19001", "token is unknown"),
        "19021": refused("19021", "wrong signature"),
        "19022": refused("19022", "public address"),
        "19024": refused("19024", "keyword option"),
        "9499": refused("9499", "cannot read"),
        "11232": throttled("11232", "100 messages"),
        "11247": refused("11247", "its text says why"),
        "old-9499": throttled("9499", "100 messages"),
        "too-long": refused("9499", "too long"),
    },
    "wecom": {
        "success": done("0"),
        "-1": Expected(Verdict.DEFERRED, "-1", "busy", 60),
        "45009": throttled("45009", "20 messages"),
        "93000": refused("93000", "key is unknown"),
        "40008": refused("40008", "cannot read"),
        "40058": refused("40058", "too long"),
        "40058-parameter": refused("40058", "at_user_ids"),
        "45002": refused("45002", "too long"),
    },
    "slack": {
        "success": done("ok"),
        "invalid_payload": refused("invalid_payload", "dry-run"),
        "no_service": refused("no_service", "disabled"),
        "channel_not_found": refused("channel_not_found", "gone"),
        "channel_is_archived": refused("channel_is_archived", "archived"),
        "action_prohibited": refused("action_prohibited", "administrators"),
        "posting_to_general_channel_denied": refused("posting_to_general_channel_denied", "another channel"),
        "invalid_token": refused("invalid_token", "new incoming webhook"),
        "msg_too_long": refused("msg_too_long", "too long"),
        "rollup_error": Expected(Verdict.UNREACHABLE, "500", "try again later", 2),
    },
    "webhook": {
        "success": done("200"),
        # No body is a usual answer to a webhook, and so is a list.
        "empty": done("200"),
        "list": done("200"),
        "401": refused("401", "token"),
        "error": refused("status error", "option success"),
        "code-1": refused("1", "option success"),
    },
    "smtp": {
        "accept": done("250"),
        "451": Expected(Verdict.DEFERRED, "451", "later", 60),
        "550": refused("550", "recipients"),
    },
}
CASES = [
    (channel, behaviour)
    for channel, behaviours in {**standins.BEHAVIOURS, "smtp": standins.SMTP_BEHAVIOURS}.items()
    for behaviour in behaviours
]


def expected(channel: str, behaviour: str) -> Expected:
    return BY_CHANNEL[channel].get(behaviour) or IN_BETWEEN[behaviour]


def resolve(reference: str) -> Secret:
    return Secret(TOKENS[reference.partition(":")[2]], reference)


class Rig(NamedTuple):
    """The stand-ins, and the ports at which they listen."""

    received: standins.Received
    http_port: int
    smtp_port: int

    def options(self, channel: str) -> ChannelOptions:
        if channel == "smtp":
            entry: dict[str, object] = {"host": "127.0.0.1", "port": self.smtp_port, "sender": "a@obs.test"}
            entry["recipients"] = ["b@obs.test"]
        else:
            path, secrets = PLACES[channel]
            entry = {"url": f"http://127.0.0.1:{self.http_port}{path}", **secrets}
        (spec,) = parse_channels([{"name": "ops", "type": channel, **entry}], "test")
        return spec

    def behave(self, channel: str, behaviour: str) -> None:
        self.received.clear()
        if channel == "smtp":
            self.received.smtp = behaviour
        else:
            self.received.behaviours[channel] = behaviour


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    pytest.importorskip("aiosmtpd", reason="the mail stand-in needs the extra [lab]")
    folder = tmp_path_factory.mktemp("secrets")
    for name, value in TOKENS.items():
        (folder / name).write_text(value)
    received = standins.Received(folder)
    server = standins.HttpServer(received, "127.0.0.1", 0)
    smtp_port = free_port()
    mail = standins._mail_server(received, "127.0.0.1", smtp_port)
    mail.start()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield Rig(received, server.server_port, smtp_port)
    server.shutdown()
    thread.join()
    server.server_close()
    mail.stop()


@pytest.fixture(autouse=True)
def _a_slow_vendor_for_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standins, "_SLOW_S", 1.5)


def test_the_table_knows_each_behaviour_of_each_channel() -> None:
    for channel, behaviours in {**standins.BEHAVIOURS, "smtp": standins.SMTP_BEHAVIOURS}.items():
        assert [name for name in behaviours if name not in {**BY_CHANNEL[channel], **IN_BETWEEN}] == []
        assert [name for name in BY_CHANNEL[channel] if name not in behaviours] == []


@pytest.mark.parametrize(("channel", "behaviour"), CASES)
def test_every_behaviour_of_every_channel(
    rig: Rig, channel: str, behaviour: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    want = expected(channel, behaviour)
    rig.behave(channel, behaviour)
    spec = rig.options(channel)
    state = tmp_path / "state.db"
    State(state).close()
    sender = Sender(spec, state, resolve, lambda: None, Templates())
    with closing(connect(state)) as connection:
        with transaction(connection):
            outbox.put(connection, MESSAGE, ["ops"], time.time())
        sender._turn(connection)
        pace, (row_state, hint) = sender.pace, kept(connection, caplog)
        dumped = "\n".join(connection.iterdump())
    assert (pace.verdict, pace.code) == (want.verdict, want.code)
    assert want.hint in hint
    assert bool(hint) is bool(want.hint)
    # Nothing is dropped: what was not delivered waits for its next attempt.
    assert row_state == ("delivered" if want.again_s is None else "pending")
    assert (pace.next_try - pace.at) == pytest.approx(want.again_s or -pace.at, abs=0.5)
    assert [entry["channel"] for entry in rig.received.all() if entry["channel"] != channel] == []

    delivery = Delivery(Verdict(pace.verdict), pace.code, pace.summary, hint)
    written = [caplog.text, dumped, repr(pace), repr(delivery), msgspec.json.encode(delivery).decode(), repr(spec)]
    written += [json.dumps(spec.open(resolve).preview(MESSAGE), ensure_ascii=False), json.dumps(rig.received.all())]
    written += [repr(record.__dict__) for record in caplog.records]
    shown = "\n".join(written)
    assert [name for name, value in TOKENS.items() if value in shown or value.split("/")[-1] in shown] == []


def kept(connection: sqlite3.Connection, caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    """Return the message's state in the outbox, and the hint that the journal has."""
    (state,) = connection.execute("SELECT state FROM outbox").fetchone()
    hints = [
        getattr(record, "hint", "") for record in caplog.records if record.name == "obsctl.alerter.delivery.sender"
    ]
    return state, hints[-1]


def test_a_pool_delivers_past_a_robot_that_was_removed(
    rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig.behave("wecom", "success")
    path, _ = PLACES["wecom"]
    robots = [{"token": "env:dingtalk_token"}, {"token": "env:wecom_token"}]
    entry = {"name": "ops", "type": "wecom", "url": f"http://127.0.0.1:{rig.http_port}{path}", "robots": robots}
    (spec,) = parse_channels([entry], "test")
    state = tmp_path / "state.db"
    State(state).close()
    sender = Sender(spec, state, resolve, lambda: None, Templates())
    with closing(connect(state)) as connection:
        with transaction(connection):
            for number in range(4):
                outbox.put(connection, msgspec.structs.replace(MESSAGE, id=f"i-{number}"), ["ops"], time.time())
        while sender._turn(connection) == 0.0:
            pass
    assert [entry["token"] for entry in rig.received.all()] == ["invalid", *["valid"] * 4]
    assert (sender.pace.waiting, sender.pace.verdict, sender.pace.code) == (0, "refused", "93000")
    assert sender.pace.summary.startswith("robot ops#1: ")
    assert [name for name, value in TOKENS.items() if value in caplog.text + repr(sender.pace)] == []


@pytest.mark.parametrize("channel", PLACES)
def test_the_stand_in_finds_token_and_signature_right(rig: Rig, channel: str) -> None:
    rig.behave(channel, "success")
    assert rig.options(channel).open(resolve).send(MESSAGE).delivered
    (entry,) = rig.received.all()
    assert entry["token"] == "valid"
    assert entry.get("signature", "valid") == "valid"


@pytest.mark.parametrize("channel", PLACES)
def test_a_failure_inside_a_channel_shows_no_token(rig: Rig, channel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks: a traceback has source lines, and no values."""
    from obsctl.alerter.channels import http_transport

    rig.behave(channel, "success")
    opened = rig.options(channel).open(resolve)

    def breaks(*_args: object, **_more: object) -> None:
        raise RuntimeError("a library broke")

    monkeypatch.setattr(http_transport._Adapter, "send", breaks)
    with pytest.raises(RuntimeError) as caught:
        opened.send(MESSAGE)
    shown = "".join(traceback.format_exception(caught.value))
    assert [name for name, value in TOKENS.items() if value in shown] == []
