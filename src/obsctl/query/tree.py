"""A filter as a tree. Values have the types of their fields, so both translations read the same thing."""

from __future__ import annotations

import datetime
import enum
import ipaddress
from collections.abc import Iterable
from decimal import Decimal

import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Mark(enum.Enum):
    """What stands for other characters in a pattern."""

    #: Any characters, or none.
    ANY = "*"
    #: Exactly one character.
    ONE = "?"


#: A text with wildcards: literal pieces and marks.
Pattern = tuple[str | Mark, ...]


class Relative(msgspec.Struct, frozen=True):
    """A time that is counted from the moment of the question.

    Attributes:
        amount: how many units after it; a negative number lies before it.
        unit: ``s``, ``m``, ``h``, ``d`` or ``w``.
    """

    amount: int
    unit: str

    @property
    def seconds(self) -> int:
        """The distance in seconds."""
        return self.amount * UNITS[self.unit]


#: Seconds of a unit.
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

#: What a condition compares a field with: a text, a whole number, a number, a time (UTC) or an address.
Value = str | int | Decimal | datetime.datetime | Relative | Address


class All(msgspec.Struct, frozen=True):
    """Every line."""


class And(msgspec.Struct, frozen=True):
    """All parts hold."""

    parts: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    """One of the parts holds."""

    parts: tuple[Node, ...]


class Not(msgspec.Struct, frozen=True):
    """The part does not hold; a comparison with a number that the line does not have does not hold."""

    part: Node


class Exists(msgspec.Struct, frozen=True):
    """The line has the field: a text that is not empty, a number that is not absent."""

    field: str


class Term(msgspec.Struct, frozen=True):
    """The field equals the value."""

    field: str
    value: Value


class Range(msgspec.Struct, frozen=True):
    """The field lies between two values; None is an open end, and one of both is a value."""

    field: str
    low: Value | None
    high: Value | None
    low_included: bool = True
    high_included: bool = True


class Wildcard(msgspec.Struct, frozen=True):
    """The whole text fits the pattern."""

    field: str
    pattern: Pattern


class InNetwork(msgspec.Struct, frozen=True):
    """The address belongs to the network."""

    field: str
    network: Network


class Words(msgspec.Struct, frozen=True):
    """One of the searched fields contains the text; the letters A to Z equal a to z."""

    text: str


Node = All | And | Or | Not | Exists | Term | Range | Wildcard | InNetwork | Words
Condition = Exists | Term | Range | Wildcard | InNetwork


def conjunction(parts: Iterable[Node]) -> Node:
    """Return the tree for "all of them"; one part is itself, and no And holds another one."""
    flat = _flat(And, parts)
    return flat[0] if len(flat) == 1 else And(flat)


def disjunction(parts: Iterable[Node]) -> Node:
    """Return the tree for "one of them"; one part is itself, and no Or holds another one."""
    flat = _flat(Or, parts)
    return flat[0] if len(flat) == 1 else Or(flat)


def _flat(kind: type[And | Or], parts: Iterable[Node]) -> tuple[Node, ...]:
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else (part,)
    return tuple(flat)
