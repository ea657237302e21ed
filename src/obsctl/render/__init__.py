"""A report as text: one function per output format; none depends on a check."""

from __future__ import annotations

from collections.abc import Sequence

from obsctl.core.layout import Layout
from obsctl.core.report import Report
from obsctl.render import machine, nagios
from obsctl.render.table import CAUSES, View, table, wide

__all__ = ["View", "render"]

_FOR_PEOPLE = {"table": table, "wide": wide}
_FOR_PROGRAMS = {
    "json": machine.as_json,
    "ndjson": machine.as_ndjson,
    "yaml": machine.as_yaml,
    "nagios": nagios.nagios,
}


def render(report: Report, output: str, layouts: Sequence[Layout] = (), view: View = CAUSES) -> str:
    """Return the report in one of the formats table, wide, json, ndjson, yaml, nagios; no trailing newline.

    Args:
        layouts: the tables for people, in this order; the formats for programs contain all of the report's data.
        view: how much of it people want to see.
    """
    if output in _FOR_PEOPLE:
        return _FOR_PEOPLE[output](report, layouts, view)
    return _FOR_PROGRAMS[output](report)
