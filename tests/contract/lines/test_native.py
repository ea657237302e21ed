"""The native module gives the answers of the Python code, byte for byte, or leaves a record to it.

``OBSCTL_NATIVE_LINES`` is the number of generated records (20,000); ``OBSCTL_NATIVE=required`` fails where the module
is absent, instead of skipping.
"""

from __future__ import annotations

import gzip
import importlib
import ipaddress
import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obsctl.consumer.assembler import Assembler
from obsctl.consumer.native import NOTICE, Native, find
from obsctl.consumer.telemetry import Telemetry
from obsctl.kafka.partition import TopicPartition
from obsctl.lines import native as native_module
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats import nginx_json, registry
from obsctl.lines.formats.line import AccessLine
from obsctl.lines.line_reader import LineReader
from obsctl.lines.native import UnavailableError
from obsctl.store import rollup
from obsctl.store.batch import Batch, Run, Source
from obsctl.store.encoded import EncodedLines, identities
from obsctl.store.mysql import rows
from rig.records import as_shipped, json_line, marked, record
from tests.contract.lines.test_golden_lines import GOLDEN
from tests.integration.poison import POISON

FORMATS = registry.formats(error_log_timezone="Europe/Berlin")
PARTS = [TopicPartition("nginxlog", number) for number in range(3)]
SOURCES = {part: Source(number, "cluster") for number, part in enumerate(PARTS, 7)}
PROXIES = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "192.0.2.128/25", "2001:db8::/32", "fd00::1/128")]
LINES = int(os.environ.get("OBSCTL_NATIVE_LINES", "20000"))
#: Generated records of a batch: enough for equal lines, few enough to be shown when one fails.
TOGETHER = 25


def _native(proxies: TrustedProxies, telemetry: Telemetry | None = None) -> Native:
    try:
        return Native(FORMATS, proxies, telemetry or Telemetry())
    except UnavailableError as error:
        if os.environ.get("OBSCTL_NATIVE") == "required":
            raise
        pytest.skip(f"the native module: {error}; obsctl artifacts build makes its wheel")


class Ways(NamedTuple):
    """What reads in Python alone, and what reads the same with the native module.

    Attributes:
        assemblers: the consumer's.
        readers: the alerter's.
    """

    assemblers: tuple[Assembler, Assembler]
    readers: tuple[LineReader, LineReader]


@pytest.fixture(scope="module", params=[False, True], ids=["no proxies", "trusted proxies"])
def ways(request: pytest.FixtureRequest) -> Ways:
    """The two ways."""
    proxies = TrustedProxies(PROXIES if request.param else ())
    assemblers = Assembler(FORMATS, proxies), Assembler(FORMATS, proxies, _native(proxies))
    return Ways(assemblers, (LineReader(proxies, "Europe/Berlin"), LineReader(proxies, "Europe/Berlin", native=True)))


def answer(batch: Batch) -> dict[str, Any]:
    """Return all that the store gets of a batch."""
    access = batch.access
    minutes = access.minutes if isinstance(access, EncodedLines) else rollup.count(access)
    return {
        "rows": rows.arrays(access).split(b"\n"),
        "literals": rows.line_rows(access),
        "identities": identities(access),
        "rollups": sorted(rows.rollup_rows(minutes)),
        "hours": rows.rollup_rows(rollup.hours(minutes)),
        "rest": (batch.errors, batch.quarantined, batch.steps, batch.repeated, batch.tests, batch.newest_event),
    }


def same(ways: Ways, runs: Sequence[Run]) -> Batch:
    """Compare the two answers and return the native batch."""
    same_events(ways.readers, [value or b"" for run in runs for value in run.values])
    return same_batch(ways.assemblers, runs)


def same_events(readers: tuple[LineReader, LineReader], values: Sequence[bytes]) -> None:
    """Compare what rules are given."""
    python, native = (reader.events(values) for reader in readers)
    # Of numbers the text as well: 0 equals 0.0.
    assert [repr(event) for event in native] == [repr(event) for event in python]
    assert readers[0].unreadable == readers[1].unreadable
    assert readers[1].read_by == "native module"


def same_batch(assemblers: tuple[Assembler, Assembler], runs: Sequence[Run]) -> Batch:
    """Compare what the store gets and return the native batch."""
    expected = {run.part: 0 for run in runs}
    python, native = (assembler.assemble(runs, SOURCES, expected) for assembler in assemblers)
    wanted, got = answer(python), answer(native)
    for name, value in wanted.items():
        assert got[name] == value, name
    assert isinstance(native.access, EncodedLines), "the module failed, and Python read the batch"
    assert list(native.access) == list(python.access)
    return native


def run_of(values: Sequence[bytes | None], first: int = 100, partition: int = 0) -> Run:
    return Run(PARTS[partition], first, list(values))


# -- usual lines


def nginx_line(number: int, **changes: str) -> str:
    """Return a JSON line as nginx writes it: no blanks, three decimals. Values are written as they are given."""
    fields = {
        "time": '"2026-03-10T12:00:00+01:00"',
        "msec": f"{1773144000 + number // 9}.{number % 1000:03d}",
        "remote_addr": '"198.51.100.7"' if number % 3 else '"2001:db8::7"',
        "x_forwarded_for": '""',
        "remote_user": '""',
        "request_id": f'"{number:032x}"',
        "client_request_id": f'"c-{number}"',
        "host": '"www.example.com"',
        "method": '"GET"',
        "uri": f'"/page/{number}?q=1"',
        "protocol": '"HTTP/1.1"',
        "status": str((200, 304, 404, 502)[number % 4]),
        "bytes": str(number * 7),
        "request_length": "120",
        "request_time": f"{number % 40}.{number * 37 % 1000:03d}",
        "referer": '"https://example.com/\u00fc"',
        "user_agent": r'"a \"quoted\" agent\\"',
        "upstream_addr": '"10.0.0.1:8080, 10.0.0.2:8080"',
        "upstream_status": '"502, 200"',
        "upstream_response_time": '"0.003, 0.100"',
        "upstream_connect_time": '"0.001, 0.001"',
        "scheme": '"https"',
        "ssl_protocol": '"TLSv1.3"',
        "ssl_cipher": '"TLS_AES_256_GCM_SHA384"',
        "server": '"node1"',
    } | changes
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def combined_line(number: int, **changes: str) -> str:
    parts = {
        "addr": "203.0.113.9",
        "user": "-",
        "time": f"[10/Mar/2026:12:{number // 60 % 60:02d}:{number % 60:02d} +0100]",
        "request": f'"GET /a/b{number}.png?x=1 HTTP/1.1"',
        "status": "200",
        "bytes": str(number),
        "rest": '"https://example.com/" "Mozilla/5.0 (X11)"',
    } | changes
    return "{addr} - {user} {time} {request} {status} {bytes} {rest}".format(**parts).rstrip(" ")


def combined(line: str, offset: int, host: str = "node1") -> bytes:
    return record(line, offset, log_format="combined", log_input="replay", host=host)


def test_usual_lines_are_taken(ways: Ways) -> None:
    hosts = ["node1", "node2", "b\u00fcro"]
    values = [record(nginx_line(n), n * 300, host=hosts[n % 3]) for n in range(400)]
    values += [combined(combined_line(n), n * 300, hosts[n % 3]) for n in range(400)]
    values += [combined(combined_line(n, rest="", bytes="-"), n) for n in range(20)]
    values = [as_shipped(value) for value in values]
    random.Random(3).shuffle(values)  # noqa: S311  the same order each time
    batch = same(ways, [run_of(values[:500]), run_of(values[500:], first=7, partition=2)])
    assert batch.native == len(values), "none is left to Python"
    assert len(batch.access) == len(values)


def test_events_of_usual_lines_are_made_without_python(monkeypatch: pytest.MonkeyPatch) -> None:
    _native(TrustedProxies(()))
    reader = LineReader(TrustedProxies(()), native=True)
    values = [as_shipped(record(nginx_line(n, user_agent='"a browser"'), n * 300)) for n in range(400)]
    values += [combined(combined_line(n), n * 300) for n in range(400)]
    expected = [repr(LineReader(TrustedProxies(())).event(value)) for value in values]
    monkeypatch.setattr(reader, "event", lambda _: pytest.fail("a usual line was left to Python"))
    assert [repr(event) for event in reader.events(values)] == expected


def test_the_reader_gives_a_client_behind_a_proxy_both_addresses() -> None:
    """As the row of the same line has them, so that a rule's filter and a search for it agree."""
    for native in (False, True):
        reader = LineReader(TrustedProxies(PROXIES), native=native)
        value = record(nginx_line(1, remote_addr='"10.0.0.1"', x_forwarded_for='"203.0.113.5"'), 1)
        (event,) = reader.events([value])
        assert event is not None
        assert isinstance(event.line, AccessLine)
        assert (event.line.client_addr, event.line.proxy_addr) == ("203.0.113.5", "10.0.0.1")


def test_of_equal_lines_the_first_one_counts(ways: Ways) -> None:
    """A resend in another partition, before it and behind it; and of a line that only Python reads."""
    usual = [record(nginx_line(n), n * 300) for n in range(50)]
    odd = [record(nginx_line(n, status='"200"'), n * 300) for n in range(60, 90)]
    mixed = [value for pair in zip(usual, odd, strict=False) for value in pair]
    runs = [
        run_of(mixed, first=1000, partition=1),
        run_of([*reversed(mixed), *usual], first=0, partition=0),
        run_of(mixed[5:25], first=2000, partition=1),
    ]
    batch = same(ways, runs)
    assert {line.source_id for line in batch.access} == {SOURCES[PARTS[0]].source_id, SOURCES[PARTS[1]].source_id}
    assert batch.repeated > 100


def test_lines_that_are_looked_at_later_do_not_need_the_readers_partitions() -> None:
    """The reader drops a partition from its sources when it is taken away; its batch may still wait for the writer."""
    proxies = TrustedProxies(())
    sources = dict(SOURCES)
    assembler = Assembler(FORMATS, proxies, _native(proxies))
    batch = assembler.assemble([run_of([record(nginx_line(1), 1)])], sources, {PARTS[0]: 100})
    sources.clear()
    assert [line.source_id for line in batch.access] == [SOURCES[PARTS[0]].source_id]


def test_the_module_reads_on_after_a_batch_without_records(ways: Ways) -> None:
    assert len(same(ways, [run_of([])]).access) == 0
    assert len(same(ways, [run_of([record(nginx_line(1), 1)])]).access) == 1


# -- what is known of odd lines


def golden() -> list[bytes]:
    return [
        record(json.loads(line)["line"], number, log_format=path.stem)
        for path in sorted(GOLDEN.glob("*.jsonl"))
        for number, line in enumerate(path.read_text().splitlines())
    ]


def poison() -> list[bytes | None]:
    return [kind.make(number) for kind in POISON for number in range(2)]


def cases() -> list[bytes]:
    folder = Path(os.environ.get("OBSCTL_TEST_CASES", Path(__file__).parents[4] / "shared" / "cases"))
    if not folder.is_dir():
        pytest.skip(f"the cases from the field are not at {folder}; OBSCTL_TEST_CASES names their folder")
    return [
        record(line, number, log_format=path.stem)
        for path in sorted(folder.glob("*.log"))
        for number, line in enumerate(path.read_text(errors="replace").split("\n"))
    ]


@pytest.mark.parametrize("known", [golden, poison, cases])
def test_known_odd_lines(ways: Ways, known: Callable[[], list[bytes | None]]) -> None:
    values = known()
    batch = same(ways, [run_of(values)])
    assert len(batch.access) + len(batch.errors) + len(batch.quarantined) > len(values) / 3
    for value in values:
        same(ways, [run_of([value])])


@pytest.mark.parametrize("name", ["apache_logs.gz", "ocatak_acunetix.gz", "ocatak_netsparker.gz"])
def test_real_logs(ways: Ways, real_logs: Path, name: str) -> None:
    lines = gzip.decompress((real_logs / name).read_bytes()).decode("utf-8", "replace").split("\n")
    values = [combined(line, number) for number, line in enumerate(lines)]
    batch = same(ways, [run_of(values)])
    if name == "apache_logs.gz":
        assert batch.native > 0.999 * len(values)


def test_tests_of_rules_are_counted_by_python(ways: Ways) -> None:
    values = [record(marked(json_line(n), "probe-0123456789"), n) for n in range(3)]
    values.append(record(json_line(4, obscraft_test="0123456789", msec=1773144000.5), 4))
    batch = same(ways, [run_of(values)])
    assert (batch.tests, len(batch.access), batch.native) == (3, 1, 0)


# -- generated lines

_TEXTS = [
    *(
        "",
        "-",
        "a",
        "/x",
        "\u00e9",
        "\u20ac" * 85,
        "\u20ac" * 86,
        'q"q',
        "b\\b",
        "n\nn",
        "t\tt",
        "f\ff",
        "\x01",
        "\x7f",
    ),
    *("\U0001f600", "\u2028", *(letter * size for letter in "a/" for size in (16, 17, 32, 33, 64, 65, 255, 256, 1025))),
    *("/api/x?y", "/a.css", "/\u212aealth", "/CGI-bin/x", "/x.PHP?q=.css", "/a.b/c", "/v1", "/", "*", "http://h/"),
    *("/health/x", "/.js", "a\0b", "/a\\", "HTTP/1.1", "https", "GET", "\ufeff"),
]
_ADDRESSES = [
    *("198.51.100.7", "10.1.2.3", "192.0.2.200", "192.0.2.1", "10.0.0.256", "010.0.0.1", "10.1.2.3:80", "1.2.3", ""),
    *("::1", "2001:db8::7", "2001:DB8::7", "2001:0db8:0:0:0:0:0:1", "::ffff:10.0.0.5", "::ffff:a00:5", "::10.0.0.5"),
    *("fd00::1", "fd00::2", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::2::3", "12345::", "fe80::1%eth0", "[::1]:80"),
    *("unix:", "node1", "example.com", "Oct", "-", "10.0.0.1 ", "1:0:0:2:0:0:0:3", "1:0:0:2:3:0:0:4", "10.0.0.\u0661"),
]
_FORWARDED = st.lists(
    st.sampled_from([*_ADDRESSES, " 10.0.0.9", "[2001:db8::9]:443", "[::1", "x%y", "[::1]%e", "203.0.113.5:1234", " "]),
    max_size=4,
).map(",".join)
_TIMES = [
    *("2026-01-02T03:04:05+01:00", "2024-02-29T23:59:59-11:30", "2023-02-29T00:00:00+00:00", "2026-01-02T03:04:05Z"),
    *("2026-01-02T03:04:05", "1970-01-01T00:00:00+00:01", "1970-01-01T00:00:00+00:00", "2099-12-31T23:59:59+00:00"),
    *(
        "2099-12-31T23:59:59-00:01",
        "2026-01-02 03:04:05+01:00",
        "2026-01-02T24:00:00+00:00",
        "2016-12-31T23:59:60+00:00",
    ),
    *(
        "",
        "2026-1-2T03:04:05+01:00",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+00:60",
        "0000-01-01T00:00:00+00:00",
    ),
]
_NUMBERS = [
    *("0", "1", "00", "-0", "-1", "200", "99", "999", "1000", '"200"', "null", "1.0", "1e2", "9223372036854775807"),
    *("9223372036854775808", "9" * 18, "9" * 19, "0.000", "0.001", "1.500", "12.34", "1.2345", "1000000000.000", "0.0"),
    *(
        "1000000000.001",
        "10000.000",
        "0.0005",
        "10.001",
        "1767323045.123",
        "4102444799.999",
        "4102444800.000",
        "1.",
        ".5",
    ),
    *("99999999999.999", "100000000000.0", "0.005", "0.250", '"-"', "0.010", "true", "17592186044417", "[]", "{}"),
]
_STRINGS = ("x_forwarded_for", "remote_user", "request_id", "client_request_id", "host", "method", "uri", "protocol",
            "referer", "user_agent", "upstream_addr", "upstream_status", "upstream_response_time",
            "upstream_connect_time", "scheme", "ssl_protocol", "ssl_cipher", "server", "sch\u00f6n")  # fmt: skip
_NUMERIC = ("msec", "status", "bytes", "request_length", "request_time", "other")
_OTHERS = [
    *('{"a":[1,2,{"b":null}],"c":true}', "[]", "{}", "[1,]", '{"a"}', "-1", "1e400", "[" * 18 + "]" * 18, '"\\ud800"'),
    *("01", "1.", "tru", '"\\u0041"', "false", "1.5", '"\\/"'),
]


def _quoted(text: str) -> st.SearchStrategy[str]:
    return st.booleans().map(lambda plain: json.dumps(text, ensure_ascii=not plain))


@st.composite
def json_lines(draw: st.DrawFn) -> str:
    """A JSON line with a few fields that are unlike most, sometimes in another order, twice, or cut."""
    changes: dict[str, str] = {}
    for name in draw(st.lists(st.sampled_from(_STRINGS), max_size=3)):
        changes[name] = draw(st.sampled_from(_TEXTS).flatmap(_quoted))
    for name in draw(st.lists(st.sampled_from(_NUMERIC), max_size=2)):
        changes[name] = draw(st.sampled_from(_NUMBERS))
    if draw(st.booleans()):
        changes["remote_addr"] = draw(st.sampled_from(_ADDRESSES).flatmap(_quoted))
        changes["x_forwarded_for"] = draw(_FORWARDED.flatmap(_quoted))
    if draw(st.integers(0, 3)) == 0:
        changes["time"] = draw(st.sampled_from(_TIMES).flatmap(_quoted))
    if draw(st.integers(0, 5)) == 0:
        changes["more"] = draw(st.sampled_from(_OTHERS))
    line = nginx_line(draw(st.integers(0, 2000)), **changes)
    pairs = line[1:-1].split(',"')
    kind = draw(st.integers(0, 9))
    if kind == 0:
        pairs = draw(st.permutations(pairs))
    elif kind == 1:
        pairs = [*pairs, draw(st.sampled_from(pairs))]
    elif kind == 2:
        pairs = [pair for pair in pairs if not pair.lstrip('"').startswith(("msec", "bytes"))]
    elif kind == 3:
        return line[: draw(st.integers(0, len(line)))]
    elif kind == 4:
        line = line.replace(",", draw(st.sampled_from((" , ", ",\n", "\t,"))))
        return draw(st.sampled_from(("", " "))) + line.replace(":", draw(st.sampled_from((": ", " :")))) + " "
    return "{" + ",".join('"' + pair.lstrip('"') for pair in pairs) + "}"


@st.composite
def combined_lines(draw: st.DrawFn) -> str:
    """A combined line of parts that are unlike most."""
    odd = draw(st.sets(st.sampled_from(("addr", "user", "time", "request", "numbers", "rest")), max_size=2))
    changes: dict[str, str] = {}
    if "addr" in odd:
        changes["addr"] = draw(st.sampled_from([*_ADDRESSES, "1.2.3.4,", '"x', "a" * 254, "h\u00e9"]))
    if "user" in odd:
        changes["user"] = draw(
            st.sampled_from(("bob", 'b"b', "", "a b", "x" * 255, "x" * 256, "\u00e9", "[x]", "a\tb"))
        )
    if "time" in odd:
        day, hour, second = (
            draw(st.sampled_from(numbers)) for numbers in ((0, 1, 28, 29, 30, 31, 32), (0, 23, 24), (0, 60))
        )
        month = draw(st.sampled_from(("Jan", "Feb", "Jun", "Dec", "jan", "Foo")))
        year = draw(st.sampled_from((0, 1900, 1969, 1970, 2000, 2024, 2026, 2099, 2100)))
        zone = draw(st.sampled_from(("+0000", "-0000", "+0100", "-1130", "+2359", "+2400", "+0060", " 0100", "+01:0")))
        changes["time"] = f"[{day:02}/{month}/{year:04}:{hour:02}:00:{second:02} {zone}]"
    if "request" in odd:
        method = draw(st.sampled_from(("GET ", "HEAD ", "FOO ", "get ", "", "GET  ", "\\x16\\x03", "PATCH ")))
        uri = draw(st.sampled_from([*_TEXTS, "a" * 16_384]))
        changes["request"] = (
            f'"{method}{uri}{draw(st.sampled_from((" HTTP/1.1", " HTTP/2.0", " HTTP/9", "", "  HTTP/1.0")))}"'
        )
    if "numbers" in odd:
        changes["status"] = draw(st.sampled_from(("200", "099", "000", "999", "20", "1000", "404", "")))
        changes["bytes"] = draw(st.sampled_from(("0", "-", "00", "123", "9" * 18, "9" * 19, "", "1" * 15)))
    if "rest" in odd:
        changes["rest"] = draw(
            st.sampled_from(
                ("", '"-" "-"', '"a"', '"a" "b" "c"', '"" ""', '"a" "b" ', '"a"  "b"', '"a\\"" "b"', '"\u20ac" "b"',
                 '"a" "b" rt=0.1', '"a" "b', '"a" "b" "10.0.0.1, 203.0.113.5"', ' "a" "b"')
            )
        )  # fmt: skip
    return combined_line(draw(st.integers(0, 2000)), **changes)


@st.composite
def records(draw: st.DrawFn) -> bytes | None:
    """A record: a generated line in an envelope, some of them damaged."""
    log_format = draw(st.sampled_from(("json", "combined")))
    line = draw(json_lines() if log_format == "json" else combined_lines())
    value = record(
        line,
        draw(st.integers(0, 5)),
        host=draw(st.sampled_from(("node1", "node2", "h" * 64, "h" * 65, "\u00fc" * 33))),
        log_format=draw(st.sampled_from((log_format,) * 9 + ("combined", "json", "error", "syslog"))),
        log_input=draw(st.sampled_from(("access", "replay"))),
        log_file=draw(st.sampled_from(("",) * 9 + ("/var/log/a.log",))),
    )
    if draw(st.booleans()):
        value = as_shipped(value)
    damage = draw(st.integers(0, 11))
    at = draw(st.integers(0, len(value) - 1))
    if damage == 0:
        odd = draw(st.sampled_from(b'"\\{}[]:, 0123456789-+.eE\n\t\0\x7f\xc3\xa9ntfrub/?%aZ'))
        value = value[:at] + bytes([odd]) + value[at + draw(st.integers(0, 2)) :]
    elif damage == 1:
        value = value[:at] + value[at + draw(st.integers(1, 8)) :]
    elif damage == 2:
        start = draw(st.integers(0, len(value) - 1))
        value = value[:at] + value[start : start + draw(st.integers(1, 40))] + value[at:]
    return value


@settings(
    max_examples=max(1, LINES // TOGETHER // 2),  # each of the two ways
    suppress_health_check=[HealthCheck.too_slow],  # that is the machine's business
)
@given(values=st.lists(records(), min_size=TOGETHER, max_size=TOGETHER))
def test_generated_records(ways: Ways, values: list[bytes | None]) -> None:
    same(ways, [run_of(values[:15]), run_of(values[15:], first=3, partition=1)])


# -- what the module does not know


def test_a_column_that_the_module_does_not_know_keeps_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _native(TrustedProxies(()))

    class Wider(AccessLine, array_like=True, gc=False):
        http_version: str = ""

    telemetry = Telemetry()
    monkeypatch.setattr(native_module, "AccessLine", Wider)
    assert find(FORMATS, TrustedProxies(()), telemetry) is None
    assert "http_version" in telemetry.read_by
    assert telemetry.read_by.startswith("Python (")


def test_a_field_of_json_lines_that_the_module_does_not_know_keeps_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _native(TrustedProxies(()))
    telemetry = Telemetry()
    monkeypatch.setattr(nginx_json, "MEMBERS", (*nginx_json.MEMBERS, "gzip_ratio"))
    assert find(FORMATS, TrustedProxies(()), telemetry) is None
    assert "gzip_ratio" in telemetry.read_by


def test_other_sources_keep_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _native(TrustedProxies(()))
    telemetry = Telemetry()
    monkeypatch.setattr(native_module, "revision", lambda: "0123456789abcdef")
    assert find(FORMATS, TrustedProxies(()), telemetry) is None
    assert "another release" in telemetry.read_by


def test_a_format_that_is_read_by_another_function_is_left_to_it() -> None:
    telemetry = Telemetry()
    _native(TrustedProxies(()))
    formats = {**FORMATS, "json": nginx_json._parse_unusual}
    native = Native(formats, TrustedProxies(()), telemetry)
    values = [record(nginx_line(1), 1), combined(combined_line(2), 2), record(nginx_line(3), 3, log_format="other")]
    batch = Assembler(formats, TrustedProxies(()), native).assemble([run_of(values)], SOURCES, {PARTS[0]: 100})
    assert (batch.native, len(batch.access), [row.reason for row in batch.quarantined]) == (1, 2, ["format"])


def test_a_narrower_column_is_narrower_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    _native(TrustedProxies(()))
    found = native_module.widths(AccessLine)
    monkeypatch.setattr(native_module, "widths", lambda _: found | {"vhost": found["vhost"]._replace(characters=5)})
    native = Native(FORMATS, TrustedProxies(()), Telemetry())
    batch = Assembler(FORMATS, TrustedProxies(()), native).assemble(
        [run_of([record(nginx_line(1), 1), record(nginx_line(2, host='"short"'), 2)])], SOURCES, {PARTS[0]: 100}
    )
    assert batch.native == 1


# -- faults


class _Faulty:
    """The module's object, which fails in one of its methods as a panic does, or otherwise."""

    def __init__(self, real: Any, method: str, error: BaseException) -> None:
        self._real, self._method, self._error = real, method, error

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise self._error
        return getattr(self._real, name)


@pytest.mark.parametrize("method", ["clear", "take", "give", "finish"])
@pytest.mark.parametrize("panic", [True, False])
def test_a_fault_is_counted_reported_and_costs_no_record(method: str, panic: bool) -> None:
    telemetry = Telemetry()
    native = _native(TrustedProxies(()), telemetry)
    error = importlib.import_module("obsctl_native").PanicException("index") if panic else OverflowError("too large")
    native._batch = _Faulty(native._batch, method, error)  # type: ignore[assignment]
    values = [record(nginx_line(1), 1), record(nginx_line(2, status='"200"'), 2), record("x", 3), None]
    both = Assembler(FORMATS, TrustedProxies(())), Assembler(FORMATS, TrustedProxies(()), native)
    first, second = (assembler.assemble([run_of(values)], SOURCES, {PARTS[0]: 100}) for assembler in both)
    assert first == second
    assert telemetry.counters.native_faults == 1
    assert type(error).__name__ in telemetry.notices()[NOTICE].message
    assert same_batch(both, [run_of(values)]).native == 1, "the next batch is read natively again"
    assert telemetry.counters.native_faults == 1


def test_after_a_fault_the_alerter_reads_in_python() -> None:
    _native(TrustedProxies(()))
    readers = LineReader(TrustedProxies(())), LineReader(TrustedProxies(()), native=True)
    assert readers[1]._native is not None
    error = importlib.import_module("obsctl_native").PanicException("index")
    readers[1]._native._reader = _Faulty(readers[1]._native._reader, "read", error)
    values = [record(nginx_line(1), 1), record("x", 3)]
    for _ in range(2):
        first, second = (reader.events(values) for reader in readers)
        assert first == second
        assert "PanicException" in readers[1].read_by


def test_what_is_no_fault_of_the_module_is_not_caught() -> None:
    native = _native(TrustedProxies(()))
    native._batch = _Faulty(native._batch, "take", KeyboardInterrupt())  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        Assembler(FORMATS, TrustedProxies(()), native).assemble([run_of([b"x"])], SOURCES, {PARTS[0]: 100})


def test_switched_off_and_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry = Telemetry()
    assert find(FORMATS, TrustedProxies(()), telemetry, wanted=False) is None
    assert telemetry.read_by == "Python (switched off)"
    monkeypatch.setattr(native_module, "_MODULE", "obsctl_native_absent")
    assert find(FORMATS, TrustedProxies(()), telemetry) is None
    assert telemetry.read_by == "Python (not installed)"
