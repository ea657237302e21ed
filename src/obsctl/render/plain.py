"""Makes texts from hosts, clients and vendors safe for a terminal and for monitoring."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return the text with ``?`` for characters that control a terminal; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def label(name: str) -> str:
    """Return a valid name for performance data: without blanks, quotes, ``=`` and ``|``."""
    return "".join(c if c.isalnum() or c in "_.-/" else "_" for c in name)
