"""Which rights our user lacks, according to the brokers' refusals, and the command that grants them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from obsctl.checks.kafka.snapshot import Denied, KafkaSnapshot
from obsctl.fleet.model import Fleet

#: Kafka's error codes for resources that an account may not see, and the resource's name in ACLs.
RESOURCES = {29: "topic", 30: "group", 31: "cluster"}
#: Requests that need another right than Describe (Kafka's documentation, "Operations and resources on protocols").
_OPERATIONS = {"DescribeConfigs": "DescribeConfigs"}
#: Requests whose answers name partitions.
_BY_PARTITION = ("ListOffsets", "OffsetFetch")

#: The principal of a client without a login.
_ANONYMOUS = "ANONYMOUS"

#: Request and error code to what was refused with it.
Refused = Mapping[tuple[str, int], Sequence[str]]


def denied(refusals: Iterable[Refused]) -> tuple[Denied, ...]:
    """Return the missing rights, those on the cluster first."""
    names: dict[tuple[str, str], set[str]] = {}
    for refused in refusals:
        for (question, code), parts in refused.items():
            if code not in RESOURCES:
                continue
            by_partition = RESOURCES[code] == "topic" and question in _BY_PARTITION
            found = {part.rpartition("-")[0] if by_partition else part for part in parts}
            key = (RESOURCES[code], _OPERATIONS.get(question, "Describe"))
            names.setdefault(key, set()).update(found - {""})
    return tuple(
        Denied(resource=resource, operation=operation, names=tuple(sorted(names[resource, operation])))
        for resource, operation in sorted(names)
    )


def may_be_hidden(seen: KafkaSnapshot) -> bool:
    """Return whether a topic that we do not see may exist nevertheless."""
    return any(right.resource == "topic" and right.operation == "Describe" for right in seen.denied)


def principal(fleet: Fleet) -> str:
    """Return our principal as Kafka's tools take it, or a placeholder if unknown."""
    security = fleet.kafka.client
    if security.sasl:
        return f"User:{security.user}"
    if security.tls and security.certificate_file:
        return f"the subject of {security.certificate_file}"
    return f"User:{_ANONYMOUS}"


def allowing(fleet: Fleet, host: str, broker: str, what: str, operations: Sequence[str]) -> str:
    """Return the command that grants our user rights, and the host to type it on.

    Args:
        host: of the broker.
        broker: its ``HOST:PORT``.
        what: the resource, as options of Kafka's tool.
        operations: as Kafka names them.
    """
    security = fleet.kafka.client
    name, before = shlex.quote(principal(fleet)), ""
    if security.tls and not security.sasl and security.certificate_file:
        subject = f"openssl x509 -noout -subject -nameopt RFC2253 -in {shlex.quote(security.certificate_file)}"
        name, before = '"User:$SUBJECT"', f"SUBJECT is what {subject} prints here behind subject=; "
    wanted = " ".join(f"--operation {operation}" for operation in operations)
    command = fleet.kafka_tool("acls", broker, f"--add --allow-principal {name} {wanted} {what}")
    return f"{before}on {host}: {command}"
