"""What holds for every format: whatever a line is, it is read into its columns or refused in words.

And a client cannot choose a text that keeps its request from being read: it would not be counted.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from obsctl.lines.formats import registry
from obsctl.lines.formats.line import (
    NUMBER_MAX,
    SECONDS_MAX,
    STATUS_MAX,
    Absent,
    AccessLine,
    ErrorLine,
    Line,
    LineError,
    widths,
)

FORMATS = registry.formats(error_log_timezone="Europe/Berlin")
GOLDEN = Path(__file__).parents[2] / "contract" / "lines" / "golden"
REASONS = {"parse", "time", "client", "field_range"}
WIDTHS = {line: widths(line) for line in (AccessLine, ErrorLine)}
LEVEL_LENGTH = 16
#: A line of JSON may be cut within these as well.
NUMBERS = ("status", "bytes", "request_length", "request_time")


def assert_fits(line: Line) -> None:
    for name, width in WIDTHS[type(line)].items():
        value = getattr(line, name)
        assert type(value) is str, name
        value.encode()  # no half of a surrogate pair
        if width.bytes:
            assert len(value.encode()) <= width.bytes, name
        else:
            assert len(value) <= width.characters, name
    assert len(line.cut_fields) <= 255
    assert set(filter(None, line.cut_fields.split(","))) <= {*WIDTHS[type(line)], *NUMBERS}
    if isinstance(line, AccessLine):
        assert 0 <= line.status <= STATUS_MAX
        assert 0 <= line.bytes <= NUMBER_MAX
        assert isinstance(line.request_length, Absent) or 0 <= line.request_length <= NUMBER_MAX
        assert isinstance(line.request_time, Absent) or 0 <= line.request_time <= SECONDS_MAX
        assert line.client_addr
    else:
        assert len(line.level) <= LEVEL_LENGTH
        assert max(line.pid, line.tid) <= NUMBER_MAX
    assert len(line.ts) == len("2026-01-02 03:04:05.678")
    assert "1970" <= line.ts[:4] <= "2099"


def mutated(rand: random.Random, line: str, pieces: list[str]) -> str:
    for _ in range(rand.randint(1, 4)):
        at, to = sorted((rand.randrange(len(line) + 1), rand.randrange(len(line) + 1)))
        if to - at > 12 and rand.random() < 0.8:
            to = at + rand.randint(0, 12)
        kind = rand.random()
        if kind < 0.5:
            line = line[:at] + rand.choice(pieces) * rand.choice((1, 1, 1, 2, 300)) + line[to:]
        elif kind < 0.7:
            line = line[:at] + line[to:]
        elif kind < 0.8:
            line = line[:to]
        elif kind < 0.9:
            line = line[:at] + line[at:to] * rand.choice((2, 40)) + line[to:]
        else:
            line = line[:at] + chr(rand.choice((0, 9, 13, 34, 92, 0xFF11, 0x0661, 0x1F600, 0xFEFF, 0x2028))) + line[at:]
    return line[:200_000]


PIECES = [
    *('"', "'", "\\", "\\x22", "\\xC3", "\\u0000", "[", "]", "{", "}", ",", ", ", ":", " : ", " ", "-", " - ", "|"),
    *("0", "9", "-1", "1_0", "1e9", "9" * 20, "null", "true", "NaN", "203.0.113.9", "2001:db8::7", "unix:", "\t"),
    *("HTTP/1.1", "GET ", ", client: ", ", server: ", ', request: "', '", host: "', "[04/Oct/2022:01:44:15 +0200]"),
    *("é", "中"),
]


def golden_lines(name: str) -> list[str]:
    return [json.loads(text)["line"] for text in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]


def parsed(name: str, line: str) -> Line | LineError:
    try:
        return FORMATS[name](line)
    except LineError as error:
        return error


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.timeout(120)
def test_any_line_is_read_into_its_columns_or_refused(name: str) -> None:
    rand = random.Random(name)  # noqa: S311  the same lines each time
    lines = golden_lines(name)
    read = 0
    for _ in range(20_000):
        line = mutated(rand, rand.choice(lines), PIECES)
        found = parsed(name, line)
        if isinstance(found, LineError):
            assert found.reason in REASONS, line
            assert found.detail
        else:
            assert_fits(found)
            read += 1
    assert read > 100, "the changes leave some lines whole"


CHOSEN = [
    *(
        "x" * 300,
        "x" * 70_000,
        "😀" * 20_000,
        "a b",
        " ",
        "-",
        "- x",
        "- - [x]",
        "a[b",
        "]",
        "[",
        "é",
        "\ufffd",
        "\u2028",
    ),
    *("[04/Oct/2022:01:44:15 +0200]", "192.0.2.66", "192.0.2.66 - -", "x, client: 192.0.2.66, server: a", "<190>Oct"),
    *("Oct 14 web1 nginx: 192.0.2.66", "null", "0", "\x7f", "," * 300, ", ", "a, b", ":", "'", "{", "}", "|"),
    *("\\", "\\x", "\\xZZ", "\\\\"),
]
QUOTED = [*CHOSEN, '"', '" 200 1 "-" "-"', '] "GET / HTTP/1.1"', 'say "x"']


def combined_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield lines as nginx and Apache write them, with the text in each place that a client chooses."""
    for escape in (nginx_escape, apache_escape):
        chosen = escape(text)
        user = chosen if chosen.strip() else "-"
        for before in ("", "www.example.com ", "www.example.com:443 "):
            yield f"user behind {before!r}", combined(user=user, before=before)
        if chosen and chosen.isprintable() and " " not in chosen:
            yield "virtual host", combined(before=f"{chosen} ")
        yield "request", combined(request=chosen)
        yield "target", combined(request=f"GET /{chosen} HTTP/1.1")
        yield "method", combined(request=f"{chosen} / HTTP/1.1")
        yield "protocol", combined(request=f"GET / {chosen}")
        yield "referer", combined(referer=chosen)
        yield "agent", combined(agent=chosen)
        yield "X-Forwarded-For", combined(after=f' "{chosen}"')
        yield "appended, in quotes", combined(after=f' "-" rt=0.1 host="{chosen}" x')


def combined(
    *,
    user: str = "-",
    before: str = "",
    request: str = "GET / HTTP/1.1",
    referer: str = "-",
    agent: str = "ua",
    after: str = "",
) -> str:
    time = "[04/Oct/2022:01:44:15 +0200]"
    return f'{before}203.0.113.9 - {user} {time} "{request}" 200 1 "{referer}" "{agent}"{after}'


def nginx_escape(text: str) -> str:
    """Return what nginx's default escape makes of a text."""
    return "".join(
        c if 32 <= ord(c) < 127 and c not in '"\\' else "".join(f"\\x{byte:02X}" for byte in c.encode()) for c in text
    )


def apache_escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\x7f", "\\x7f")


@pytest.mark.parametrize("text", QUOTED, ids=lambda text: repr(text[:20]))
def test_no_text_of_a_client_hides_a_combined_line(text: str) -> None:
    for place, line in combined_lines(text):
        found = FORMATS["combined"](line)
        assert isinstance(found, AccessLine)
        assert (found.client_addr, found.status, found.ts) == ("203.0.113.9", 200, "2022-10-03 23:44:15.000"), place
        assert_fits(found)


JSON_TEXTS = (
    "x_forwarded_for",
    "remote_user",
    "client_request_id",
    "host",
    "method",
    "uri",
    "protocol",
    "referer",
    "user_agent",
)


@pytest.mark.parametrize("escape", [lambda text: json.dumps(text)[1:-1], nginx_escape], ids=["json", "default"])
@pytest.mark.parametrize("text", QUOTED, ids=lambda text: repr(text[:20]))
def test_no_text_of_a_client_hides_a_json_line(text: str, escape: Callable[[str], str]) -> None:
    for name in JSON_TEXTS:
        line = f'{{"msec":1664840655.123,"remote_addr":"203.0.113.9","status":200,"{name}":"{escape(text)}"}}'
        found = FORMATS["json"](line)
        assert isinstance(found, AccessLine)
        assert (found.client_addr, found.status, found.ts) == ("203.0.113.9", 200, "2022-10-03 23:44:15.123"), name
        assert_fits(found)
        field = {"host": "vhost"}.get(name, name)
        if field not in found.cut_fields.split(","):
            assert getattr(found, field) == text, name


@pytest.mark.parametrize("escape", [lambda text: json.dumps(text)[1:-1], nginx_escape], ids=["json", "default"])
def test_a_json_line_that_a_shipper_cut_is_read_up_to_there(escape: Callable[[str], str]) -> None:
    """Control characters in a few headers make a line longer than a shipper takes (160 KiB)."""
    fields = {"msec": 1664840655.123, "remote_addr": "203.0.113.9", "host": "a", "status": 404, "bytes": 12}
    texts = {"referer": 'say "x", {y}: \\', "user_agent": "é\1", "upstream_addr": "10.0.0.1:80"}
    whole = json.dumps(fields)[:-1] + "".join(f', "{name}": "{escape(text)}"' for name, text in texts.items())
    begins = whole.index('"bytes"')
    assert isinstance(parsed("json", whole[: begins - 2]), LineError), "the status may have lost digits"
    for end in range(begins, len(whole)):
        found = FORMATS["json"](whole[:end])
        assert isinstance(found, AccessLine)
        assert (found.client_addr, found.status, found.ts) == ("203.0.113.9", 404, "2022-10-03 23:44:15.123")
        assert found.bytes in {0, 12}, "no number is read that may have lost digits"
        for name, text in texts.items():
            assert getattr(found, name) in {"", text}
        assert_fits(found)
    assert FORMATS["json"](whole[: whole.index('"user_agent"') + len('"user_agent": "')]).cut_fields == "user_agent"


@pytest.mark.parametrize("escape", [nginx_escape, apache_escape])
def test_a_combined_line_that_a_shipper_cut_is_read_up_to_there(escape: Callable[[str], str]) -> None:
    """Nothing is read that may have lost its end, but for the text that cut_fields names."""
    texts = [escape('http://b/?"[x] {y}: \\'), escape('say "x" \\')]
    forwarded = "198.51.100.4, 10.0.0.9"
    numbers = '203.0.113.9 - - [04/Oct/2022:01:44:15 +0200] "GET /a HTTP/1.1" 404 12'
    whole = f'{numbers} "{texts[0]}" "{texts[1]}" "{forwarded}" rt=0.010 uct="0.000 x" host="a"'
    for end in range(len(numbers) + 2, len(whole)):
        found = parsed("combined", whole[:end])
        if isinstance(found, LineError):
            assert whole[:end].startswith(f'{numbers} "{texts[0]}" "{texts[1]}" "'), whole[:end]
            assert f'"{forwarded}"' not in whole[:end], "only X-Forwarded-For must be whole"
            continue
        assert isinstance(found, AccessLine)
        assert (found.client_addr, found.status, found.bytes, found.uri) == ("203.0.113.9", 404, 12, "/a")
        assert found.x_forwarded_for in {"", forwarded}
        cut = found.cut_fields
        for name, text in zip(("referer", "user_agent"), texts, strict=True):
            value = getattr(found, name)
            assert value == text or (name == cut and text.startswith(value)) or (cut == "referer" and not value)
        assert bool(cut) == (not whole[:end].strip().startswith(f'{numbers} "{texts[0]}" "{texts[1]}"'))


@pytest.mark.parametrize(
    "cut", ['{"msec":1', '{"status":200,', "{", '{"a":{"b":1},"msec"', '{"msec":1664840655.123,"remote_addr":"x y",']
)
def test_the_beginning_of_a_json_line_without_what_it_needs_is_refused(cut: str) -> None:
    assert isinstance(parsed("json", cut), LineError)


@pytest.mark.parametrize("place", ["uri", "host", "referrer"])
@pytest.mark.parametrize("text", CHOSEN, ids=lambda text: repr(text[:20]))
def test_no_text_of_a_client_hides_an_error_line(text: str, place: str) -> None:
    values: dict[str, Any] = {"uri": "/", "host": "a", "referrer": "b"} | {place: text}
    line = (
        "2022/10/04 01:44:15 [error] 20#20: *7 limiting requests, client: 203.0.113.9, server: a.example.com,"
        ' request: "GET {uri} HTTP/1.1", host: "{host}", referrer: "{referrer}"'.format_map(values)
    )
    for whole in (line, line.encode()[:2047].decode(errors="replace")):
        found = FORMATS["error"](whole)
        assert isinstance(found, ErrorLine)
        assert (found.client_addr, found.server_name) == ("203.0.113.9", "a.example.com")
        assert_fits(found)
