"""Log files in place of Kafka: lines that were written some time ago, for a replay of rules."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, cast

from obsctl.alerter.events import Event
from obsctl.alerter.lines import event_of
from obsctl.core.errors import UsageError
from obsctl.lines import identity, record
from obsctl.lines.formats.line import LineError
from obsctl.lines.formats.registry import formats

#: Lines that are taken at most: they are sorted by time, so all of them are in memory.
MOST_LINES = 2_000_000
_GZIP_MAGIC = b"\x1f\x8b"
_STANDARD_INPUT = "-"
#: Lines between two words about the progress.
_SAY_EVERY = 10_000


@dataclass
class Unreadable:
    """The lines of one log that are not of the format.

    Attributes:
        log: its path.
        lines: how many there are.
        first: number of the first one, from 1.
        reason: what is wrong with that one.
    """

    log: str
    lines: int
    first: int
    reason: str


@dataclass
class Recorded:
    """What log files hold.

    Attributes:
        events: the lines, in the order of their times.
        lines: how many there are; empty ones are none.
        unreadable: the logs that have lines which are not of the format.
    """

    events: list[Event] = field(default_factory=list)
    lines: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def read_logs(
    paths: Sequence[Path],
    log_format: str,
    *,
    host: str | None,
    standard_input: Callable[[], BinaryIO],
    progress: Callable[[str], None] = lambda _: None,
    most: int = MOST_LINES,
) -> Recorded:
    """Read the lines of logs; a line that cannot be read is counted.

    Args:
        paths: plain files or such that gzip has compressed; ``-`` is standard input.
        log_format: of all of them.
        host: that wrote the lines; None: each file is the log of a host that is called as the file.
        standard_input: returns what ``-`` is.
        progress: is called again and again with how far the reading is.
        most: lines that are taken.

    Raises:
        UsageError: a file cannot be read to its end, there are too many lines, or not one of them is of the format.
    """
    recorded = Recorded()
    parse = formats()[log_format]
    for number, path in enumerate(paths):
        writer = host or ("stdin" if str(path) == _STANDARD_INPUT else path.name)
        # The same line of two files is two lines.
        origin = identity.of_origin(writer, f"{number}:{path}")
        bad: Unreadable | None = None
        try:
            for at, raw in enumerate(_lines(path, standard_input)):
                text = raw.rstrip(b"\r\n").decode("utf-8", "replace")
                if not text:
                    continue
                recorded.lines += 1
                if recorded.lines > most:
                    raise UsageError(
                        f"there are more than {most:,} lines, and all are held in memory",
                        hint="replay some hours at a time",
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
                line.host = writer
                recorded.events.append(event_of(line, identity.of_line(origin, at, text)))
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if recorded.lines and not recorded.events:
        raise UsageError(
            f"none of the {recorded.lines:,} lines is of the format {log_format}", hint="is --log-format right?"
        )
    recorded.events.sort(key=lambda event: event.time)
    return recorded


def _lines(path: Path, standard_input: Callable[[], BinaryIO]) -> Iterator[bytes]:
    if str(path) == _STANDARD_INPUT:
        yield from _unpacked(standard_input().read())
        return
    with path.open("rb") as file:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    with path.open("rb") as file:
        opened: IO[bytes] = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
        yield from opened


def _unpacked(content: bytes) -> list[bytes]:
    return (gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content).splitlines(keepends=True)
