"""The compiled predicate: which lines fit, and that no text of a filter becomes a program."""

from __future__ import annotations

import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.lines.formats.line import ABSENT, AccessLine, ErrorLine
from obsctl.query import predicate
from obsctl.query.fields import ACCESS, ERROR
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate
from obsctl.query.tree import Node
from tests.unit.query.trees import trees

NOW = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC)
LINE = AccessLine(
    "2026-03-10 11:55:00.000",
    "10.1.2.3",
    502,
    1000,
    method="GET",
    uri="/api/v1/Users?id=5",
    user_agent="Mozilla/5.0 SQLmap",
    vhost="www.example.com",
    request_time=0.25,
    upstream_addr="10.0.0.1:8080, 10.0.0.2:8080 : unix:/run/app",
    upstream_status="502, - : 504",
    upstream_response_time="0.100, - : 0.150",
    x_forwarded_for="198.51.100.1,198.51.100.2",
    scheme="https",
    ssl_protocol="TLSv1.2",
    cut_fields="uri,referer",
    host="node1",
)
ERROR_LINE = ErrorLine(
    "2026-03-10 11:55:00.000", "crit", 10, 11, "Connect() failed (111: refused)", client_addr="2001:db8::7"
)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("*", True),
        (r"status:[500 TO 599] AND uri:\/api* AND NOT client_addr:10.0.0.0\/8", False),
        (r"status:[500 TO 599] AND uri:\/api* AND NOT client_addr:192.0.2.0\/24", True),
        ("status:{502 TO 599}", False),
        ("status:[* TO 502}", False),
        ("status:<=502", True),
        ("method:GET", True),
        ("method:get", False),
        ("method:G?T", True),
        ("method:(POST OR PUT OR G*)", True),
        ("uri:*users*", False),
        ("uri:*Users?id=5", True),
        ("uri:/api/*/Users*", True),
        ("users", True),
        ("USERS sqlMAP", True),
        ('"v1/users?id"', True),
        ("www.EXAMPLE.com 10.1.2.3", True),
        ("node1", False),
        ("host:node1", True),
        ("request_time:>=0.25", True),
        ("request_time:{0.25 TO 1]", False),
        ("request_length:>0 OR request_length:<=0", False),
        ("NOT request_length:>0", True),
        ("request_length:*", False),
        ("client_addr:[10.1.2.0 TO 10.1.2.255]", True),
        ("client_addr:<10.1.2.4", True),
        ("client_addr:2001:db8::/32", False),
        ("client_addr:::ffff:10.1.2.3", True),
        ("client_addr:localhost", False),
        ("proxy_addr:*", False),
        ("upstream_addr:10.0.0.2:8080", True),
        ("upstream_addr:10.0.0.2", False),
        ("upstream_addr:10.0.0.2*", True),
        ('upstream_addr:"unix:/run/app"', True),
        ("upstream_status:504", True),
        ("upstream_status:[500 TO 503]", True),
        ("upstream_status:200", False),
        ("upstream_response_time:>0.1", True),
        ("upstream_response_time:>0.15", False),
        ("upstream_connect_time:>=0", False),
        ("x_forwarded_for:198.51.100.2", True),
        ("scheme:https AND NOT ssl_protocol:TLSv1.3", True),
        ("scheme:http", False),
        ("ssl_cipher:*", False),
        ("cut_fields:referer", True),
        ("ts:>=now-5m", True),
        ("ts:>now-5m", False),
        ("ts:[2026-03-10T19:55:00+08:00 TO now]", True),
        ("ts:2026-03-10T11:55Z", True),
    ],
)
def test_a_line_fits(text: str, fits: bool) -> None:
    assert compile_predicate(parse(text, ACCESS), ACCESS, lambda: NOW)(LINE) is fits


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("level:>=error", True),
        ("level:{crit TO emerg]", False),
        ("level:CRIT", True),
        ("client_addr:2001:DB8:0::7", True),
        ('"connect() FAILED"', True),
        ("message:connect*", False),
        ("connection_id:*", False),
        ("pid:10 tid:>10", True),
    ],
)
def test_an_error_line_fits(text: str, fits: bool) -> None:
    assert compile_predicate(parse(text, ERROR), ERROR)(ERROR_LINE) is fits


def test_the_present_moment_is_asked_for_each_line() -> None:
    times = iter([NOW, NOW + datetime.timedelta(seconds=1)])
    recent = compile_predicate(parse("ts:>=now-5m", ACCESS), ACCESS, lambda: next(times))
    assert [recent(LINE), recent(LINE)] == [True, False]


@pytest.mark.parametrize("value", [ABSENT, 0.0])
def test_an_absent_number_fits_no_comparison(value: float) -> None:
    line = msgspec.structs.replace(LINE, request_time=value)
    texts = ["request_time:0", "request_time:>=0", "request_time:<=1", "request_time:[0 TO 1]", "request_time:*"]
    for text in texts:
        tree = parse(text, ACCESS)
        assert compile_predicate(tree, ACCESS)(line) is (value is not ABSENT)


@given(trees(ACCESS))
def test_an_answer_is_true_or_false(tree: Node) -> None:
    assert compile_predicate(tree, ACCESS, lambda: NOW)(LINE) in (True, False)
    assert isinstance(compile_predicate(tree, ACCESS, lambda: NOW)(LINE), bool)


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()), st.data())
def test_what_a_person_wrote_is_no_part_of_the_program(text: str, data: st.DataObject) -> None:
    """Whatever is written, the program is the same, and only its constants differ."""
    quoted = '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
    field = data.draw(st.sampled_from(["uri", "method", "upstream_addr", ""]))
    prefix = f"{field}:" if field else ""
    programs = {
        compile_predicate(parse(f"{prefix}{value}", ACCESS), ACCESS).__code__.co_code for value in (quoted, '"x"')
    }
    assert len(programs) == 1


def test_the_program_can_name_nothing_of_python() -> None:
    names = compile_predicate(parse("a AND uri:b*c*d AND upstream_status:5", ACCESS), ACCESS).__globals__
    assert set(names["__builtins__"]) == {"any", "len"}


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    fits = compile_predicate(parse("client_addr:10.0.0.0/8", ACCESS), ACCESS)
    for number in range(predicate._CACHE_SIZE + 10):
        line = msgspec.structs.replace(LINE, client_addr=f"10.1.{number >> 8}.{number & 255}")
        assert fits(line)
    assert len(predicate._ADDRESSES) <= predicate._CACHE_SIZE
