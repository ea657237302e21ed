"""Filebeat's registry: a log of changes, and a checkpoint that replaces older changes from time to time.

Each change is two lines, ``{"op":"set","id":7}`` and ``{"k":"filestream::ID::native::INODE-DEVICE","v":{...}}``; a
checkpoint's number is that of the last change in it (``libbeat/statestore/backend/memlog/doc.go`` of Filebeat).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from obsctl.checks.logs.snapshot import Offset
from obsctl.core.decoding import UndecodableError, decode_json


class _Cursor(msgspec.Struct, frozen=True):
    #: Filebeat writes numbers that it has read back from its registry as floating point: 1.53966783e+08.
    offset: float = 0


class _Meta(msgspec.Struct, frozen=True):
    source: str = ""


class _Value(msgspec.Struct, frozen=True):
    cursor: _Cursor | None = None
    meta: _Meta | None = None
    ttl: float = 0


class _Stored(_Value, frozen=True):
    key: str = msgspec.field(default="", name="_key")


class _Operation(msgspec.Struct, frozen=True):
    op: str = ""
    id: int = 0


class _Change(msgspec.Struct, frozen=True):
    k: str = ""
    v: _Value = _Value()


def read_registry(states: Iterable[str], changes: Iterable[str]) -> tuple[Offset, ...]:
    """Return how far each file was delivered.

    Args:
        states: checkpoints, each ``NUMBER [{"_key": ..., ...}, ...]``; the one with the highest number counts.
        changes: each ``OPERATION<tab>CHANGE``; the last one of a key counts.
    """
    values: dict[str, _Value] = {}
    number = 0
    for text in states:
        first, _, rest = text.partition(" ")
        try:
            entries = decode_json(rest, list[_Stored])
        except UndecodableError:
            continue
        if first.isdigit() and int(first) >= number:
            number = int(first)
            values = {entry.key: entry for entry in entries}
    for text in changes:
        head, _, body = text.partition("\t")
        try:
            operation, change = decode_json(head, _Operation), decode_json(body, _Change)
        except UndecodableError:
            # The last line may be incomplete.
            continue
        if operation.id <= number:
            continue
        if operation.op == "set":
            values[change.k] = change.v
        else:
            values.pop(change.k, None)
    return tuple(offset for key, value in values.items() if (offset := _offset(key, value)) is not None)


def _offset(key: str, value: _Value) -> Offset | None:
    """Return the entry of an input that identifies files by inode; None for any other entry."""
    kind, _, name = key.partition("::")
    identity, _, place = name.rpartition("::")
    input_id, _, method = identity.rpartition("::")
    inode, _, device = place.partition("-")
    if kind != "filestream" or method != "native" or not (inode.isdigit() and device.isdigit()):
        return None
    return Offset(
        input=input_id,
        device=int(device),
        inode=int(inode),
        source=value.meta.source if value.meta else "",
        offset=int(value.cursor.offset) if value.cursor else 0,
        # A file that was just found has neither a cursor nor a time to live.
        forgotten=value.cursor is not None and not value.ttl,
    )
