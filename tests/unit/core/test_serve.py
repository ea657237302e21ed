"""The page that both daemons serve: its text format, its answers, and clients that say nothing."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from obsctl.core import serve
from obsctl.core.serve import Health, Sample, Server, by_label, exposition, histogram, single


def test_numbers_keep_all_their_digits_and_the_unknown_has_no_sample() -> None:
    text = exposition(
        "obsctl_x", [single("seen_total", "counter", "Seen.", 12_345_678), single("lag", "gauge", "L.", None)]
    )
    assert text == (
        "# HELP obsctl_x_seen_total Seen.\n# TYPE obsctl_x_seen_total counter\nobsctl_x_seen_total 12345678\n"
        "# HELP obsctl_x_lag L.\n# TYPE obsctl_x_lag gauge\n"
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb"), ('\\"\n', r"\\\"\n"), ("日志", "日志"), ("{},=", "{},=")],
)
def test_what_would_end_a_label_is_escaped(value: str, written: str) -> None:
    text = exposition("p", [by_label("x", "gauge", "X.", "rule", {value: 1})])
    assert text.splitlines()[-1] == f'p_x{{rule="{written}"}} 1'


def test_a_help_text_stays_on_its_line() -> None:
    assert exposition("p", [single("x", "gauge", "one\ntwo \\ three", None)]).splitlines() == [
        r"# HELP p_x one\ntwo \\ three",
        "# TYPE p_x gauge",
    ]


def test_a_histograms_buckets_add_up() -> None:
    metric = histogram("took_seconds", "T.", (0.1, 1.0), [2, 0, 3], 7.5)
    assert exposition("p", [metric]).splitlines()[2:] == [
        'p_took_seconds_bucket{le="0.1"} 2',
        'p_took_seconds_bucket{le="1.0"} 2',
        'p_took_seconds_bucket{le="+Inf"} 5',
        "p_took_seconds_sum 7.5",
        "p_took_seconds_count 5",
    ]
    assert metric.samples[0] == Sample(2, {"le": "0.1"}, "_bucket")


class Page:
    """A page whose health a test changes."""

    def __init__(self) -> None:
        self.answer: Health | Exception = Health(True, b'{"status":"ok"}')
        self.server = Server("127.0.0.1", 0, health=self._health, metrics=lambda: "p_x 1\n")

    def _health(self) -> Health:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def get(self, path: str) -> Any:
        return urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=5)


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    yield made
    made.server.stop()


def test_both_pages_and_nothing_else(page: Page) -> None:
    with page.get("/health?x=1") as answer:
        assert json.load(answer) == {"status": "ok"}
    with page.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.read() == b"p_x 1\n"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page.get("/")


def test_not_well_is_503_with_the_same_body(page: Page) -> None:
    page.answer = Health(False, b'{"status":"failing"}')
    with pytest.raises(urllib.error.HTTPError) as refused:
        page.get("/health")
    assert (refused.value.code, refused.value.read()) == (503, b'{"status":"failing"}')


def test_a_page_that_cannot_be_made_is_neither_well_nor_gone(page: Page) -> None:
    page.answer = ValueError("secret inside")
    with pytest.raises(urllib.error.HTTPError) as refused:
        page.get("/health")
    assert refused.value.code == 500
    assert b"secret" not in refused.value.read()


def test_a_client_that_says_nothing_is_hung_up_on(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve._Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", page.server.port), timeout=5) as client:
        assert client.recv(1) == b""


def test_a_taken_port_is_an_error_and_a_stopped_server_releases_its_own(page: Page) -> None:
    with pytest.raises(OSError, match="in use"):
        Server("127.0.0.1", page.server.port, health=page._health, metrics=str)
    again = Server("127.0.0.1", 0, health=page._health, metrics=str)
    again.stop()
    Server("127.0.0.1", again.port, health=page._health, metrics=str).stop()


def test_ipv6_addresses_are_served_too(page: Page) -> None:
    try:
        server = Server("::1", 0, health=page._health, metrics=str)
    except OSError:
        pytest.skip("this machine has no IPv6")
    server.stop()
