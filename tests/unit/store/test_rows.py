"""How lines are written for the servers."""

from __future__ import annotations

import base64

import pytest

from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.store.mysql import rows

_ID = bytes(range(16))
_DIGITS = base64.b64encode(_ID)


def access(uri: str) -> AccessLine:
    return AccessLine("2026-01-02 03:04:05.678", "192.0.2.1", 200, 7, uri=uri, source_id=3, kafka_offset=9, line_id=_ID)


def uri_of(array: bytes) -> bytes:
    """Return what means the target, between its quotes."""
    return array.partition(b',200,7,"","","')[2].partition(b'","')[0]


def test_an_array_is_a_row_in_the_order_of_the_columns() -> None:
    array = rows.arrays([access("/a")])
    assert array.startswith(b'["2026-01-02 03:04:05.678","192.0.2.1",200,7,"","","/a",')
    assert array.endswith(b',3,9,"%b"]\n' % _DIGITS)


def test_a_tuple_is_a_row_with_its_identity_in_binary() -> None:
    error = ErrorLine("2026-01-02 03:04:05.678", "error", 1, 2, "it's", line_id=_ID)
    first, second = rows.line_rows([access("/a"), access("/b")])
    assert first.endswith(b',3,9,FROM_BASE64("%b"))' % _DIGITS)
    assert uri_of(second) == b"/b"
    (only,) = rows.line_rows([error])
    assert only.startswith(b'("2026-01-02 03:04:05.678","error",1,2,"it\'s",NULL,"",')
    assert rows.line_rows([]) == []


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("it's", b"it's"),
        ('"', rb"\""),
        ("\\", rb"\\"),
        ("\n\r\t\b", rb"\n\r\t\b"),
        ("\0", rb"\0"),
        ("\x01\x0b\x1a\x1f\x7f", b"\x01\x0b\x1a\x1f\x7f"),
        ("\f", b"\x0c"),
        # What only looks like JSON's escapes is a backslash and letters.
        ("\\u0001\\f\\\\u001f\\\0", b"\\\\u0001\\\\f\\\\\\\\u001f\\\\\\0"),
        # More escapes than are looked at one by one, and then an odd one or none.
        ("\\" * 1000 + "\f", b"\\\\" * 1000 + b"\x0c"),
        ("\\" * 1000 + "f", b"\\\\" * 1000 + b"f"),
        ("é中😀\u2028", "é中😀\u2028".encode()),
    ],
)
def test_a_literal_means_the_same_text_to_the_server(text: str, literal: bytes) -> None:
    array = rows.arrays([access(text), access("/")])
    assert uri_of(array) == literal
    assert array.count(b"\n") == 2, "one line feed ends each"
    assert uri_of(rows.line_rows([access(text)])[0]) == literal
