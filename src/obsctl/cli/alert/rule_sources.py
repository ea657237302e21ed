"""Where commands read alert rules from: a file, or the inventory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from obsctl.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from obsctl.alerter.rules.rule import Rule
    from obsctl.alerter.rules_file import Entry
    from obsctl.fleet.model import Fleet

#: The help text for such a file.
A_FILE_OF_RULES = (
    "YAML: a list of rules, or a file that has one under consumer_alert_rules or rules, such as group_vars and "
    "alerter.yml; - for standard input"
)


def rules_of_file(file: Path) -> list[Entry]:
    """Read a file of rules; ``-`` is standard input.

    Raises:
        ConfigError: it cannot be read, has no rules, or has faults.
    """
    from obsctl.alerter.rules_file import load

    try:
        if str(file) == "-":
            return load(Path("standard input"), standard_input().read().decode())
        return load(file, file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not text in UTF-8") from None


def standard_input() -> BinaryIO:
    """Return standard input as bytes.

    Raises:
        UsageError: there is none.
    """
    if sys.stdin is None:
        raise UsageError("standard input is closed")
    return sys.stdin.buffer


def inventory_rules(fleet: Fleet) -> list[Rule]:
    """Return the inventory's rules, which may be none.

    Raises:
        ConfigError: they cannot be read.
    """
    from obsctl.alerter.rules.registry import KINDS
    from obsctl.core.config_file import InvalidValueError

    try:
        return KINDS.read(fleet.alert_rules, "consumer_alert_rules")
    except InvalidValueError as fault:
        raise ConfigError(
            f"the inventory's alert rules: {fault.key}: {fault}",
            hint=fault.hint or f"{fleet.playbook('preflight')} names what is wrong",
        ) from None


def some_inventory_rules(fleet: Fleet) -> list[Rule]:
    """Return the inventory's rules.

    Raises:
        ConfigError: they cannot be read, or there are none.
    """
    found = inventory_rules(fleet)
    if not found:
        raise ConfigError(
            "the inventory has no alert rule",
            hint=f"set consumer_alert_rules; a fleet.json of an earlier release: {fleet.playbook('consumer')}",
        )
    return found
