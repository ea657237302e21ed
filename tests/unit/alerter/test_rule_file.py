"""A file of rules: every fault is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsctl.alerter import rule_file
from obsctl.core.config_file import ConfigFile
from obsctl.core.errors import ConfigError

GOOD = "{name: a, kind: frequency, filter: 'status:404', threshold: 3}"


def written(folder: Path, text: str) -> ConfigFile:
    path = folder / "rules.yml"
    path.write_text(text)
    return ConfigFile(path)


@pytest.mark.parametrize(
    "text",
    [f"- {GOOD}\n", f"rules:\n  - {GOOD}\n", f"other: 1\nconsumer_alert_rules:\n  - {GOOD}\n"],
    ids=["a list", "alerter.yml", "an inventory"],
)
def test_rules_are_found(tmp_path: Path, text: str) -> None:
    rules, faults = rule_file.read(written(tmp_path, text))
    assert [rule.name for rule in rules] == ["a"]
    assert faults == []


def test_every_fault_is_named_with_its_line(tmp_path: Path) -> None:
    text = f"""consumer_alert_rules:
  - {GOOD}
  - name: b
    kind: frequncy
  - name: c
    kind: match
    filter: stauts:500
  - {GOOD}
  - just a text
"""
    rules, faults = rule_file.read(written(tmp_path, text))
    assert [rule.name for rule in rules] == ["a"]
    said = [str(fault) for fault in faults]
    assert len(said) == 4
    for fault, (line, words) in zip(
        said, [(4, "must be one of"), (5, "did you mean status"), (8, "used twice"), (9, "mapping")], strict=True
    ):
        assert f"rules.yml:{line}: " in fault
        assert words in fault


@pytest.mark.parametrize("text", ["a: 1\n", "just a text\n", "rules: 7\n", ""])
def test_a_file_without_rules_is_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="holds no list of rules"):
        rule_file.read(written(tmp_path, text))


def test_what_requests_cannot_make_is_not_testable(tmp_path: Path) -> None:
    text = f"- {GOOD}\n- {{name: b, kind: flatline}}\n- {{name: c, kind: match, lines: error}}\n"
    rules, _ = rule_file.read(written(tmp_path, text))
    assert [bool(rule_file.untestable(rule)) for rule in rules] == [False, True, True]
