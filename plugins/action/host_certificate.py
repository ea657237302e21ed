# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Gives a host a certificate: the host makes key and request, the control node signs, the host installs."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.obscraft.fleet.plugins.action.certificate_authority import folder_of, passphrase_of
from ansible_collections.obscraft.fleet.plugins.plugin_utils import certificate_authority as authority
from ansible_collections.obscraft.fleet.plugins.plugin_utils.ready_certificate import read_ready
from cryptography import x509

MODULE = "obscraft.fleet.host_certificate"
CA = ("directory", "trusted", "passphrase_variable")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """The module of the same name is the host's half.

    Arguments: those of the module that say where and for whom (``host_directory``, ``use``, ``names``, ``group``);
    where the CA is (``directory``, ``trusted``, ``passphrase_variable``); ``days`` of life; and a site's ready
    certificate (``ready_certificate``, ``ready_key``: files of the control node, empty for the CA's).
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset((*CA, "host_directory", "use", "names", "group", "days", "ready_certificate", "ready_key"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return ``changed`` and ``due``, the reason for a new certificate."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        given, known = self._task.args, task_vars or {}
        try:
            if given["ready_certificate"]:
                result.update(self._ready(given, known))
            else:
                result.update(self._signed(given, known))
        except authority.AuthorityError as error:
            raise AnsibleActionFail(str(error)) from None
        return result

    def _signed(self, given: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        folder = folder_of(given)
        if self._task.check_mode and not folder.trusted.exists():
            return {"changed": True, "due": "the fleet has no CA yet"}
        ours = authority.load(folder, passphrase_of(given, known, self._templar))
        host = known["inventory_hostname"]
        place = {
            **_place(given),
            "host": host,
            "names": list(dict.fromkeys(given["names"])),
            "trusted": authority.as_pem(ours.trusted),
            "signer": authority.as_pem([ours.certificate]),
        }
        looked = self._module({**place, "step": "look"}, known)
        if looked.get("failed") or not looked.get("due") or self._task.check_mode:
            return _answer(looked)
        signed = ours.sign(looked["request"], given["use"], host, place["names"], float(given["days"]))
        _check_clock(host, looked["now"], x509.load_pem_x509_certificate(signed.encode()))
        installed = self._module(
            {
                **_place(given),
                "step": "install",
                "certificate": signed,
                "pending": looked["pending"],
                "trusted": place["trusted"],
            },
            known,
        )
        return _answer({**installed, "due": looked["due"]})

    def _ready(self, given: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        trusted = Path(given["trusted"]).expanduser()
        certificate, key = read_ready(
            Path(given["ready_certificate"]).expanduser(),
            Path(given["ready_key"]).expanduser(),
            trusted,
            given["use"],
            given["names"],
        )
        ready = {
            "certificate": certificate,
            "key": key,
            "trusted": authority.as_pem(authority.read_certificates(trusted)),
        }
        return _answer(self._module({**_place(given), "step": "install", **ready}, known))

    def _module(self, arguments: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=known)
        # It would repeat what the host was given.
        answer.pop("invocation", None)
        return answer


def _place(given: dict[str, Any]) -> dict[str, Any]:
    return {"directory": given["host_directory"], "use": given["use"], "group": given["group"]}


def _answer(said: dict[str, Any]) -> dict[str, Any]:
    kept = ("changed", "failed", "msg", "due", "unreachable", "module_stderr", "module_stdout", "rc", "warnings")
    answer = {name: said[name] for name in kept if name in said}
    if answer.get("due"):
        answer["diff"] = {"prepared": f"new certificate: {answer['due']}\n"}
    return answer


def _check_clock(host: str, now: float, certificate: x509.Certificate) -> None:
    """Fail if the host's clock is outside the certificate's life: the host would ask for a new one in every run.

    Args:
        now: the host's time, in seconds since the epoch.
    """
    there = datetime.datetime.fromtimestamp(now, authority.UTC)
    if not authority.valid_from(certificate) <= there < authority.valid_until(certificate):
        raise authority.AuthorityError(
            f"the clock of {host} shows {there:%Y-%m-%d %H:%M:%S} UTC, outside the life of a certificate made now: set "
            "its clock (chrony), then repeat this run"
        )
