"""Files of rules: what is read of them, and that every fault is named with its line."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules_file import Entry, complete_rules, load, schema
from obsctl.core.errors import ConfigError

FILE = Path("rules.yml")
ONE = "{name: one, kind: status_4xx, threshold: 9}"


def read(text: str) -> list[Entry]:
    return load(FILE, text)


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return [line for line in str(refused.value).splitlines() if line.startswith("rules.yml:")]


@pytest.mark.parametrize(
    "text",
    [
        f"- {ONE}",
        f"rules:\n  - {ONE}",
        f"kafka: {{bootstrap: 5}}\nrules:\n  - {ONE}",
        f"consumer_alert_rules:\n  - {ONE}",
        f"password: !vault |\n  $ANSIBLE_VAULT;1.1\nconsumer_alert_rules:\n  - {ONE}\nrules: [of something else]",
    ],
)
def test_each_form_of_a_file_is_read(text: str) -> None:
    assert [(entry.name, entry.kind, entry.severity) for entry in read(text)] == [("one", "status_4xx", "warning")]


def test_no_rules_are_no_fault() -> None:
    assert read("rules: []") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2", "contains no rules"),
        ("", "got `null`"),
        ("rules: 5", "rules.yml:1: rules: Expected `array`"),
        ("rules:\n  - 5", "rules.yml:2: rules[0]: Expected `object`"),
        ("- {name: x, name: y}", "name is given twice"),
        ("rules: [", "is not YAML"),
        ("rules: {{ all_rules }}", "is not YAML"),
        ('rules: "{{ all_rules }}"', "only the playbook can evaluate"),
    ],
)
def test_what_is_no_list_of_rules_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    assert words in str(refused.value)


def test_every_fault_of_every_rule_is_named_with_its_line() -> None:
    text = """consumer_alert_rules:
  - name: first
    kind: requests_per_client
    treshold: 5
    window_s: 0
    ignore_clients: [198.18.0.0/16, 10.0.0.1/24, nobody]
  - name: second
    kind: frequncy
  - name: third
    kind: ratio
    filter: "stauts:500"
    hits: "uri:("
    share: 0.1
    resolve_share: 0.5
    by: [host, urii]
  - kind: match
    name: first
"""
    found = [line.split(": ", 2) for line in faults(text)][1:]
    assert [(place, key) for place, key, _ in found] == [
        ("rules.yml:4", "consumer_alert_rules[0]"),
        ("rules.yml:5", "consumer_alert_rules[0].window_s"),
        ("rules.yml:6", "consumer_alert_rules[0].ignore_clients[1]"),
        ("rules.yml:6", "consumer_alert_rules[0].ignore_clients[2]"),
        ("rules.yml:8", "consumer_alert_rules[1].kind"),
        ("rules.yml:11", "consumer_alert_rules[2].filter"),
        ("rules.yml:15", "consumer_alert_rules[2].by[1]"),
        ("rules.yml:12", "consumer_alert_rules[2].hits"),
        ("rules.yml:14", "consumer_alert_rules[2].resolve_share"),
        ("rules.yml:17", "consumer_alert_rules[3].name"),
    ]
    said = [text for _, _, text in found]
    for at, word in ((0, "did you mean threshold?"), (4, "did you mean frequency?"), (5, "status"), (6, "uri?")):
        assert word in said[at]
    assert all("(of " in text for text in said)


def test_options_that_only_the_playbook_knows_are_no_fault() -> None:
    one, two = read(
        "rules:\n  - {name: one, kind: requests_per_client, threshold: '{{ limit }}', ignore_clients: ['{{ net }}']}\n"
        "  - {name: two, kind: match, filter: '{% if x %}status:500{% endif %}'}\n"
    )
    assert one.open == ("threshold", "ignore_clients")
    assert two.open == ("filter",)
    assert "threshold" in one.why_not_testable
    with pytest.raises(ConfigError, match="only the playbook can evaluate, in threshold, ignore_clients"):
        complete_rules(FILE, [one, two])
    (three,) = read(f"- {ONE}")
    assert complete_rules(FILE, [one, three]) == [three.rule]
    assert complete_rules(FILE, []) == []


def test_beside_an_open_option_the_others_are_checked() -> None:
    assert faults("- {name: one, kind: status_4xx, threshold: '{{ limit }}', window_s: 0}") == [
        "rules.yml:1: [0].window_s: Expected `int` >= 1 (of one)"
    ]
    assert faults("- {name: one, kind: status_4xx, threshold: 5, windows: '{{ span }}'}") == [
        "rules.yml:1: [0]: Object contains unknown field `windows` (of one)"
    ]
    assert read("- {name: one, kind: flatline, by: '{{ fields }}', expect: [a]}")[0].open == ("by",)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ("kind: frequency, filter: 'stauts:5', thresold: 3", ["thresold", "filter"]),
        ("kind: frequency, filter: 'stauts:5', thresold: 0", ["thresold", "thresold"]),
        ("kind: frequency, filter: 'stauts:5', windows: 3", ["windows", "threshold"]),
        ("kind: match, filter: 'stauts:5', window_s: 0", ["window_s", "filter"]),
        ("kind: match, filter: 'level:error', lines: eror", ["lines"]),
        ("kind: flatline, by: uri, expect: [a]", ["by"]),
        ("kind: flatline, window_s: '{{ hour }}', expect: [a]", ["expect"]),
    ],
)
def test_what_follows_from_a_fault_is_no_second_one(options: str, wrong: list[str]) -> None:
    found = [line for line in faults(f"- {{name: x, {options}}}") if line.startswith("rules.yml:1: ")]
    assert [re.sub(r".*(?:field `|\[0\]\.)(\w+).*", r"\1", line) for line in found] == wrong


OPTIONS = {
    "cardinality": "of: uri, threshold: 5",
    "change": "of: uri",
    "frequency": "threshold: 5",
    "metric": "metric: up, below: 1",
    "new_term": "by: [uri]",
    "percentile": "above: 2",
    "ratio": "hits: 'status:500', share: 0.5",
    "requests_per_client": "threshold: 5",
    "spike": "factor: 3",
    "status_4xx": "threshold: 5",
    "status_5xx_share": "share: 0.1, min_requests: 9",
}


@pytest.mark.parametrize("kind", KINDS.by_tag)
def test_what_requests_can_make_happen_is_testable(kind: str) -> None:
    options = f", {OPTIONS[kind]}" if kind in OPTIONS else ""
    (entry,) = read(f"- {{name: x, kind: {kind}{options}}}")
    assert bool(entry.why_not_testable) == (kind in {"flatline", "metric"})


@pytest.mark.parametrize("kind", ["match", "flatline"])
def test_no_request_writes_a_chosen_line_into_the_error_log(kind: str) -> None:
    (entry,) = read(f"- {{name: x, kind: {kind}, lines: error}}")
    assert entry.why_not_testable


@pytest.fixture(scope="module")
def schema_says() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@pytest.mark.parametrize("kind", KINDS.by_tag)
@pytest.mark.parametrize("begin", ["- {0}", "rules: [{0}]", "consumer_alert_rules: [{0}]\nother: 5"])
def test_the_schema_takes_what_the_program_takes(
    kind: str, begin: str, schema_says: jsonschema.Draft202012Validator
) -> None:
    options = f", {OPTIONS[kind]}" if kind in OPTIONS else ""
    text = begin.format(f"{{name: x, kind: {kind}{options}}}")
    read(text)
    schema_says.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "other: 5",
        "- 5",
        "- {name: x, kind: mtch}",
        "- {name: x, kind: match, filtr: y}",
        "- {name: x, kind: status_4xx}",
        "- {name: x, kind: status_4xx, threshold: 0}",
        "- {name: x, kind: match, severity: high}",
        "- {name: '', kind: match}",
        "rules: [{name: x, kind: match, by: uri}]",
    ],
)
def test_the_schema_refuses_what_the_program_refuses(text: str, schema_says: jsonschema.Draft202012Validator) -> None:
    with pytest.raises(ConfigError):
        read(text)
    assert not schema_says.is_valid(yaml.safe_load(text))
