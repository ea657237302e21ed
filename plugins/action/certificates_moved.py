# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Fails for a host that still has a certificate of the former CA: dropping that CA would cut the host off."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.obscraft.fleet.plugins.action.certificate_authority import folder_of, passphrase_of
from ansible_collections.obscraft.fleet.plugins.plugin_utils import certificate_authority as authority


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Arguments: ``directory``, ``trusted``, ``passphrase_variable`` (where the CA is), ``host_directory``, and
    ``command``, which gives hosts a certificate of the present CA.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("directory", "trusted", "passphrase_variable", "host_directory", "command"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the host's module says, failed where a certificate is of another CA."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given, known = self._task.args, task_vars or {}
        try:
            ours = authority.load(folder_of(given), passphrase_of(given, known, self._templar))
        except authority.AuthorityError as error:
            raise AnsibleActionFail(str(error)) from None
        arguments = {
            "step": "issued",
            "directory": given["host_directory"],
            "signer": authority.as_pem([ours.certificate]),
        }
        found = self._execute_module(
            module_name="obscraft.fleet.host_certificate", module_args=arguments, task_vars=known
        )
        result.update(found)
        if found.get("others"):
            result.update(
                failed=True,
                msg=f"not of the present CA: {', '.join(found['others'])}. Renew these: {given['command']} (or remove "
                f"a folder below {given['host_directory']} that no service of this host uses any more)",
            )
        return result
