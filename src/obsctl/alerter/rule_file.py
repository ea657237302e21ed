"""A file of rules, as an inventory or alerter.yml has them: every fault is named, not only the first."""

from __future__ import annotations

from typing import Any

from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import Log, Rule
from obsctl.core.config_file import ConfigFile, InvalidValueError
from obsctl.core.errors import ConfigError

#: Where the rules stand in a file that is no list of them: in an inventory, in alerter.yml.
KEYS = ("consumer_alert_rules", "rules")


def read(file: ConfigFile) -> tuple[list[Rule], list[ConfigError]]:
    """Return the rules of a file that are in order, and the faults of the others.

    Raises:
        ConfigError: it holds no list of rules.
    """
    entries: Any = file.to(object)
    key = next((name for name in KEYS if isinstance(entries, dict) and name in entries), "")
    if key:
        entries = entries[key]
    if not isinstance(entries, list):
        raise ConfigError(
            f"{file.path}: holds no list of rules", hint=f"write a list, or one below {' or '.join(KEYS)}"
        )
    rules: list[Rule] = []
    faults: list[ConfigError] = []
    for number, entry in enumerate(entries):
        place = f"{key}[{number}]"
        try:
            if not isinstance(entry, dict):
                raise InvalidValueError(place, "is no mapping of options")  # noqa: TRY301  one place names the line
            (rule,) = KINDS.read([entry], "")
            if rule.name in {other.name for other in rules}:
                raise InvalidValueError(f"{place}.name", f"the name {rule.name} is used twice")  # noqa: TRY301
        except InvalidValueError as fault:
            where = fault.key if fault.key.startswith(place) else f"{place}{fault.key.removeprefix('[0]')}"
            faults.append(file.error(InvalidValueError(where, str(fault), hint=fault.hint)))
        else:
            rules.append(rule)
    return rules, faults


def untestable(rule: Rule) -> str:
    """Return why requests cannot make a rule's condition happen; empty where they can."""
    if rule.log is Log.ERROR:
        return "a request does not write the error log by itself"
    if rule.clocked:
        return "requests cannot make silence"
    return ""
