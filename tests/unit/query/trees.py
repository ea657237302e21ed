"""Random filters and lines, made of the same few values, so that they meet."""

from __future__ import annotations

import datetime
import ipaddress
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from obsctl.lines.formats.line import ABSENT, AccessLine, ErrorLine, Line, fit
from obsctl.query import patterns
from obsctl.query.fields import ACCESS, LEVELS, Field, Kind, Table
from obsctl.query.tree import (
    All,
    Exists,
    InNetwork,
    Mark,
    Node,
    Not,
    Range,
    Relative,
    Term,
    Wildcard,
    Words,
    conjunction,
    disjunction,
)

NOW = datetime.datetime(2026, 3, 10, 12, 0, 0, 500_000, tzinfo=datetime.UTC)
#: What the servers, the patterns and the lists treat in a way of their own stands beside what they do not.
_PIECES = [
    *"aAbBkKsſéÉİıß中😀",
    *"%_|\\*?'\"`;[]{}()^$.+-=<>&!~/#:, \0\n\r\t\x1a\x7f\N{KELVIN SIGN}",
    "AND",
    "or",
    " : ",
    ", ",
    "/api",
    "--",
]
pieces = st.one_of(st.sampled_from(_PIECES), st.characters(exclude_categories=["Cs"]))
texts = st.lists(pieces, max_size=5).map("".join)

_SECONDS = st.integers(0, 5).map(lambda n: NOW + datetime.timedelta(milliseconds=(n - 3) * 500))
moments = st.one_of(
    _SECONDS, st.builds(Relative, st.integers(-2, 2), st.sampled_from("sm")).filter(lambda r: r.amount or r.unit == "s")
)
whole_numbers = st.one_of(st.sampled_from([0, 1, 7, 200, 404, 499, 500, 502, 599, 600]), st.integers(0, 2**63 - 1))
decimals = st.one_of(
    st.sampled_from(["0", "0.5", "0.25", "1", "1.001"]).map(Decimal),
    st.integers(0, 10**12).map(lambda n: Decimal(n) / 1000),
)
_V4 = [ipaddress.ip_address(text) for text in ("10.0.0.1", "10.0.0.255", "10.1.2.3", "192.0.2.7", "0.0.0.0")]
_V6 = [
    ipaddress.ip_address(text)
    for text in ("::", "::1", "fe80::1", "2001:db8::7", "2001:db8:1::", "::ffff:10.0.0.1", "1:2:3:4:5:6:7:8")
]
addresses = st.one_of(st.sampled_from([*_V4, *_V6]), st.ip_addresses())
#: What a line may name instead of an address.
peers = st.sampled_from(["unix:", "unix:/run/x.sock", "localhost", "host.example.com", "10.example", "LOCALHOST"])


@st.composite
def networks(draw: st.DrawFn) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    address = draw(addresses)
    return ipaddress.ip_network((address, draw(st.integers(0, address.max_prefixlen))), strict=False)


@st.composite
def written_addresses(draw: st.DrawFn) -> str:
    """Return an address in one of the ways that servers write it."""
    address = draw(addresses)
    if address.version == 4:
        return str(address)
    tail = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    mixed = ":".join(f"{int(group, 16):x}" for group in address.exploded.split(":")[:6]) + f":{tail}"
    # MariaDB reads no address of more characters than one without dots can have; servers write none.
    mixed = mixed if len(mixed) <= len(address.exploded) else address.compressed
    text = draw(st.sampled_from([address.compressed, address.exploded, mixed, address.compressed.upper()]))
    return text + draw(st.sampled_from(["", "", "%eth0"]))


wildcards = (
    st.lists(st.one_of(pieces, st.sampled_from(list(Mark))), min_size=1, max_size=7)
    .map(
        lambda parts: patterns.read(
            "".join(p.value if isinstance(p, Mark) else "".join(f"\\{c}" for c in p) for p in parts)
        )
    )
    .filter(lambda pattern: patterns.literal(pattern) is None and pattern != (Mark.ANY,))
)

_VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: texts,
    Kind.INTEGER: whole_numbers,
    Kind.DECIMAL: decimals,
    Kind.TIME: moments,
    Kind.LEVEL: st.sampled_from(LEVELS),
    Kind.ADDRESS: st.one_of(addresses, peers),
}


def _order(value: Any) -> Any:
    """Return what one end of a range is compared with the other by."""
    if isinstance(value, str):
        return LEVELS.index(value)
    if isinstance(value, Relative):
        return value.seconds
    if isinstance(value, ipaddress.IPv4Address):
        return int(ipaddress.IPv6Address(f"::ffff:{value}"))
    return int(value) if isinstance(value, ipaddress.IPv6Address) else value


@st.composite
def ranges(draw: st.DrawFn, field: Field) -> Range:
    values = addresses if field.kind is Kind.ADDRESS else _VALUES[field.kind]
    low, high = draw(values), draw(values)
    if isinstance(low, Relative) is isinstance(high, Relative):
        low, high = sorted((low, high), key=_order)
    low_included, high_included = draw(st.booleans()), draw(st.booleans())
    match draw(st.sampled_from(["both", "low", "high"])):
        case "low":
            return Range(field.name, low, None, low_included=low_included)
        case "high":
            return Range(field.name, None, high, high_included=high_included)
    return Range(field.name, low, high, low_included, high_included)


def conditions(table: Table) -> st.SearchStrategy[Node]:
    def of(field: Field) -> st.SearchStrategy[Node]:
        kinds: list[st.SearchStrategy[Node]] = [
            st.builds(Term, st.just(field.name), _VALUES[field.kind]),
            st.just(Exists(field.name)),
        ]
        kinds.append(st.builds(Wildcard, st.just(field.name), wildcards) if field.kind is Kind.TEXT else ranges(field))
        if field.kind is Kind.ADDRESS:
            kinds.append(st.builds(InNetwork, st.just(field.name), networks()))
        return st.one_of(kinds)

    words = st.builds(Words, texts.filter(bool))
    return st.one_of(words, st.just(All()), *(of(field) for field in table.fields.values()))


def trees(table: Table) -> st.SearchStrategy[Node]:
    return st.recursive(
        conditions(table),
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.lists(inner, min_size=2, max_size=3).map(conjunction),
            st.lists(inner, min_size=2, max_size=3).map(disjunction),
        ),
        max_leaves=6,
    )


def _listed(entries: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    @st.composite
    def lists(draw: st.DrawFn) -> str:
        found = draw(st.lists(entries, max_size=3))
        return "".join(entry + draw(st.sampled_from([", ", " : ", ","])) for entry in found[:-1]) + "".join(found[-1:])

    return lists()


def lines(table: Table) -> st.SearchStrategy[Line]:
    """Return lines as the consumer stores them, apart from their identity."""
    of_kind: dict[Kind, st.SearchStrategy[Any]] = {
        Kind.TEXT: texts,
        Kind.INTEGER: whole_numbers,
        Kind.DECIMAL: decimals.map(float),
        Kind.TIME: _SECONDS.map(lambda at: at.replace(tzinfo=None).isoformat(" ", "milliseconds")),
        Kind.LEVEL: st.sampled_from(LEVELS),
        Kind.ADDRESS: st.one_of(written_addresses(), peers, st.just("")),
    }

    def values(field: Field) -> st.SearchStrategy[Any]:
        found = of_kind[field.kind]
        if field.name == "status":
            return st.sampled_from([0, 200, 404, 499, 500, 502, 599, 600, 999])
        if field.name in {"log_format", "cut_fields"}:  # ASCII columns
            return (
                _listed(st.sampled_from(["uri", "referer", "json"]))
                if field.many
                else st.sampled_from(["json", "error"])
            )
        if field.many:
            return _listed(st.one_of(found.map(str), st.sampled_from(["-", "", "5e1", "1.", "502 "])))
        return st.one_of(found, st.just(ABSENT)) if field.absent else found

    line = AccessLine if table is ACCESS else ErrorLine
    return st.builds(line, **{field.name: values(field) for field in table.fields.values()}).map(_fitted)


def _fitted(line: Line) -> Line:
    fit(line)
    line.host = line.host[:64]
    return line
