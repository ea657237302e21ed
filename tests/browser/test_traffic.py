"""The traffic page: charts, a shorter time by a drag, one balancer."""

from __future__ import annotations

import pytest

from obsctl.core.moments import moment
from rig.browser import Browser
from rig.console import Console
from tests.browser import steps
from tests.browser.lines import ACCESS


@pytest.fixture
def traffic(page: Browser, site: Console) -> Browser:
    """The page, as a viewer sees the last six hours of it."""
    steps.opened(page, site, "/traffic?since=6h")
    return page


def _painted(page: Browser) -> list[int]:
    """Return how many colours the canvases have."""
    found = page.run("""
        return [...document.querySelectorAll("#charts canvas")].map((canvas) => {
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          return new Set(new Uint32Array(pixels.buffer)).size;
        });
    """)
    return list(found)


def test_three_charts_and_the_tables_are_drawn(traffic: Browser) -> None:
    assert all(colours > 3 for colours in _painted(traffic))
    assert traffic.texts("#charts .u-title") == [
        "Requests per second by status",
        "Latency, seconds",
        "Bytes per second",
    ]
    assert traffic.texts("#hosts tbody a") == ["node1", "node2", "node3"]
    assert traffic.texts("#hosts tbody td:nth-child(2)") == ["1,000"] * 3
    assert traffic.one("#progress").text.startswith(f"{len(ACCESS):,} requests; as of ")


def test_a_drag_over_a_chart_is_a_shorter_time(traffic: Browser) -> None:
    plot = traffic.one("#charts .u-over")
    traffic.drag(plot, 0.5, 0.75)
    traffic.wait("another time", lambda: "until" in traffic.asked)
    asked = traffic.asked
    assert (asked["since"][-1], asked["until"][-1]) == ("Z", "Z")
    span = moment(asked["until"]) - moment(asked["since"])
    assert span.total_seconds() == pytest.approx(1.5 * 3600, rel=0.1)
    assert moment(str(traffic.one("[name=begin]").get_property("value"))) == moment(asked["since"])
    steps.settled(traffic)
    traffic.driver.back()
    traffic.wait("the time before", lambda: traffic.asked == {"since": "6h"})
    assert traffic.one("[name=since]").get_property("value") == "6h"


def test_a_balancer_is_chosen_in_the_list_and_in_the_table(traffic: Browser) -> None:
    traffic.choose("[name=host]", "node2")
    traffic.click("#go")
    traffic.wait("one balancer", lambda: traffic.texts("#hosts tbody a") == ["node2"])
    assert traffic.asked["host"] == "node2"
    traffic.choose("[name=host]", "")
    traffic.click("#go")
    traffic.wait("all balancers", lambda: len(traffic.texts("#hosts tbody a")) == 3)
    traffic.click("#hosts tbody tr:last-child a")
    traffic.wait("the last one", lambda: traffic.texts("#hosts tbody a") == ["node3"])
    assert traffic.one("[name=host]").get_property("value") == "node3"


def test_a_time_without_requests_says_so(page: Browser, site: Console) -> None:
    page.enter_as(site.logged_in())
    page.open("/traffic?since=2001-01-01T00:00:00&until=2001-01-02T00:00:00")
    page.wait("it says so", lambda: page.one("#progress").text == "No requests in this time.")


def test_what_the_api_refuses_is_said(page: Browser, site: Console) -> None:
    page.enter_as(site.logged_in())
    page.open("/traffic?since=2001-01-01T00:00:00")
    assert "at most 400 days" in page.one("#trouble").text
