"""Which rights our user lacks, as brokers tell it by refusing, and the command that gives them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from obsctl.checks.kafka.snapshot import Denied, KafkaSnapshot
from obsctl.fleet.model import Fleet

#: Kafka's codes for what an account may not see, and what its ACLs call that.
RESOURCES = {29: "topic", 30: "group", 31: "cluster"}
#: Questions for which another right than Describe is needed (Kafka's documentation, "Operations and resources on
#: protocols").
_OPERATIONS = {"DescribeConfigs": "DescribeConfigs"}
#: Questions whose answers name partitions.
_BY_PARTITION = ("ListOffsets", "OffsetFetch")

#: Who a client is that did not log in.
_ANONYMOUS = "ANONYMOUS"

#: Question and error code to what was refused with it.
Refused = Mapping[tuple[str, int], Sequence[str]]


def denied(refusals: Iterable[Refused]) -> tuple[Denied, ...]:
    """Return the rights that are missing, the cluster's first."""
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
    """Return whether a topic that is not seen may exist all the same."""
    return any(right.resource == "topic" and right.operation == "Describe" for right in seen.denied)


def principal(fleet: Fleet) -> str:
    """Return who we are to the brokers, in words that Kafka's tools take where that is known."""
    security = fleet.kafka.client
    if security.sasl:
        return f"User:{security.user}"
    if security.tls and security.certificate_file:
        return f"the subject of {security.certificate_file}"
    return f"User:{_ANONYMOUS}"


def allowing(fleet: Fleet, host: str, broker: str, what: str, operations: Sequence[str]) -> str:
    """Return the command that gives our user rights, and the host to type it on.

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
