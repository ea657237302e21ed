"""The generic webhook: the meaning of its answers, and the signature that its receiver can check."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.channels.webhook import sign
from obsctl.alerter.messages.message import channel_test
from obsctl.alerter.messages.templates import Templates
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret
from rig.vendor import Vendor

TOKEN = "hook-77b25c1f0e9a"


def send(url: str, *, value: str = TOKEN, **options: object) -> Delivery:
    (spec,) = parse_channels([{"name": "hook", "type": "webhook", "url": url, **options}], "test")
    return spec.open(lambda reference: Secret(value, reference)).send(channel_test(time.time(), "app1", Templates()))


def test_the_body_has_its_schema_and_the_token_travels_in_the_header(vendor: Vendor) -> None:
    assert send(vendor.url + "/hook?team=a", token="env:TOKEN").delivered
    (request,) = vendor.received
    assert request.path == "/hook?team=a"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert set(request.body) == {"schema", "id", "thread", "kind", "title", "text", "facts"}
    assert request.body["schema"] == "obsctl/alert/v1"
    assert request.body["kind"] == "test"


def test_no_token_no_header(vendor: Vendor) -> None:
    assert send(vendor.url).delivered
    assert "Authorization" not in vendor.received[0].headers


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (307, Verdict.REDIRECTED),
        (400, Verdict.REFUSED),
        (401, Verdict.REFUSED),
        (429, Verdict.THROTTLED),
        (503, Verdict.UNREACHABLE),
        (504, Verdict.UNKNOWN),
    ],
)
def test_what_each_status_means(vendor: Vendor, status: int, verdict: Verdict) -> None:
    vendor.status, vendor.body = status, b""
    delivery = send(vendor.url)
    assert (delivery.verdict, delivery.code) == (verdict, str(status))
    assert bool(delivery.hint) is not delivery.delivered


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', "93000"),
        (200, b'{"code":19001,"msg":"param invalid","data":{}}', "19001"),
        (200, b'{"ok":false,"error":"channel_not_found"}', "ok false"),
        (201, b'{"success":false}', "success false"),
        (201, b'{"code":200}', "200"),
        (200, b'{"code":1,"msg":"success"}', "1"),
        (200, b'{"status":"error"}', "status error"),
        (200, b'{"status":"FAILED","id":7}', "status FAILED"),
        (200, b'{"error":"invalid_token"}', "error invalid_token"),
        (200, b'{"errors":[{"title":"no"}]}', "errors"),
    ],
)
def test_a_body_may_refuse_what_the_status_accepts(vendor: Vendor, status: int, body: bytes, code: str) -> None:
    vendor.status, vendor.body = status, body
    delivery = send(vendor.url)
    assert (delivery.verdict, delivery.code) == (Verdict.REFUSED, code)
    assert delivery.hint


@pytest.mark.parametrize(
    "body",
    [
        b'{"errcode":0,"errmsg":"ok"}',
        b'{"code":0}',
        b'{"code":200,"message":"success"}',
        b'{"ok":true}',
        b'{"code":"E1"}',
        b"ok",
        b"[1]",
        b"[]",
        b"",
        b'{"status":"ok","error":null,"errors":[]}',
        b'{"status":"queued","error":""}',
        b'{"\xff":1}',
        b"[" * 20_000,
    ],
)
def test_any_other_body_is_a_delivery(vendor: Vendor, body: bytes) -> None:
    vendor.body = body
    assert send(vendor.url).delivered


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.mark.parametrize(
    ("body", "content_type", "page"),
    [
        (PAGE, "text/html; charset=utf-8", True),
        (PAGE, "", True),
        (b"  \n<HTML><body>it works</body></HTML>", "text/plain", True),
        (b"<p>thanks</p>", "text/html", True),
        (b"ok", "text/html", False),
        (b"<ok/>", "application/xml", False),
    ],
)
def test_an_html_page_is_no_delivery(vendor: Vendor, body: bytes, content_type: str, page: bool) -> None:
    """A login portal answers 200 to anything."""
    vendor.body, vendor.headers = body, {"Content-Type": content_type} if content_type else {}
    delivery = send(vendor.url)
    assert delivery.verdict is (Verdict.REFUSED if page else Verdict.DELIVERED)
    assert ("login portal" in delivery.hint) is page
    assert send(vendor.url, success={"field": "code", "value": 0}).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("success", "body", "delivered"),
    [
        ({"field": "code", "value": 1}, b'{"code":1,"msg":"success"}', True),
        ({"field": "code", "value": 1}, b'{"code":0}', False),
        ({"field": "code", "value": 1}, b'{"code":true}', False),
        ({"field": "code", "value": True}, b'{"code":1}', False),
        ({"field": "code", "value": 0}, b'{"code":"0"}', False),
        ({"field": "code", "value": "0"}, b'{"code":"0"}', True),
        ({"field": "ok", "value": True}, b'{"ok":true,"error":"a warning"}', True),
        ({"field": "head.code", "value": "S0"}, b'{"head":{"code":"S0"}}', True),
        ({"field": "head.code", "value": "S0"}, b'{"head":"S0"}', False),
        ({"field": "code", "value": 0}, b"[]", False),
        ({"field": "code", "value": 0}, b"", False),
        ({"field": "code", "value": 0}, b"ok", False),
    ],
)
def test_the_rule_of_success_is_the_receivers(vendor: Vendor, success: object, body: bytes, delivered: bool) -> None:
    vendor.body = body
    delivery = send(vendor.url, success=success)
    assert delivery.verdict is (Verdict.DELIVERED if delivered else Verdict.REFUSED)
    assert bool(delivery.hint) is not delivered
    vendor.status = 500
    assert send(vendor.url, success=success).verdict is Verdict.UNREACHABLE


@pytest.mark.parametrize(
    "success", [{"field": "", "value": 0}, {"field": "code"}, {"field": "code", "value": [0]}, "code"]
)
def test_a_rule_of_success_that_is_none_is_a_mistake_of_the_configuration(success: object) -> None:
    with pytest.raises(ConfigError, match=r"channels\[0\]\.success"):
        send("http://127.0.0.1:9/", success=success)


def test_a_receiver_can_verify_the_signature(vendor: Vendor) -> None:
    """As docs/reference/alerting.md says it: over the time, a dot and the body as it came."""
    assert send(vendor.url, secret="env:SECRET").delivered
    (request,) = vendor.received
    seconds = request.headers["X-Obsctl-Timestamp"]
    assert abs(int(seconds) - time.time()) < 10
    expected = hmac.new(TOKEN.encode(), seconds.encode() + b"." + request.raw, hashlib.sha256).hexdigest()
    assert request.headers["X-Obsctl-Signature"] == f"sha256={expected}"
    assert send(vendor.url).delivered
    assert "X-Obsctl-Signature" not in vendor.received[1].headers


def test_the_signature_has_a_vector() -> None:
    assert sign("key", 1700000000, b"{}") == "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"


@pytest.mark.parametrize("rest", ["/hook?key=k-55aa", "/hook?k-55aa", "/k-55aa/send", "/send#k-55aa"])
def test_of_a_url_only_scheme_and_host_are_shown(closed_port: int, vendor: Vendor, rest: str) -> None:
    vendor.status = 404
    said = [send(f"http://user:pass-9f@127.0.0.1:{closed_port}{rest}"), send(vendor.url + rest)]
    entry = {"name": "hook", "type": "webhook", "url": f"http://user:pass-9f@127.0.0.1:{closed_port}{rest}"}
    (spec,) = parse_channels([entry], "test")
    preview = spec.open(lambda reference: Secret(TOKEN, reference)).preview(
        channel_test(time.time(), "app1", Templates())
    )
    assert [delivery.verdict for delivery in said] == [Verdict.UNREACHABLE, Verdict.REFUSED]
    assert "pass-9f" not in repr((said, preview))
    assert "k-55aa" not in repr((said, preview))
    assert f"http://127.0.0.1:{closed_port} " in said[0].summary


def test_a_target_beyond_ascii_is_sent_encoded_and_not_twice(vendor: Vendor) -> None:
    assert send(vendor.url + "/häuser?team=%C3%A4 b".replace(" ", "+")).delivered
    assert vendor.received[0].path == "/h%C3%A4user?team=%C3%A4+b"
    assert vendor.received[0].headers["Host"] == vendor.url.removeprefix("http://")


@pytest.mark.parametrize("keyword", ["two\nlines", "bell\x07"])
def test_a_keyword_is_one_line_of_text(keyword: str) -> None:
    with pytest.raises(ConfigError, match="keyword"):
        send("http://127.0.0.1:9/", keyword=keyword)


@pytest.mark.parametrize("token", ["first\nsecond", "tab\there", "schlüssel"])
def test_a_token_that_no_header_takes_is_a_mistake_of_the_configuration(token: str) -> None:
    with pytest.raises(ConfigError) as refused:
        send("http://127.0.0.1:9/", token="env:TOKEN", value=token)
    assert token not in f"{refused.value} {refused.value.hint}"
    assert "env:TOKEN" in refused.value.hint


@pytest.mark.parametrize(
    "url",
    ["http://h:99999/", "http://h:x/", "http://[::1/", "http://a..b/", "http://h/a b", "http://h/a\nb", "ftp://h/"],
)
def test_a_url_that_cannot_be_posted_to_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError):
        send(url)
