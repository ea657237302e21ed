"""The filter language over alerts: their own fields, and the labels of the configured rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from obsctl.alerter.alerts import Alert
from obsctl.alerter.notify.filters import FIELDS, Filter, ReadFilter, value
from obsctl.lines.formats.line import Line
from obsctl.query.fields import ACCESS, ERROR, Field, Kind, Table
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate

#: A label keeps the kind of its field in the line if that is a text kind: so an address can be compared with a
#: network.
_TEXTS = (Kind.TEXT, Kind.ADDRESS, Kind.LEVEL)


def reader(labels: Iterable[str]) -> ReadFilter:
    """Return the function that parses a filter of alerts.

    Args:
        labels: names of all labels that alerts of the configured rules have.
    """
    table = Table("alert", "alert", {name: _field(name) for name in (*FIELDS, *labels)})
    view = msgspec.defstruct("AlertView", [(name, str, "") for name in table.fields])

    def read(text: str) -> Filter:
        fits = compile_predicate(parse(text, table), table)

        def takes(alert: Alert) -> bool:
            # A compiled filter reads attributes, as those of lines.
            seen: Any = view(**{name: value(alert, name) or "" for name in table.fields})
            return fits(cast("Line", seen))

        return takes

    return read


def _field(name: str) -> Field:
    known = ACCESS.fields.get(name) or ERROR.fields.get(name)
    kind = known.kind if known is not None and known.kind in _TEXTS else Kind.TEXT
    return Field(name, kind, many=False, absent=False, searched=True, example=f"{name}:value")
