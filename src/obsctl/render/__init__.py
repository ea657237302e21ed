"""A report as text: one function per output format, none of which knows a check."""

from __future__ import annotations

from collections.abc import Callable

from obsctl.core.report import Report
from obsctl.render import machine, nagios
from obsctl.render.table import table, wide

_FORMATS: dict[str, Callable[[Report], str]] = {
    "table": table,
    "wide": wide,
    "json": machine.as_json,
    "ndjson": machine.as_ndjson,
    "yaml": machine.as_yaml,
    "nagios": nagios.nagios,
}


def render(report: Report, output: str) -> str:
    """Return the report in one of the formats table, wide, json, ndjson, yaml, nagios; no trailing newline."""
    return _FORMATS[output](report)
