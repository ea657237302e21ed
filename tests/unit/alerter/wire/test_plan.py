"""Requests that make each kind of condition happen, tried with the engine itself."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from obsctl.alerter.evaluation.engine import Engine
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.wire.fitting import World
from obsctl.alerter.wire.plan import MOST_REQUESTS, PER_SECOND, CannotTestError, plan, why_not
from obsctl.core.rule_test import BODY_BYTES, STATUSES, Plan, Request
from obsctl.lines.event import Event
from obsctl.lines.formats.line import AccessLine
from tests.unit.alerter.builders import T, event

ROOT = Path(__file__).resolve().parents[4]
WORLD = World(client="198.51.100.20", hosts=("node1", "node2"))


def rule(kind: str, **options: Any) -> Rule:
    (made,) = KINDS.read([{"name": "x", "kind": kind, **options}], "rules")
    return made


def line_of(at: float, request: Request) -> Event:
    """Return the line that nginx writes for a request."""
    headers = request.headers
    user = ""
    if "Authorization" in headers:
        user = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode().removesuffix(":")
    made = event(
        at,
        client=WORLD.client,
        status=request.status,
        host="node2",
        method=request.method,
        uri=request.uri,
        user_agent=headers.get("User-Agent", ""),
        referer=headers.get("Referer", ""),
        remote_user=user,
        vhost=headers.get("Host", "198.51.100.100"),
        x_forwarded_for=headers.get("X-Forwarded-For", ""),
        client_request_id=headers.get("X-Request-ID", f"own-{at}"),
        request_id=f"{at}",
        request_time=request.delay_s + 0.012,
        request_length=400,
        upstream_addr="127.0.0.1:8081",
        upstream_status=str(request.status),
        upstream_response_time=f"{request.delay_s}.012",
    )
    assert isinstance(made.line, AccessLine)
    made.line.bytes = BODY_BYTES
    return made


def lines(made: Plan) -> list[Event]:
    events = []
    for burst in made.bursts:
        requests = [request for request in burst.requests for _ in range(burst.times)]
        events += [line_of(burst.at_s + number / PER_SECOND, request) for number, request in enumerate(requests)]
    return events


def fires(made: Rule, events: list[Event], seconds: int) -> bool:
    """Whether the rule fires on these lines, and for as long as it wants."""
    engine = Engine([made], lateness_s=300, ahead_s=60)
    began: float | None = None
    for second in range(int(seconds) + 2):
        now = float(T + second)
        for transition in engine.feed([e for e in events if now - 1 < e.time <= now], now) + engine.tick(now, now):
            began = now if transition.alert.state == "firing" else None
        if began is not None and now - began >= made.for_s:
            return True
    return False


CASES: dict[str, dict[str, Any]] = {
    "match": {"filter": 'uri:\\/api\\/* AND method:POST AND user_agent:"curl\\/8 x"'},
    "match by": {"kind": "match", "filter": "vhost:shop.example.com", "by": ["client_addr", "uri"]},
    "frequency": {"threshold": 30, "filter": "status:[500 TO 599] AND NOT status:503", "by": ["upstream_addr"]},
    "frequency for": {"kind": "frequency", "threshold": 5, "window_s": 20, "for_s": 90, "resolve_after_s": 5},
    "ratio": {"hits": "status:404 AND uri:*.php", "filter": "uri:\\/blog*", "share": 0.5, "min_lines": 20},
    "percentile": {"above": 2.5, "percentile": 99, "min_lines": 40},
    "percentile of status": {"kind": "percentile", "of": "status", "above": 499, "min_lines": 40},
    "percentile of bytes": {"kind": "percentile", "of": "bytes", "above": 2000, "min_lines": 40},
    "status_4xx": {"threshold": 50},
    "status_5xx_share": {"share": 0.05, "min_requests": 100},
    "requests_per_client": {"threshold": 100, "ignore_clients": ["10.0.0.0/8"]},
    "spike": {"factor": 4, "min_lines": 25, "baseline_s": 60, "window_s": 20},
    "cardinality": {"of": "uri", "threshold": 40, "filter": "uri:\\/wp-*.php", "by": ["client_addr"]},
    "cardinality of agents": {"kind": "cardinality", "of": "user_agent", "threshold": 12},
    "cardinality of hosts": {"kind": "cardinality", "of": "vhost", "threshold": 12, "filter": "vhost:*.example.com"},
    "cardinality of statuses": {
        "kind": "cardinality",
        "of": "upstream_status",
        "threshold": 4,
        "filter": "status:>=500",
    },
    "cardinality of ids": {"kind": "cardinality", "of": "request_id", "threshold": 12},
    "change": {"of": "user_agent", "by": ["vhost"]},
    "new_term": {"by": ["vhost"], "learn_s": 5},
    "new_term of two": {"kind": "new_term", "by": ["upstream_addr", "method"], "learn_s": 5},
}


@pytest.mark.parametrize("name", CASES)
def test_the_requests_make_the_condition_happen(name: str) -> None:
    made = rule(**{"kind": name, **CASES[name]})
    planned = plan(made, WORLD)
    assert planned.count <= MOST_REQUESTS
    assert fires(made, lines(planned), int(planned.takes_s) + made.window_s)


def test_each_kind_has_a_plan_or_a_reason() -> None:
    tried = {CASES[name].get("kind", name) for name in CASES}
    other = {
        "flatline": {"expect": []},
        "metric": {"metric": "up", "below": 1},
    }
    assert tried | other.keys() == KINDS.by_tag.keys(), "a new kind needs its requests in wire/plan.py and a case here"
    for kind, options in other.items():
        assert why_not(rule(kind, **options))


def default_rules() -> list[Rule]:
    defaults = yaml.safe_load((ROOT / "roles/consumer/defaults/main.yml").read_text())["consumer_alert_rules"]
    written = [{**one, **({"expect": ["10.0.0.1:8080"]} if "expect" in one else {})} for one in defaults]
    return KINDS.read(written, "rules")


@pytest.mark.parametrize("made", default_rules(), ids=lambda made: made.name)
def test_the_default_rules_are_tested_but_for_those_that_no_request_can_make_true(made: Rule) -> None:
    if made.kind in {"flatline", "metric"} or made.name == "nginx-alerts":
        with pytest.raises(CannotTestError):
            plan(made, WORLD)
        return
    planned = plan(made, WORLD)
    assert fires(made, lines(planned), int(planned.takes_s) + made.window_s)
    assert planned.takes_s < 60 or made.for_s, "the default deadline is enough"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"kind": "match", "filter": "upstream_addr:10.0.0.5\\:8080"}, "no request can choose upstream_addr"),
        ({"kind": "match", "filter": "client_addr:203.0.113.0\\/24"}, "no request can choose client_addr"),
        ({"kind": "match", "filter": "host:node1"}, "no request can choose host"),
        ({"kind": "match", "filter": "status:200 AND status:404"}, "no test request matches"),
        ({"kind": "match", "filter": "status:299"}, "no test request matches"),
        ({"kind": "match", "filter": "uri:\\/..\\/..\\/etc\\/passwd"}, "no test request matches"),
        ({"kind": "match", "filter": 'uri:"\\/a b"'}, "no test request matches"),
        ({"kind": "match", "filter": "uri:\\/日本"}, "no test request matches"),
        ({"kind": "match", "filter": "method:TRACE"}, "no test request matches"),
        ({"kind": "match", "filter": "request_length:<100"}, "no request can choose request_length"),
        ({"kind": "match", "filter": "request_time:>100"}, "no test request matches"),
        ({"kind": "match", "lines": "error"}, "no request can choose a line of the error log"),
        ({"kind": "frequency", "threshold": 20_000}, "needs 20,000 requests"),
        ({"kind": "frequency", "threshold": 900, "window_s": 4}, "do not fit into 4 s"),
        ({"kind": "frequency", "threshold": 5, "by": ["request_id"]}, "its own request_id"),
        ({"kind": "percentile", "above": 15, "min_lines": 1000}, "slow ones at a time"),
        ({"kind": "percentile", "above": 40}, "request_time above 40"),
        ({"kind": "requests_per_client", "threshold": 5, "ignore_clients": ["198.51.100.0/24"]}, "it ignores 198"),
        ({"kind": "cardinality", "of": "client_addr", "threshold": 5}, "a test request cannot choose client_addr"),
        ({"kind": "cardinality", "of": "uri", "threshold": 5, "by": ["uri"]}, "has only one value"),
        ({"kind": "cardinality", "of": "uri", "threshold": 5, "filter": "uri:\\/one"}, "but a test has 1"),
        ({"kind": "cardinality", "of": "status", "threshold": 500}, "it needs 500 different values"),
        ({"kind": "change", "of": "upstream_addr"}, "a test request cannot choose upstream_addr"),
        ({"kind": "change", "of": "uri", "for_s": 60}, "never lasts"),
        ({"kind": "new_term", "by": ["client_addr"]}, "a test request cannot have a new client_addr"),
        ({"kind": "spike", "factor": 4000, "baseline_s": 60, "window_s": 20}, "do not fit into 20 s"),
    ],
)
def test_what_no_request_can_do_has_a_reason(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(CannotTestError, match=reason):
        plan(rule(**options), WORLD)


def test_where_the_requests_come_from_is_not_known_from_a_file_alone() -> None:
    made = rule("match", filter="client_addr:10.1.0.0\\/16 AND NOT client_addr:10.1.0.1 OR client_addr:10.1.7.7")
    assert not why_not(made)
    with pytest.raises(CannotTestError):
        plan(made, WORLD)


def test_slow_requests_are_as_slow_as_the_filter_wants() -> None:
    (burst,) = plan(rule("match", filter="request_time:[3 TO 6]"), WORLD).bursts
    assert burst.requests[0].delay_s in (3, 4)
    with pytest.raises(CannotTestError):
        plan(rule("match", filter="request_time:[3 TO 3.5]"), WORLD)


HOSTILE = [
    "uri:*{}*".format("?" * 200),
    "uri:*a*b*c*d*e*f*g*h* AND uri:\\/*",
    " OR ".join(f"(uri:\\/p{n}* AND status:{500 + n % 5})" for n in range(60)),
    " AND ".join(f"NOT uri:\\/p{n}*" for n in range(100)),
    " AND ".join(f"(uri:*{n} OR user_agent:*{n} OR referer:*{n} OR vhost:*{n})" for n in range(15)),
    "status:[100 TO 999] AND user_agent:*\\\\* AND referer:*%* AND vhost:* AND remote_user:* AND client_request_id:*",
    'user_agent:"a\\"b" AND uri:\\/a%2fb',
    "ts:>=now-15m AND NOT cut_fields:uri",
    "curl",
    "NOT uri:* OR uri:\\/",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.timeout(30)
def test_any_filter_gets_a_request_that_fits_or_a_reason(text: str) -> None:
    made = rule("match", filter=text)
    try:
        planned = plan(made, WORLD)
    except CannotTestError:
        return
    for request in planned.bursts[0].requests:
        assert request.status in STATUSES
        assert request.uri.startswith("/")
        assert request.uri.isascii()
        assert not any(c in value for value in (request.uri, *request.headers.values()) for c in "\r\n\0")
    assert fires(made, lines(planned), 5)


def test_the_text_is_as_long_as_nginx_makes_it() -> None:
    template = (ROOT / "roles/nginx/templates/nginx.conf.j2").read_text()
    text = template.split('map "" $obscraft_test_line {')[1].split('default "')[1].split('";')[0]
    assert len(text.encode().decode("unicode_escape")) * 60 == BODY_BYTES
    assert "'$obscraft_test_line' * 60" in template


def test_nginx_answers_each_status_that_a_plan_may_ask_for() -> None:
    role = yaml.safe_load((ROOT / "roles/nginx/vars/main.yml").read_text())
    assert sorted(STATUSES) == sorted(role["__nginx_test_statuses"])
