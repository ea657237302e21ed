# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Secrets that cannot be read or used, and files that the control node lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.values import is_broken

#: What inventories/prod/group_vars/all/vault.yml.example holds.
PLACEHOLDER = re.compile(r"change-?me(-\d+)?\Z")
BROKEN = "it holds a line break or a control character"
UNSENDABLE = "it holds a line break or a character beyond ASCII, which cannot be sent"
ONE_LINE = "store the secret alone, in ASCII and on one line, in the inventory or where the reference points"
STORE = (
    "put the secret into group_vars/all/vault.yml (vault.yml.example shows how) and refer to it as vault:VARIABLE; or "
    "refer to env:NAME or file:/path of the control node"
)


def secret_fault(value: str, *, on_the_wire: bool, is_pem: bool = False) -> str | None:
    """Return why a secret cannot be used, or None; the text does not contain the secret.

    Args:
        value: the secret.
        on_the_wire: whether it is sent in a header or a command, where only printable ASCII passes.
        is_pem: whether it is a text of several lines.
    """
    if PLACEHOLDER.match(value):
        return "it is still the example's placeholder"
    if is_pem:
        return None
    if not is_one_line(value):
        return UNSENDABLE if on_the_wire else BROKEN
    if on_the_wire and not (value.isascii() and value.isprintable()):
        return UNSENDABLE
    return None


def is_one_line(value: str) -> bool:
    """Whether a secret is one line, without a line break at its end either: that would be a part of the secret."""
    return not is_broken(value) and not value.endswith("\n")


def secrets(fleet: Fleet) -> Iterator[Problem]:
    defaults = {option: spec.get("default") for options in fleet.specs.values() for option, spec in options.items()}
    faults = [
        (host, name, reason, "{{" in str(defaults.get(name)) and name not in fleet.inventory_names.get(host, ()))
        for host, found in fleet.unusable_secrets.items()
        for name, reason in found.items()
    ]
    named = {reason for _host, _name, reason, derived in faults if not derived}
    for host, name, reason, derived in faults:
        # One that follows from another one is at fault itself only where the other is not.
        if not (derived and reason in named):
            yield Problem(
                host, f"{name} cannot be used: {reason}", ONE_LINE if reason in (UNSENDABLE, BROKEN) else STORE
            )


def artifacts(fleet: Fleet) -> Iterator[Problem]:
    for variable, path in fleet.missing_files.items():
        yield Problem(
            "control node",
            f"{variable} does not exist: {path}",
            f"`obsctl artifacts build` makes it; or set {variable} to the file's path"
            if variable.endswith("_archive")
            else f"set {variable} to the path of a PEM file on the control node",
        )
