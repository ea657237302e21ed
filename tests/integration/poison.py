"""The poison set: every kind of record that has broken a pipeline somewhere, and where each must end.

Some are lines like any other, odd as they look, and must come back as they were; the others belong into the
quarantine, with their reason and as Kafka held them. :data:`REFUSALS` makes a database refuse what parsers accept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from obsctl.lines.formats.line import AccessLine, widths
from rig.records import json_line, record

#: 2026-03-10 12:00 UTC.
NOON = 1_773_144_000.0
#: With it a line of 60,000 characters is larger than a statement may be.
SMALL_PACKET = 65_536


@dataclass(frozen=True)
class Poison:
    """One kind of record.

    Attributes:
        make: returns the record's value; each number gives another line.
        table: where it belongs.
        reason: its reason there; more than one where the servers' error numbers differ.
        column: a column that shows that the line was read, and ``expected`` what it holds.
        packet_bytes: the server's max_allowed_packet, or None for its own.
        whole: the quarantine holds the whole value; else as much as a packet takes.
        origin: the record says of which line it is, so that a resend of it is known.
    """

    name: str
    make: Callable[[int], bytes | None]
    table: str = "quarantine"
    reason: tuple[str, ...] = ()
    column: str = ""
    expected: Any = None
    packet_bytes: int | None = None
    whole: bool = True
    origin: bool = True


def _broken(name: str, reason: str, make: Callable[[int], bytes | None], *, origin: bool = True) -> Poison:
    return Poison(name, make, reason=(reason,), origin=origin and reason not in {"not_json", "null_value"})


def _envelope(message: bytes, offset: bytes = b"%d", host: bytes = b'{"name": "node1"}') -> Callable[[int], bytes]:
    def make(n: int) -> bytes:
        return b'{%s"host": %s, "log": {"offset": %s}, "fields": {"log_format": "json", "log_input": "a"}}' % (
            message,
            host,
            offset.replace(b"%d", b"%d" % n),
        )

    return make


def _json(column: str, expected: Any, **fields: Any) -> Callable[[str], Poison]:
    """Return a JSON line that is stored with the fields."""
    return lambda name: Poison(
        name, lambda n: record(json_line(n, **({"msec": NOON + n} | fields)), n), "access_log", (), column, expected
    )


def _combined(column: str, expected: Any, line: str) -> Callable[[str], Poison]:
    """Return a combined line that is stored."""
    return lambda name: Poison(
        name, lambda n: record(line, n, log_format="combined", log_input="replay"), "access_log", (), column, expected
    )


def _error(column: str, expected: Any, line: str) -> Callable[[str], Poison]:
    """Return an error line that is stored."""
    return lambda name: Poison(
        name, lambda n: record(line, n, log_format="error", log_input="error"), "error_log", (), column, expected
    )


_AT = "[10/Mar/2026:12:00:00 +0000]"
#: Every text that a client or a back end can make long.
_LONG = {
    name: "x" * 66_000 if width.bytes else "😀" * 1100
    for name, width in widths(AccessLine).items()
    if name not in {"client_addr", "proxy_addr"}
}
_ODD = "\0\x01\t\n\r\"'\\%_\x1a;--😀\u2028ü\ufffd"

_BROKEN = [
    _broken("a line of no format", "parse", lambda n: record(f"rubbish {n}", n)),
    _broken("an empty line", "parse", lambda n: record("", n)),
    _broken("a format that is not known", "format", lambda n: record("x", n, log_format="syslog")),
    _broken("no format", "format", lambda n: record(json_line(n), n, log_format="")),
    _broken("a line of 900 kB", "parse", lambda n: record("x" * 900_000, n)),
    _broken("a host longer than its column", "field_length", lambda n: record(json_line(n), n, host="h" * 300)),
    _broken("a cut line", "parse", lambda n: record(json_line(n)[:100], n)),
    _broken("brackets a thousand deep", "parse", lambda n: record('{"a":' + "[" * 3000 + "]" * 3000 + "}", n)),
    _broken("an object where a text must be", "parse", lambda n: record(json_line(n, uri={"a": [1, None]}), n)),
    _broken("a time before 1970", "time", lambda n: record(json_line(n, msec=-1e6), n)),
    _broken("a time after 2099", "time", lambda n: record(json_line(n, msec=4_102_444_800), n)),
    _broken("more bytes than 64 bits", "field_range", lambda n: record(json_line(n, bytes=2**63), n)),
    _broken("a negative status", "field_range", lambda n: record(json_line(n, status=-1), n)),
    _broken("half a four-byte sign in the line", "parse", lambda n: record(f'{{"uri": "\\ud83d{n}"}}', n)),
    _broken("no value", "null_value", lambda n: None),
    _broken("an empty value", "not_json", lambda n: b""),
    _broken("NULs", "not_json", lambda n: b"\0" * 40),
    _broken("no UTF-8 at all", "not_json", lambda n: b"\xff\xfe\x00%d" % n),
    _broken("quotes and backslashes", "not_json", lambda n: b"'\\'\\\\'; DROP TABLE access_log; -- %d" % n),
    _broken("cut JSON", "not_json", lambda n: record(json_line(n), n)[:-30]),
    _broken("an array", "not_json", lambda n: b"[%d]" % n),
    _broken("a value a thousand deep", "not_json", lambda n: b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"),
    _broken("a byte that is no UTF-8 in the line", "envelope", _envelope(b'"message": "a\xffb", ')),
    _broken("an object for a message", "envelope", _envelope(b'"message": {"a": {"b": [1, 2]}}, ')),
    _broken("no message", "no_message", _envelope(b"")),
    _broken("a null message", "no_message", _envelope(b'"message": null, ')),
    _broken("no host", "envelope", _envelope(b'"message": "x", ', host=b"null"), origin=False),
    _broken("an offset that is a text", "envelope", _envelope(b'"message": "x", ', offset=b'"%d"'), origin=False),
]

_ODD_LINES = [
    build(name)
    for name, build in {
        "NUL, quotes, controls, four bytes": _json("user_agent", _ODD, user_agent=_ODD),
        "a text that would end the statement": _json("uri", "/'); --\\", uri="/'); --\\"),
        "an emoji": _json("uri", "/😀", uri="/😀"),
        "an empty request in JSON": _json("method", "", method="", uri="", protocol="", status=400),
        "IPv6": _json("client_addr", "2001:db8::7", remote_addr="2001:db8::7"),
        "a user with blanks": _json("remote_user", "John Ronald Doe", remote_user="John Ronald Doe"),
        "a second in the year 2099": _json("YEAR(ts)", 2099, msec=4_102_444_799.0),
        "a second in the year 1970": _json("YEAR(ts)", 1970, msec=1.0),
        "the largest numbers": _json(
            "request_time", 10**9, bytes=2**63 - 1, request_length=2**63 - 1, request_time=1e9
        ),
        "a field longer than its column": _json("cut_fields", "uri", uri="/" * 70_000),
        "a field of many bytes": _json("cut_fields", "referer", referer="😀" * 17_000),
        "a field of many characters": _json("cut_fields", "vhost", host="😀" * 300),
        "every text longer than its column": _json(
            "cut_fields", ",".join(_LONG), **{{"vhost": "host"}.get(name, name): text for name, text in _LONG.items()}
        ),
        "a retry list longer than its column": _json(
            "upstream_status", ", ".join(["502"] * 51), upstream_status=", ".join(["502"] * 60)
        ),
        "NULs before a line": lambda name: Poison(
            name,
            lambda n: record("\0" * 9 + json_line(n, msec=NOON + n), n),
            "access_log",
            (),
            "client_addr",
            "198.51.100.7",
        ),
        "an object in a field that is not read": _json("uri", "/", uri="/", more={"a": [{"b": None}]}),
        "a dash for the bytes": _combined("bytes", 0, f'192.0.2.1 - - {_AT} "GET / HTTP/1.1" 304 - "-" "-"'),
        "an empty request": _combined("uri", "", f'192.0.2.1 - - {_AT} "" 400 0 "-" "-"'),
        "a request of bytes": _combined("uri", "\\x16\\x03\\x01", f'::1 - - {_AT} "\\x16\\x03\\x01" 400 0 "-" "-"'),
        "quotes that are escaped": _combined(
            "user_agent", 'say \\"a\\"', f'192.0.2.1 - - {_AT} "GET / HTTP/1.1" 200 1 "-" "say \\"a\\""'
        ),
        "a replaced byte": _combined("uri", "/\ufffd", f'192.0.2.1 - - {_AT} "GET /\ufffd HTTP/1.1" 200 1 "-" "-"'),
        "the hour that a change of clocks repeats": _combined(
            "HOUR(ts)", 1, '192.0.2.1 - - [26/Oct/2025:02:30:00 +0100] "GET / HTTP/1.1" 200 1 "-" "-"'
        ),
        "the hour before it": _combined(
            "HOUR(ts)", 0, '192.0.2.1 - - [26/Oct/2025:02:30:00 +0200] "GET / HTTP/1.1" 200 1 "-" "-"'
        ),
        "an error line with a trap": _error(
            "upstream",
            "fastcgi://unix:/run/a.sock:",
            '2026/03/10 12:00:00 [error] 7#7: *1 FastCGI sent in stderr: "bad, client: \'\\none\nline two\0😀"'
            " while reading response header from upstream, client: 2001:db8::7, server: a,"
            ' request: "GET /\\x22 HTTP/1.1", upstream: "fastcgi://unix:/run/a.sock:", host: "a"',
        ),
        "an error line without a request": _error("connection_id", None, "2026/03/10 12:00:00 [notice] 1#1: exit"),
    }.items()
]


def _refused(what: str, *codes: int) -> Poison:
    return Poison(
        f"refused by the database: {what}",
        lambda n: record(json_line(n, msec=NOON + n, user_agent=f"poison {what}"), n),
        reason=tuple(f"refused_{code}" for code in codes),
    )


#: Makes a database refuse the lines below, on MySQL and on MariaDB.
REFUSALS = (
    "ALTER TABLE access_log ADD CONSTRAINT no_poison CHECK (user_agent <> 'poison check')",
    "CREATE TRIGGER access_poison BEFORE INSERT ON access_log FOR EACH ROW BEGIN"
    " IF NEW.user_agent='poison signal' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='no poison'; END IF;"
    " IF NEW.user_agent='poison null' THEN SET NEW.uri=NULL; END IF;"
    " IF NEW.user_agent='poison range' THEN SET NEW.status=70000; END IF;"
    " IF NEW.user_agent='poison length' THEN SET NEW.method=REPEAT('x',33); END IF;"
    " IF NEW.user_agent='poison number' THEN SET NEW.status='x'; END IF;"
    " IF NEW.user_agent='poison time' THEN SET NEW.ts='2026-02-30'; END IF;"
    " END",
    "CREATE TRIGGER error_poison BEFORE INSERT ON error_log FOR EACH ROW"
    " IF NEW.message='poison' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='no poison'; END IF",
)

_REFUSED = [
    _refused("check", 4025, 3819),
    _refused("signal", 1644),
    _refused("null", 1048),
    _refused("range", 1264),
    _refused("length", 1406),
    _refused("number", 1366),
    _refused("time", 1292),
    Poison(
        "refused by the database: an error line",
        lambda n: record("2026/03/10 12:00:00 [error] 7#7: *1 poison", n, log_format="error", log_input="error"),
        reason=("refused_1644",),
    ),
    Poison(
        "larger than a packet",
        # An access line is loaded, in packets as small as need be; error lines go in by a statement.
        lambda n: record(f"2026/03/10 12:00:00 [error] 7#7: {'x' * 60_000}", n, log_format="error", log_input="error"),
        reason=("refused_1153",),
        packet_bytes=SMALL_PACKET,
        whole=False,
    ),
]

POISON = [*_BROKEN, *_ODD_LINES, *_REFUSED]


def good(n: int) -> bytes:
    """Return a line as most are."""
    return record(json_line(n, msec=NOON + n % 600), n)


def name_of(value: bytes) -> str:
    """Return the ``client_request_id`` of a good line, which names it in the table."""
    return str(json.loads(json.loads(value)["message"])["client_request_id"])
