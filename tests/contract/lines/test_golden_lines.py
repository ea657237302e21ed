"""What each format makes of a line, held as golden files: a line must be read the same way for ever.

The identity of a row holds its time. A parser that read another time from an old line would store its resend twice;
one that refused it would put it into the quarantine as well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from obsctl.lines.formats import registry
from obsctl.lines.formats.line import ABSENT, LineError

GOLDEN = Path(__file__).parent / "golden"
#: What no parser knows.
ASSEMBLED = ("log_format", "host", "source_id", "kafka_offset", "line_id", "proxy_addr")
#: The golden error lines were written on hosts in this zone.
FORMATS = registry.formats(error_log_timezone="Europe/Berlin")


def cases() -> list[Any]:
    return [
        pytest.param(path.stem, entry, id=f"{path.stem}: {entry['case']}")
        for path in sorted(GOLDEN.glob("*.jsonl"))
        for entry in map(json.loads, path.read_text().splitlines())
    ]


def test_every_format_has_a_golden_file() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.jsonl")) == sorted(FORMATS), f"golden files in {GOLDEN}"


@pytest.mark.parametrize(("name", "entry"), cases())
def test_golden_line(name: str, entry: dict[str, Any]) -> None:
    parse = FORMATS[name]
    if "refused" in entry:
        with pytest.raises(LineError) as refusal:
            parse(entry["line"])
        assert (refusal.value.reason, refusal.value.detail) == (entry["refused"], entry["detail"])
    else:
        read = msgspec.structs.asdict(parse(entry["line"]))
        found = {field: None if value is ABSENT else value for field, value in read.items() if field not in ASSEMBLED}
        # A field that a row does not name is absent from its line: a new column changes no golden file.
        assert {field: value for field, value in found.items() if value or field in entry["row"]} == entry["row"]
        assert not any(read.get(field) for field in ASSEMBLED)


_KEYS = ("server: ", 'request: "', 'subrequest: "', 'upstream: "', 'host: "', 'referrer: "')


@pytest.mark.parametrize(
    "piece", [f", {key}" for key in _KEYS] + ["".join(f", {key}x" for key in _KEYS), ", client: a"]
)
@pytest.mark.timeout(5)
def test_a_hostile_error_line_is_read_in_one_pass(piece: str) -> None:
    """The referrer is a client's own text; nginx writes it as it came and cuts the line at 2,048 bytes."""
    line = '2026/01/02 03:04:05 [error] 1#1: *9 too large, client: 192.0.2.1, referrer: "' + piece * 2000
    assert FORMATS["error"](line[:20_000]).message.startswith("too large")


@pytest.mark.timeout(5)
def test_a_request_of_blanks_is_read_in_one_pass() -> None:
    line = f'192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] "GET {" " * 60_000}x" 400 0'
    assert FORMATS["combined"](line).method == "GET"


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize(
    "line",
    ["\0" * 50, '"' * 5000, "\\" * 5000, '- - - [] "' + '\\"' * 5000, "a " * 5000, "[" * 5000, '{"a":' * 500, "\n"],
)
@pytest.mark.timeout(5)
def test_a_hostile_line_is_refused_quickly(name: str, line: str) -> None:
    with pytest.raises(LineError):
        FORMATS[name](line)
