"""The first translation: a function that says whether a line matches a filter.

The tree becomes one expression of Python, which is compiled once. Its text consists of the names of fields and of
constants (``c0``, ``c1``, …); what a person wrote is a constant's value and never part of the text.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable
from typing import Any

from obsctl.lines.formats.line import ABSENT, Line
from obsctl.query import patterns, values
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

Predicate = Callable[[Line], bool]
Clock = Callable[[], datetime.datetime]

_CACHE_SIZE = 20_000
_NO_ADDRESS = -1
_UPPER, _LOWER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_TO_LOWER = str.maketrans(_UPPER, _LOWER)
_whole = re.compile(r"[0-9]{1,18}").fullmatch
_decimal = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,3})?").fullmatch


def utc_now() -> datetime.datetime:
    """Return the present moment."""
    return datetime.datetime.now(datetime.UTC)


def compile_predicate(tree: Node, table: Table, now: Clock = utc_now) -> Predicate:
    """Return a function that says whether a line of the table's kind fits the tree.

    Args:
        tree: made for this table.
        table: what the lines are.
        now: the moment that relative times are counted from; it is asked for each line that is compared with one.
    """
    writer = _Writer(table, now)
    expression = writer.node(tree)
    made: Predicate = eval(compile(f"lambda line: {expression}", "<filter>", "eval"), writer.names)  # noqa: S307
    return made


class _Writer:
    """Writes the expression, and collects its constants."""

    def __init__(self, table: Table, now: Clock) -> None:
        self._table = table
        self.names: dict[str, Any] = {
            "ABSENT": ABSENT,
            "address": _ADDRESSES,
            "decimals": _decimals,
            "entries": entries,
            "lower": _lower,
            "moment": lambda value: values.moment(value, now()),
            "whole_numbers": _whole_numbers,
            # Nothing else of Python can be named.
            "__builtins__": {"any": any, "len": len},
        }

    def node(self, node: Node) -> str:
        match node:
            case All():
                return "True"
            case And(parts):
                return f"({' and '.join(map(self.node, parts))})"
            case Or(parts):
                return f"({' or '.join(map(self.node, parts))})"
            case Not(part):
                return f"(not {self.node(part)})"
            case Words(text):
                word = self._constant(text.translate(_TO_LOWER))
                fields = self._table.searched
                return f"({' or '.join(f'{word} in lower(line.{field.name})' for field in fields)})"
        field = self._table.fields[node.field]
        place = f"line.{field.name}"
        if isinstance(node, Exists):
            return self._exists(field, place)
        if not field.many:
            condition = self._condition(node, field, place)
            return f"({place} is not ABSENT and {condition})" if field.absent and isinstance(node, Range) else condition
        each = {Kind.INTEGER: "whole_numbers", Kind.DECIMAL: "decimals"}.get(field.kind, "entries")
        found = f"any([{self._condition(node, field, 'entry')} for entry in {each}({place})])"
        if isinstance(node, Term) and isinstance(node.value, str):
            # Most lines hold it nowhere, which is quickly seen.
            return f"({self._constant(node.value)} in {place} and {found})"
        return found

    def _exists(self, field: Field, place: str) -> str:
        if field.many or field.kind in {Kind.TEXT, Kind.ADDRESS, Kind.LEVEL}:
            return f"({place} != '')"
        return f"({place} is not ABSENT)" if field.absent else "True"

    def _condition(self, node: Condition, field: Field, place: str) -> str:
        match node:
            case Term(_, value):
                is_address = isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address)
                return f"({f'address[{place}]' if is_address else place} == {self._value(value)})"
            case Range() if field.kind is Kind.LEVEL:
                return f"({place} in {self._constant(frozenset(values.levels_of(node)))})"
            case Range(_, low, high, low_included, high_included):
                begin = "" if low is None else f"{self._value(low)} {'<=' if low_included else '<'} "
                end = "" if high is None else f" {'<=' if high_included else '<'} {self._value(high)}"
                if field.kind is not Kind.ADDRESS:
                    return f"({begin}{place}{end})"
                return f"({begin or '0 <= '}address[{place}]{end})"
            case InNetwork(_, network):
                first, last = map(self._constant, values.bounds(network))
                return f"({first} <= address[{place}] <= {last})"
            case Wildcard(_, pattern):
                return self._wildcard(pattern, place)
        raise AssertionError(node)

    def _wildcard(self, pattern: Pattern, place: str) -> str:
        """Return the test of a pattern: methods of the text where there are such, and else a function."""
        match pattern:
            case (str(prefix), Mark.ANY):
                return f"{place}.startswith({self._constant(prefix)})"
            case (Mark.ANY, str(suffix)):
                return f"{place}.endswith({self._constant(suffix)})"
            case (Mark.ANY, str(part), Mark.ANY):
                return f"({self._constant(part)} in {place})"
        return f"{self._constant(patterns.matcher(pattern))}({place})"

    def _value(self, value: Value) -> str:
        if isinstance(value, Relative):
            return f"moment({self._constant(value)})"
        if isinstance(value, datetime.datetime):
            return self._constant(values.moment(value, value))
        if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
            return self._constant(values.number(value))
        return self._constant(value if isinstance(value, str | int) else float(value))

    def _constant(self, value: object) -> str:
        name = f"c{len(self.names)}"
        self.names[name] = value
        return name


class _Addresses(dict[str, int]):
    """A text → the number of the address that it is, or -1. Lines name each client many times."""

    def __missing__(self, text: str) -> int:
        try:
            number = values.number(ipaddress.ip_address(text))
        except ValueError:
            number = _NO_ADDRESS
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[text] = number
        return number


_ADDRESSES = _Addresses()


def entries(text: str) -> list[str]:
    """Return the entries of a list; that of an empty text is an empty text.

    nginx writes ``, `` between servers and `` : `` where a request was passed on to another group of them; the names
    of cut fields and some proxies' lists have a comma alone.
    """
    return text.replace(" : ", ",").replace(", ", ",").split(",")


def _whole_numbers(text: str) -> list[int]:
    return [int(entry) for entry in entries(text) if _whole(entry)] if text else []


def _decimals(text: str) -> list[float]:
    return [float(entry) for entry in entries(text) if _decimal(entry)] if text else []


def _lower(text: str) -> str:
    """Return the text with a to z for A to Z, and no other letter changed: what the databases can do as well."""
    return text.lower() if text.isascii() else text.translate(_TO_LOWER)
