# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""How brokers and clients reach Kafka: the stage of TLS, listeners, logins and certificates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ansible_collections.obscraft.fleet.plugins.modules.kafka_acls import wanted_acls
from ansible_collections.obscraft.fleet.plugins.modules.kafka_quotas import wanted_quotas
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import console
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.kafka_node import brokers, given_properties
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem, Variables

#: Properties that the role computes with fleet_tls.
GUARDED = (
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "inter.broker.listener.name",
    "security.inter.broker.protocol",
    "authorizer.class.name",
    "super.users",
)
#: Users that the role creates; kafka_…_password has the password of each.
USERS = ("filebeat", "consumer", "alerter", "console", "obsctl", "admin")


def tls_stages(fleet: Fleet) -> Iterator[Problem]:
    """All nodes are in the same TLS stage, and have what it needs."""
    by_stage: dict[str, list[str]] = defaultdict(list)
    for host, variables in fleet.group("kafka"):
        by_stage[_stage(variables)].append(host)
    if len(by_stage) > 1:
        said = "; ".join(f"{stage} on {', '.join(hosts)}" for stage, hosts in sorted(by_stage.items()))
        yield Problem("fleet", f"kafka_tls_stage differs: {said}", "set it once, for all hosts (group_vars/all)")
    for host, variables in fleet.group("kafka"):
        stage = _stage(variables)
        if stage == "clear":
            continue
        if not variables.get("fleet_tls"):
            yield Problem(
                host,
                f"kafka_tls_stage is {stage}, but fleet_tls is false: no host gets a certificate",
                "set fleet_tls to true, or remove kafka_tls_stage; playbooks/tls.yml moves a running fleet both ways",
            )
            continue
        for user in USERS:
            if user == "console" and not console.hosts(fleet):
                continue
            if not variables.get(f"kafka_{user}_password"):
                yield Problem(
                    host,
                    f"kafka_{user}_password is empty, but with fleet_tls {user} logs in to the brokers",
                    f"set kafka_{user}_password to vault:VARIABLE, file:/PATH or env:NAME",
                )


def listeners(fleet: Fleet) -> Iterator[Problem]:
    """Without TLS, shippers, brokers and the role use kafka_broker_port; with TLS the role sets all listeners."""
    for host, variables in fleet.group("kafka"):
        if _stage(variables) != "clear":
            for name in set(given_properties(variables)) & set(GUARDED):
                yield Problem(
                    host,
                    f"kafka_properties has {name}, which the role computes with fleet_tls",
                    "remove it there: fleet_tls gives brokers, controllers and clients a listener with TLS each "
                    "(kafka_tls_port, kafka_tls_broker_port, kafka_tls_controller_port)",
                )
    for host, variables in brokers(fleet):
        if _stage(variables) != "clear":
            continue
        given, port = given_properties(variables).get("listeners"), _broker_port(variables)
        if given and _listeners(variables).get(port) != "PLAINTEXT":
            yield Problem(
                host,
                f"kafka_properties sets listeners to {given}: the shippers and the role itself connect to port "
                f"{port} without TLS",
                f"keep PLAINTEXT://:{port} among the listeners; you may add one with TLS on another port",
            )


def client_listeners(fleet: Fleet) -> Iterator[Problem]:
    """Consumer, alerter, console and obsctl speak to kafka_client_port as kafka_client_security_protocol says."""
    for host, variables in brokers(fleet):
        protocol = variables.get("kafka_client_security_protocol") or "PLAINTEXT"
        port = str(variables.get("kafka_client_port") or _broker_port(variables))
        guarded = _stage(variables) != "clear"
        # The listeners that the role writes if kafka_properties sets none.
        known = (not guarded and _listeners(variables)) or _own_listeners(variables)
        if known.get(port) == protocol:
            continue
        # The rule about listeners reports this.
        if port == _broker_port(variables) and protocol == "PLAINTEXT":
            continue
        if guarded:
            yield Problem(
                host,
                f"clients speak {protocol} to port {port} (kafka_client_port), but with fleet_tls they log in over TLS "
                f"on port {variables.get('kafka_tls_port') or 9094}",
                "remove kafka_client_port and kafka_client_security_protocol: they follow fleet_tls",
            )
            continue
        speaks = f"is a listener of {known[port]}" if port in known else "has no listener"
        yield Problem(
            host,
            f"clients speak {protocol} to port {port} (kafka_client_port), which {speaks}",
            "add one in kafka_properties (listeners, advertised.listeners, listener.security.protocol.map) beside "
            f"PLAINTEXT://:{_broker_port(variables)}; or set kafka_client_port and kafka_client_security_protocol to "
            "an existing listener",
        )


def client_logins(fleet: Fleet) -> Iterator[Problem]:
    """A protocol with a login needs a user and its password; without one, both do nothing."""
    for group, prefix in (
        ("kafka", "kafka_client"),
        ("consumer", "consumer_kafka"),
        ("consumer", "consumer_alert_kafka"),
        ("consumer", "console_kafka"),
    ):
        for host, variables in fleet.group(group) if prefix != "console_kafka" else console.hosts(fleet):
            kind = "kafka_client" if group == "kafka" else "consumer_kafka"
            protocol = str(variables.get(f"{kind}_security_protocol") or "PLAINTEXT")
            user, password = variables.get(f"{prefix}_user"), variables.get(f"{prefix}_password")
            if not protocol.startswith("SASL_"):
                # The consumer follows kafka_client: that problem is reported once, for the brokers.
                if (user or password) and group == "kafka":
                    yield Problem(
                        host,
                        f"{prefix}_user is set, but with {kind}_security_protocol {protocol} there is no login",
                        f"set {kind}_security_protocol to SASL_SSL, or remove {prefix}_user and {prefix}_password",
                    )
                continue
            for name, value in ((f"{prefix}_user", user), (f"{prefix}_password", password)):
                # For users that the role creates, another rule reports it.
                own = group == "kafka" and _stage(variables) == "clear"
                if not value and (own or name in fleet.inventory_names.get(host, ())):
                    yield Problem(
                        host,
                        f"{name} is empty, but with {kind}_security_protocol {protocol} clients log in",
                        f"set {name}" + (" to vault:VARIABLE, file:/PATH or env:NAME" if "password" in name else ""),
                    )


def client_certificates(fleet: Fleet) -> Iterator[Problem]:
    """A certificate and its key are both set or both empty, and only with TLS."""
    files = ("kafka_client_ca_file", "kafka_client_certificate_file", "kafka_client_key_file")
    for host, variables in fleet.group("kafka"):
        authority, certificate, key = (variables.get(name) for name in files)
        if bool(certificate) != bool(key):
            empty, given = (files[2], files[1]) if certificate else (files[1], files[2])
            yield Problem(
                host, f"{given} is set and {empty} is not: a client needs both", f"set {empty}, or remove {given}"
            )
        protocol = str(variables.get("kafka_client_security_protocol") or "PLAINTEXT")
        if (authority or certificate) and protocol not in ("SSL", "SASL_SSL"):
            given = files[0] if authority else files[1]
            yield Problem(
                host,
                f"{given} is set, but with kafka_client_security_protocol {protocol} there is no TLS",
                f"set kafka_client_security_protocol to SSL or SASL_SSL, or remove {given}",
            )


def rights_and_quotas(fleet: Fleet) -> Iterator[Problem]:
    """Rights and quotas are ones that Kafka knows, and their users can log in."""
    for host, variables in fleet.group("kafka"):
        for name, read, example in (
            ("kafka_extra_rights", wanted_acls, "reports: [{resource: topic, names: [nginxlog], operations: [Read]}]"),
            ("kafka_quotas", wanted_quotas, "filebeat: {producer_byte_rate: 10485760}"),
        ):
            given = variables.get(name) or {}
            if not isinstance(given, Mapping):
                continue  # reported by kinds.wrong_types
            try:
                read(given)
            except ValueError as error:
                yield Problem(host, f"{name}: {error}", f"for example: {example}")
                continue
            if given and _stage(variables) == "clear":
                yield Problem(
                    host,
                    f"{name} names {', '.join(given)}, but without fleet_tls no user logs in to the brokers",
                    f"set fleet_tls to true, or remove {name}",
                )


def _stage(variables: Variables) -> str:
    return str(variables.get("kafka_tls_stage") or "clear")


def _own_listeners(variables: Variables) -> dict[str, str]:
    """Return port to protocol of the listeners for clients that the role itself writes."""
    stage = _stage(variables)
    found = {_broker_port(variables): "PLAINTEXT"} if stage != "tls" else {}
    return found if stage == "clear" else {**found, str(variables.get("kafka_tls_port") or 9094): "SASL_SSL"}


def _broker_port(variables: Variables) -> str:
    return str(variables.get("kafka_broker_port") or 9092)


def _listeners(variables: Variables) -> dict[str, str]:
    """Return port to protocol of the listeners that kafka_properties sets; empty for none."""
    given = str(given_properties(variables).get("listeners") or "")
    protocols = _pairs(str(given_properties(variables).get("listener.security.protocol.map") or ""), ":")
    ends = [entry.partition("://") for entry in given.split(",")]
    return {
        end.rpartition(":")[2].strip(): protocols.get(name.strip(), name.strip())
        for name, _separator, end in ends
        if end
    }


def _pairs(text: str, separator: str) -> dict[str, str]:
    """Return the pairs of a list such as ``A:B,C:D``."""
    pairs = [entry.partition(separator) for entry in text.split(",")]
    return {name.strip(): value.strip() for name, _separator, value in pairs if value}
