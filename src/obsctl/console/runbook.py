"""Turns a runbook page into blocks for a template; understands the subset of Markdown used in docs/runbooks. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_item = re.compile(r"(\d+\.|[-*]) (.*)").fullmatch
_link = re.compile(r"\[([^]]*)\]\([^)]*\)")


class Part(NamedTuple):
    """A part of a line: plain text, or code."""

    text: str
    code: bool


class Block(NamedTuple):
    """A heading, a paragraph, or a list.

    Attributes:
        kind: ``h1``, ``h2``, ``p``, ``ol`` or ``ul``.
        lines: one line, or the items of a list.
    """

    kind: str
    lines: list[list[Part]]


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page, in order; links are replaced by their texts."""
    found: list[tuple[str, list[str]]] = []
    goes_on = False
    for line in map(str.strip, _link.sub(r"\1", text).splitlines()):
        item = _item(line)
        if line.startswith("#"):
            marks, _, title = line.partition(" ")
            found.append(("h1" if marks == "#" else "h2", [title]))
        elif item:
            kind = "ol" if item[1][0].isdigit() else "ul"
            if not found or found[-1][0] != kind:
                found.append((kind, []))
            found[-1][1].append(item[2])
        elif line and goes_on:
            found[-1][1][-1] += f" {line}"
        elif line:
            found.append(("p", [line]))
        goes_on = bool(line) and not line.startswith("#")
    return [Block(kind, list(map(_parts, lines))) for kind, lines in found]


def _parts(line: str) -> list[Part]:
    return [Part(text, code=bool(index % 2)) for index, text in enumerate(line.split("`")) if text]
