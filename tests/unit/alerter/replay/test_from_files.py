"""Logs in place of Kafka."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from obsctl.alerter.replay import from_files
from obsctl.alerter.replay.from_files import Recorded, read_logs
from obsctl.core.errors import UsageError
from rig.records import json_line, marked


def combined(second: int, uri: str = "/") -> bytes:
    return b'192.0.2.1 - - [15/Jan/2027:08:00:%02d +0000] "GET %s HTTP/1.1" 200 5 "-" "x"\n' % (second, uri.encode())


def read(*paths: Path, log_format: str | None = "combined", host: str | None = None, stdin: bytes = b"") -> Recorded:
    return read_logs(paths, log_format, host=host, standard_input=lambda: io.BytesIO(stdin))


def test_lines_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(combined(5) + combined(1))
    (tmp_path / "b.log").write_bytes(combined(3))
    recorded = read(tmp_path / "a.log", tmp_path / "b.log")
    assert [(event.line.ts[17:19], event.line.host) for event in recorded.events] == [
        ("01", "a.log"),
        ("03", "b.log"),
        ("05", "a.log"),
    ]
    assert {event.line.host for event in read(tmp_path / "a.log", host="lb1").events} == {"lb1"}


def test_equal_lines_are_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(combined(5) * 3)
    assert len({event.identity for event in read(path, path, host="lb1").events}) == 6


@pytest.mark.parametrize("packed", [False, True])
def test_plain_and_compressed_files_and_standard_input_are_the_same(packed: bool, tmp_path: Path) -> None:
    content = combined(1) + b"\n" + b"no line\r\n" + combined(2).rstrip(b"\n")
    content = gzip.compress(content) if packed else content
    path = tmp_path / "a.log"
    path.write_bytes(content)
    for recorded in (read(path), read(Path("-"), stdin=content)):
        assert (recorded.lines, len(recorded.events)) == (3, 2)
        (bad,) = recorded.unreadable
        assert (bad.lines, bad.first) == (1, 3)
        assert bad.reason


@pytest.mark.parametrize(
    ("log_format", "line"),
    [
        ("error", b"2027/01/15 08:00:01 [error] 7#7: *1 connect() failed\n"),
        ("combined", combined(1)),
    ],
)
def test_each_format_is_read_as_such(log_format: str, line: bytes) -> None:
    assert len(read(Path("-"), log_format=log_format, stdin=line).events) == 1
    both = read(Path("-"), log_format="json", stdin=line + json_line(1).encode())
    assert (both.lines, [bad.first for bad in both.unreadable]) == (2, [1])


def test_the_format_of_each_log_is_found_by_its_first_lines(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(combined(1) + b"no line\n" + combined(2))
    (tmp_path / "b.log").write_bytes(b"\n" + json_line(1).encode())
    (tmp_path / "c.log").write_bytes(b"2027/01/15 08:00:01 [error] 7#7: *1 connect() failed\n" * 2)
    (tmp_path / "d.log").write_bytes(b"")
    (tmp_path / "e.log").write_bytes(b"no line\n")
    recorded = read(*(tmp_path / f"{name}.log" for name in "abcde"), log_format=None)
    assert recorded.formats == ["combined", "json", "error", "", ""]
    assert (recorded.lines, len(recorded.events)) == (7, 5)
    found = [(Path(bad.log).name, bad.lines, bad.first, bad.reason) for bad in recorded.unreadable]
    assert found[0][:3] == ("a.log", 1, 2)
    assert found[1] == ("e.log", 1, 1, "none of the first lines is in a known format")
    with pytest.raises(UsageError, match="none of the 1 lines is in a known format"):
        read(tmp_path / "e.log", log_format=None)


def test_bytes_that_are_no_text_are_no_end() -> None:
    recorded = read(Path("-"), stdin=b"\xff\x00\xfe\n" + combined(1))
    assert (recorded.lines, [bad.lines for bad in recorded.unreadable]) == (2, [1])


def test_each_log_with_unreadable_lines_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(combined(1) + b"\n" + b"no line\n" * 3)
    (tmp_path / "b.log").write_bytes(combined(2))
    (tmp_path / "c.log").write_bytes(b"no line\n")
    recorded = read(*(tmp_path / name for name in ("a.log", "b.log", "c.log")))
    found = [(Path(bad.log).name, bad.lines, bad.first) for bad in recorded.unreadable]
    assert found == [("a.log", 3, 3), ("c.log", 1, 1)]


def test_long_reading_says_how_far_it_is() -> None:
    said: list[str] = []
    content = combined(1) * 20_001
    read_logs([Path("-")], "combined", host=None, standard_input=lambda: io.BytesIO(content), progress=said.append)
    assert said == ["10,000 lines read", "20,000 lines read"]


@pytest.mark.parametrize("content", [None, gzip.compress(combined(1) * 50)[:-9], b"\x1f\x8bnot gzip"])
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.log.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.log\.gz cannot be read: "):
        read(path)


def test_a_log_of_another_format_is_refused() -> None:
    with pytest.raises(UsageError, match="none of the 2 lines is in the format combined"):
        read(Path("-"), stdin=b"no line\nnor this\n")


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_log_has_no_lines(content: bytes) -> None:
    assert read(Path("-"), stdin=content) == Recorded(formats=["combined"])


def test_too_many_lines_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 2 lines"):
        read_logs(
            [Path("-")], "combined", host=None, standard_input=lambda: io.BytesIO(combined(1) * 3), most=2
        )  # fmt: skip


def test_requests_of_tests_of_rules_are_left_out() -> None:
    lines = [json_line(1), marked(json_line(2), "0123456789ab"), json_line(3)]
    recorded = read(Path("-"), log_format="json", stdin="\n".join(lines).encode())
    assert (recorded.lines, len(recorded.events), recorded.unreadable) == (2, 2, [])


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_an_end_does_not_fill_the_memory(
    packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_files, "_LONGEST_LINE", 1000)
    content = combined(1) + b"\0" * 5000 + b"\n" + combined(2) + b"x" * 3000
    path = tmp_path / "a.log"
    path.write_bytes(gzip.compress(content) if packed else content)
    recorded = read(path)
    assert (recorded.lines, len(recorded.events)) == (4, 2)
    assert (recorded.unreadable[0].lines, recorded.unreadable[0].first) == (2, 2)
