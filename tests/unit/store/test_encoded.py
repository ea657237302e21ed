"""Encoded rows: they pass for their lines, which are made only where somebody looks at one."""

from __future__ import annotations

from obsctl.lines.formats.line import AccessLine
from obsctl.store import rollup
from obsctl.store.encoded import EncodedLines, identities
from obsctl.store.mysql import rows

LINES = [
    AccessLine("2026-01-01 00:00:00.000", "198.51.100.7", 200, number, uri="/a.css", line_id=bytes([number]) * 16)
    for number in range(3)
]


def test_nothing_that_a_usual_batch_needs_makes_the_lines() -> None:
    def read() -> list[AccessLine]:
        raise AssertionError("a line was asked for")

    minutes = rollup.count(LINES)
    encoded = EncodedLines(rows.arrays(LINES), b"".join(identities(LINES)), minutes, read)
    assert len(encoded) == 3
    assert bool(encoded)
    assert rows.arrays(encoded) == rows.arrays(LINES)
    assert rows.line_rows(encoded) == rows.line_rows(LINES)
    assert identities(encoded) == [line.line_id for line in LINES]
    assert encoded.minutes is minutes


def test_the_lines_are_made_once() -> None:
    calls = []

    def read() -> list[AccessLine]:
        calls.append(1)
        return LINES

    encoded = EncodedLines(rows.arrays(LINES), b"".join(identities(LINES)), rollup.count(LINES), read)
    assert list(encoded) == LINES
    assert encoded[1:] == LINES[1:]
    assert [line for line in encoded if line.bytes] == LINES[1:]
    assert calls == [1]


def test_no_lines_are_no_rows() -> None:
    assert not EncodedLines(b"", b"", {}, list)
