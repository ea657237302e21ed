"""The WeCom robot's protocol: the key in the query, Markdown, and what each answer means."""

from __future__ import annotations

import pytest

from obsctl.alerter.channels.outcome import Verdict
from obsctl.core.errors import ConfigError
from rig.vendor import Vendor
from tests.contract.alerter.robots import TOKEN, alert, send


def test_the_key_travels_in_the_query_and_the_body_is_markdown(vendor: Vendor) -> None:
    assert send("wecom", vendor.url + "/cgi-bin/webhook/send", alert(), at_user_ids=["zhang"]).delivered
    (request,) = vendor.received
    assert request.path == f"/cgi-bin/webhook/send?key={TOKEN}"
    assert request.body["msgtype"] == "markdown"
    assert request.body["markdown"]["content"] == "### [FIRING] rule 203.0.113.9\n200 requests\n<@zhang>"


@pytest.mark.parametrize(
    ("errcode", "errmsg", "verdict", "hint"),
    [
        (0, "ok", Verdict.DELIVERED, ""),
        (-1, "system busy", Verdict.DEFERRED, "busy"),
        (45009, "api freq out of limit", Verdict.THROTTLED, "20 messages a minute"),
        (45033, "api concurrent out of limit", Verdict.THROTTLED, "20 messages a minute"),
        (93000, "invalid webhook url, hint: [1]", Verdict.REFUSED, "copy its token"),
        (93008, "not in group", Verdict.REFUSED, "not in the group"),
        (40008, "invalid message type", Verdict.REFUSED, "cannot read"),
        (40058, "markdown.content exceed max length 4096", Verdict.REFUSED, "too long"),
        (40058, "invalid Request Parameter", Verdict.REFUSED, "at_user_ids"),
        (45002, "content size out of limit", Verdict.REFUSED, "too long"),
        (40003, "invalid userid", Verdict.REFUSED, "at_user_ids"),
        (44004, "empty content", Verdict.REFUSED, "cannot read"),
        (60020, "not allow to access from your ip", Verdict.REFUSED, "address"),
        (77, "what", Verdict.REFUSED, "look up the code"),
    ],
)
def test_http_200_says_nothing_the_errcode_does(
    vendor: Vendor, errcode: int, errmsg: str, verdict: Verdict, hint: str
) -> None:
    vendor.says(errcode, errmsg)
    delivery = send("wecom", vendor.url, alert())
    assert (delivery.verdict, delivery.code) == (verdict, str(errcode))
    assert hint in delivery.hint
    assert bool(delivery.hint) is not delivery.delivered


@pytest.mark.parametrize("body", [b"", b"ok", b'{"code":0}', b"<html>login</html>"])
def test_an_answer_without_errcode_is_no_delivery(vendor: Vendor, body: bytes) -> None:
    vendor.body = body
    assert send("wecom", vendor.url, alert()).verdict is Verdict.REFUSED


def test_a_key_in_the_url_is_refused() -> None:
    with pytest.raises(ConfigError, match="contains the robot's key"):
        send("wecom", f"https://robot.example.com/cgi-bin/webhook/send?key={TOKEN}", alert())
