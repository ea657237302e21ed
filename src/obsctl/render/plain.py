"""Texts that hosts, clients and vendors chose, as a terminal and a monitoring may have them."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return the text with ``?`` for what could move a terminal's cursor or colour it; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def label(name: str) -> str:
    """Return the name of a number as performance data may have it: no blank, quote, ``=`` or ``|``."""
    return "".join(c if c.isalnum() or c in "_.-/" else "_" for c in name)
