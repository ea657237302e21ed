# Copyright: The ObsCraft authors
# Apache License 2.0 (see LICENSE)
from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: Read a secret that a reference names
description:
  - Reads C(file:/path) (a trailing newline is dropped), C(env:NAME) or C(vault:NAME) on the control node. NAME of
    C(vault:) is a variable of the inventory, which Ansible Vault should protect.
  - A text without one of these prefixes is returned as it is, so that a variable may hold either.
  - A secret that cannot be read, or is empty, is an error that names the reference and never the value.
version_added: 0.1.0
author: The ObsCraft authors
options:
  _terms:
    description: The references.
    required: true
notes:
  - Use it in tasks with C(no_log) only.
"""

EXAMPLES = r"""
- name: Hand a password to a module
  obscraft.fleet.mysql_accounts:
    database: obs
    accounts:
      - name: obs_reader
        hosts: [192.168.100.161]
        password: "{{ lookup('obscraft.fleet.secret', mysql_reader_password) }}"
        privileges: {}
  no_log: true
"""

RETURN = r"""
_raw:
  description: The secrets.
  type: list
  elements: str
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no types
    """Resolve references to secrets on the control node."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        return [resolve(str(term), variables or {}, self._templar) for term in terms]


def resolve(reference: str, variables: Mapping[str, Any], templar: Any) -> str:
    """Return the secret that a reference names.

    Args:
        reference: C(file:), C(env:) or C(vault:), or the secret itself.
        variables: the host's, for C(vault:).
        templar: templates such a variable.

    Raises:
        AnsibleError: it cannot be read or is empty; the text names the reference and never the value.
    """
    kind, _, name = reference.partition(":")
    if kind == "file":
        value = _from_file(reference, name)
    elif kind == "env":
        value = os.environ.get(name, "")
    elif kind == "vault":
        value = _from_inventory(reference, name, variables, templar)
    else:
        value = reference
    if not value:
        what = reference if kind in ("file", "env", "vault") else "a secret in the inventory"
        raise AnsibleError(f"secret: {what} is empty")
    return value


def _from_inventory(reference: str, name: str, variables: Mapping[str, Any], templar: Any) -> str:
    if name not in variables:
        raise AnsibleError(f"secret: {reference}: the inventory has no variable of this name")
    return str(templar.template(variables[name]))


def _from_file(reference: str, name: str) -> str:
    try:
        return Path(name).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise AnsibleError(f"secret: {reference} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AnsibleError(f"secret: {reference} is not text in UTF-8") from None
