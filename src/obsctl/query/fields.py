"""Which fields a filter may name, and of what kind each is: derived from the lines themselves."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from obsctl.lines.formats.line import ABSENT, Absent, AccessLine, ErrorLine, Keep, Line

#: nginx's levels, from the least severe to the most severe.
LEVELS = ("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")


class Kind(enum.Enum):
    """What a field's values are, in the words of messages and of the documentation."""

    TEXT = "text"
    INTEGER = "whole number"
    DECIMAL = "number"
    ADDRESS = "address"
    TIME = "time"
    LEVEL = "level"


class Field(NamedTuple):
    """One field.

    Attributes:
        name: of the line's attribute and of the table's column.
        kind: of its values.
        many: it is a list, such as the servers that a request was passed to; a condition holds if one entry fulfils it.
        absent: a line may have no such number.
        searched: a word without a field is looked for in it.
        example: a condition on it, as a person writes it.
    """

    name: str
    kind: Kind
    many: bool
    absent: bool
    searched: bool
    example: str


class Table(NamedTuple):
    """One kind of line.

    Attributes:
        name: of its table in the database.
        title: of its log, for messages.
        fields: by name.
    """

    name: str
    title: str
    fields: dict[str, Field]

    @property
    def searched(self) -> list[Field]:
        """The fields in which a word without a field is looked for."""
        return [field for field in self.fields.values() if field.searched]

    def values_of(self, line: Line) -> dict[str, Any]:
        """Return a line's fields by name, as JSON has them: null for a number that it does not hold."""
        values = {name: getattr(line, name) for name in self.fields}
        known = {name: None if value is ABSENT else value for name, value in values.items()}
        return known | {"ts": time_of(line)}


def time_of(line: Line) -> str:
    """Return when a line was written, as ``2026-01-31T12:00:00.000Z``."""
    return f"{line.ts.replace(' ', 'T')}Z"


#: Where the store keeps a line says nothing about the line.
_NOT_OF_THE_LINE = frozenset(("source_id", "kafka_offset", "line_id"))
#: What the type of the line's field does not say.
_KINDS = {
    "ts": Kind.TIME,
    "client_addr": Kind.ADDRESS,
    "proxy_addr": Kind.ADDRESS,
    "level": Kind.LEVEL,
    "upstream_status": Kind.INTEGER,
    "upstream_response_time": Kind.DECIMAL,
    "upstream_connect_time": Kind.DECIMAL,
}
_LISTS = frozenset(("cut_fields",))
_EXAMPLES = {
    "status": "status:404 or status:[500 TO 599]",
    "upstream_status": "upstream_status:502 or upstream_status:[500 TO 599]",
    "bytes": "bytes:>=1000000",
    "uri": "uri:*.php",
}
_EXAMPLE = {
    Kind.TEXT: '{0}:"a text" or {0}:begin*',
    Kind.INTEGER: "{0}:>=1000",
    Kind.DECIMAL: "{0}:>=0.5 or {0}:[1 TO 2.5]",
    Kind.ADDRESS: "{0}:192.0.2.7, {0}:10.0.0.0\\/8 or {0}:2001\\:db8\\:\\:\\/32",
    Kind.TIME: "{0}:>=now-15m or {0}:[2026-01-31T08:00:00Z TO 2026-01-31T09:30:00Z]",
    Kind.LEVEL: "{0}:error or {0}:>=warn",
}


def _fields(line: type[Line], searched: tuple[str, ...]) -> Iterator[Field]:
    hints = typing.get_type_hints(line, include_extras=True)
    for name in line.__struct_fields__:
        if name not in _NOT_OF_THE_LINE:
            kind = _KINDS.get(name) or _kind(hints[name])
            yield Field(
                name,
                kind,
                many=name in _LISTS or any(isinstance(note, Keep) for note in typing.get_args(hints[name])),
                absent=Absent in typing.get_args(hints[name]),
                searched=name in searched,
                example=_EXAMPLES.get(name, _EXAMPLE[kind].format(name)),
            )


def _kind(hint: Any) -> Kind:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is not None:
        hint = typing.get_args(hint)[0]
    return {str: Kind.TEXT, int: Kind.INTEGER, float: Kind.DECIMAL}[hint]


def _table(name: str, title: str, line: type[Line], searched: tuple[str, ...]) -> Table:
    return Table(name, title, {field.name: field for field in _fields(line, searched)})


ACCESS = _table("access_log", "access log", AccessLine, ("client_addr", "vhost", "uri", "referer", "user_agent"))
ERROR = _table(
    "error_log", "error log", ErrorLine, ("message", "client_addr", "server_name", "request", "upstream", "referer")
)
TABLES = (ACCESS, ERROR)
