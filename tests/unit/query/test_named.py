"""What a filter depends on."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obsctl.alerter.replay.from_store import empty
from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.query.fields import ACCESS, ERROR, TABLES, Table
from obsctl.query.named import fields_of, is_relative
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate
from tests.unit.query.trees import NOW, lines, trees


@pytest.mark.parametrize(
    ("text", "table", "fields"),
    [
        ("*", ACCESS, set()),
        ("status:404", ACCESS, {"status"}),
        ("NOT (status:404 OR uri:*.php) AND client_addr:10.0.0.0\\/8", ACCESS, {"status", "uri", "client_addr"}),
        ("curl", ACCESS, {"client_addr", "vhost", "uri", "referer", "user_agent"}),
        ("level:>=error", ERROR, {"level"}),
    ],
)
def test_the_fields_of_a_filter(text: str, table: Table, fields: set[str]) -> None:
    assert fields_of(parse(text, table), table) == fields


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.sampled_from(TABLES))
def test_other_fields_change_nothing(data: st.DataObject, table: Table) -> None:
    tree, line = data.draw(trees(table)), data.draw(lines(table))
    bare = empty(AccessLine if table is ACCESS else ErrorLine)
    for name in fields_of(tree, table):
        setattr(bare, name, getattr(line, name))
    fits = compile_predicate(tree, table, lambda: NOW)
    assert fits(bare) == fits(line)


@pytest.mark.parametrize(
    ("text", "relative"),
    [
        ("status:404 AND ts:>=now-5m", True),
        ("NOT ts:now", True),
        ("status:404 OR ts:[2026-01-31T08:00:00Z TO now]", True),
        ("ts:>=2026-01-31T08:00:00Z AND status:[400 TO 499] AND curl", False),
        ("*", False),
    ],
)
def test_a_filter_that_depends_on_the_present_moment(text: str, relative: bool) -> None:
    assert is_relative(parse(text, ACCESS)) is relative
