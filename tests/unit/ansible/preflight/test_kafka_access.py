"""How clients reach Kafka: listeners, logins and certificates."""

from __future__ import annotations

import pytest
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import kafka_access

from tests.unit.ansible.preflight.fleets import fleet


@pytest.mark.parametrize(
    ("properties", "port", "refused"),
    [
        ({}, 9092, False),
        ({"listeners": "PLAINTEXT://:9092,CONTROLLER://:9093"}, 9092, False),
        ({"listeners": "PLAINTEXT://:9092,SSL://:9094,CONTROLLER://:9093"}, 9092, False),
        (
            {
                "listeners": "INSIDE://0.0.0.0:9092, OUTSIDE://0.0.0.0:9094",
                "listener.security.protocol.map": "INSIDE:PLAINTEXT, OUTSIDE:SSL",
            },
            9092,
            False,
        ),
        ({"listeners": "SSL://:9092,CONTROLLER://:9093"}, 9092, True),
        ({"listeners": "PLAINTEXT://:9092", "listener.security.protocol.map": "PLAINTEXT:SASL_SSL"}, 9092, True),
        ({"listeners": "PLAINTEXT://:9095"}, 9092, True),
        ({"listeners": "nonsense"}, 9092, True),
    ],
)
def test_a_listener_in_clear_is_needed(properties, port, refused):
    variables = {"kafka_properties": properties, "kafka_broker_port": port}
    assert bool(list(kafka_access.listeners(fleet({"node1": variables}, {"kafka": ["node1"]})))) is refused


def test_a_controller_alone_has_no_clients():
    variables = {"kafka_properties": {"listeners": "CONTROLLER://:9093"}, "kafka_process_roles": ["controller"]}
    assert list(kafka_access.listeners(fleet({"node1": variables}, {"kafka": ["node1"]}))) == []


TLS_LISTENER = {"listeners": "PLAINTEXT://:9092,SSL://:9094,SASL_SSL://:9095,CONTROLLER://:9093"}
SASL = {"kafka_client_security_protocol": "SASL_SSL", "kafka_client_port": 9095, "kafka_properties": TLS_LISTENER}
USER = {"kafka_client_user": "u", "kafka_client_password": "vault:p"}


def said(rule, variables, group="kafka"):
    return [found.problem for found in rule(fleet({"node1": variables}, {group: ["node1"]}))]


@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ({}, ""),
        ({"kafka_broker_port": 9192}, ""),
        (SASL, ""),
        ({"kafka_client_security_protocol": "SSL", "kafka_client_port": "9094", "kafka_properties": TLS_LISTENER}, ""),
        (
            {"kafka_client_security_protocol": "SSL"},
            "SSL to port 9092 (kafka_client_port), which is a listener of PLAIN",
        ),
        ({"kafka_client_port": 9094}, "PLAINTEXT to port 9094 (kafka_client_port), which has no listener"),
        (SASL | {"kafka_client_port": 9094}, "which is a listener of SSL"),
        # The rule about listeners reports that the one without TLS is missing.
        ({"kafka_properties": {"listeners": "SSL://:9092"}}, ""),
    ],
)
def test_clients_are_led_to_a_listener_of_their_kind(variables, refused):
    found = said(kafka_access.client_listeners, variables)
    assert len(found) == bool(refused)
    assert all(refused in problem for problem in found)


@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ({}, []),
        (SASL | USER, []),
        (SASL, ["kafka_client_user is empty", "kafka_client_password is empty"]),
        (SASL | {"kafka_client_user": "u"}, ["kafka_client_password is empty"]),
        (USER, ["kafka_client_user is set, but with kafka_client_security_protocol PLAINTEXT"]),
        (
            USER | {"kafka_client_security_protocol": "SSL"},
            ["with kafka_client_security_protocol SSL there is no login"],
        ),
    ],
)
def test_a_login_has_user_and_password_and_a_protocol(variables, refused):
    found = said(kafka_access.client_logins, variables)
    assert len(found) == len(refused)
    assert all(words in problem for words, problem in zip(refused, found, strict=True))


def test_a_user_of_the_consumers_own_needs_a_password_too():
    variables = {
        "consumer_kafka_security_protocol": "SASL_SSL",
        "consumer_kafka_user": "c",
        "consumer_kafka_password": "",
    }
    assert said(kafka_access.client_logins, variables, "consumer") == [
        "consumer_kafka_password is empty, but with consumer_kafka_security_protocol SASL_SSL clients log in"
    ]


@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ({"kafka_client_certificate_file": "/c", "kafka_client_key_file": "/k"}, ""),
        ({"kafka_client_ca_file": "/ca"}, ""),
        (
            {"kafka_client_certificate_file": "/c"},
            "kafka_client_certificate_file is set and kafka_client_key_file is not",
        ),
        ({"kafka_client_key_file": "/k"}, "kafka_client_key_file is set and kafka_client_certificate_file is not"),
        ({"kafka_client_ca_file": "/ca", "kafka_client_security_protocol": "PLAINTEXT"}, "there is no TLS"),
        ({"kafka_client_ca_file": "/ca", "kafka_client_security_protocol": "SASL_PLAINTEXT"}, "there is no TLS"),
    ],
)
def test_a_certificate_has_its_key_and_tls(variables, refused):
    found = said(kafka_access.client_certificates, {"kafka_client_security_protocol": "SSL"} | variables)
    assert len(found) == bool(refused)
    assert all(refused in problem for problem in found)


@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ({"kafka_extra_rights": {}, "kafka_quotas": {}}, ""),
        ({"kafka_tls_stage": "offer", "kafka_quotas": {"filebeat": {"producer_byte_rate": 1048576}}}, ""),
        ({"kafka_tls_stage": "tls", "kafka_extra_rights": {"reports": []}}, ""),
        ({"kafka_extra_rights": {"reports": []}}, "kafka_extra_rights names reports, but without fleet_tls no user"),
        ({"kafka_tls_stage": "tls", "kafka_quotas": {"a": {"producer_byte_rate": -1}}}, "kafka_quotas: a has producer"),
        ({"kafka_tls_stage": "tls", "kafka_extra_rights": {"a": [{"names": ["b"]}]}}, "a right of User:a has no oper"),
    ],
)
def test_rights_and_quotas_are_what_kafka_knows(variables, refused):
    found = said(kafka_access.rights_and_quotas, variables)
    assert len(found) == bool(refused)
    assert all(refused in problem for problem in found)
