"""Slack's incoming webhook: the token in the path, plain text back, and what each answer means."""

from __future__ import annotations

import pytest

from obsctl.alerter.channels.outcome import Verdict
from obsctl.alerter.messages.message import Kind, Message
from obsctl.core.secrets import Secret
from rig.vendor import Vendor
from tests.contract.alerter.robots import alert, options, send

TOKEN = "T012/B034/abcDEF567"


def test_the_token_ends_the_path(vendor: Vendor) -> None:
    vendor.body = b"ok"
    channel = options("slack", vendor.url + "/services").open(lambda reference: Secret(TOKEN, reference))
    assert channel.send(alert()).delivered
    assert vendor.received[0].path == f"/services/{TOKEN}"
    assert vendor.received[0].body == {"text": "*[FIRING] rule 203.0.113.9*\n200 requests"}
    assert TOKEN not in repr(channel.preview(alert()))


def test_what_slack_reads_as_its_own_is_written_as_it_wants_it(vendor: Vendor) -> None:
    """A client that asks for /<!channel> must not wake everybody."""
    vendor.body = b"ok"
    message = Message(
        id="1", kind=Kind.FIRING, title="a & b", lines=("<!channel> <@U1> &lt;",), facts={"severity": "critical"}
    )
    assert send("slack", vendor.url, message, at_user_ids=["U2"]).delivered
    assert vendor.received[0].body["text"] == "*a &amp; b*\n&lt;!channel&gt; &lt;@U1&gt; &amp;lt;\n<@U2>"


@pytest.mark.parametrize(
    ("status", "body", "outcome", "hint"),
    [
        (200, "ok", (Verdict.DELIVERED, "ok"), ""),
        (200, "", (Verdict.REFUSED, "200"), "check the url"),
        (200, "okay then", (Verdict.REFUSED, "200"), "check the url"),
        (200, '{"ok":true}', (Verdict.REFUSED, "200"), "check the url"),
        (404, "ok", (Verdict.REFUSED, "404"), "check the url"),
        (400, "invalid_payload", (Verdict.REFUSED, "invalid_payload"), "dry-run"),
        (400, "no_text", (Verdict.REFUSED, "no_text"), "dry-run"),
        (400, "user_not_found", (Verdict.REFUSED, "user_not_found"), "new incoming webhook"),
        (403, "action_prohibited", (Verdict.REFUSED, "action_prohibited"), "administrators"),
        (403, "invalid_token", (Verdict.REFUSED, "invalid_token"), "new incoming webhook"),
        (
            403,
            "posting_to_general_channel_denied",
            (Verdict.REFUSED, "posting_to_general_channel_denied"),
            "another channel",
        ),
        (404, "no_service", (Verdict.REFUSED, "no_service"), "disabled"),
        (404, "no_team", (Verdict.REFUSED, "no_team"), "workspace"),
        (404, "channel_not_found", (Verdict.REFUSED, "channel_not_found"), "gone"),
        (410, "channel_is_archived", (Verdict.REFUSED, "channel_is_archived"), "archived"),
        (403, "team_disabled", (Verdict.REFUSED, "team_disabled"), "workspace"),
        (400, "some_new_error", (Verdict.REFUSED, "some_new_error"), "look up the code"),
        (200, "rate_limited", (Verdict.THROTTLED, "rate_limited"), "one message a second"),
        (429, "rate_limited", (Verdict.THROTTLED, "429"), "per_minute"),
        (500, "rollup_error", (Verdict.UNREACHABLE, "500"), "later"),
    ],
)
def test_what_each_answer_means(
    vendor: Vendor, status: int, body: str, outcome: tuple[Verdict, str], hint: str
) -> None:
    vendor.status, vendor.body = status, body.encode()
    delivery = send("slack", vendor.url, alert())
    assert (delivery.verdict, delivery.code) == outcome
    assert hint in delivery.hint
    assert bool(delivery.hint) is not delivery.delivered


@pytest.mark.parametrize(("header", "seconds"), [("30", 30.0), ("x", None), ("", None), ("9" * 400, 999_999_999.0)])
def test_how_long_slack_wants_to_be_left_alone_is_kept(vendor: Vendor, header: str, seconds: float | None) -> None:
    vendor.status, vendor.headers = 429, {"Retry-After": header}
    assert send("slack", vendor.url, alert()).retry_after_s == seconds
