"""Brokers that refuse our connection, and resources that we may not see: neither are known to be down or missing."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import NamedTuple

from obsctl.checks.kafka.denial import allowing, principal
from obsctl.checks.kafka.snapshot import (
    CERTIFICATE,
    CLEAR,
    EXPIRED,
    LOGIN,
    MECHANISM,
    NAME,
    NO_SASL,
    SASL,
    TLS,
    UNASKED,
    UNTRUSTED,
    Broker,
    Denied,
)
from obsctl.checks.kafka.view import ClusterView
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity

#: What is unknown without a right, by resource and operation.
_UNSEEN = {
    ("cluster", "Describe"): "the controllers, the log directories, reassignments and groups that are not named here",
    ("topic", "Describe"): "whether they exist and how they are, and all other topics that are hidden in the same way",
    ("topic", "DescribeConfigs"): "min.insync.replicas, retention and unclean election of these topics",
    ("group", "Describe"): "whether they exist, and what they have read",
}


class _Bar(NamedTuple):
    """The finding's texts for brokers that refuse us for one reason."""

    code: str
    severity: Severity
    hint: Callable[[ClusterView, Broker], str]


def barred(view: ClusterView) -> Iterator[Finding]:
    """One finding for each reason why brokers that answer refuse us."""
    found: dict[str, list[Broker]] = {}
    for broker in view.seen.brokers:
        if broker.barred:
            found.setdefault(_BARS[broker.silence].code, []).append(broker)
    for code, brokers in found.items():
        bar = _BARS[brokers[0].silence]
        reasons = {f"broker/{broker.node_id}": f"{broker.address}: {broker.failure}" for broker in brokers}
        one = len(brokers) == 1
        yield Finding(
            code=code,
            severity=bar.severity,
            object=f"broker/{brokers[0].node_id}" if one else "kafka",
            summary=f"{brokers[0].host} ({brokers[0].address}): {brokers[0].failure}"
            + ("" if one else f"; the same of {listed([broker.host for broker in brokers[1:]])}"),
            evidence={"kind": brokers[0].silence, "brokers": [b.node_id for b in brokers], "reasons": reasons},
            hint=bar.hint(view, brokers[0]),
        )


def unseen(view: ClusterView) -> Iterator[Finding]:
    """Resources that our user has no right to see, with the command that grants the right."""
    for right in view.seen.denied:
        what = f"{right.resource}s {listed(list(right.names))}" if right.names else f"the {right.resource}"
        yield Finding(
            code="KAFKA_ACL_MISSING",
            severity=Severity.UNKNOWN,
            object=f"kafka/{right.resource}",
            summary=f"{principal(view.fleet)} has no right to {right.operation} {what}; not known: "
            f"{_UNSEEN[right.resource, right.operation]}",
            evidence={"resource": right.resource, "operation": right.operation, "names": list(right.names)},
            hint=_allow(view, right),
        )


def _allow(view: ClusterView, right: Denied) -> str:
    operations = ["Describe", "DescribeConfigs"] if right.resource == "topic" else ["Describe"]
    which = "--cluster" if right.resource == "cluster" else f"--{right.resource} '*'"
    broker = view.tool_broker
    return allowing(view.fleet, broker.host, broker.address, which, operations)


def _protocol(view: ClusterView, words: str) -> str:
    client = view.fleet.kafka.client
    return f"kafka_client_security_protocol in {view.fleet.inventory} is {client.protocol}: {words}"


def _with_tls(view: ClusterView, _: Broker) -> str:
    wanted = "SASL_SSL" if view.fleet.kafka.client.sasl else "SSL, or SASL_SSL where users log in"
    return _protocol(view, f"set it to {wanted}, and kafka_client_ca_file")


def _without_tls(view: ClusterView, _: Broker) -> str:
    wanted = "SASL_PLAINTEXT" if view.fleet.kafka.client.sasl else "PLAINTEXT"
    return _protocol(view, f"set it to {wanted}, or kafka_client_port to the port of a listener with TLS")


def _with_login(view: ClusterView, _: Broker) -> str:
    wanted = "SASL_SSL" if view.fleet.kafka.client.tls else "SASL_PLAINTEXT"
    return _protocol(view, f"set it to {wanted}, and kafka_client_user and kafka_client_password")


def _without_login(view: ClusterView, _: Broker) -> str:
    wanted = "SSL" if view.fleet.kafka.client.tls else "PLAINTEXT"
    return _protocol(view, f"set it to {wanted}, or kafka_client_port to the port of a listener with a login")


def _shown(broker: Broker) -> str:
    return (
        f"openssl s_client -connect {broker.address} -showcerts </dev/null 2>/dev/null | openssl x509 -noout -subject "
        "-issuer -dates -ext subjectAltName"
    )


def _authority(view: ClusterView, broker: Broker) -> str:
    ca = view.fleet.kafka.client.ca_file or "empty, so this machine's authorities are trusted"
    return f"kafka_client_ca_file is {ca}; who signed the broker's certificate: {_shown(broker)}"


def _name(view: ClusterView, broker: Broker) -> str:
    return (
        f"ansible_host of {broker.host} in {view.fleet.inventory} must be a name or address of the certificate: "
        f"{_shown(broker)}; kafka_client_check_hostname: false checks only the chain"
    )


def _dates(_: ClusterView, broker: Broker) -> str:
    clocks = f"if the clocks of {broker.host} and of this machine are right (date -u), renew the broker's certificate"
    return f"{clocks}: {_shown(broker)}"


def _own_certificate(view: ClusterView, broker: Broker) -> str:
    client = view.fleet.kafka.client
    given = client.certificate_file or "empty"
    return (
        f"kafka_client_certificate_file is {given}: an authority of the listener's truststore must have signed it, for "
        f"use by clients; on {broker.host}: journalctl -u kafka -n 50"
    )


def _user(view: ClusterView, broker: Broker) -> str:
    client = view.fleet.kafka.client
    command = f"--describe --entity-type users --entity-name {shlex.quote(client.user)}"
    return (
        f"compare kafka_client_password ({client.password or 'empty'}) with the user's; whether the user exists: "
        f"on {broker.host}: {view.fleet.kafka_tool('configs', broker.address, command)}"
    )


def _mechanism(view: ClusterView, _: Broker) -> str:
    return (
        f"kafka_client_sasl_mechanism in {view.fleet.inventory} is {view.fleet.kafka.client.mechanism}: set it to one "
        "that the listener takes, or add it to sasl.enabled.mechanisms of the brokers"
    )


def _settings(view: ClusterView, _: Broker) -> str:
    return f"kafka_client_… in {view.fleet.inventory} name what obsctl reads: obsctl explain KAFKA_NOT_ASKED"


_BARS = {
    TLS: _Bar("KAFKA_TLS_WANTED", Severity.UNKNOWN, _with_tls),
    CLEAR: _Bar("KAFKA_TLS_NOT_SPOKEN", Severity.UNKNOWN, _without_tls),
    UNTRUSTED: _Bar("KAFKA_CERT_UNTRUSTED", Severity.UNKNOWN, _authority),
    NAME: _Bar("KAFKA_CERT_NAME", Severity.UNKNOWN, _name),
    # This concerns not only us: every client that checks certificates fails.
    EXPIRED: _Bar("KAFKA_CERT_EXPIRED", Severity.CRITICAL, _dates),
    CERTIFICATE: _Bar("KAFKA_CLIENT_CERT_REFUSED", Severity.UNKNOWN, _own_certificate),
    LOGIN: _Bar("KAFKA_LOGIN_REFUSED", Severity.UNKNOWN, _user),
    MECHANISM: _Bar("KAFKA_SASL_MECHANISM", Severity.UNKNOWN, _mechanism),
    SASL: _Bar("KAFKA_LOGIN_WANTED", Severity.UNKNOWN, _with_login),
    NO_SASL: _Bar("KAFKA_LOGIN_NOT_TAKEN", Severity.UNKNOWN, _without_login),
    UNASKED: _Bar("KAFKA_NOT_ASKED", Severity.UNKNOWN, _settings),
}
