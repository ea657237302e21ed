"""A search as statements."""

from __future__ import annotations

import datetime

from obsctl.query.fields import ACCESS, ERROR
from obsctl.query.parse import parse
from obsctl.search.question import Place, question
from obsctl.search.windows import Window

NOW = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC)
WINDOW = Window(NOW - datetime.timedelta(seconds=60), NOW)


def test_the_newest_lines_of_a_stretch() -> None:
    text, parameters = question(parse("status:404", ACCESS), ACCESS, NOW).statement(WINDOW, 10)
    assert text.startswith("SELECT `line_id`, `ts`, ")
    assert " FROM `access_log` WHERE `ts` >= %s AND `ts` < %s AND (`status` = %s) ORDER BY " in text
    assert text.endswith(" ORDER BY `ts` DESC, `line_id` DESC LIMIT 10")
    assert parameters == ("2026-03-10 11:59:00.000", "2026-03-10 12:00:00.000", 404)


def test_all_lines_behind_one_of_the_newest() -> None:
    place = Place(NOW, b"\x01" * 16)
    text, parameters = question(parse("*", ERROR), ERROR, NOW).statement(Window(WINDOW.begin, None), 5, place)
    assert " WHERE `ts` >= %s AND `ts` <= %s AND (`ts` < %s OR `line_id` < %s) ORDER BY " in text
    moment = "2026-03-10 12:00:00.000"
    assert parameters == ("2026-03-10 11:59:00.000", moment, moment, b"\x01" * 16)


def test_a_question_names_the_fields_in_the_statements_order() -> None:
    asked = question(parse("*", ACCESS), ACCESS, NOW)
    columns = asked.statement(WINDOW, 1).text.partition(" FROM ")[0].removeprefix("SELECT ").split(", ")
    assert columns == [f"`{name}`" for name in ("line_id", *asked.fields)]
