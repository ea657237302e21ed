"""Kafka records to events, with the parsers of the store."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest

from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats.line import AccessLine
from obsctl.lines.line_reader import LineReader
from obsctl.query.fields import ACCESS
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate
from rig.records import marked

COMBINED = '203.0.113.9 - - [02/Jan/2026:03:04:05 +0100] "GET / HTTP/1.1" 404 12 "-" "probe"'
JSON = json.dumps({"remote_addr": "203.0.113.9", "status": 502, "msec": 1767319445.125, "method": "GET", "uri": "/"})


def value(message: str, log_format: str, *, offset: int = 0, host: str = "node1") -> bytes:
    record: dict[str, Any] = {
        "message": message,
        "host": {"name": host},
        "log": {"offset": offset},
        "fields": {"log_format": log_format, "log_input": "access"},
    }
    return json.dumps(record).encode()


def test_json_and_combined_lines_are_events() -> None:
    reader = LineReader(TrustedProxies(()))
    one = reader.event(value(JSON, "json"))
    assert one is not None
    assert isinstance(one.line, AccessLine)
    assert (one.line.client_addr, one.line.status, one.line.host, one.time) == (
        "203.0.113.9",
        502,
        "node1",
        1767319445.125,
    )
    other = reader.event(value(COMBINED, "combined"))
    assert other is not None
    assert isinstance(other.line, AccessLine)
    assert (other.line.client_addr, other.line.status, other.time) == ("203.0.113.9", 404, 1767319445.0)


def test_a_filter_finds_every_field_that_the_row_has() -> None:
    """Those that the consumer sets itself, and not the format's parser."""
    event = LineReader(TrustedProxies(())).event(value(JSON, "json", host="node7"))
    assert event is not None
    assert compile_predicate(parse("host:node7 AND log_format:json", ACCESS), ACCESS)(event.line)


def test_only_the_same_line_at_the_same_place_is_the_same() -> None:
    reader = LineReader(TrustedProxies(()))
    identities = {
        event.identity
        for event in map(
            reader.event,
            (
                value(COMBINED, "combined"),
                value(COMBINED, "combined"),
                value(COMBINED, "combined", offset=90),
                value(COMBINED, "combined", host="node2"),
                # After a rotation another line begins at the same byte.
                value(COMBINED.replace("/ ", "/other "), "combined"),
            ),
        )
        if event is not None
    }
    assert len(identities) == 4
    assert all(0 <= identity < 2**64 for identity in identities)


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", value("no line", "combined"), value(JSON, "unheard of")])
def test_what_cannot_be_read_is_counted_and_skipped(broken: bytes) -> None:
    reader = LineReader(TrustedProxies(()))
    assert reader.event(broken) is None
    assert reader.unreadable == 1


def test_the_client_behind_a_trusted_proxy_is_the_key_and_a_claim_from_elsewhere_is_not() -> None:
    line = json.dumps(
        {"remote_addr": "10.0.0.5", "x_forwarded_for": "203.0.113.9", "status": 200, "msec": 1767319445.0}
    )
    trusting = LineReader(TrustedProxies([ipaddress.ip_network("10.0.0.0/24")])).event(value(line, "json"))
    wary = LineReader(TrustedProxies(())).event(value(line, "json"))
    assert trusting is not None
    assert wary is not None
    assert (trusting.line.client_addr, wary.line.client_addr) == ("203.0.113.9", "10.0.0.5")


@pytest.mark.parametrize(
    ("log_format", "line"),
    [
        *(
            ("json", json.dumps({"remote_addr": "203.0.113.9", "status": 404, "msec": 1767319445.0, name: text}))
            for name in ("host", "method", "remote_user", "protocol", "uri", "user_agent", "client_request_id")
            for text in ("x" * 300, "x" * 70_000)
        ),
        ("json", '{"remote_addr":"203.0.113.9","status":404,"msec":1767319445,"user_agent":"say \\x22x\\x22"}'),
        ("combined", COMBINED.replace("- -", "- " + "u" * 300)),
        ("combined", COMBINED.replace("- -", "- a[b")),
        ("combined", COMBINED.replace("GET", "M" * 40)),
        ("combined", COMBINED.replace("probe", "x" * 70_000)),
        ("combined", "h" * 279 + ".example.com " + COMBINED),
        ("combined", COMBINED + ' rt=0.010 urt="0.010"'),
    ],
)
def test_a_request_with_a_long_or_odd_text_of_its_client_is_counted(log_format: str, line: str) -> None:
    """Or a flood with a long Host would be invisible to the rules."""
    reader = LineReader(TrustedProxies(()))
    event = reader.event(value(line, log_format))
    assert event is not None
    request = event.line
    assert isinstance(request, AccessLine)
    assert (request.client_addr, request.status, event.time) == ("203.0.113.9", 404, 1767319445.0)
    assert reader.unreadable == 0


def test_a_long_forwarded_list_does_not_hide_the_client() -> None:
    """What the trusted proxies added stands at the end; what the client sent may be of any length."""
    line = json.dumps(
        {
            "remote_addr": "10.0.0.5",
            "x_forwarded_for": "192.0.2.66, " * 10_000 + "203.0.113.9, 10.0.0.6",
            "status": 200,
            "msec": 1767319445.0,
        }
    )
    event = LineReader(TrustedProxies([ipaddress.ip_network("10.0.0.0/24")])).event(value(line, "json"))
    assert event is not None
    assert event.line.client_addr == "203.0.113.9"


def test_a_prefix_is_no_client() -> None:
    reader = LineReader(TrustedProxies(()))
    assert reader.event(value(f"<190>Oct 14 01:44:15 web1 nginx: {COMBINED}", "combined")) is None
    assert reader.unreadable == 1


def test_an_error_line_counts_at_its_own_time_in_the_balancers_zone() -> None:
    line = "2026/01/02 11:04:05 [error] 7#7: *1 upstream timed out, client: 192.0.2.1, server: s"
    event = LineReader(TrustedProxies(()), "Asia/Shanghai").event(value(line, "error"))
    assert event is not None
    assert (event.time, event.line.host) == (1767323045.0, "node1")


def test_a_probe_is_no_event_and_no_fault() -> None:
    reader = LineReader(TrustedProxies(()))
    assert reader.event(value(marked(JSON, "probe-0123456789ab"), "json")) is None
    assert reader.unreadable == 0


def test_a_request_of_a_test_has_its_mark_and_every_other_one_none() -> None:
    reader = LineReader(TrustedProxies((ipaddress.ip_network("203.0.113.9/32"),)))
    line = JSON.replace("{", '{"x_forwarded_for": "198.51.100.7", ', 1)
    test = reader.event(value(marked(line, "0123456789ab"), "json"))
    plain = reader.event(value(line, "json", offset=300))
    assert test is not None
    assert plain is not None
    assert (test.mark, plain.mark) == ("0123456789ab", "")
    assert test.line == plain.line, "host and client are found in the same way"
    assert reader.unreadable == 0


def test_a_line_alone_is_that_of_the_event_and_no_test_or_probe() -> None:
    reader = LineReader(TrustedProxies((ipaddress.ip_network("203.0.113.9/32"),)))
    line = JSON.replace("{", '{"x_forwarded_for": "198.51.100.7", ', 1)
    event = reader.event(value(line, "json"))
    assert event is not None
    assert reader.line(value(line, "json")) == event.line
    assert event.line.client_addr == "198.51.100.7"
    for mark in ("probe-0123456789ab", "0123456789ab"):
        assert reader.line(value(marked(line, mark), "json")) is None
    assert reader.unreadable == 0
    assert reader.line(b"no record") is reader.line(value(JSON, "unknown")) is None
    assert reader.unreadable == 2
