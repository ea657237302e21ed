"""alerter.yml: what is accepted, and how mistakes are named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from obsctl.alerter.alerts import Level
from obsctl.alerter.channels.registry import KINDS
from obsctl.alerter.config import load
from obsctl.alerter.rules.requests_per_client import RequestsPerClient
from obsctl.alerter.rules.status_4xx import Status4xx
from obsctl.alerter.rules.status_5xx_share import Status5xxShare
from obsctl.core.errors import ConfigError

GOOD: dict[str, Any] = {
    "kafka": {
        "bootstrap": ["198.18.0.11:9092"],
        "group": "obsctl-alerter",
        "member": "app1",
        "topics": {
            "access": "nginxlog",
            "error": "nginxlog-error",
            "state": "state",
            "silences": "silences",
            "history": "history",
        },
    },
    "state": "/var/lib/obsctl-alerter/state.db",
    "trusted_proxies": [],
    "error_log_timezone": "UTC",
    "native": True,
    "language": "en",
    "health": {"address": "127.0.0.1", "port": 9601},
    "metrics": {"sources": [{"name": "consumer-app1", "url": "http://127.0.0.1:9600/metrics"}]},
    "rules": [
        {"name": "client-request-rate", "kind": "requests_per_client", "threshold": 100, "window_s": 60},
        {"name": "client-errors", "kind": "status_4xx", "threshold": 50, "severity": "critical"},
        {"name": "server-error-share", "kind": "status_5xx_share", "share": 0.05, "min_requests": 100},
    ],
    "channels": [
        {"name": "ops", "type": "dingtalk", "url": "https://robot.example.com/robot/send", "token": "env:TOKEN"},
        {"name": "hook", "type": "webhook", "url": "http://192.0.2.1/hook"},
        {"name": "mail", "type": "smtp", "host": "mail.example.com", "sender": "a@b.io", "recipients": ["c@d.io"]},
    ],
}  # fmt: skip

MATCH = {"name": "x", "kind": "match"}


def write(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "alerter.yml"
    path.write_text(yaml.safe_dump(GOOD | changes))
    return path


def sources(*pages: dict[str, str]) -> dict[str, Any]:
    return {"metrics": {"sources": list(pages)}}


def test_the_documented_file_is_read(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    assert [type(rule) for rule in config.rules] == [RequestsPerClient, Status4xx, Status5xxShare]
    assert config.rules[1].severity is Level.CRITICAL
    assert [channel.per_minute for channel in config.channels] == [18, 18, 18]
    assert config.lateness_s == 300


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kafka": {"bootstrap": []}}, "kafka.bootstrap: Expected `array` of length >= 1"),
        ({"rule": []}, "top level: Object contains unknown field `rule`"),
        ({"state": ""}, "state: Expected `str` of length >= 1"),
        ({"health": {"port": 0}}, "health.port: "),
        (
            {"rules": [{"name": "x", "kind": "status_3xx"}]},
            "rules[0].kind: must be one of cardinality, change, flatline, frequency, match",
        ),
        (
            {"rules": [{"name": "x", "kind": "status_4xx"}]},
            "rules[0]: Object missing required field `threshold` (of x)",
        ),
        ({"rules": [{"name": "x", "kind": "status_4xx", "threshold": 0}]}, "rules[0].threshold: Expected `int` >= 1"),
        ({"rules": [GOOD["rules"][1] | {"window_s": 7200}]}, "rules[0].window_s: Expected `int` <= 3600"),
        ({"rules": [GOOD["rules"][1] | {"severity": "unknown"}]}, "rules[0].severity: Invalid enum value"),
        ({"rules": [GOOD["rules"][2] | {"share": 5}]}, "rules[0].share: Expected `float` <= 1"),
        ({"rules": [GOOD["rules"][2] | {"share": 0}]}, "rules[0].share: Expected `float` > 0"),
        ({"rules": [GOOD["rules"][0], GOOD["rules"][0]]}, "rules[1].name: the name is used twice"),
        ({"rules": [MATCH | {"filter": "stauts:500"}]}, "did you mean status"),
        ({"rules": [MATCH | {"filter": "status:abc"}]}, "status:404"),
        ({"rules": [MATCH | {"filter": "status:500 AND ("}]}, "filter, column "),
        ({"rules": [MATCH | {"by": ["clientaddr"]}]}, "by[0]: access lines have no field 'clientaddr'; did you mean"),
        ({"rules": [MATCH | {"lines": "error", "by": ["uri"]}]}, "by[0]: error lines have no field 'uri'"),
        ({"rules": [MATCH | {"lines": "syslog"}]}, "rules[0].lines: Invalid enum value"),
        ({"rules": [MATCH | {"kind": "percentile", "above": 1.0, "of": "uri"}]}, "of: uri is a text, not a number"),
        ({"rules": [MATCH | {"kind": "percentile", "above": 1.0, "percentile": 100}]}, "Expected `float` < 100"),
        ({"rules": [MATCH | {"kind": "ratio", "hits": "", "share": 0.1}]}, "rules[0].hits: Expected `str` of length"),
        (
            {"rules": [MATCH | {"kind": "ratio", "hits": "status:500", "share": 0.1, "resolve_share": 0.2}]},
            "at most share",
        ),
        (
            {"rules": [MATCH | {"kind": "flatline", "expect": ["node1"]}]},
            "rules[0].expect: needs exactly one field in by",
        ),
        ({"rules": [MATCH | {"kind": "new_term"}]}, "rules[0].by: must name at least one field"),
        (
            {"rules": [MATCH | {"kind": "cardinality", "of": "url", "threshold": 5}]},
            "of: access lines have no field 'url'",
        ),
        ({"rules": [MATCH | {"kind": "spike", "factor": 1}]}, "rules[0].factor: Expected `float` > 1"),
        (
            {"rules": [GOOD["rules"][0] | {"ignore_clients": ["10.0.0.1/24"]}]},
            "rules[0].ignore_clients[0]: 10.0.0.1/24",
        ),
        ({"trusted_proxies": ["proxy1"]}, "trusted_proxies[0]: 'proxy1' does not appear"),
        (
            {"channels": [{"name": "x", "type": "pager"}]},
            f"channels[0].type: must be one of {', '.join(KINDS.by_tag)} (of x)",
        ),
        (
            {"channels": [{"name": "x", "type": "dingtalk", "url": "http://a/"}]},
            "give either token, or robots for a pool",
        ),
        ({"channels": [GOOD["channels"][1] | {"tokn": "env:X"}]}, "channels[0]: Object contains unknown field `tokn`"),
        ({"channels": [GOOD["channels"][1] | {"per_minute": 1}]}, "channels[0].per_minute: Expected `int` >= 2"),
        ({"channels": [GOOD["channels"][2] | {"recipients": []}]}, "channels[0].recipients: Expected `array`"),
        ({"error_log_timezone": "Mars/Base"}, "error_log_timezone: there is no time zone 'Mars/Base'"),
        ({"language": "fr"}, "language: Invalid enum value 'fr'"),
        ({"templates": "/nonexistent"}, "/nonexistent cannot be read"),
        ({"timezone": "Mars/Base"}, "timezone: there is no time zone 'Mars/Base'"),
        ({"lateness_s": -1}, "lateness_s: Expected `int` >= 0"),
        (sources({"name": "a", "url": "https://h/"}), "metrics.sources[0].url: must be http://HOST"),
        (sources({"name": "a", "url": "http://u:p@h/"}), "metrics.sources[0].url: must be http://HOST"),
        (sources({"name": "a", "url": "http://h:99999/"}), "metrics.sources[0].url: must be http://HOST"),
        (sources({"name": "alerter", "url": "http://h/"}), "metrics.sources[0].name: the name is used twice"),
        (sources({"name": "a", "url": "http://h/"}, {"name": "a", "url": "http://i/"}), "sources[1].name: the name"),
        ({"metrics": {"sources": [], "every_s": 0}}, "metrics.every_s: Expected `int` >= 1"),
        ({"heartbeat": {"every_s": 60}}, "heartbeat: Object missing required field `url`"),
        ({"heartbeat": {"url": "env:URL", "every_s": 1}}, "heartbeat.every_s: Expected `int` >= 10"),
        ({"heartbeat": {"url": "env:URL", "method": "PUT"}}, "heartbeat.method: Invalid enum value 'PUT'"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as fault:
        load(write(tmp_path, **changes))
    assert words in str(fault.value)
    assert re.match(r".*/alerter\.yml:\d+: ", str(fault.value))


def test_the_line_is_that_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "alerter.yml"
    path.write_text(
        "kafka: {bootstrap: [a:1], group: g, member: m, topics: "
        "{access: t, error: e, state: s, silences: s, history: h}}\n"
        "state: x\nchannels: []\nrules:\n"
        "  - {name: one, kind: status_4xx, threshold: 1}\n  - name: two\n    kind: status_4xx\n    threshold: 0\n"
        "trusted_proxies: []\nerror_log_timezone: UTC\nnative: true\nlanguage: en\n"
        "health: {address: 127.0.0.1, port: 9601}\nmetrics: {sources: []}\n"
    )
    with pytest.raises(ConfigError, match=r"alerter\.yml:8: rules\[1\]\.threshold: "):
        load(path)
