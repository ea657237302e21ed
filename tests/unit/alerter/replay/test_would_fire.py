"""Which rules stored lines can judge, and a rule with another limit or window; tests/integration reads them."""

from __future__ import annotations

from typing import Any

import pytest

from obsctl.alerter.replay.would_fire import altered, options_of, why_not
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import Rule
from obsctl.core.config_file import InvalidValueError

HOUR, DAY = 3600, 86_400


def rule(kind: str, **options: Any) -> Rule:
    (made,) = KINDS.read([{"name": "x", "kind": kind, **options}], "rules")
    return made


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (rule("metric", metric="obsctl_alerter_lag_records", above=10), "the pipeline's own numbers"),
        (rule("match", filter="status:404 AND ts:>=now-5m"), "uses relative times"),
        (rule("ratio", hits="ts:<now-1h", share=0.5), "uses relative times"),
        (rule("new_term", by=["vhost"]), "the lines of the 32 days before"),
        (rule("new_term", by=["vhost"], learn_s=HOUR, forget_s=HOUR), ""),
        (rule("spike", factor=2, baseline_s=DAY), ""),
        (rule("flatline", by=["host"]), ""),
        (rule("status_4xx", threshold=50), ""),
    ],
)
def test_a_rule_says_why_stored_lines_cannot_judge_it(asked: Rule, says: str) -> None:
    reason = why_not(asked)
    assert says in reason
    assert bool(reason) is bool(says)


@pytest.mark.parametrize(
    ("asked", "limit", "window_s", "options"),
    [
        (rule("status_4xx", threshold=50), 10.0, None, {"threshold": 10, "window_s": 60}),
        (rule("status_4xx", threshold=50), None, 300, {"threshold": 50, "window_s": 300}),
        (rule("ratio", hits="status:500", share=0.5), 0.25, 30, {"share": 0.25, "window_s": 30}),
        (rule("spike", factor=3), 2.0, None, {"factor": 2, "window_s": 60}),
        (rule("percentile", above=1.5), 0.5, None, {"above": 0.5, "window_s": 60}),
        (rule("match", filter="status:404"), None, 10, {"window_s": 10}),
        (rule("match", filter="status:404"), None, None, {"window_s": 60}),
    ],
)
def test_a_rule_with_other_options_is_otherwise_the_same(
    asked: Rule, limit: float | None, window_s: int | None, options: dict[str, Any]
) -> None:
    changed = altered(asked, limit=limit, window_s=window_s)
    assert options_of(changed) == options
    assert {**_options(changed), **options_of(asked)} == _options(asked)


def _options(one: Rule) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@pytest.mark.parametrize(
    ("asked", "limit", "window_s", "key", "says"),
    [
        (rule("match", filter="status:404"), 5.0, None, "threshold", "compares with no number"),
        (rule("status_4xx", threshold=50), 0.0, None, "threshold", ">= 1"),
        (rule("status_4xx", threshold=50), 2.5, None, "threshold", "int"),
        (rule("status_4xx", threshold=50), None, 9999, "window_s", "<= 3600"),
        (rule("ratio", hits="status:500", share=0.5, resolve_share=0.4), 0.3, None, "resolve_share", "at most share"),
    ],
)
def test_what_a_rule_cannot_be_is_refused_with_the_option(
    asked: Rule, limit: float | None, window_s: int | None, key: str, says: str
) -> None:
    with pytest.raises(InvalidValueError, match=says) as refused:
        altered(asked, limit=limit, window_s=window_s)
    assert refused.value.key == key
