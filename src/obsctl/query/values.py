"""The values of a filter: from their text to the type of their field."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import re
from decimal import Decimal

from obsctl.core.nearest import did_you_mean
from obsctl.lines.formats.line import LineError
from obsctl.lines.formats.peer import PEERS
from obsctl.query.fields import LEVELS, Field, Kind
from obsctl.query.tree import UNITS, Address, Network, Range, Relative, Value

NETWORKS = (ipaddress.IPv4Network, ipaddress.IPv6Network)
#: A kind with its article.
NAMES = {
    Kind.TEXT: "a text",
    Kind.INTEGER: "a whole number",
    Kind.DECIMAL: "a number",
    Kind.ADDRESS: "an address",
    Kind.TIME: "a time",
    Kind.LEVEL: "a level",
}
#: The columns of 64 bits.
_INTEGER_MAX = 2**63 - 1
#: Seconds have milliseconds; this many digits are exact in a float as well.
_decimal = re.compile(r"-?[0-9]{1,10}(?:\.([0-9]{1,3})0*)?").fullmatch
_integer = re.compile(r"-?[0-9]{1,19}").fullmatch
_relative = re.compile(r"now(?:([+-][0-9]{1,7})([smhdw]))?").fullmatch
_iso = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,3})?)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
).fullmatch
#: A hundred years.
_FARTHEST = 36_525 * UNITS["d"]
_FIRST_YEAR, _LAST_YEAR = 1970, 9998
#: IPv4 addresses are compared as IPv6 ones (RFC 4291, 2.5.5.2), so that ``::ffff:192.0.2.7`` is 192.0.2.7.
_MAPPED = 0xFFFF << 32


class WrongValueError(ValueError):
    """A value that its field cannot have.

    Attributes:
        hint: what to write instead; empty if the field's example says it.
    """

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


def read(field: Field, text: str) -> Value | Network:
    """Return the value that a text stands for in a condition on a field.

    Raises:
        WrongValueError: the field cannot have such a value.
    """
    match field.kind:
        case Kind.INTEGER:
            if not _integer(text) or abs(int(text)) > _INTEGER_MAX:
                raise WrongValueError(f"{field.name} is a whole number, which {_quoted(text)} is not")
            return int(text)
        case Kind.DECIMAL:
            if not _decimal(text):
                raise WrongValueError(
                    f"{field.name} is a number of seconds with at most 3 decimals, which {_quoted(text)} is not"
                )
            return Decimal(text)
        case Kind.TIME:
            return _time(field, text)
        case Kind.ADDRESS:
            return _address(field, text)
        case Kind.LEVEL:
            return _level(field, text)
    return text


def is_after(low: Value, high: Value) -> bool:
    """Return whether a range between both is surely empty; a relative time moves against an absolute one."""
    first, second = _ordered(low), _ordered(high)
    return type(first) is type(second) and first > second  # type: ignore[operator]


def number(address: Address) -> int:
    """Return the number that addresses of both versions are compared by."""
    return int(address) | _MAPPED if address.version == 4 else int(address)


def bounds(network: Network) -> tuple[int, int]:
    """Return the first and the last address of a network, as :func:`number` counts them."""
    return number(network.network_address), number(network.broadcast_address)


def moment(value: datetime.datetime | Relative, now: datetime.datetime) -> str:
    """Return a time as the lines and the tables hold it."""
    return stored(now + datetime.timedelta(seconds=value.seconds) if isinstance(value, Relative) else value)


def stored(at: datetime.datetime) -> str:
    """Return a moment as the lines and the tables hold it: UTC, with milliseconds."""
    return at.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")


def levels_of(node: Range) -> tuple[str, ...]:
    """Return the levels of a range of them."""
    low, high = node.low, node.high
    first = 0 if low is None else _place(low) + (not node.low_included)
    last = len(LEVELS) if high is None else _place(high) + node.high_included
    return LEVELS[first:last]


def _ordered(value: Value) -> object:
    """Return what a value is compared by with one of its kind."""
    match value:
        case str():
            return _place(value)
        case Relative():
            return value.seconds
        case ipaddress.IPv4Address() | ipaddress.IPv6Address():
            return number(value)
    return value


def _place(level: Value) -> int:
    return LEVELS.index(str(level))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def _time(field: Field, text: str) -> datetime.datetime | Relative:
    if relative := _relative(text):
        found = Relative(int(relative[1] or 0), relative[2] or "s")
        if abs(found.seconds) > _FARTHEST:
            raise WrongValueError(f"{_quoted(text)} is more than a hundred years away")
        return found
    written = _iso(text)
    if written is None:
        raise WrongValueError(f"{field.name} is a time, which {_quoted(text)} is not")
    if not written[2] or "T" not in text:
        hint = f"write it as in {written[1]}T08:00:00Z or {written[1]}T08:00:00+08:00"
        raise WrongValueError(f"{_quoted(text)} is not a time with its zone", hint)
    try:
        found_at = datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise WrongValueError(f"there is no time {_quoted(text)}") from None
    if not _FIRST_YEAR <= found_at.year <= _LAST_YEAR:
        raise WrongValueError(f"{_quoted(text)} is before {_FIRST_YEAR} or after {_LAST_YEAR}")
    return found_at


def _address(field: Field, text: str) -> Address | Network | str:
    if "%" in text:
        raise WrongValueError("an address is compared without its zone", f"write {field.example}")
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(text)
    with contextlib.suppress(ValueError):
        return ipaddress.ip_network(text, strict=False)
    try:
        peer = PEERS[text]
    except LineError:
        raise WrongValueError(f"{field.name} is an address, which {_quoted(text)} is not") from None
    if peer != text:
        raise WrongValueError(f"{field.name} has no port", f"write {field.name}:{peer}")
    return text


def _level(field: Field, text: str) -> str:
    level = text.lower()
    if level not in LEVELS:
        near = did_you_mean(level, LEVELS)
        hint = f"{near} The levels are {', '.join(LEVELS)}".strip()
        raise WrongValueError(f"{field.name} has no value {_quoted(text)}", hint)
    return level
