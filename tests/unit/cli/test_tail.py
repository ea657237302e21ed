"""A followed line as a terminal and as NDJSON have it."""

from __future__ import annotations

import json

import pytest

from obsctl.cli.lines import Log
from obsctl.cli.settings import Output
from obsctl.cli.tail import _shown
from obsctl.core.errors import UsageError
from obsctl.lines.formats.line import AccessLine, ErrorLine

TS = "2026-03-10 12:00:00.125"
ACCESS = AccessLine(TS, "10.0.0.1", 404, 12, method="GET", uri="/a\x1b[31m\n", host="node1", log_format="json")
ERROR = ErrorLine(TS, "warn", 1, 1, "no \u202elive upstreams", host="node2", log_format="error")


def test_a_terminal_shows_one_line_and_obeys_none() -> None:
    assert _shown(Output.TABLE, Log.ACCESS)(ACCESS) == "2026-03-10T12:00:00.125Z  node1  10.0.0.1  404  GET /a?[31m "
    assert _shown(Output.WIDE, Log.ERROR)(ERROR) == "2026-03-10T12:00:00.125Z  node2  warn    no ?live upstreams"


@pytest.mark.parametrize(("log", "line"), [(Log.ACCESS, ACCESS), (Log.ERROR, ERROR)])
def test_ndjson_has_every_field(log: Log, line: AccessLine | ErrorLine) -> None:
    shown = _shown(Output.NDJSON, log)(line)
    values = json.loads(shown)
    assert "\n" not in shown
    assert list(values) == list(log.table.fields)
    assert (values["ts"], values["host"]) == ("2026-03-10T12:00:00.125Z", line.host)


def test_a_number_that_the_line_does_not_hold_is_null() -> None:
    assert json.loads(_shown(Output.NDJSON, Log.ACCESS)(ACCESS))["request_time"] is None


@pytest.mark.parametrize("output", [Output.JSON, Output.YAML, Output.NAGIOS])
def test_a_format_that_needs_an_end_is_refused(output: Output) -> None:
    with pytest.raises(UsageError, match=f"{output.value} needs complete data"):
        _shown(output, Log.ACCESS)
