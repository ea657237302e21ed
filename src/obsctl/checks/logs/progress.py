"""How far each file of a host was delivered, from two samples of the host."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from obsctl.checks.logs.snapshot import FoundFile, HostLogs, Input, Offset, OpenFile, Sample


class Delivery(NamedTuple):
    """A file, and how far its lines were delivered.

    Attributes:
        path: its name.
        key: identifies the file (device and inode).
        size: bytes.
        delivered: bytes that Kafka has acknowledged.
        read: bytes that the shipper has read; None if it does not hold the file open.
        modified: when it was last written, seconds since the epoch.
        removed: whether it has no name any more.
        written: whether nginx appends to it.
        found: the names by which inputs find it.
        handle: a path in ``/proc`` by which it can be read.
    """

    path: str
    key: tuple[int, int]
    size: int
    delivered: int
    read: int | None
    modified: float
    removed: bool
    written: bool
    found: tuple[FoundFile, ...]
    handle: str

    @property
    def undelivered(self) -> int:
        """Bytes that Kafka has not acknowledged; 0 for a file that was truncated."""
        return max(0, self.size - self.delivered)


def inputs_of(sample: Sample, file: Delivery) -> list[Input]:
    """Return the inputs whose paths match a file."""
    names = [found.path for found in file.found] or [file.path]
    return [one for one in sample.inputs or () if any(matches(one, name) for name in names)]


def matches(one: Input, path: str) -> bool:
    """Whether an input's paths match a name that it does not exclude."""
    return any(_glob(pattern).fullmatch(path) for pattern in one.paths) and not _excluded(one, path)


def _excluded(one: Input, path: str) -> bool:
    for pattern in one.excluded:
        try:
            if re.search(pattern, path):
                return True
        except re.error:
            # Go's regular expressions are nearly the same as Python's.
            continue
    return False


@functools.cache
def _glob(pattern: str) -> re.Pattern[str]:
    """Return an input's glob as a regular expression: ``*`` stays within a directory, ``**`` does not."""
    text = ""
    for piece in re.findall(r"\*\*|\*|\?|\[[^]]+\]|\\.|.", pattern, re.DOTALL):
        if piece == "**":
            text += ".*"
        elif piece in ("*", "?"):
            text += "[^/]" + piece.replace("?", "")
        elif piece.startswith("[") and len(piece) > 1:
            text += "[^" + piece[2:] if piece.startswith("[^") else piece
        else:
            text += re.escape(piece[-1])
    return re.compile(text, re.DOTALL)


def deliveries(sample: Sample) -> Iterator[Delivery]:
    """Yield each file that nginx writes, the shipper reads, or an input's path matches; each file once."""
    offsets = _offsets(sample)
    # If several inputs read a file, the one that is furthest behind counts.
    opened = {file.key: file for file in sorted(sample.opened, key=lambda one: -one.position)}
    idle = _released(sample, sample)
    found: dict[tuple[int, int], list[FoundFile]] = {}
    for file in sample.found:
        if sample.inputs is not None and not any(matches(one, file.path) for one in sample.inputs):
            # Such as a compressed file.
            continue
        found.setdefault(file.key, []).append(file)
    written = {file.key: file for file in sample.written}
    logs = {*found, *offsets}
    for key in dict.fromkeys((*written, *opened, *found)):
        nginx, reader, names = written.get(key), opened.get(key), found.get(key, [])
        if nginx is None and key not in logs and not (reader and reader.removed):
            # A file of the shipper's own.
            continue
        offset = offsets.get(key)
        delivered = offset.offset if offset and (reader or not offset.forgotten) else 0
        if offset is None and reader and reader.removed:
            # Its entry disappears before the file is closed: only what was read is known then.
            delivered = reader.position
        elif reader and idle:
            # Its entry may be outdated: Filebeat stops updating it once a scan of the directory has missed the file.
            delivered = max(delivered, reader.position)
        one: OpenFile | FoundFile = nginx or reader or names[0]
        holder = nginx or reader
        yield Delivery(
            path=one.path,
            key=key,
            size=max(file.size for file in (nginx, reader, *names) if file is not None),
            delivered=delivered,
            read=reader.position if reader else None,
            modified=max(file.modified for file in (nginx, reader, *names) if file is not None),
            removed=bool(holder and holder.removed),
            written=nginx is not None,
            found=tuple(names),
            handle=names[0].path
            if names
            else f"/proc/{(sample.nginx if nginx else sample.filebeat).pid}/fd/{holder.descriptor if holder else 0}",
        )


def _released(first: Sample, second: Sample) -> bool:
    """Whether Kafka has, by the second sample, all lines that had been read by the first."""
    before, after = first.events, second.events
    return before is not None and after is not None and after.released >= before.published


def _offsets(sample: Sample) -> Mapping[tuple[int, int], Offset]:
    """Return each file's entry of a present input; of several entries the one that is furthest behind."""
    today = {one.id for one in sample.inputs or ()}
    found: dict[tuple[int, int], Offset] = {}
    for offset in sorted(sample.offsets, key=lambda one: (one.input not in today, one.offset)):
        found.setdefault(offset.key, offset)
    return found


class Late(NamedTuple):
    """A file with lines that existed in the first sample and were not delivered by the second.

    Attributes:
        file: as the second sample saw it.
        bytes: number of undelivered bytes.
        waits_s: how long the first of these lines has waited, by the host's clock and the line's time. If the line has
            no usable time, this is a lower bound.
        moves: whether some of the file was delivered in between.
    """

    file: Delivery
    bytes: int
    waits_s: float
    moves: bool


def late(host: HostLogs) -> list[Late]:
    """Return the files whose lines did not get through between the samples."""
    if host.second is None:
        return []
    at = host.second.at
    released = _released(host.first, host.second)
    now = {file.key: file for file in deliveries(host.second)}
    nginx = {PurePosixPath(file.path).parent for file in host.second.written}
    found = []
    for before in deliveries(host.first):
        after = now.get(before.key)
        if after is None or after.delivered >= before.size or after.size < before.size:
            continue
        if released and before.read is not None and before.read >= before.size:
            # As in `deliveries`, if lines are written all the time.
            continue
        name = f"{before.key[0]}-{before.key[1]}"
        if name not in host.second.unshipped_since:
            # Its only undelivered line is incomplete.
            continue
        since = host.second.unshipped_since[name]
        if since is None or PurePosixPath(after.path).parent not in nginx:
            since = after.modified
        found.append(
            Late(
                after,
                bytes=before.size - after.delivered,
                waits_s=max(0.0, at - since),
                moves=after.delivered > before.delivered,
            )
        )
    return found
