"""The embedded fleet on this machine."""

from __future__ import annotations

from typing import Any

import msgspec

from obsctl.core.report import Fault


class LabHost(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the lab.

    Attributes:
        os: key of the recipe of its root file system.
        running: whether the process that runs the guest is alive.
        cable: ``up``, ``cut`` or ``none``.
        ssh: whether its sshd answers.
    """

    name: str
    address: str
    os: str
    running: bool
    cable: str
    ssh: bool


class LabSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The lab's own record and its hosts; both empty if there is no lab.

    Attributes:
        record: the fields of :class:`obsctl.core.lab_record.LabState`.
        errors: always empty: what does not answer is a finding.
    """

    record: dict[str, Any]
    hosts: tuple[LabHost, ...]
    errors: tuple[Fault, ...] = ()
