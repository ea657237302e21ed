"""What hosts, clients and people chose stands in a report as it is: no markup, no control character, no broken JSON."""

from __future__ import annotations

import json

import pytest

from obsctl.core.layout import Layout
from obsctl.core.report import Report, Status
from obsctl.render import render

MARKUP = ("[bold red]x[/bold red]", "\\[bold]x", "\\\\[red]x", "[/]", "\\[/nothing]", "[link=http://192.0.2.1]x[/link]")


def _report(value: object) -> Report:
    return Report(command="x", status=Status.OK, checked_at="now", took_ms=1, data={"rows": [{"name": value}]})


@pytest.mark.parametrize("text", MARKUP)
@pytest.mark.parametrize("output", ["table", "wide"])
def test_a_cell_is_no_markup_wherever_the_text_stands(text: str, output: str) -> None:
    layouts = [Layout("rows", "", ("name",))]
    for value, shown in ((text, text), ([text, 1], f"{text},1"), ({text: text}, f"{text}:{text}")):
        assert render(_report(value), output, layouts).splitlines()[-1] == shown


@pytest.mark.parametrize("value", [{"\x1b[2J": 1}, ["\x9b31m"], "\x1b]0;x\x07"])
def test_a_cell_cannot_draw_in_the_terminal(value: object) -> None:
    assert not set(render(_report(value), "table", [Layout("rows", "", ("name",))])) & set("\x1b\x9b\x07")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_null(number: float) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    for output in ("json", "ndjson"):
        line = render(_report(number), output).splitlines()[-1]
        assert json.loads(line, parse_constant=refuse)["data"]["rows"] == [{"name": None}]
