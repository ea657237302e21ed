"""Reads past lines from log files instead of Kafka, for a replay of rules."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, NoReturn, cast

from obsctl.core.errors import UsageError
from obsctl.lines import identity, record
from obsctl.lines.event import Event
from obsctl.lines.formats.line import LineError, MarkedLine
from obsctl.lines.formats.registry import formats
from obsctl.lines.line_reader import event_of

#: The most lines that are read: they are sorted by time, so all of them are in memory.
MOST_LINES = 2_000_000
_GZIP_MAGIC = b"\x1f\x8b"
_STANDARD_INPUT = "-"
#: How many lines decide which format a log has.
_LOOKED_AT = 100
#: The longest line, bytes; Filebeat ships no longer ones, either.
_LONGEST_LINE = 10 << 20
#: Number of lines between two progress reports.
_SAY_EVERY = 10_000


@dataclass
class Unreadable:
    """The lines of one log that are not of its format.

    Attributes:
        log: path of the file; for a topic the partition, ``TOPIC/PARTITION``.
        lines: how many there are.
        first: number of the first one, from 1; for a partition its offset.
        reason: what is wrong with the first one.
    """

    log: str
    lines: int
    first: int
    reason: str


@dataclass
class Recorded:
    """The content of log files.

    Attributes:
        events: the lines, sorted by time.
        lines: how many there are, without empty ones.
        unreadable: the logs that have lines which do not match their format.
        formats: of each log, in the order of the paths; empty where unknown.
    """

    events: list[Event] = field(default_factory=list)
    lines: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)


def read_logs(
    paths: Sequence[Path],
    log_format: str | None,
    *,
    host: str | None,
    standard_input: Callable[[], BinaryIO],
    progress: Callable[[str], None] = lambda _: None,
    most: int = MOST_LINES,
) -> Recorded:
    """Read the lines of logs; lines that do not parse are counted.

    Args:
        paths: plain or gzip-compressed files; ``-`` is standard input.
        log_format: of all files; None: for each file the format that most of its first lines match.
        host: that wrote the lines; None: each file's name is used as its host's name.
        standard_input: opens ``-``.
        progress: is called regularly with the progress.
        most: the most lines that are read.

    Raises:
        UsageError: a file cannot be read to its end, there are too many lines, or none of them matches the format.
    """
    recorded, parsers = Recorded(), formats()
    for number, path in enumerate(paths):
        writer = host or ("stdin" if str(path) == _STANDARD_INPUT else path.name)
        # The same line in two files counts twice.
        origin = identity.of_origin(writer, f"{number}:{path}")
        bad: Unreadable | None = None
        try:
            lines = _lines(path, standard_input)
            first = list(itertools.islice(lines, _LOOKED_AT))
            found = log_format or _format_of(first)
            recorded.formats.append(found)
            parse = parsers.get(found, _no_format)
            for at, raw in enumerate(itertools.chain(first, lines)):
                text = _text(raw)
                if not text:
                    continue
                recorded.lines += 1
                if recorded.lines > most:
                    raise UsageError(
                        f"there are more than {most:,} lines, too many to hold in memory",
                        hint="replay a few hours at a time",
                    )
                if recorded.lines % _SAY_EVERY == 0:
                    progress(f"{recorded.lines:,} lines read")
                try:
                    line = parse(text)
                except record.UNREADABLE as error:
                    if bad is None:
                        bad = Unreadable(str(path), 0, at + 1, error.detail if isinstance(error, LineError) else "")
                        recorded.unreadable.append(bad)
                    bad.lines += 1
                    continue
                if isinstance(line, MarkedLine):
                    # Requests of rule tests and probes do not count.
                    recorded.lines -= 1
                    continue
                line.host = writer
                recorded.events.append(event_of(line, identity.of_line(origin, at, text)))
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if recorded.lines and not recorded.events:
        wanted = f"the format {log_format}" if log_format else f"a known format ({', '.join(parsers)})"
        raise UsageError(
            f"none of the {recorded.lines:,} lines is in {wanted}",
            hint="check --log-format" if log_format else "only nginx logs can be read; give a rules file with --rules",
        )
    recorded.events.sort(key=lambda event: event.time)
    return recorded


def _format_of(first: Sequence[bytes]) -> str:
    """Return the format that most of a log's first lines match; an empty text where they match none."""
    read = dict.fromkeys(parsers := formats(), 0)
    for text in filter(None, map(_text, first)):
        for name, parse in parsers.items():
            with contextlib.suppress(*record.UNREADABLE):
                parse(text)
                read[name] += 1
    best = max(read, key=read.__getitem__)
    return best if read[best] else ""


def _no_format(_text: str) -> NoReturn:
    raise LineError("format", "none of the first lines is in a known format")


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\r\n").decode("utf-8", "replace")


def _lines(path: Path, standard_input: Callable[[], BinaryIO]) -> Iterator[bytes]:
    if str(path) == _STANDARD_INPUT:
        yield from _unpacked(standard_input().read())
        return
    with path.open("rb") as file:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    with path.open("rb") as file:
        yield from _bounded(cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file)


def _bounded(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines, too long ones cut: a file without line breaks may not fit into memory."""
    whole = True
    while line := file.readline(_LONGEST_LINE):
        if whole:
            yield line
        whole = line.endswith(b"\n")


def _unpacked(content: bytes) -> list[bytes]:
    return (gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content).splitlines(keepends=True)
