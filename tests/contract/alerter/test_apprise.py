"""The apprise channel: its verdicts, no redirect, one deadline, and no piece of the URL in any word."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import pytest

from obsctl.alerter.channels import apprise as channel_module
from obsctl.alerter.channels.apprise import hidden
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret
from rig.vendor import Vendor
from rig.waiting import HANGS_S
from tests.contract.alerter.robots import alert

pytest.importorskip("apprise", reason="needs the extra [apprise]")

TOKEN = "tok-apprise-44aa"


def send(url: str) -> Delivery:
    (spec,) = parse_channels([{"name": "far", "type": "apprise", "token": "env:URL", "keyword": "logpipe"}], "test")
    channel = spec.open(lambda reference: Secret(url, reference))
    assert TOKEN not in repr(channel.preview(alert())) + repr(vars(channel))
    delivery = channel.send(alert())
    assert TOKEN not in repr(delivery)
    return delivery


def url_of(vendor: Vendor, rest: str = "") -> str:
    return vendor.url.replace("http://", f"json://ops:{TOKEN}@") + f"/{TOKEN}/hooks{rest}"


def test_the_message_arrives(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    delivery = send(url_of(vendor))
    assert (delivery.verdict, delivery.code, delivery.hint) == (Verdict.DELIVERED, "sent", "")
    (request,) = vendor.received
    assert request.body["title"] == "[FIRING] rule 203.0.113.9"
    assert request.body["message"] == "200 requests\nlogpipe"
    assert TOKEN not in caplog.text


def test_the_url_is_in_no_list_of_processes(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    run = channel_module.subprocess.run

    def watched(argv: list[str], **more: Any) -> Any:
        seen.append(repr(argv) + repr(more.get("env")))
        return run(argv, **more)

    monkeypatch.setattr(channel_module.subprocess, "run", watched)
    assert send(url_of(vendor)).delivered
    assert len(seen) == 1
    assert TOKEN not in seen[0]


@pytest.mark.parametrize(
    ("status", "verdict", "hint"),
    [
        (400, Verdict.REFUSED, "tokens"),
        (403, Verdict.REFUSED, "tokens"),
        (429, Verdict.THROTTLED, "per_minute"),
        (500, Verdict.UNREACHABLE, "later"),
        (302, Verdict.REDIRECTED, "never followed"),
    ],
)
def test_what_each_status_means(vendor: Vendor, status: int, verdict: Verdict, hint: str) -> None:
    vendor.status = status
    vendor.headers = {"Location": f"{vendor.url}/elsewhere"}
    delivery = send(url_of(vendor, "?redirect=yes"))
    assert (delivery.verdict, delivery.code) == (verdict, str(status))
    assert hint in delivery.hint
    assert "Failed to send" in delivery.summary
    assert [request.path for request in vendor.received if "elsewhere" in request.path] == []


def test_a_closed_port_may_or_may_not_be_a_delivery(closed_port: int) -> None:
    delivery = send(f"json://127.0.0.1:{closed_port}/{TOKEN}")
    assert delivery.verdict is Verdict.UNKNOWN
    assert "apprise could not send" in delivery.summary


def test_a_vendor_that_does_not_come_to_an_end_is_cut(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apprise itself bounds each packet."""
    monkeypatch.setattr(channel_module, "_TOTAL_S", 2.0)
    vendor.fault = "drip"
    started = time.monotonic()
    delivery = send(url_of(vendor))
    assert time.monotonic() - started < HANGS_S
    assert (delivery.verdict, "within 2 s" in delivery.summary) == (Verdict.UNKNOWN, True)


def test_a_url_that_apprise_does_not_know_is_refused() -> None:
    delivery = send(f"nosuchservice://{TOKEN}")
    assert delivery.verdict is Verdict.REFUSED
    assert "does not understand the URL" in delivery.summary


@pytest.mark.parametrize("value", [TOKEN, "", f"https:/{TOKEN}", f"json://a\n{TOKEN}"])
def test_what_is_no_url_is_a_mistake_of_the_configuration(value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        send(value)
    assert TOKEN not in f"{refused.value} {refused.value.hint}"


def test_without_the_library_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setattr(channel_module.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="not installed") as refused:
        send("json://127.0.0.1/")
    assert "obscraft[apprise]" in str(refused.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        "cannot reach bot-name:to%2Fken-99 at far.example",
        "Bad token to/ken-99 for bot-name",
        "error at /some-path/deep and far.example:8443",
    ],
)
def test_no_piece_of_the_url_stands_in_a_text(text: str) -> None:
    shown = hidden(text, "svc://bot-name:to%2Fken-99@far.example:8443/some-path/deep?x=1")
    for piece in ("bot-name", "ken-99", "far.example", "some-path", "deep"):
        assert piece not in shown
