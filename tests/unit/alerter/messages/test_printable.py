"""What of a text that others wrote stands in a message."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.alerter.messages.printable import LONGEST, printable, visible

#: Nothing of these may come through, wherever it stands.
_HARMFUL = re.compile(r"[`'\"\\*\[\]<>|$]|://")


@pytest.mark.parametrize(
    "text",
    [
        "/api/v1/users?id=7&x=%20",
        "2001:db8::1",
        "/搜索/日志",
        "/поиск/Ünïcödé",
        "/検索/カタカナ",
        "/खोज/กำลัง/بحث",
        "emoji 🚨 stays",
        "10.0.0.1:8080, 10.0.0.2:8080 : 10.0.0.3:80",
    ],
)
def test_letters_of_any_script_stay(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nSet-Cookie: b\tc\x00d\x1b[31me", "a??Set-Cookie: b?c?d??31me"),
        ("user\u202egpj.exe", "user?gpj.exe"),
        ("\u2066a\u2069\u200e\u200f\u061c", "?a????"),
        ("ze\u200bro\u200c\u200d\ufeff\u2060\u00ad", "ze?ro?????"),
        ("tag\U000e0041\U000e007f", "tag??"),
        ("a\u2028b\u2029c\x85d", "a?b?c?d"),
        ("\u3164\u115f\u2800\ufe0f", "????"),
        ("a\u00a0b\u3000c\u2003d", "a b c d"),
        ("half\ud800 a\udfff", "half? a?"),
        ("\ue000\U000f0000\u0378", "???"),
        ("a\u0301\u0302\u0303\u0304\u0305\u0306", "a\u0301\u0302\u0303???"),
        ("](http://evil/x)", "?(http?//evil/x)"),
        ("**b** `c` <@all> |x| \\' \" $(id)", "??b?? ?c? ?@all? ?x? ?? ? ?(id)"),
    ],
)
def test_what_is_invisible_or_markup_leaves_a_mark(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_it_is_bounded() -> None:
    assert printable("/" * LONGEST) == "/" * LONGEST
    assert printable("/" * 100_000) == "/" * (LONGEST - 1) + "…"


def test_what_the_site_wrote_keeps_its_markup() -> None:
    text = 'NOT message:*SSL_* AND uri:"/搜索"'
    assert visible(text) == text
    assert visible("a\nb\u202ec") == "a?b?c"


@given(st.text(st.characters(), max_size=200))
def test_nothing_harmful_comes_through(text: str) -> None:
    shown = printable(text)
    assert len(shown) <= LONGEST
    assert not _HARMFUL.search(shown)
    assert all(unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp") for c in shown)
    assert printable(shown) == shown
