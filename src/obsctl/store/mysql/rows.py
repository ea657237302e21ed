"""Makes SQL text for rows: a driver's ``executemany`` takes several times as long for each row.

A line is written as a JSON array, by msgspec's encoder in one call for a whole batch, which takes a fifth of the time
that formatting it in Python does. Its literals are also valid in SQL and in LOAD DATA, apart from some control
characters; an absent number is written as NULL.

Nothing here talks to a database. The session must have the modes of :data:`SESSION`: backslash escapes on, ANSI
quotes off, character set utf8mb4.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from obsctl.lines.formats.line import ABSENT, AccessLine, ErrorLine, Line
from obsctl.store.batch import Step
from obsctl.store.encoded import EncodedLines
from obsctl.store.quarantine import FORMAT_LENGTH, HOST_LENGTH, Quarantined
from obsctl.store.rollup import LATENCY_BOUNDS_MS, Key, Totals

#: Seconds after which the server ends a silent session and rolls back its transaction. A consumer that freezes or
#: loses its network in the middle of a transaction keeps the rows of its positions locked; with the default
#: wait_timeout for eight hours, in which no other consumer could take over its partitions.
IDLE_SECONDS = 15
#: Strict, so that nothing is truncated or replaced silently; all times in columns are UTC.
SESSION = (
    "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
    " SESSION time_zone='+00:00',"
    " SESSION innodb_lock_wait_timeout=10,"
    " SESSION lock_wait_timeout=15,"
    f" SESSION wait_timeout={IDLE_SECONDS},"
    # The same while it waits for the rows of a LOAD DATA.
    f" SESSION net_read_timeout={IDLE_SECONDS}"
)
READ_COMMITTED = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"

_ACCESS_COLUMNS = ",".join(AccessLine.__struct_fields__)
_ERROR_COLUMNS = ",".join(ErrorLine.__struct_fields__)
_QUARANTINE_COLUMNS = (
    "line_id,source_id,kafka_offset,log_format,host,reason,detail,value,value_bytes,revision,dead_letter"
)
_LATENCY_COLUMNS = (*(f"lat_{bound}" for bound in LATENCY_BOUNDS_MS), "lat_more")
_SUMS = ("requests", "bytes", *_LATENCY_COLUMNS)

# An assignment that changes nothing, instead of IGNORE, which would turn all other errors into warnings as well.
INSERT_ACCESS = (
    f"INSERT INTO access_log ({_ACCESS_COLUMNS}) VALUES ".encode(),
    b" ON DUPLICATE KEY UPDATE line_id=access_log.line_id",
)
#: It does not read a file, see ``loading``. LOCAL implies IGNORE, so the warnings must be counted.
LOAD_ACCESS = (
    "LOAD DATA LOCAL INFILE 'rows' INTO TABLE access_log CHARACTER SET utf8mb4"
    " FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' LINES STARTING BY '[' TERMINATED BY ']\\n'"
    f" ({_ACCESS_COLUMNS.replace('line_id', '@line_id')}) SET line_id=FROM_BASE64(@line_id)"
).encode()
INSERT_ERROR = (
    f"INSERT INTO error_log ({_ERROR_COLUMNS}) VALUES ".encode(),
    b" ON DUPLICATE KEY UPDATE line_id=error_log.line_id",
)
INSERT_QUARANTINE = (
    f"INSERT INTO quarantine ({_QUARANTINE_COLUMNS}) VALUES ".encode(),
    b" ON DUPLICATE KEY UPDATE line_id=quarantine.line_id",
)


def _insert_rollup(table: str, begin: str) -> tuple[bytes, bytes]:
    """Return the statement that adds to a table of roll-ups; ``begin`` is its column of time."""
    # VALUES() is the only syntax that MySQL and MariaDB share.
    added = ",".join(f"{name}={table}.{name}+VALUES({name})" for name in _SUMS)
    return (
        f"INSERT INTO {table} ({begin},source_id,host,route_class,status_class,{','.join(_SUMS)}) VALUES ".encode(),
        f" ON DUPLICATE KEY UPDATE {added},stored_at=CURRENT_TIMESTAMP(3)".encode(),
    )


INSERT_MINUTES = _insert_rollup("rollup_minute", "minute")
INSERT_HOURS = _insert_rollup("rollup_hour", "hour")


def text(value: str) -> str:
    """Return a text as an SQL literal without its quotes."""
    return value.replace("\\", "\\\\").replace("'", "\\'")


def blob(value: bytes) -> bytes:
    """Return bytes as an SQL literal; the introducer keeps the server from reading them as text."""
    return b"_binary'" + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def arrays(rows: Sequence[object]) -> bytes:
    """Return lines, or tuples of plain values, as JSON arrays, each followed by a line feed.

    Control characters in them are escaped in the servers' way.
    """
    if isinstance(rows, EncodedLines):
        return rows.arrays
    encoded = _encode_lines(rows)
    if not _may_hold_odd_escape(encoded):
        return encoded
    # A letter may follow an escaped backslash, which is replaced meanwhile by a byte that UTF-8 never has.
    aside = encoded.replace(rb"\\", b"\xff")
    if not _odd_escape(aside):
        return encoded
    for escape, character in _ODD_ESCAPES:
        aside = aside.replace(escape, character)
    return aside.replace(b"\xff", rb"\\")


def line_rows(lines: Sequence[Line]) -> list[bytes]:
    """Return the lines as tuples of literals."""
    # Each ends with "IDENTITY"], where the identity is 24 digits of base 64.
    found = arrays(lines).split(b"\n")[:-1]
    return [b"(%bFROM_BASE64(%b))" % (array[1:-_IDENTITY], array[-_IDENTITY:-1]) for array in found]


#: The text for values that JSON does not have. The encoder looks them up in the dictionary itself: a Python function
#: would take a third of a row's encoding time.
_LITERALS: dict[object, msgspec.Raw] = {ABSENT: msgspec.Raw(b"NULL")}
_encode_lines = msgspec.json.Encoder(enc_hook=_LITERALS.__getitem__).encode_lines
_IDENTITY = len('"AAAAAAAAAAAAAAAAAAAAAA=="]')
#: What is, or looks like, an escape that the servers do not have; few batches contain one.
_odd_escape = re.compile(rb"\\(?:u00|f)").search
#: Up to this many escapes are examined one by one.
_FEW_ESCAPES = 500
#: JSON's escapes that mean another character for the servers, and their replacements. Only NUL must be escaped.
_ODD_ESCAPES = (
    (rb"\f", b"\f"),
    (rb"\u0000", rb"\0"),
    *((rb"\u%04x" % code, bytes([code])) for code in range(1, 32) if code not in b"\b\t\n\f\r"),
)


def _may_hold_odd_escape(encoded: bytes) -> bool:
    """Return whether there may be such an escape; quicker than the pattern, which examines every byte."""
    at = encoded.find(b"\\")
    for _ in range(_FEW_ESCAPES):
        if at < 0:
            return False
        if encoded.startswith((b"u00", b"f"), at + 1):
            return True
        at = encoded.find(b"\\", at + 2)
    return at >= 0 and _odd_escape(encoded, at) is not None


def quarantine_row(row: Quarantined, revision: str, value_limit: int) -> bytes:
    """Return the row as a tuple of literals; a value is cut at ``value_limit`` bytes."""
    log_format = row.log_format.encode("ascii", "replace").decode()[:FORMAT_LENGTH]
    value, size = (b"NULL", b"NULL") if row.value is None else (blob(row.value[:value_limit]), b"%d" % len(row.value))
    head = (
        f"(0x{row.line_id.hex()},{row.source_id},{row.offset},'{text(log_format)}','{text(row.host[:HOST_LENGTH])}',"
        f"'{text(row.reason)}','{text(row.detail)}',"
    )
    tail = f",'{revision}',{'0' if row.dead_letter else 'NULL'})"
    return b"".join((head.encode("utf-8", "replace"), value, b",", size, tail.encode()))


def rollup_rows(totals: Mapping[Key, Totals]) -> list[bytes]:
    """Return the roll-ups as tuples of literals, in the order of their keys."""
    rows = [(*key, entry.requests, entry.bytes, *entry.latency) for key, entry in sorted(totals.items(), key=_by_first)]
    return [b"(%b)" % array[1:-1] for array in arrays(rows).split(b"\n")[:-1]]


_by_first = operator.itemgetter(0)


def advance(steps: Mapping[int, Step], newest: Mapping[int, str]) -> bytes:
    """Return the statement that moves the position of every source that is at its expected position."""
    ids = sorted(steps)
    where = " OR ".join(f"(source_id={i} AND next_offset={steps[i].expected})" for i in ids)
    offsets = " ".join(f"WHEN {i} THEN {steps[i].next}" for i in ids)
    events = " ".join(
        f"WHEN {i} THEN GREATEST(COALESCE(newest_event,'1970-01-01'),'{newest[i]}')" for i in ids if i in newest
    )
    newest_event = f",newest_event=CASE source_id {events} ELSE newest_event END" if events else ""
    lost = " OR ".join(f"source_id={i}" for i in ids if steps[i].lost)
    counts = " ".join(f"WHEN {i} THEN {steps[i].lost}" for i in ids if steps[i].lost)
    missing = (
        f",missing_offsets=missing_offsets+CASE source_id {counts} ELSE 0 END"
        f",missing_at=IF({lost},CURRENT_TIMESTAMP(3),missing_at)"
        if lost
        else ""
    )
    return (
        f"UPDATE log_source SET next_offset=CASE source_id {offsets} END{newest_event}{missing},"
        f"updated_at=CURRENT_TIMESTAMP(3) WHERE {where}"
    ).encode()


def known_in(table: str, lines: Sequence[Line]) -> str:
    """Return the query for the lines' identities that are in a log table, by its primary key."""
    keys = " UNION ALL ".join(
        f"SELECT CAST('{line.ts}' AS DATETIME(3)),0x{line.line_id.hex()}"
        if index
        else f"SELECT CAST('{line.ts}' AS DATETIME(3)) AS ts,CAST(0x{line.line_id.hex()} AS BINARY(16)) AS line_id"
        for index, line in enumerate(lines)
    )
    return f"SELECT t.line_id FROM ({keys}) AS k STRAIGHT_JOIN {table} AS t ON t.ts=k.ts AND t.line_id=k.line_id"


def known_in_quarantine(line_ids: Collection[bytes]) -> str:
    """Return the query for the identities that are in the quarantine."""
    return f"SELECT line_id FROM quarantine WHERE line_id IN ({','.join('0x' + i.hex() for i in sorted(line_ids))})"


def chunks(rows: Iterable[bytes], limit: int) -> Iterator[list[bytes]]:
    """Yield the rows in chunks of at most ``limit`` bytes; a longer row is a chunk of its own."""
    piece: list[bytes] = []
    size = 0
    for row in rows:
        if piece and size + len(row) > limit:
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += len(row) + 1
    if piece:
        yield piece
