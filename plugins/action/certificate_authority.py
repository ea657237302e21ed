# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Creates the fleet's certificate authority on the control node, or does one step of a change of the CA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.obscraft.fleet.plugins.lookup import secret
from ansible_collections.obscraft.fleet.plugins.plugin_utils import certificate_authority as authority


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """No host is contacted.

    Arguments: ``directory``, ``trusted`` (file), ``passphrase_variable`` (the name of the variable that holds the
    reference, so that no output shows a value), ``days``, ``step`` (empty, trust, move or drop), ``looked``: all
    hosts were found ready for the step (for move and drop), and ``ready``: the site brings ready certificates, so
    that only what is trusted must be there.
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("directory", "trusted", "passphrase_variable", "days", "step", "looked", "ready"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return ``trusted``, what hosts trust (PEM; empty in check mode where there is no CA yet), and ``expired``,
        whether the signing CA has.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._task.args
        if given["step"] in ("move", "drop") and not given["looked"]:
            raise AnsibleActionFail(
                f"only playbooks/certificates.yml can do the step {given['step']}, because it checks all hosts first"
            )
        folder = folder_of(given)
        dry = bool(self._task.check_mode)
        try:
            changed = expired = False
            if not given["ready"]:
                passphrase = passphrase_of(given, task_vars or {}, self._templar)
                changed = authority.prepare(folder, passphrase, float(given["days"]), dry=dry)
                if given["step"] and not (dry and changed):
                    step = authority.change(folder, given["step"], passphrase, float(given["days"]), dry=dry)
                    changed = changed or step
                expired = folder.trusted.exists() and authority.load(folder, passphrase).has_expired()
            absent = dry and not folder.trusted.exists()
            trusted = "" if absent else authority.as_pem(authority.read_certificates(folder.trusted))
        except authority.AuthorityError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(changed=changed, trusted=trusted, expired=expired)
        return result


def folder_of(given: dict[str, Any]) -> authority.Folder:
    """Return where the CA is, from a task's arguments."""
    return authority.Folder(Path(given["trusted"]).expanduser(), Path(given["directory"]).expanduser())


def passphrase_of(given: dict[str, Any], variables: dict[str, Any], templar: Any) -> str:
    """Return the passphrase of the CA's key; empty where the inventory names none.

    Raises:
        AnsibleError: the reference leads to nothing; the text names the reference alone.
    """
    reference = str(templar.template(variables.get(given["passphrase_variable"]) or ""))
    return secret.resolve(reference, variables, templar) if reference else ""
