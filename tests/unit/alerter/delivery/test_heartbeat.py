"""The heartbeat for a dead man's switch: sent while the alerter works, withheld otherwise."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from obsctl.alerter.config import HeartbeatConfig
from obsctl.alerter.delivery.heartbeat import Heartbeat
from obsctl.core.secrets import resolve
from rig.ports import free_port
from rig.vendor import Vendor, serving

TOKEN = "ping-4f1c9e77a2"


def beating(folder: Path, url: str, *, why_not: str = "", **options: Any) -> Heartbeat:
    path = folder / "url"
    path.write_text(f"{url}/{TOKEN}?rid={TOKEN}\n")
    return Heartbeat(HeartbeatConfig(url=f"file:{path}", **options), resolve, lambda: why_not, lambda: None)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_is_sent_and_its_success_noted(tmp_path: Path, method: str) -> None:
    with serving() as vendor:
        heartbeat = beating(tmp_path, vendor.url, method=method)
        heartbeat.beat(5.0)
        heartbeat.beat(65.0)
    assert [request.path for request in vendor.received] == [f"/{TOKEN}?rid={TOKEN}"] * 2
    pulse = heartbeat.pulse
    assert (pulse.accepted, pulse.accepted_at, pulse.failures, pulse.verdict) == (2, 65.0, 0, "delivered")


def test_it_is_withheld_while_the_alerter_does_not_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving() as vendor:
        heartbeat = beating(tmp_path, vendor.url, why_not="no channel can deliver")
        heartbeat.beat(5.0)
        heartbeat.beat(65.0)
        assert vendor.received == []
        assert (heartbeat.pulse.withheld, heartbeat.pulse.why_withheld) == (2, "no channel can deliver")
        heartbeat._why_not = lambda: ""
        heartbeat.beat(125.0)
        assert len(vendor.received) == 1
    assert heartbeat.pulse.why_withheld == ""
    assert [record.levelname for record in caplog.records if "withheld" in record.message] == ["ERROR"]


def refused(vendor: Vendor) -> None:
    vendor.status = 404


def redirected(vendor: Vendor) -> None:
    vendor.status, vendor.headers = 302, {"Location": f"https://portal.example/{TOKEN}"}


def portal(vendor: Vendor) -> None:
    vendor.headers, vendor.body = {"Content-Type": "text/html"}, b"<!DOCTYPE html><html>log in</html>"


def broken(vendor: Vendor) -> None:
    vendor.status = 503


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [(refused, "refused"), (redirected, "redirected"), (portal, "refused"), (broken, "unreachable")],
)
def test_what_is_no_success_is_a_failure_and_shows_no_secret(
    wrong: Any, verdict: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving() as vendor:
        wrong(vendor)
        heartbeat = beating(tmp_path, vendor.url, method="POST")
        heartbeat.beat(5.0)
    pulse = heartbeat.pulse
    assert (pulse.verdict, pulse.failed, pulse.failures, pulse.accepted_at) == (verdict, 1, 1, 0.0)
    shown = repr(pulse) + caplog.text + "".join(repr(record.__dict__) for record in caplog.records)
    assert TOKEN not in shown


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "ftp://127.0.0.1", "http://[", "no url", ""])
def test_a_switch_that_cannot_be_asked_is_a_failure_too(url: str, tmp_path: Path) -> None:
    heartbeat = beating(tmp_path, url.format(port=free_port()))
    heartbeat.beat(5.0)
    assert heartbeat.pulse.failures == 1
    assert TOKEN not in repr(heartbeat.pulse)


def test_the_url_is_read_again_each_time(tmp_path: Path) -> None:
    with serving() as vendor:
        heartbeat = beating(tmp_path, vendor.url)
        (tmp_path / "url").unlink()
        heartbeat.beat(5.0)
        assert "cannot be read" in heartbeat.pulse.summary
        (tmp_path / "url").write_text(vendor.url)
        heartbeat.beat(65.0)
    assert (heartbeat.pulse.failures, heartbeat.pulse.accepted) == (0, 1)


def test_an_alerter_that_cannot_say_how_it_does_is_not_alive(tmp_path: Path) -> None:
    def broken_reason() -> str:
        raise ZeroDivisionError

    with serving() as vendor:
        heartbeat = beating(tmp_path, vendor.url)
        heartbeat._why_not = broken_reason
        heartbeat.beat(5.0)
        assert vendor.received == []
    assert heartbeat.pulse.why_withheld == "internal error (ZeroDivisionError)"


def test_a_thread_that_cannot_go_on_is_a_failure() -> None:
    failed = threading.Event()

    def broken_clock(_: float) -> bool:
        raise ZeroDivisionError

    heartbeat = Heartbeat(HeartbeatConfig(url="file:/absent"), resolve, lambda: "", lambda _: failed.set())
    heartbeat._stopping.wait = broken_clock  # type: ignore[method-assign,assignment]
    heartbeat.start()
    assert failed.wait(10)
