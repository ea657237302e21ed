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

from obsctl.pipeline.formats import registry
from obsctl.pipeline.formats.line import LineError

GOLDEN = Path(__file__).parent / "golden"
#: The golden error lines were written on hosts in this zone.
FORMATS = registry.formats(error_log_timezone="Europe/Berlin")


def cases() -> list[Any]:
    return [
        pytest.param(path.stem, entry, id=f"{path.stem}: {entry['case']}")
        for path in sorted(GOLDEN.glob("*.jsonl"))
        for entry in map(json.loads, path.read_text().splitlines())
    ]


def test_every_format_has_a_golden_file() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.jsonl")) == sorted(FORMATS)


@pytest.mark.parametrize(("name", "entry"), cases())
def test_golden_line(name: str, entry: dict[str, Any]) -> None:
    parse = FORMATS[name]
    if "refused" in entry:
        with pytest.raises(LineError) as refusal:
            parse(entry["line"])
        assert (refusal.value.reason, refusal.value.detail) == (entry["refused"], entry["detail"])
    else:
        assert msgspec.to_builtins(parse(entry["line"])) == entry["row"]


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize(
    "line",
    ["\0" * 50, '"' * 5000, "\\" * 5000, '- - - [] "' + '\\"' * 5000, "a " * 5000, "[" * 5000, '{"a":' * 500, "\n"],
)
@pytest.mark.timeout(5)
def test_a_hostile_line_is_refused_quickly(name: str, line: str) -> None:
    with pytest.raises(LineError):
        FORMATS[name](line)
