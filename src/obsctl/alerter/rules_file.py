"""Reads a file of rules that people write: an inventory's ``group_vars`` file, alerter.yml, or only a list of rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

import msgspec

from obsctl.alerter.alerts import Level
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import Rule
from obsctl.alerter.wire.plan import why_not
from obsctl.core.config_file import ConfigFile
from obsctl.core.errors import ConfigError

#: The keys under which a file may have its rules; if it has both, the first one counts.
KEYS = ("consumer_alert_rules", "rules")
#: What Jinja expressions, statements and comments begin with.
_JINJA = ("{{", "{%")
_PLAYBOOK = "a Jinja expression, which only the playbook can evaluate"
_WRITTEN = "use /etc/obsctl/alerter.yml from the consumer's host: it contains the rules as the playbook rendered them"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of the file.

    Attributes:
        name: of the rule.
        kind: of the rule.
        severity: of the rule.
        rule: the rule; None if some of its options are open.
        open: options whose values contain Jinja, so that they cannot be checked.
    """

    name: str
    kind: str
    severity: str
    rule: Rule | None
    open: tuple[str, ...] = ()

    @property
    def why_not_testable(self) -> str:
        """Why requests through the VIP cannot make the condition true; empty if they can."""
        if self.rule is None:
            return f"not known: {_PLAYBOOK}, in {', '.join(self.open)}"
        return why_not(self.rule)


def load(path: Path, text: str | None = None) -> list[Entry]:
    """Return the rules of a file.

    Args:
        path: of the file, named in every fault.
        text: content of the file, if it was read already.

    Raises:
        ConfigError: the file cannot be read, has no rules, or has faults; all faults are named, each with its line.
    """
    file = ConfigFile(path, text)
    key = next((key for key in KEYS if key in file.keys), "")
    if file.keys and not key:
        raise ConfigError(f"{path}: contains no rules: neither {' nor '.join(KEYS)} is a key of it")
    raw = file.to(object, key)
    if _is_open(raw) and isinstance(raw, str):
        raise ConfigError(f"{path}: {key or 'top level'} is {_PLAYBOOK}", hint=_WRITTEN)
    entries = file.to(list[dict[str, Any]], key)
    found: list[Entry] = []
    faults: list[ConfigError] = []
    for entry, (rule, wrong) in zip(entries, KINDS.examine(entries, key, is_open=_is_open), strict=True):
        faults += [file.error(fault) for fault in wrong]
        if not wrong:
            found.append(_entry(entry, rule))
    if faults:
        raise _all_of(path, faults)
    return found


def schema() -> dict[str, Any]:
    """Return the JSON Schema of such a file, for editors; it does not check filters and names of fields."""
    kinds = KINDS.by_tag.values()
    (rule,), parts = msgspec.json.schema_components([Union[tuple(kinds)]], ref_template="#/$defs/{name}")  # noqa: UP007  built
    for kind in kinds:
        described = parts[kind.__name__]
        described["description"] = f"In any window: {kind.condition}."
        described["properties"][KINDS.tag_field]["description"] = kind.tag_text
    # A keyword of OpenAPI that JSON Schema does not have.
    del rule["discriminator"]
    several = {"type": "array", "items": {"$ref": "#/$defs/rule"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:obscraft:alert-rules",
        "title": "Alert rules",
        "description": "A list of rules, or a file that has one under consumer_alert_rules or rules.",
        "anyOf": [
            several,
            *({"type": "object", "properties": {key: several}, "required": [key]} for key in KEYS),
        ],
        "$defs": {"rule": rule, **parts},
    }


def complete_rules(path: Path, entries: Sequence[Entry]) -> list[Rule]:
    """Return the rules that are complete.

    Raises:
        ConfigError: no rule is complete: each has an open option.
    """
    rules = [entry.rule for entry in entries if entry.rule is not None]
    if entries and not rules:
        raise ConfigError(f"{path}: {_PLAYBOOK}, in {', '.join(entries[0].open)} (of {entries[0].name})", hint=_WRITTEN)
    return rules


def _entry(raw: dict[str, Any], rule: Rule | None) -> Entry:
    if rule is not None:
        return Entry(name=rule.name, kind=rule.kind, severity=rule.severity.value, rule=rule)
    return Entry(
        name=str(raw.get("name", "")),
        kind=str(raw.get(KINDS.tag_field, "")),
        severity=str(raw.get("severity", Level.WARNING.value)),
        rule=None,
        open=tuple(option for option, value in raw.items() if _is_open(value)),
    )


def _is_open(value: Any) -> bool:
    if isinstance(value, str):
        return any(begin in value for begin in _JINJA)
    if isinstance(value, dict):
        return any(map(_is_open, value.values()))
    return isinstance(value, list) and any(map(_is_open, value))


def _all_of(path: Path, faults: Sequence[ConfigError]) -> ConfigError:
    if len(faults) == 1:
        return faults[0]
    lines = [f"{fault}{f'; {fault.hint}' if fault.hint else ''}" for fault in faults]
    return ConfigError("\n".join([f"{path}: {len(faults)} faults", *lines]))
