"""Lines of tests of alert rules, and lines that only look like them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from obsctl.lines.formats import registry
from obsctl.lines.formats.line import AccessLine, LineError, MarkedLine
from rig.records import json_line, marked

MARK = "0123456789abcdef0123456789ab"
GOLDEN = Path(__file__).resolve().parents[2] / "contract/lines/golden/json.jsonl"
PARSE = registry.formats()["json"]


def test_a_marked_line_says_what_the_line_without_the_mark_does() -> None:
    for entry in map(json.loads, GOLDEN.read_text().splitlines()):
        line = entry["line"]
        if not line.startswith('{"') or "refused" in entry:
            continue
        found = PARSE(marked(line, MARK))
        assert isinstance(found, MarkedLine), entry["case"]
        assert (found.mark, found.line) == (MARK, PARSE(line)), entry["case"]


def test_a_probe_is_told_from_a_test_of_a_rule() -> None:
    line = json_line(1)
    probe, test = PARSE(marked(line, "probe-0123456789ab")), PARSE(marked(line, MARK))
    assert isinstance(probe, MarkedLine)
    assert isinstance(test, MarkedLine)
    assert (probe.mark, test.mark, probe.line) == ("probe-0123456789ab", MARK, test.line)


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "probe-",
        "probe-short12",
        "probe-probe-0123456789",
        "-robe-0123456789",
        "short12",
        "x" * 33,
        "ABCDEFGHIJ",
        "abcdefgh-1",
        "abcdefgh 1",
        "äbcdefgh1",
        "\\u0061" * 8,
    ],
)
def test_a_mark_of_another_form_makes_an_ordinary_line(mark: str) -> None:
    line = json_line(1)
    assert PARSE(marked(line, mark)) == PARSE(line)


def test_a_mark_stands_first_or_nowhere() -> None:
    """The mark is where only nginx can write it: a client's text is a value of a field behind it."""
    line = json_line(1, obscraft_test=MARK)
    assert isinstance(PARSE(line), AccessLine)
    quoted = json_line(1, user_agent=f'{{"obscraft_test":"{MARK}",')
    assert isinstance(PARSE(quoted), AccessLine)
    assert isinstance(PARSE(f'{{"obscraft_test":{{"a":"{MARK}"}},{line[1:]}'), AccessLine)


def test_a_marked_line_that_was_cut_keeps_its_mark() -> None:
    line = marked(json_line(1, user_agent="x" * 3000), MARK)
    found = PARSE(line[: line.index("xxxx") + 1000])
    assert isinstance(found, MarkedLine)
    assert found.line.cut_fields == "user_agent"


def test_a_marked_line_that_is_no_access_line_is_refused() -> None:
    with pytest.raises(LineError, match="status is missing"):
        PARSE(f'{{"obscraft_test":"{MARK}","remote_addr":"192.0.2.1"}}')
