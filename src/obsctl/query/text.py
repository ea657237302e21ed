"""A tree back as text, for lists of rules and silences; the parser reads the same tree from it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from decimal import Decimal

from obsctl.query.tree import (
    All,
    And,
    Exists,
    InNetwork,
    Mark,
    Network,
    Node,
    Not,
    Or,
    Pattern,
    Range,
    Relative,
    Term,
    Value,
    Wildcard,
    Words,
)

#: What needs neither quotes nor backslashes, wherever it stands.
_plain = re.compile(r"-?[A-Za-z0-9_][A-Za-z0-9_.-]*").fullmatch
_OPERATORS = frozenset(("AND", "OR", "NOT", "TO"))
_SPECIAL = re.compile(r'([\s()\[\]{}"^~\\<>&|:!+=/*?-])')


def to_text(tree: Node) -> str:
    """Return the tree as a filter."""
    match tree:
        case All():
            return "*"
        case And(parts):
            return " AND ".join(_inside(part, Or) for part in parts)
        case Or(parts):
            return " OR ".join(_inside(part) for part in parts)
        case Not(part):
            return f"NOT {_inside(part, And, Or)}"
        case Words(text):
            return (
                text if _plain(text) and not text.startswith("-") and text.upper() not in _OPERATORS else _quoted(text)
            )
        case Exists(field):
            return f"{field}:*"
        case Term(field, value):
            return f"{field}:{_value(value)}"
        case InNetwork(field, network):
            return f"{field}:{_value(network)}"
        case Wildcard(field, pattern):
            return f"{field}:{_pattern(pattern)}"
        case Range():
            return f"{tree.field}:{_range(tree)}"


def _range(node: Range) -> str:
    if node.high is None:
        return f"{'>=' if node.low_included else '>'}{_value(node.low)}"
    if node.low is None:
        return f"{'<=' if node.high_included else '<'}{_value(node.high)}"
    return f"{'{['[node.low_included]}{_value(node.low)} TO {_value(node.high)}{'}]'[node.high_included]}"


def _inside(part: Node, *weaker: type[Node]) -> str:
    """Return a part of another node, in parentheses where it would fall apart without them."""
    return f"({to_text(part)})" if isinstance(part, weaker) else to_text(part)


def _value(value: Value | Network | None) -> str:
    if isinstance(value, Relative):
        return f"now{value.amount:+d}{value.unit}" if value.amount else "now"
    if isinstance(value, datetime.datetime):
        precision = "milliseconds" if value.microsecond else "seconds"
        text = value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"
    else:
        text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return text if _plain(text) and text.upper() not in _OPERATORS else _quoted(text)


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _pattern(pattern: Pattern) -> str:
    return "".join(_written(pattern))


def _written(pattern: Pattern) -> Iterable[str]:
    return (part.value if isinstance(part, Mark) else _SPECIAL.sub(r"\\\1", part) for part in pattern)
