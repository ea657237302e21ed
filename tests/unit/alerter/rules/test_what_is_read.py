"""What a rule says of the lines that it looks at is true: neither other fields nor other lines change its counts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obsctl.alerter.replay.from_store import empty
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import LINE_TYPES, TABLES, Rule
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate
from tests.unit.query.trees import lines

#: Options of each kind that looks at lines; each option that names a field or a filter does so in one of them.
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "cardinality": ({"filter": "method:GET", "by": ["client_addr"], "of": "uri", "threshold": 2},),
    "change": ({"filter": "status:[200 TO 499]", "by": ["vhost"], "of": "upstream_addr"},),
    "flatline": ({"filter": "status:<500", "by": ["host"], "expect": ["node1"]}, {"by": ["host", "vhost"]}),
    "frequency": (
        {"filter": "curl", "by": ["client_addr", "status"], "threshold": 2},
        {"lines": "error", "filter": "refused AND level:>=warn", "by": ["upstream"], "threshold": 2},
    ),
    "match": ({"filter": "uri:*a*", "by": ["scheme"]}, {"lines": "error"}),
    "new_term": ({"filter": "status:200", "by": ["vhost"]},),
    "percentile": ({"filter": "method:GET", "by": ["host"], "of": "request_length", "above": 5},),
    "ratio": ({"filter": "uri:*/*", "hits": "status:>=500 OR request_time:>1", "by": ["host"], "share": 0.5},),
    "requests_per_client": ({"threshold": 2, "ignore_clients": ["10.0.0.0/8"]},),
    "spike": ({"filter": "method:GET", "by": ["vhost"], "factor": 2},),
    "status_4xx": ({"threshold": 2},),
    "status_5xx_share": ({"share": 0.1, "min_requests": 2},),
}


def made(kind: str) -> list[Rule]:
    return KINDS.read(
        [{"name": str(number), "kind": kind, **options} for number, options in enumerate(OPTIONS[kind])], "rules"
    )


def test_each_kind_that_looks_at_lines_is_here() -> None:
    assert {*OPTIONS, "metric"} == {*KINDS.by_tag}


@pytest.mark.parametrize("kind", OPTIONS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_neither_other_fields_nor_other_lines_change_the_counts(kind: str, data: st.DataObject) -> None:
    for rule in made(kind):
        assert rule.log is not None
        table = TABLES[rule.log]
        read = [(second, data.draw(lines(table))) for second in range(data.draw(st.integers(1, 6)))]
        fits = compile_predicate(parse(rule.concerns or "*", table), table)
        bare = []
        for second, line in read:
            if fits(line):
                shown = copy.copy(empty(LINE_TYPES[rule.log]))
                for name in rule.reads:
                    setattr(shown, name, getattr(line, name))
                bare.append((second, shown))
        assert rule.counter()(bare) == rule.counter()(read)


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_limit_is_a_number_of_the_kind(kind: str) -> None:
    for rule in made(kind):
        assert not rule.limit or isinstance(getattr(rule, rule.limit), int | float)
