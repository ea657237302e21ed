"""The Feishu bot's protocol: signature in the body, rich text, and what each answer means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from email.utils import formatdate

import pytest

from obsctl.alerter.channels.feishu import sign
from obsctl.alerter.channels.outcome import Verdict
from rig.vendor import Vendor
from tests.contract.alerter.robots import SECRET, TOKEN, alert, send

HOOK = "/open-apis/bot/v2/hook"


def test_the_signature_is_the_vendors() -> None:
    """Made with the vendor's own example: nothing is signed, and the time with the secret is the key."""
    key = b"100\ndemo"
    assert sign("demo", 100) == base64.b64encode(hmac.new(key, digestmod=hashlib.sha256).digest()).decode()
    assert sign("demo", 100) != base64.b64encode(hmac.new(b"demo", key, hashlib.sha256).digest()).decode()


def test_the_token_ends_the_path_and_the_body_is_signed(vendor: Vendor) -> None:
    vendor.body = b'{"code":0}'
    assert send("feishu", vendor.url + HOOK, alert(), secret="env:SECRET").delivered
    (request,) = vendor.received
    assert request.path == f"{HOOK}/{TOKEN}"
    assert isinstance(request.body["timestamp"], str)
    assert abs(int(request.body["timestamp"]) - time.time()) < 10
    key = f"{request.body['timestamp']}\n{SECRET}".encode()
    assert base64.b64decode(request.body["sign"]) == hmac.new(key, b"", hashlib.sha256).digest()
    assert request.body["msg_type"] == "post"
    assert request.body["content"]["post"]["zh_cn"]["title"] == "[FIRING] rule 203.0.113.9"


def test_a_bot_without_signing_gets_none(vendor: Vendor) -> None:
    vendor.body = b'{"code":0}'
    assert send("feishu", vendor.url, alert()).delivered
    assert set(vendor.received[0].body) == {"msg_type", "content"}


@pytest.mark.parametrize(
    ("body", "verdict", "code", "hint"),
    [
        ('{"code":0,"msg":"success","data":{}}', Verdict.DELIVERED, "0", ""),
        ('{"StatusCode":0,"StatusMessage":"success"}', Verdict.DELIVERED, "0", ""),
        ('{"StatusCode":0,"code":19021,"msg":"sign match fail"}', Verdict.REFUSED, "19021", "no secret"),
        ('{"code":19001,"msg":"param invalid"}', Verdict.REFUSED, "19001", "token is unknown"),
        ('{"code":19022,"msg":"Ip Not Allowed"}', Verdict.REFUSED, "19022", "address"),
        ('{"code":19024,"msg":"Key Words Not Found"}', Verdict.REFUSED, "19024", "keyword option"),
        ('{"code":9499,"msg":"Bad Request"}', Verdict.REFUSED, "9499", "cannot read"),
        ('{"code":9499,"msg":"too many request"}', Verdict.THROTTLED, "9499", "100 messages"),
        ('{"StatusCode":9499,"StatusMessage":"too many request"}', Verdict.THROTTLED, "9499", "100 messages"),
        ('{"code":11232,"msg":"frequency limited"}', Verdict.THROTTLED, "11232", "100 messages"),
        ('{"code":11247,"msg":"internal"}', Verdict.REFUSED, "11247", "at_user_ids"),
        ('{"code":77,"msg":"what"}', Verdict.REFUSED, "77", "look up the code"),
        ("{}", Verdict.REFUSED, "200", "check the url"),
        ('{"code":"0"}', Verdict.REFUSED, "200", "check the url"),
        ("<html>login</html>", Verdict.REFUSED, "200", "check the url"),
    ],
)
def test_http_200_says_nothing_the_code_does(vendor: Vendor, body: str, verdict: Verdict, code: str, hint: str) -> None:
    vendor.body = body.encode()
    delivery = send("feishu", vendor.url, alert())
    assert (delivery.verdict, delivery.code) == (verdict, code)
    assert hint in delivery.hint
    assert bool(delivery.hint) is not delivery.delivered


def test_a_refusal_with_http_400_is_judged_by_its_code(vendor: Vendor) -> None:
    vendor.status, vendor.body = 400, b'{"code":19024,"msg":"Key Words Not Found"}'
    assert "keyword option" in send("feishu", vendor.url, alert()).hint


def test_a_clock_that_is_off_is_named_as_the_cause(vendor: Vendor) -> None:
    vendor.body = b'{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}'
    assert "the secret is not the robot's" in send("feishu", vendor.url, alert(), secret="env:SECRET").hint
    vendor.headers = {"Date": formatdate(time.time() - 7200, usegmt=True)}
    assert "clock is +7" in send("feishu", vendor.url, alert(), secret="env:SECRET").hint
