"""The generic webhook: 2xx is a delivery, and nothing else is."""

from __future__ import annotations

import time

import pytest

from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.alerter.message import channel_test
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret
from rig.vendor import Vendor

TOKEN = "hook-77b25c1f0e9a"


def send(url: str, *, value: str = TOKEN, **options: object) -> Delivery:
    (spec,) = parse_channels([{"name": "hook", "type": "webhook", "url": url, **options}], "test")
    return spec.open(lambda reference: Secret(value, reference)).send(channel_test(time.time(), "app1"))


def test_the_body_has_its_schema_and_the_token_travels_in_the_header(vendor: Vendor) -> None:
    assert send(vendor.url + "/hook?team=a", token="env:TOKEN").delivered
    (request,) = vendor.received
    assert request.path == "/hook?team=a"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert set(request.body) == {"schema", "id", "kind", "title", "text", "facts"}
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
        b'{"\xff":1}',
        b"[" * 20_000,
    ],
)
def test_any_other_body_is_a_delivery(vendor: Vendor, body: bytes) -> None:
    vendor.body = body
    assert send(vendor.url).delivered


@pytest.mark.parametrize("rest", ["/hook?key=k-55aa", "/hook?k-55aa", "/k-55aa/send", "/send#k-55aa"])
def test_of_a_url_only_scheme_and_host_are_shown(closed_port: int, vendor: Vendor, rest: str) -> None:
    vendor.status = 404
    said = [send(f"http://user:pass-9f@127.0.0.1:{closed_port}{rest}"), send(vendor.url + rest)]
    entry = {"name": "hook", "type": "webhook", "url": f"http://user:pass-9f@127.0.0.1:{closed_port}{rest}"}
    (spec,) = parse_channels([entry], "test")
    preview = spec.open(lambda reference: Secret(TOKEN, reference)).preview(channel_test(time.time(), "app1"))
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
