"""When two lines are the same row, and when they are not."""

from __future__ import annotations

import hashlib

from obsctl.lines import identity


def of_line(host: str, log_input: str, offset: int, line: str, log_file: str = "") -> bytes:
    return identity.of_line(identity.of_origin(host, log_input, log_file), offset, line)


def test_every_part_counts() -> None:
    lines = [
        of_line("node1", "access", 0, "x"),
        of_line("node2", "access", 0, "x"),
        of_line("node1", "replay", 0, "x"),
        of_line("node1", "access", 1, "x"),
        of_line("node1", "access", 0, "y"),
        of_line("node1", "access", 0, "x", "/var/log/a.log"),
        of_line("node1", "access", 0, "x", "/var/log/b.log"),
        identity.of_broken_line("node1", "access", "", 0, b""),
        identity.of_broken_line("node1", "access", "", 0, b"5"),
        identity.of_broken_line("node1", "access", "/var/log/a.log", 0, b"5"),
        identity.of_record("c", "t", 0, 0, b""),
        identity.of_record("c", "t", 0, 0, b"x"),
    ]
    assert len(set(lines)) == len(lines)
    assert all(len(line) == identity.SIZE for line in lines)


def test_borders_between_parts_cannot_move() -> None:
    assert of_line("ab", "c", 1, "x") != of_line("a", "bc", 1, "x")
    assert of_line("a", "b", 1, "2:x") != of_line("a", "b", 12, ":x")
    assert of_line("a1:b", "", 1, "x") != of_line("a", "b", 1, "x")
    assert of_line("a", "b", 1, "x", "c") != of_line("a", "b1:c", 1, "x")


def test_never_changes() -> None:
    """A release that computed it differently would store each resend twice."""
    written_out = b"line\0" + b"5:node1" + b"6:access" + b"42:" + b"GET /"
    expected = hashlib.blake2b(written_out, digest_size=16).digest()
    assert of_line("node1", "access", 42, "GET /") == expected
    assert expected.hex() == "8aebe99ca730c7861237d8987a4537ca"
