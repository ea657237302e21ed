"""Alerts about the pipeline itself: a page that goes away and comes back, a channel that fails, and a real process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from obsctl.core import serve
from rig.kafka import KafkaNode
from rig.ports import free_port
from rig.vendor import Vendor, serving
from rig.waiting import wait_for
from tests.integration.test_alerter import Watch, settled


class Page:
    """The page of a consumer that is started, stopped, and shows what the test says."""

    def __init__(self) -> None:
        self.port = free_port()
        self.behind = 0.0
        self._server: serve.Server | None = None

    def start(self) -> None:
        self._server = serve.Server("127.0.0.1", self.port, health=lambda: serve.Health(True, b""), metrics=self._text)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
        self._server = None

    def _text(self) -> str:
        return serve.exposition("obsctl_consumer", [serve.single("behind_seconds", "gauge", "Behind.", self.behind)])


def rule(name: str, metric: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "kind": "metric", "metric": metric, "resolve_after_s": 2, **options}


def configured(watch: Watch, page: Page, *rules: dict[str, Any], channels: list[dict[str, Any]] | None = None) -> None:
    """Have the alerter read the page each second, and report each alert by itself."""
    config = yaml.safe_load(watch._config.read_text())
    config["rules"] += rules
    config["metrics"] = {
        "every_s": 1,
        "sources": [{"name": "consumer-app1", "url": f"http://127.0.0.1:{page.port}/metrics"}],
    }
    config["channels"] += channels or []
    (route,) = config["notifications"]["routes"]
    route["channels"] = [channel["name"] for channel in config["channels"]]
    route["group_by"] = ["rule"]
    watch._config.write_text(yaml.safe_dump(config))


@pytest.fixture
def watch(kafka: KafkaNode, tmp_path: Path) -> Iterator[Watch]:
    with serving() as vendor:
        made = Watch(kafka, tmp_path, vendor)
        yield made
        made.kill()


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    made.start()
    yield made
    made.stop()


def test_a_page_that_goes_away_is_reported_and_so_is_its_return_over_a_restart(watch: Watch, page: Page) -> None:
    configured(watch, page, rule("source-down", "up", below=1, for_s=2))
    watch.start()
    wait_for(watch.log, lambda: watch.health()["sources"] == {"consumer-app1": ""})
    page.stop()
    settled(watch, ["[FIRING] source-down consumer-app1"])
    assert watch.health()["sources"] == {"consumer-app1": "nothing listens there"}
    watch.kill()
    watch.start()
    time.sleep(3)
    assert watch.titles() == ["[FIRING] source-down consumer-app1"], "neither again, nor over"
    page.start()
    settled(watch, ["[FIRING] source-down consumer-app1", "[RESOLVED] source-down consumer-app1"])


def test_a_restart_of_the_consumer_wakes_nobody(watch: Watch, page: Page) -> None:
    configured(watch, page, rule("source-down", "up", below=1, for_s=6))
    watch.start()
    page.stop()
    wait_for(watch.log, lambda: watch.health()["firing"] == 1)
    page.start()
    wait_for(watch.log, lambda: watch.health()["firing"] == 0)
    time.sleep(5)
    assert watch.titles() == []


def test_a_number_beyond_its_limit_is_reported_while_no_line_comes(watch: Watch, page: Page) -> None:
    configured(watch, page, rule("behind", "obsctl_consumer_behind_seconds", above=120, resolve_above=30))
    watch.start()
    page.behind = 600
    settled(watch, ["[FIRING] behind consumer-app1"])
    assert "obsctl_consumer_behind_seconds 600" in watch.vendor.received[0].body["markdown"]["text"]
    page.behind = 60
    time.sleep(4)
    assert len(watch.titles()) == 1
    page.behind = 0
    settled(watch, ["[FIRING] behind consumer-app1", "[RESOLVED] behind consumer-app1"])


def test_a_channel_that_cannot_deliver_is_reported_over_another_one(watch: Watch, page: Page) -> None:
    watch.vendor.status = 503
    with serving() as other:
        hook = {"name": "hook", "type": "webhook", "url": other.url}
        unable = rule("channel-cannot-deliver", "obsctl_alerter_channel_unable_seconds", by=["channel"], above=3)
        configured(watch, page, unable, rule("behind", "obsctl_consumer_behind_seconds", above=120), channels=[hook])
        watch.start()
        page.behind = 600
        wait_for(
            lambda: f"{titles(other)}\n{watch.log()}",
            lambda: "[FIRING] channel-cannot-deliver ops" in titles(other),
        )
        assert "[FIRING] channel-cannot-deliver hook" not in titles(other)
        watch.vendor.status = 200
        wait_for(
            lambda: f"{titles(other)}\n{watch.log()}",
            lambda: "[RESOLVED] channel-cannot-deliver ops" in titles(other),
            seconds=60,
        )


def titles(vendor: Vendor) -> list[str]:
    return [request.body["title"].partition(": ")[0] for request in vendor.received]
