"""The DingTalk robot's protocol: signature, body, and what each answer means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import time
from email.utils import formatdate
from urllib.parse import parse_qsl, urlsplit

import pytest

from obsctl.alerter.channels.dingtalk import sign
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.messages.message import channel_test
from obsctl.alerter.messages.templates import Templates
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret
from rig.vendor import Vendor
from rig.waiting import HANGS_S

TOKEN = "tok-5c1f0e9a77b2"
SECRET = "SECd41a+/=90f"
VALUES = {"env:TOKEN": TOKEN, "env:SECRET": SECRET}


def resolve(reference: str) -> Secret:
    return Secret(VALUES[reference], reference)


def send(url: str, **options: object) -> Delivery:
    entry = {"name": "ops", "type": "dingtalk", "url": url, "token": "env:TOKEN", "secret": "env:SECRET", **options}
    (spec,) = parse_channels([entry], "test")
    return spec.open(resolve).send(channel_test(time.time(), "app1", Templates()))


def test_the_signature_is_the_vendors() -> None:
    assert sign("xxx", 1720063700033000) == "p7C+jdCVtGt77XXVBqP6I9ZzC8T0X9tv+WOduuQ53ZM="


def test_each_message_has_its_own_signature_encoded_once(vendor: Vendor) -> None:
    for _ in range(20):
        assert send(vendor.url + "/robot/send").delivered
    for request in vendor.received:
        query = dict(parse_qsl(urlsplit(request.path).query, strict_parsing=True))
        assert list(query) == ["access_token", "timestamp", "sign"]
        assert query["access_token"] == TOKEN
        assert abs(int(query["timestamp"]) - time.time() * 1000) < 10_000
        expected = hmac.new(SECRET.encode(), f"{query['timestamp']}\n{SECRET}".encode(), hashlib.sha256).digest()
        assert base64.b64decode(query["sign"], validate=True) == expected
        assert request.headers["Content-Type"].startswith("application/json")


def test_a_robot_without_signing_gets_none(vendor: Vendor) -> None:
    assert send(vendor.url + "/robot/send", secret="").delivered
    assert vendor.received[0].path == f"/robot/send?access_token={TOKEN}"


def test_the_body_is_markdown_with_the_keyword(vendor: Vendor) -> None:
    send(vendor.url, keyword="logpipe")
    body = vendor.received[0].body
    assert body["msgtype"] == "markdown"
    assert body["markdown"]["title"].startswith("[TEST]")
    assert body["markdown"]["text"].startswith("#### [TEST]")
    assert "logpipe" in body["markdown"]["text"]


@pytest.mark.parametrize(
    ("errcode", "errmsg", "verdict", "hint"),
    [
        (0, "ok", Verdict.DELIVERED, ""),
        (310000, "sign not match", Verdict.REFUSED, "begins with SEC"),
        (310000, "keywords not in content", Verdict.REFUSED, "keyword option"),
        (310000, "ip 1.2.3.4 not in whitelist", Verdict.REFUSED, "address"),
        (310000, "description unknown", Verdict.REFUSED, "means"),
        (
            310000,
            "错误描述:关键词不匹配;解决方案:请联系群管理员查看此机器人的关键词",
            Verdict.REFUSED,
            "keyword option",
        ),
        (310000, "description:机器人发送签名不匹配;solution:请确认签名和时间戳", Verdict.REFUSED, "begins with SEC"),
        (
            310000,
            "description:机器人发送签名过期;solution:请保持在一小时内",
            Verdict.REFUSED,
            "check this machine's clock",
        ),
        (310000, "错误描述:timestamp无效", Verdict.REFUSED, "check this machine's clock"),
        (310000, "invalid timestamp", Verdict.REFUSED, "check this machine's clock"),
        (310000, "错误描述:来源IP地址不在白名单", Verdict.REFUSED, "public address"),
        (-1, "系统繁忙", Verdict.DEFERRED, "busy"),
        (410100, "发送速度太快而限流", Verdict.THROTTLED, "10 minutes"),
        (410101, "发送速度太快而限流", Verdict.THROTTLED, "10 minutes"),
        (90018, "qps limit", Verdict.THROTTLED, "10 minutes"),
        (300001, "token is not exist", Verdict.REFUSED, "access token is unknown"),
        (400013, "群已被解散", Verdict.REFUSED, "dissolved"),
        (400101, "access_token不存在", Verdict.REFUSED, "access token is unknown"),
        (400102, "机器人已停用", Verdict.REFUSED, "disabled"),
        (400102, "access-token不存在", Verdict.REFUSED, "access token is unknown"),
        (400103, "机器人已停用", Verdict.REFUSED, "disabled"),
        (400106, "机器人不存在", Verdict.REFUSED, "no longer in the group"),
        (430101, "含有不安全的外链", Verdict.REFUSED, "filter"),
        (460101, "message too long", Verdict.REFUSED, "too long"),
        (101002, "message too long", Verdict.REFUSED, "too long"),
        (300005, "token is not exist", Verdict.REFUSED, "access token is unknown"),
        (130101, "send too fast, exceed 20 times per minute", Verdict.THROTTLED, "10 minutes"),
        (90030, "over limit", Verdict.THROTTLED, "10 minutes"),
        (40035, "invalid parameter", Verdict.REFUSED, "look up the code"),
    ],
)
def test_http_200_says_nothing_the_errcode_does(
    vendor: Vendor, errcode: int, errmsg: str, verdict: Verdict, hint: str
) -> None:
    vendor.says(errcode, errmsg)
    delivery = send(vendor.url)
    assert (delivery.verdict, delivery.code) == (verdict, str(errcode))
    assert hint in delivery.hint


@pytest.mark.parametrize(("off_s", "named"), [(7200, True), (-7200, True), (60, False)])
def test_a_clock_that_is_off_is_named_as_the_cause(vendor: Vendor, off_s: int, named: bool) -> None:
    vendor.says(310000, "description unknown")
    vendor.headers = {"Date": formatdate(time.time() - off_s, usegmt=True)}
    assert (f"clock is {off_s:+d}"[:11] in send(vendor.url).hint) is named


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", b'{"ok":true}', b'{"errcode":"0"}'])
def test_an_answer_without_errcode_is_no_delivery(vendor: Vendor, body: bytes) -> None:
    vendor.body = body
    assert send(vendor.url).verdict is Verdict.REFUSED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(vendor: Vendor, status: int) -> None:
    vendor.status = status
    vendor.headers = {"Location": f"{vendor.url}/elsewhere?access_token={TOKEN}"}
    delivery = send(vendor.url)
    assert (delivery.verdict, delivery.code) == (Verdict.REDIRECTED, str(status))
    assert len(vendor.received) == 1
    assert f"redirect to {vendor.url}, which" in delivery.summary
    assert TOKEN not in delivery.summary


@pytest.mark.parametrize(
    "location",
    [
        f"https://login.example/go#access_token={TOKEN}",
        f"https://login.example/{TOKEN}/go",
        f"https://user:{TOKEN}@login.example",
        f"https://login.example?{TOKEN}",
        f"/elsewhere#{TOKEN}",
        f"http://[::1/{TOKEN}",
    ],
)
def test_of_a_redirect_only_the_host_is_shown(vendor: Vendor, location: str) -> None:
    vendor.status, vendor.headers = 302, {"Location": location}
    shown = repr(send(vendor.url))
    assert TOKEN not in shown
    assert ("https://login.example, which" in shown) is location.startswith("https")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(429, Verdict.THROTTLED), (500, Verdict.UNREACHABLE), (502, Verdict.UNKNOWN), (503, Verdict.UNREACHABLE)],
)
def test_statuses_that_are_not_the_robots(vendor: Vendor, status: int, verdict: Verdict) -> None:
    vendor.status = status
    assert send(vendor.url).verdict is verdict


@pytest.mark.parametrize("fault", ["slow", "reset", "drip", "drip-head"])
def test_no_answer_may_or_may_not_be_a_delivery(vendor: Vendor, fault: str) -> None:
    vendor.fault = fault
    started = time.monotonic()
    delivery = send(vendor.url)
    assert (delivery.verdict, delivery.code) == (Verdict.UNKNOWN, "")
    assert time.monotonic() - started < HANGS_S
    assert len(vendor.received) == 1


def test_a_closed_port_is_no_delivery_for_sure(closed_port: int) -> None:
    delivery = send(f"http://127.0.0.1:{closed_port}/robot/send")
    assert delivery.verdict is Verdict.UNREACHABLE
    assert "refused" in delivery.summary


def test_a_name_that_does_not_resolve_is_said_so() -> None:
    delivery = send("http://robot.invalid/robot/send")
    assert delivery.verdict is Verdict.UNREACHABLE
    assert "does not resolve" in delivery.summary


def test_neither_token_nor_secret_nor_signature_is_ever_written(
    vendor: Vendor, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes = []
    for fault in ("", "slow", "reset", "drip"):
        vendor.fault = fault
        outcomes.append(send(vendor.url))
    vendor.fault = ""
    vendor.says(310000, f"sign not match for {TOKEN} and {SECRET}")
    outcomes.append(send(vendor.url))
    outcomes.append(send(f"http://127.0.0.1:{closed_port}/robot/send"))
    signatures = [dict(parse_qsl(urlsplit(r.path).query))["sign"] for r in vendor.received]
    entry = {"name": "ops", "type": "dingtalk", "url": vendor.url, "token": "env:TOKEN", "secret": "env:SECRET"}
    (spec,) = parse_channels([entry], "test")
    channel = spec.open(resolve)
    preview = channel.preview(channel_test(time.time(), "app1", Templates()))
    text = repr(outcomes) + caplog.text + repr(preview) + repr(vars(channel)) + repr(spec)
    for hidden in (TOKEN, SECRET, *signatures):
        assert hidden not in text
    assert "access_token=***" in repr(preview)


def test_a_token_in_the_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="contains the access token"):
        send(f"https://robot.example.com/robot/send?access_token={TOKEN}")


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="https://"):
        send("robot.example.com/robot/send")
