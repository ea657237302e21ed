"""SQL text for rows, made by hand: a driver's ``executemany`` costs several times as much a row.

Nothing here talks to a database. The session must have the modes of :data:`SESSION`: backslash escapes on, ANSI
quotes off, character set utf8mb4.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from obsctl.pipeline.batch import AccessRow, ErrorRow, Step
from obsctl.pipeline.quarantine import FORMAT_LENGTH, HOST_LENGTH, Quarantined
from obsctl.pipeline.rollup import LATENCY_BOUNDS_MS, Key, Totals

#: Seconds after which the server gives up a silent session and rolls back what it had open. A consumer that freezes,
#: or whose cable is pulled, in the middle of a transaction holds the rows of its positions locked; by default for the
#: eight hours of wait_timeout, in which nobody could take its partitions over.
IDLE_SECONDS = 15
#: Strict, so that nothing is cut or replaced silently; every time of a column is UTC.
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

_ACCESS_COLUMNS = (
    "ts,line_id,source_id,kafka_offset,log_format,host,client_addr,proxy_addr,remote_user,method,uri,protocol,"
    "status,bytes,referer,user_agent,vhost,request_id,client_request_id,request_length,request_time,"
    "upstream_addr,upstream_status,upstream_response_time,upstream_connect_time,x_forwarded_for"
)
_ERROR_COLUMNS = (
    "ts,line_id,source_id,kafka_offset,log_format,host,level,pid,tid,connection_id,message,client_addr,server_name,"
    "request,upstream,vhost,referer"
)
_QUARANTINE_COLUMNS = (
    "line_id,source_id,kafka_offset,log_format,host,reason,detail,value,value_bytes,revision,dead_letter"
)
_LATENCY_COLUMNS = (*(f"lat_{bound}" for bound in LATENCY_BOUNDS_MS), "lat_more")
_SUMS = ("requests", "bytes", *_LATENCY_COLUMNS)

# An assignment that changes nothing, where IGNORE would do: IGNORE turns every other error into a warning as well.
INSERT_ACCESS = (
    f"INSERT INTO access_log ({_ACCESS_COLUMNS}) VALUES ".encode(),
    b" ON DUPLICATE KEY UPDATE line_id=access_log.line_id",
)
#: Nothing of it is read from a file: see ``loading``. LOCAL implies IGNORE, so the warnings have to be counted.
LOAD_ACCESS = (
    "LOAD DATA LOCAL INFILE 'rows' INTO TABLE access_log CHARACTER SET utf8mb4"
    f" ({_ACCESS_COLUMNS.replace('line_id', '@line_id')}) SET line_id=UNHEX(@line_id)"
).encode()
INSERT_ERROR = (
    f"INSERT INTO error_log ({_ERROR_COLUMNS}) VALUES ".encode(),
    b" ON DUPLICATE KEY UPDATE line_id=error_log.line_id",
)
INSERT_QUARANTINE = (
    f"INSERT INTO quarantine ({_QUARANTINE_COLUMNS}) VALUES ".encode(),
    b" ON DUPLICATE KEY UPDATE line_id=quarantine.line_id",
)
INSERT_ROLLUP = (
    f"INSERT INTO rollup_minute (minute,source_id,host,route_class,status_class,{','.join(_SUMS)}) VALUES ".encode(),
    # VALUES() is the only spelling that MySQL and MariaDB share.
    (
        " ON DUPLICATE KEY UPDATE "
        + ",".join(f"{name}=rollup_minute.{name}+VALUES({name})" for name in _SUMS)
        + ",stored_at=CURRENT_TIMESTAMP(3)"
    ).encode(),
)


def text(value: str) -> str:
    """Return a text as an SQL literal without its quotes."""
    return value.replace("\\", "\\\\").replace("'", "\\'")


def blob(value: bytes) -> bytes:
    """Return bytes as an SQL literal; the introducer keeps the server from reading them as text."""
    return b"_binary'" + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def access_row(row: AccessRow) -> bytes:
    """Return the row as a tuple of literals."""
    line = row.line
    time = "NULL" if line.request_time is None else f"{line.request_time:.3f}"
    length = "NULL" if line.request_length is None else line.request_length
    head = f"('{line.ts}',0x{row.line_id.hex()},{row.source_id},{row.offset},'{row.log_format}','{text(row.host)}','"
    if row.plain:
        return (
            f"{head}{row.client_addr}','{row.proxy_addr}','{line.remote_user}','{line.method}','{line.uri}',"
            f"'{line.protocol}',{line.status},{line.bytes},'{line.referer}','{line.user_agent}','{line.vhost}',"
            f"'{line.request_id}','{line.client_request_id}',{length},{time},'{line.upstream_addr}',"
            f"'{line.upstream_status}','{line.upstream_response_time}','{line.upstream_connect_time}',"
            f"'{line.x_forwarded_for}')"
        ).encode()
    return (
        f"{head}{text(row.client_addr)}','{text(row.proxy_addr)}','{text(line.remote_user)}','{text(line.method)}',"
        f"'{text(line.uri)}','{text(line.protocol)}',{line.status},{line.bytes},'{text(line.referer)}',"
        f"'{text(line.user_agent)}','{text(line.vhost)}','{text(line.request_id)}','{text(line.client_request_id)}',"
        f"{length},{time},'{text(line.upstream_addr)}','{text(line.upstream_status)}',"
        f"'{text(line.upstream_response_time)}','{text(line.upstream_connect_time)}','{text(line.x_forwarded_for)}')"
    ).encode()


def access_lines(rows: Iterable[AccessRow]) -> bytes:
    """Return the rows as LOAD DATA reads them by default: fields end with a tab, lines with a line feed."""
    return "".join(map(_access_line, rows)).encode()


def _access_line(row: AccessRow) -> str:
    line = row.line
    time = "\\N" if line.request_time is None else f"{line.request_time:.3f}"
    length = "\\N" if line.request_length is None else line.request_length
    head = f"{line.ts}\t{row.line_id.hex()}\t{row.source_id}\t{row.offset}\t{row.log_format}\t{_host(row.host)}\t"
    if row.plain:
        return (
            f"{head}{row.client_addr}\t{row.proxy_addr}\t{line.remote_user}\t{line.method}\t{line.uri}\t"
            f"{line.protocol}\t{line.status}\t{line.bytes}\t{line.referer}\t{line.user_agent}\t{line.vhost}\t"
            f"{line.request_id}\t{line.client_request_id}\t{length}\t{time}\t{line.upstream_addr}\t"
            f"{line.upstream_status}\t{line.upstream_response_time}\t{line.upstream_connect_time}\t"
            f"{line.x_forwarded_for}\n"
        )
    return (
        f"{head}{_field(row.client_addr)}\t{_field(row.proxy_addr)}\t{_field(line.remote_user)}\t"
        f"{_field(line.method)}\t{_field(line.uri)}\t{_field(line.protocol)}\t{line.status}\t{line.bytes}\t"
        f"{_field(line.referer)}\t{_field(line.user_agent)}\t{_field(line.vhost)}\t{_field(line.request_id)}\t"
        f"{_field(line.client_request_id)}\t{length}\t{time}\t{_field(line.upstream_addr)}\t"
        f"{_field(line.upstream_status)}\t{_field(line.upstream_response_time)}\t"
        f"{_field(line.upstream_connect_time)}\t{_field(line.x_forwarded_for)}\n"
    )


def _field(value: str) -> str:
    """Return a text as a field of LOAD DATA."""
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\0", "\\0")


_host = lru_cache(maxsize=1024)(_field)


def error_row(row: ErrorRow) -> bytes:
    """Return the row as a tuple of literals."""
    line = row.line
    connection = "NULL" if line.connection_id is None else line.connection_id
    return (
        f"('{line.ts}',0x{row.line_id.hex()},{row.source_id},{row.offset},'{row.log_format}','{text(row.host)}',"
        f"'{text(line.level)}',{line.pid},{line.tid},{connection},'{text(line.message)}','{text(line.client_addr)}',"
        f"'{text(line.server_name)}','{text(line.request)}','{text(line.upstream)}','{text(line.vhost)}',"
        f"'{text(line.referer)}')"
    ).encode()


def quarantine_row(row: Quarantined, revision: str, value_limit: int) -> bytes:
    """Return the row as a tuple of literals; a value over ``value_limit`` bytes is kept up to there."""
    log_format = row.log_format.encode("ascii", "replace").decode()[:FORMAT_LENGTH]
    value, size = (b"NULL", b"NULL") if row.value is None else (blob(row.value[:value_limit]), b"%d" % len(row.value))
    head = (
        f"(0x{row.line_id.hex()},{row.source_id},{row.offset},'{text(log_format)}','{text(row.host[:HOST_LENGTH])}',"
        f"'{text(row.reason)}','{text(row.detail)}',"
    )
    tail = f",'{revision}',{'0' if row.dead_letter else 'NULL'})"
    return b"".join((head.encode("utf-8", "replace"), value, b",", size, tail.encode()))


def rollup_rows(totals: Mapping[Key, Totals]) -> Iterator[bytes]:
    """Yield the roll-ups as tuples of literals, in the order of their keys."""
    for key in sorted(totals):
        entry = totals[key]
        sums = ",".join(map(str, (entry.requests, entry.bytes, *entry.latency)))
        yield (
            f"('{key.minute}:00',{key.source_id},'{text(key.host)}','{key.route_class}',{key.status_class},{sums})"
        ).encode()


def advance(steps: Mapping[int, Step], newest: Mapping[int, str]) -> bytes:
    """Return the statement that moves every source on, and moves nothing that is not where it is expected to be."""
    ids = sorted(steps)
    where = " OR ".join(f"(source_id={i} AND next_offset={steps[i].expected})" for i in ids)
    offsets = " ".join(f"WHEN {i} THEN {steps[i].next}" for i in ids)
    events = " ".join(
        f"WHEN {i} THEN GREATEST(COALESCE(newest_event,'1970-01-01'),'{newest[i]}')" for i in ids if i in newest
    )
    newest_event = f",newest_event=CASE source_id {events} ELSE newest_event END" if events else ""
    return (
        f"UPDATE log_source SET next_offset=CASE source_id {offsets} END{newest_event},"
        f"updated_at=CURRENT_TIMESTAMP(3) WHERE {where}"
    ).encode()


def known_in(table: str, rows: Sequence[AccessRow | ErrorRow]) -> str:
    """Return the query for those of the rows' identities that a log table holds, by its primary key."""
    keys = " UNION ALL ".join(
        f"SELECT CAST('{row.line.ts}' AS DATETIME(3)),0x{row.line_id.hex()}"
        if index
        else f"SELECT CAST('{row.line.ts}' AS DATETIME(3)) AS ts,CAST(0x{row.line_id.hex()} AS BINARY(16)) AS line_id"
        for index, row in enumerate(rows)
    )
    return f"SELECT t.line_id FROM ({keys}) AS k STRAIGHT_JOIN {table} AS t ON t.ts=k.ts AND t.line_id=k.line_id"


def known_in_quarantine(line_ids: Collection[bytes]) -> str:
    """Return the query for those of the identities that the quarantine holds."""
    return f"SELECT line_id FROM quarantine WHERE line_id IN ({','.join('0x' + i.hex() for i in sorted(line_ids))})"


def chunks(rows: Iterable[bytes], limit: int) -> Iterator[list[bytes]]:
    """Yield the rows in pieces of at most ``limit`` bytes; a longer row is a piece of its own."""
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
