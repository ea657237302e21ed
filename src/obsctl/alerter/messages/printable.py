"""Makes text from outside safe for a chat, a log and a command: invisible characters and markup are removed.

Letters of any script stay. A question mark replaces what was removed, so that a reader sees that something was there.
"""

from __future__ import annotations

import re
import unicodedata

#: Longest value that clients choose, in characters; longer ones are cut.
LONGEST = 80
#: Controls, formats (bidirectional overrides, zero width, tags), surrogates, private use, unassigned, line and
#: paragraph separators: none of them shows anything that belongs to the text.
_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
#: Letters and marks by category that are nevertheless invisible: fillers, joiners, variation selectors, blanks.
_BLANKS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
#: Characters of a chat's markup (styles, links, mentions), and those that end a string in SQL or in a shell.
_MARKUP = re.compile(r"[`'\"\\*\[\]<>|$]")
#: A chat turns a URL into a link if it has a scheme.
_SCHEME = re.compile(r":(?=//)")
#: Stacked combining marks, which would cover the lines above and below.
_MANY_MARKS = 3


def visible(text: str) -> str:
    """Return a text on one line and without invisible characters; spaces of any width become plain ones."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_seen(text))


def printable(text: str) -> str:
    """Return a text chosen by clients in a form that is safe in a message, at most :data:`LONGEST` characters."""
    # Cut first: the text may be as long as a request.
    shown = _SCHEME.sub("?", _MARKUP.sub("?", visible(text[: LONGEST + 1])))
    return shown if len(text) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _seen(text: str) -> list[str]:
    found: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category == "Zs":
            found.append(" ")
        elif category in _INVISIBLE or _BLANKS.match(character) or marks > _MANY_MARKS:
            found.append("?")
        else:
            found.append(character)
    return found
