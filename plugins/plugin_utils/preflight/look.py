# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""What a host reports about itself: the ``key=value`` lines of ``playbooks/templates/preflight-look.sh.j2``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Look:
    """A host's answer; what it did not report is empty.

    Attributes:
        silence: why there is no answer, in the words of ssh, Ansible or the host's shell; None where it answered.
        logged_in: whether a shell was reached although there is no answer.
        os_id: ID of /etc/os-release, such as ``centos``.
        os_version: its VERSION_ID.
        os_name: its PRETTY_NAME.
        python: version of the Python that Ansible's modules will run under, such as ``3.9``.
        ssh_client: the control node's address as the host sees it.
        java: major version of kafka_java.
        mysql: version of the installed database server.
        memory: bytes, None if unknown.
        disks: path to the bytes that Kafka may use there.
        names: (name, IPv4 address or empty) for the names under which Kafka's nodes are reached.
        clock: moment (seconds since the epoch) to the distance from UTC, such as ``+0800``.
        zones: IANA name to whether the host's database has it.
        foreign_directories: paths of directories among Kafka's data that are not named like a partition.
        kafka_is_formatted: whether a data directory of Kafka's holds a meta.properties.
    """

    silence: str | None = None
    logged_in: bool = False
    os_id: str = ""
    os_version: str = ""
    os_name: str = ""
    python: str = ""
    ssh_client: str = ""
    java: str = ""
    mysql: str = ""
    memory: int | None = None
    disks: Mapping[str, int] = field(default_factory=dict)
    names: tuple[tuple[str, str], ...] = ()
    clock: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, bool] = field(default_factory=dict)
    foreign_directories: tuple[str, ...] = ()
    kafka_is_formatted: bool = False


def said_once(text: str) -> str:
    """Return a message of Ansible on one line; before 2.19 it repeats the same message once a level."""
    sentences = " ".join(text.split()).removesuffix(".").split(". ")
    return ". ".join(dict.fromkeys(sentences))


def read_look(answer: Mapping[str, Any]) -> Look:
    """Return what the registered result of the task that asks a host means."""
    if answer.get("unreachable") or ("stdout" not in answer and answer.get("failed")):
        return Look(silence=str(answer.get("msg") or "no reason is given"))
    text = str(answer.get("stdout", ""))
    # Each look begins with this line: what comes without it is not our script's, but a login shell's refusal.
    if "os.id=" not in text:
        said = "\n".join(filter(None, (text.strip(), str(answer.get("stderr", "")).strip())))
        return Look(silence=said or "it prints nothing", logged_in=True)
    return parse_look(text)


def parse_look(text: str) -> Look:
    """Return what the look's lines say; lines of other programs (a banner) are passed over."""
    lines = [line.strip().partition("=") for line in text.splitlines()]
    one = {key: value for key, equals, value in lines if equals}
    many: dict[str, list[list[str]]] = {key: [] for key in ("name", "disk", "clock", "zone")}
    for key, _equals, value in lines:
        if key in many and value.split():
            many[key].append(value.split())
    return Look(
        os_id=one.get("os.id", ""),
        os_version=one.get("os.version", ""),
        os_name=one.get("os.name", ""),
        python=one.get("python", ""),
        ssh_client=one.get("ssh_client", ""),
        java=one.get("java", ""),
        mysql=one.get("mysql", ""),
        memory=int(one["memory"]) * 1024 if one.get("memory", "").isdigit() else None,
        disks={entry[0]: int(entry[1]) * 1024 for entry in many["disk"] if len(entry) == 2 and entry[1].isdigit()},
        names=tuple((entry[0], entry[1] if len(entry) > 1 else "") for entry in many["name"]),
        clock={entry[0]: entry[1] for entry in many["clock"] if len(entry) == 2},
        zones={entry[0]: entry[1] != "unknown" for entry in many["zone"] if len(entry) == 2},
        foreign_directories=tuple(value for key, _equals, value in lines if key == "foreign" and value),
        kafka_is_formatted=one.get("formatted") == "yes",
    )
