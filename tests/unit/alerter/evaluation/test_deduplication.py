"""Which lines were counted a moment ago: what the table keeps, and what it forgets."""

from __future__ import annotations

import random

import pytest

from obsctl.alerter.evaluation import deduplication
from obsctl.alerter.evaluation.deduplication import Recent


def identities(count: int) -> list[int]:
    chance = random.Random(3)  # noqa: S311
    return [chance.getrandbits(64) for _ in range(count)]


def test_a_line_is_new_once() -> None:
    table = Recent()
    lines = identities(1000)
    assert all(table.add(line) for line in lines)
    assert not any(table.add(line) for line in lines)


def test_identities_of_one_bucket_do_not_hide_each_other() -> None:
    table = Recent()
    lines = [n << 32 | 7 for n in range(1, 5)]
    assert all(table.add(line) for line in lines)
    assert not any(table.add(line) for line in lines)
    assert table.add(9 << 32 | 7)
    # The oldest made room.
    assert table.add(lines[0])


def test_it_comes_back_from_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    table, other = Recent(), Recent()
    lines = identities(1000)
    for line in lines:
        table.add(line)
    other.load(table.dump())
    assert not any(other.add(line) for line in lines)
    monkeypatch.setattr(deduplication, "PLACES", 2**12)
    smaller = Recent()
    smaller.load(table.dump())
    assert smaller.add(lines[0])


def test_the_errors_are_as_rare_as_the_module_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a table of a 32nd of the size, with a 32nd of the lines: the share is the same."""
    monkeypatch.setattr(deduplication, "PLACES", 2**16)
    for others, share in ((420_000 // 32, 0.012), (200_000 // 32, 0.0015)):
        table = Recent()
        first, *rest = (identities(4000 + others)[:4000], identities(4000 + others)[4000:])
        for line in (*first, *rest[0]):
            table.add(line)
        # The first lines have seen each other, too.
        forgotten = sum(table.add(line) for line in first[-1000:])
        assert forgotten / 1000 <= share
