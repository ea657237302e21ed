"""The second translation: a condition of SQL for MySQL and MariaDB that selects the same lines as the predicate.

The statement's text is made of the names of columns and of a closed set of words; each value that a person wrote is a
parameter. Some of the databases' own rules have to be kept away, because the predicate does not have them:

- ``=`` ignores blanks at the end of a text (PAD SPACE); LIKE does not, so texts are compared by it.
- A comparison with NULL is neither true nor false, and so is its opposite; IS TRUE makes it false.
- Backslashes in a LIKE depend on the session's mode, so ``|`` is the escape.
"""

from __future__ import annotations

import datetime
import ipaddress
from decimal import Decimal
from typing import NamedTuple

from obsctl.query import values
from obsctl.query.fields import Field, Kind, Table
from obsctl.query.tree import (
    All,
    And,
    Condition,
    Exists,
    InNetwork,
    Mark,
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

Parameter = str | bytes | int | Decimal

_LIKE_ESCAPES = str.maketrans({"|": "||", "%": "|%", "_": "|_"})
#: As :func:`obsctl.query.predicate.entries` takes a list apart. A quoted JSON text stays one when quotes are put at its
#: commas.
_ENTRIES = (
    "JSON_TABLE(CONCAT('[', REPLACE(REPLACE(REPLACE(JSON_QUOTE({}), ' : ', ','), ', ', ','), ',', '\",\"'), ']'),"
    " '$[*]' COLUMNS (entry TEXT PATH '$')) AS entries"
)
#: IPv4 addresses become IPv6 ones, and a zone (fe80::1%eth0) is left out; what is no address becomes NULL. So does on
#: MariaDB an address of more than 39 characters, which only one with all its zeros and dots has and no server writes.
_ADDRESS = "INET6_ATON(IF(LOCATE(':', {0}) > 0, SUBSTRING_INDEX({0}, '%%', 1), CONCAT('::ffff:', {0})))"
#: Which entries of a list are numbers, and how they become ones. The anchors alone would let a line feed through.
_WHOLE_NUMBER = "entry REGEXP '^[0-9]{1,18}$' AND entry NOT REGEXP '[^0-9]'"
_DECIMAL = "entry REGEXP '^[0-9]{1,10}([.][0-9]{1,3})?$' AND entry NOT REGEXP '[^0-9.]'"
_NUMBERS = {
    Kind.INTEGER: (_WHOLE_NUMBER, "CAST(entry AS DECIMAL(18,0))"),
    Kind.DECIMAL: (_DECIMAL, "CAST(entry AS DECIMAL(13,3))"),
}


class Sql(NamedTuple):
    """A condition for WHERE.

    Attributes:
        text: with ``%s`` for each parameter, and ``%%`` for a percent sign.
        parameters: in their order.
    """

    text: str
    parameters: tuple[Parameter, ...]


def to_sql(tree: Node, table: Table, now: datetime.datetime | None = None) -> Sql:
    """Return the condition that selects the lines which fit the tree.

    The connection's character set must be utf8mb4.

    Args:
        tree: made for this table.
        table: whose columns are named.
        now: the moment that relative times are counted from; None is the present one.
    """
    writer = _Writer(table, now or datetime.datetime.now(datetime.UTC))
    text = writer.node(tree)
    return Sql(text, tuple(writer.parameters))


class _Writer:
    """Writes the text, and collects the parameters in the order of their places."""

    def __init__(self, table: Table, now: datetime.datetime) -> None:
        self._table = table
        self._now = now
        self.parameters: list[Parameter] = []

    def node(self, node: Node) -> str:
        match node:
            case All():
                return "TRUE"
            case And(parts):
                return f"({' AND '.join(map(self.node, parts))})"
            case Or(parts):
                return f"({' OR '.join(map(self.node, parts))})"
            case Not(part):
                return f"(NOT {self.node(part)})"
            case Words(text):
                return f"({' OR '.join(self._contains(field, text) for field in self._table.searched)})"
        field = self._table.fields[node.field]
        column = f"`{field.name}`"
        if isinstance(node, Exists):
            return self._exists(field, column)
        if not field.many:
            condition = self._condition(node, field, column)
            return f"(({condition}) IS TRUE)" if field.absent or field.kind is Kind.ADDRESS else f"({condition})"
        # COUNT, not EXISTS: MySQL 9.7 makes a join of that, and reads the list of one row for all rows.
        if field.kind is Kind.TEXT:
            return (
                f"((SELECT COUNT(*) FROM {_ENTRIES.format(column)} WHERE {self._condition(node, field, 'entry')}) > 0)"
            )
        is_one, number = _NUMBERS[field.kind]
        condition = self._condition(node, field, number)
        return f"((SELECT COUNT(*) FROM {_ENTRIES.format(column)} WHERE {is_one} AND {condition}) > 0)"

    def _exists(self, field: Field, column: str) -> str:
        if field.many or field.kind in {Kind.TEXT, Kind.ADDRESS, Kind.LEVEL}:
            return f"(CHAR_LENGTH({column}) > 0)"
        return f"({column} IS NOT NULL)"

    def _condition(self, node: Condition, field: Field, place: str) -> str:
        match node:
            case Term(_, value) if isinstance(value, str):
                return self._like(place, (value,))
            case Term(_, value):
                return f"{self._place(field, place)} = {self._value(value)}"
            case Range() if field.kind is Kind.LEVEL:
                likes = [self._like(place, (level,)) for level in values.levels_of(node)]
                return " OR ".join(likes) or "FALSE"
            case Range(_, low, high, low_included, high_included):
                compared = self._place(field, place)
                ends = [] if low is None else [f"{compared} {'>=' if low_included else '>'} {self._value(low)}"]
                ends += [] if high is None else [f"{compared} {'<=' if high_included else '<'} {self._value(high)}"]
                return " AND ".join(ends)
            case InNetwork(_, network):
                first, last = map(self._address, values.bounds(network))
                return f"{_ADDRESS.format(place)} BETWEEN {first} AND {last}"
            case Wildcard(_, pattern):
                return self._like(place, pattern)
        raise AssertionError(node)

    def _place(self, field: Field, place: str) -> str:
        return _ADDRESS.format(place) if field.kind is Kind.ADDRESS else place

    def _like(self, place: str, pattern: Pattern) -> str:
        marks = {Mark.ANY: "%", Mark.ONE: "_"}
        parts = (marks[part] if isinstance(part, Mark) else part.translate(_LIKE_ESCAPES) for part in pattern)
        return f"{place} LIKE {self._parameter(''.join(parts))} COLLATE utf8mb4_bin ESCAPE '|'"

    def _contains(self, field: Field, text: str) -> str:
        """Return the test whether a text is contained, where the letters A to Z equal a to z and no others.

        No collation compares so: each letter becomes a class of two, and each other character its number.
        """
        classes = (
            f"[{character.lower()}{character.upper()}]"
            if character.isascii() and character.isalpha()
            else f"\\x{{{ord(character):x}}}"
            for character in text
        )
        return f"`{field.name}` REGEXP {self._parameter(''.join(classes))}"

    def _value(self, value: Value) -> str:
        if isinstance(value, datetime.datetime | Relative):
            return self._parameter(values.moment(value, self._now))
        if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
            return self._address(values.number(value))
        return self._parameter(value)

    def _address(self, number: int) -> str:
        return f"INET6_ATON({self._parameter(str(ipaddress.IPv6Address(number)))})"

    def _parameter(self, value: Parameter) -> str:
        self.parameters.append(value)
        return "%s"
