"""The hosts before anything is installed on them."""

from __future__ import annotations

import msgspec

from obsctl.checks.health.clocks import Clock
from obsctl.core.report import Fault
from obsctl.fleet.login import FailureKind


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP port on which something listens; ``program`` is empty if unknown."""

    address: str
    port: int
    program: str = ""


class FileSystem(msgspec.Struct, frozen=True, kw_only=True):
    """A local file system and its free space."""

    mount: str
    free_bytes: int


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that a host will need.

    Attributes:
        to: inventory name of the other host.
        purpose: what listens there once it is installed.
        failure: why nothing came back; empty if the other host answered (a refusal is an answer, too).
    """

    to: str
    address: str
    port: int
    purpose: str
    failure: str = ""


class HostLook(msgspec.Struct, frozen=True, kw_only=True):
    """One host, asked over ssh.

    Attributes:
        failure: why there is no answer, so that the other fields are meaningless; empty if there is one.
        failure_kind, hint: of the failure.
        sudo_failure: why it does not let us become root; empty if it does.
        sudo_hint: what to do about that.
        system: its operating system, in its own words.
        clock: None if unknown.
        synchronized: whether its clock follows a time server; None if unknown.
        time_services: those that run, such as ``chronyd``.
        machine_id: of systemd; two hosts with the same one are clones, or one machine under two names.
        addresses: of all its interfaces, without their prefix lengths.
        listeners: on TCP.
        running: units of the fleet's that are active already.
        file_systems: those with the fleet's data, each once.
        memory_bytes: None if unknown.
        vip_answers: whether the VIP answers a ping from it; None if that was not tried.
        paths: the connections that it will need.
    """

    name: str
    address: str
    failure: str = ""
    failure_kind: FailureKind | None = None
    hint: str = ""
    sudo_failure: str = ""
    sudo_hint: str = ""
    system: str = ""
    clock: Clock | None = None
    synchronized: bool | None = None
    time_services: tuple[str, ...] = ()
    machine_id: str = ""
    addresses: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()
    running: tuple[str, ...] = ()
    file_systems: tuple[FileSystem, ...] = ()
    memory_bytes: int | None = None
    vip_answers: bool | None = None
    paths: tuple[Path, ...] = ()


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem that the playbooks' preflight found; ``host`` may name several."""

    host: str
    problem: str
    fix: str


class ReadySnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All hosts at one moment.

    Attributes:
        vip_answers: whether the VIP answers from here, to a ping or on its port.
        problems: of the preflight.
        unread: why the inventory could not be read, so that no host was asked; empty if it was read.
        unread_hint: what to do about that.
    """

    hosts: tuple[HostLook, ...] = ()
    vip_answers: bool = False
    problems: tuple[Problem, ...] = ()
    unread: str = ""
    unread_hint: str = ""
    errors: tuple[Fault, ...] = ()
