"""The stand-ins answer on the wire as the vendors do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import quote

import pytest

from obsctl.lab import standins
from rig.ports import free_port
from rig.waiting import wait_for

pytest.importorskip("aiosmtpd", reason="the mail stand-in needs the extra [lab]")

TOKEN, SECRET = "the-token", "the-secret"
MESSAGE = {"msgtype": "text", "text": {"content": "hello"}}


@dataclass(frozen=True)
class StandIns:
    http_port: int
    smtp_port: int

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=5)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Content-Type": content_type})  # fmt: skip
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def received(self) -> list[dict[str, Any]]:
        got: list[dict[str, Any]] = self.ask("GET", "/received")[1]
        return got


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIns]:
    state = tmp_path_factory.mktemp("lab")
    (state / "secrets").mkdir()
    (state / "secrets/dingtalk_token").write_text(TOKEN)
    (state / "secrets/dingtalk_secret").write_text(SECRET)
    ports = StandIns(free_port(), free_port())
    argv = [state, "127.0.0.1", ports.http_port, ports.smtp_port]
    running = subprocess.Popen([sys.executable, "-m", "obsctl.lab.standins", *map(str, argv)])

    def answer() -> bool:
        try:
            socket.create_connection(("127.0.0.1", ports.smtp_port), 1).close()
            ports.received()
        except OSError:
            return False
        return True

    wait_for("the stand-ins answer", answer)
    yield ports
    running.terminate()
    assert running.wait(timeout=5) == 0


@pytest.fixture
def robot(process: StandIns) -> StandIns:
    process.ask("PUT", "/behaviour", {"name": "success"})
    process.ask("PUT", "/smtp/behaviour", {"name": "accept"})
    process.ask("DELETE", "/received")
    return process


def signed(secret: str = SECRET, age_ms: int = 0) -> str:
    stamp = str(time.time_ns() // 1_000_000 - age_ms)
    sign = base64.b64encode(hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest())
    return f"/robot/send?access_token={TOKEN}&timestamp={stamp}&sign={quote(sign, safe='')}"


def test_a_signed_message_is_taken_and_kept_without_its_token(robot: StandIns) -> None:
    assert robot.ask("POST", signed(), MESSAGE) == (200, {"errcode": 0, "errmsg": "ok"})
    (kept,) = robot.received()
    assert (kept["channel"], kept["token"], kept["signature"]) == ("dingtalk", "valid", "valid")
    assert kept["body"] == MESSAGE
    assert TOKEN not in json.dumps(kept)


@pytest.mark.parametrize("path", [signed("another"), signed(age_ms=2 * 3_600_000), signed().replace("%", "%25")])
def test_a_wrong_an_old_or_a_twice_encoded_signature_is_refused(robot: StandIns, path: str) -> None:
    status, answer = robot.ask("POST", path, MESSAGE)
    assert (status, answer["errcode"]) == (200, 310000)


def test_another_content_type_is_refused_as_the_vendor_does(robot: StandIns) -> None:
    assert robot.ask("POST", signed(), MESSAGE, "text/plain")[1]["errcode"] == 43004


@pytest.mark.parametrize("code", [310000, 130101, 300005])
def test_a_refusal_is_http_200_with_its_code(robot: StandIns, code: int) -> None:
    robot.ask("PUT", "/behaviour", {"name": str(code)})
    status, answer = robot.ask("POST", signed(), MESSAGE)
    assert (status, answer["errcode"]) == (200, code)
    assert robot.received()[0]["answer"] == answer


def test_reset_breaks_the_connection(robot: StandIns) -> None:
    robot.ask("PUT", "/behaviour", {"name": "reset"})
    with pytest.raises(ConnectionResetError):
        robot.ask("POST", signed(), MESSAGE)


def test_slow_does_not_answer_within_seconds(robot: StandIns) -> None:
    robot.ask("PUT", "/behaviour", {"name": "slow"})
    connection = http.client.HTTPConnection("127.0.0.1", robot.http_port, timeout=1)
    connection.request("POST", signed(), json.dumps(MESSAGE), {"Content-Type": "application/json"})
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    assert robot.received()[0]["behaviour"] == "slow"


def test_a_redirect_is_seen_if_followed(robot: StandIns) -> None:
    robot.ask("PUT", "/behaviour", {"name": "redirect"})
    connection = http.client.HTTPConnection("127.0.0.1", robot.http_port, timeout=5)
    connection.request("POST", signed(), json.dumps(MESSAGE), {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    assert response.status == 302
    assert [entry["channel"] for entry in robot.received()] == ["dingtalk"]
    connection.request("GET", response.headers["Location"])
    connection.getresponse().read()
    connection.close()
    assert robot.received()[-1]["channel"] == "redirect-followed"


def test_an_unheard_of_behaviour_is_refused_and_changes_nothing(robot: StandIns) -> None:
    assert robot.ask("PUT", "/behaviour", {"name": "nonsense"})[0] == 400
    assert robot.ask("PUT", "/behaviour", ["no object"])[0] == 400
    assert robot.ask("PUT", "/behaviour", {"name": "success", "channel": "pager"})[0] == 400
    assert robot.ask("PUT", "/behaviour", {"name": "19024", "channel": "dingtalk"})[0] == 400
    assert robot.ask("GET", "/behaviour") == (200, {"name": "success", "channel": "dingtalk"})


def test_the_webhook_takes_and_keeps(robot: StandIns) -> None:
    assert robot.ask("POST", "/hook", {"rule": "r"}) == (200, {"ok": True})
    (kept,) = robot.received()
    assert (kept["channel"], kept["body"]) == ("webhook", {"rule": "r"})


def mail() -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "größer als 5 %", "a@obs.test", "b@obs.test"
    message.set_content("line one\n")
    return message


def send(robot: StandIns) -> None:
    with smtplib.SMTP("127.0.0.1", robot.smtp_port, timeout=5) as client:
        client.send_message(mail())


def test_a_mail_is_taken_and_readable(robot: StandIns) -> None:
    send(robot)
    (kept,) = robot.received()
    assert (kept["channel"], kept["subject"], kept["body"]) == ("smtp", "größer als 5 %", "line one\n")
    assert (kept["sender"], kept["recipients"]) == ("a@obs.test", ["b@obs.test"])


def test_a_mail_is_put_off_or_refused(robot: StandIns) -> None:
    robot.ask("PUT", "/smtp/behaviour", {"name": "451"})
    with pytest.raises(smtplib.SMTPDataError) as put_off:
        send(robot)
    assert put_off.value.smtp_code == 451
    robot.ask("PUT", "/smtp/behaviour", {"name": "550"})
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(robot)
    assert refused.value.recipients["b@obs.test"][0] == 550


def test_a_channels_behaviour_is_its_own(robot: StandIns) -> None:
    robot.ask("PUT", "/behaviour", {"name": "45009", "channel": "wecom"})
    try:
        assert robot.ask("GET", "/behaviour?channel=wecom")[1]["name"] == "45009"
        assert robot.ask("POST", "/cgi-bin/webhook/send?key=k", {"msgtype": "text"})[1]["errcode"] == 45009
        assert robot.ask("POST", signed(), MESSAGE)[1]["errcode"] == 0
    finally:
        robot.ask("PUT", "/behaviour", {"name": "success", "channel": "wecom"})


def test_a_token_in_a_path_is_not_kept(robot: StandIns) -> None:
    assert robot.ask("POST", "/open-apis/bot/v2/hook/secret-token-1", {"msg_type": "text"})[1]["code"] == 0
    (kept,) = robot.received()
    assert kept["channel"] == "feishu"
    assert "secret-token-1" not in json.dumps(kept)


def test_feishus_signature_is_the_vendors() -> None:
    """The vendor's scheme: the time and the secret are the key, and the message is empty."""
    sign = base64.b64encode(hmac.new(b"1599360473\nthe-secret", digestmod=hashlib.sha256).digest()).decode()
    now_ms = 1599360473 * 1000
    assert standins.judge_signature(SECRET, "1599360473", sign, now_ms, feishu=True) == "valid"
    assert standins.judge_signature(SECRET, "1599360473", sign, now_ms + 3_600_000, feishu=True) == "expired"
    assert standins.judge_signature(SECRET, "1599360473", sign, now_ms) == "invalid"


def test_the_signature_is_the_vendors() -> None:
    # A vector from a public client of the vendor's.
    stamp, sign = "1720063700033000", "p7C+jdCVtGt77XXVBqP6I9ZzC8T0X9tv+WOduuQ53ZM="
    assert standins.judge_signature("xxx", stamp, sign, int(stamp)) == "valid"
    assert standins.judge_signature("xxx", stamp, sign, int(stamp) + 3_600_000) == "expired"
    assert standins.judge_signature("yyy", stamp, sign, int(stamp)) == "invalid"
    assert standins.judge_signature("xxx", stamp, "", int(stamp)) == "missing"
    assert standins.judge_signature(None, stamp, sign, int(stamp)) == "unknown"
