"""Values that no program takes, each named in one sentence; and those that it does."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.obscraft.fleet.plugins.action.fleet_preflight import ROLES, known_tags, role_options, strays
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import (
    kinds,
    memory,
    names,
    network,
    rules,
    values,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import Look
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import ROLES_OF_GROUP
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.secrets import secret_fault

from tests.unit.ansible.preflight.fleets import fleet

SPECS = {path.name: role_options(path) for path in ROLES.iterdir() if path.is_dir()}
GROUP_OF = {option: group for group, of_it in ROLES_OF_GROUP.items() for role in of_it for option in SPECS[role]}
RULES = (values.ranges, values.sizes, values.durations, values.texts, values.versions)


def said(option: str, value: Any) -> list[str]:
    """Return what is said about one value of one host."""
    one = fleet({"host1": {option: value}}, {GROUP_OF[option]: ["host1"]}, specs=SPECS)
    return [problem.problem for rule in RULES for problem in rule(one)]


IMPOSSIBLE = {
    "kafka_heap": ["", "0", "1m", "1GB", "1 g", "-1g", "1.5g", "g", "lots"],
    "kafka_retention_hours": [-1, 0, "-168"],
    "kafka_segment_bytes": [0, -1, 1000, 2**31],
    "kafka_expected_gib_per_day": [-0.5],
    "kafka_broker_port": [0, -1, 65536],
    "kafka_node_id": [-1, 2**31],
    "kafka_replication_factor": [0, -3],
    "kafka_cluster_id": ["short", "with spaces in it, and on"],
    "kafka_user": ["Kafka", "0", "k" * 33, "a b"],
    "keepalived_vrid": [0, 256],
    "keepalived_priority": [0, 255],
    "keepalived_advert_int": [0, 256],
    "keepalived_check_interval": [0],
    "keepalived_check_weight": [-254, 254],
    "consumer_processes": [-1, 9],
    "consumer_batch_lines": [0, 50_001],
    "consumer_retention_days": [0, -30, 367],
    "consumer_memory_max": ["1m", "512MB", "half"],
    "consumer_group": ["", "a b", "g" * 250],
    "consumer_database_name": ["a-b", "d" * 65],
    "mysql_port": [0, 70_000],
    "mysql_buffer_pool": ["1M", "8GB"],
    "mysql_database": ["", "obs;", "d" * 65],
    "mysql_consumer_user": ["u" * 33, "a@b"],
    "mysql_max_connections": [0],
    "nginx_backend_port": [0, 65536],
    "nginx_worker_connections": [0],
    "nginx_client_max_body_size": ["8MB", "big"],
    "nginx_logrotate_keep": [-1],
    "filebeat_version": ["latest", "7.16.3", "6.8"],
    "filebeat_scan_interval": [10, "10", "ten seconds", "s"],
    "filebeat_max_message_bytes": [0, -1],
    "backend_workers": [0, -1],
    "backend_graceful_timeout": [-1],
    "java_version": [0, 1],
    "kafka_version": ["3.5.2", "newest"],
}
POSSIBLE = {
    "kafka_heap": ["512m", "4g", "6G", "1073741824"],
    "kafka_retention_hours": [1, 168, "8760"],
    "kafka_segment_bytes": [2**20, 2**30, 2**31 - 1],
    "kafka_expected_gib_per_day": [0, 0.05, "5"],
    "kafka_cluster_id": ["", "fPoGnPASR_eqgnhnMRWngQ"],
    "keepalived_check_weight": [0, -60, 60],
    "consumer_processes": [0, 8],
    "consumer_memory_max": ["512M", "2G", "infinity", "50%"],
    "consumer_instance": ["", "app1", "app1.example.com"],
    "mysql_buffer_pool": ["128M", "8G"],
    "mysql_consumer_user": ["obs_consumer"],
    "nginx_client_max_body_size": ["0", "8m"],
    "nginx_logrotate_maxsize": ["", "500M"],
    "filebeat_scan_interval": ["1s", "250ms", "1h30m"],
    "kafka_version": ["3.6.1", "4.1.0"],
    "filebeat_version": ["7.17.28", "9.0.1"],
}


@pytest.mark.parametrize(("option", "value"), [(o, v) for o, given in IMPOSSIBLE.items() for v in given])
def test_one_sentence_about(option, value):
    sentences = said(option, value)
    assert len(sentences) == 1
    assert sentences[0].startswith(option)


@pytest.mark.parametrize(("option", "value"), [(o, v) for o, given in POSSIBLE.items() for v in given])
def test_nothing_about(option, value):
    assert said(option, value) == []


def test_the_bounds_are_of_options_that_there_are():
    known = {option for options in SPECS.values() for option in options}
    patterns = [pattern for pattern, _low, _high in values.RANGES] + [text.name for text in values.TEXTS]
    for pattern in patterns:
        assert any(re.fullmatch(pattern.replace("*", ".*"), option) for option in known), pattern
    assert {size.name for size in values.SIZES} | set(values.DURATIONS) | set(dict(values.OLDEST)) <= known


@pytest.mark.parametrize(
    ("heap", "pool", "memory_mib", "count"),
    [
        ("1g", "1G", 4096, 0),
        ("4g", "1G", 4096, 1),
        ("3g", "2G", 4096, 1),
        ("64g", None, 2048, 1),
        ("1g", None, None, 0),
    ],
)
def test_memory_is_shared(heap, pool, memory_mib, count):
    variables = {"kafka_heap": heap} | ({"mysql_buffer_pool": pool} if pool else {})
    groups = {"kafka": ["host1"]} | ({"mysql": ["host1"]} if pool else {})
    look = Look(os_id="debian", memory=memory_mib * 2**20 if memory_mib else None)
    found = list(memory.memory(fleet({"host1": variables}, groups, looks={"host1": look})))
    assert len(found) == count


@pytest.mark.parametrize(
    ("vip", "prefix", "own", "words"),
    [
        ("192.0.2.100", 24, "192.0.2.11", []),
        ("192.0.2.1", 31, "192.0.2.0", []),
        ("192.0.2.255", 24, "192.0.2.11", ["the broadcast address of 192.0.2.0/24"]),
        ("192.0.2.127", 25, "192.0.2.11", ["the broadcast address of 192.0.2.0/25"]),
        ("192.0.2.0", 24, "192.0.2.11", ["the network's own address of 192.0.2.0/24"]),
        ("0.0.0.0", 24, "192.0.2.11", ["the unspecified address"]),
        ("127.0.0.1", 8, "192.0.2.11", ["a loopback address"]),
        ("224.0.0.18", 24, "192.0.2.11", ["a multicast address"]),
        ("255.255.255.255", 24, "192.0.2.11", ["the broadcast address"]),
        ("169.254.1.1", 16, "192.0.2.11", ["a link-local address"]),
        ("240.0.0.1", 24, "192.0.2.11", ["a reserved address"]),
        ("0.1.2.3", 24, "192.0.2.11", ["0.0.0.0/8"]),
        ("2001:db8::100", 64, "2001:db8::11", ["an IPv6 fleet is not supported"]),
        ("192.0.2.11", 24, "192.0.2.11", ["is the address of host1"]),
        ("198.51.100.1", 24, "192.0.2.11", ["outside of the virtual address's network"]),
        ("192.0.2.100", 0, "192.0.2.11", ["such a network cannot hold"]),
        ("192.0.2.100", 32, "192.0.2.11", ["such a network cannot hold"]),
        ("192.0.2.100", 33, "192.0.2.11", ["no prefix length"]),
        ("192.0.2", 24, "192.0.2.11", ["not an address"]),
        ("", 24, "192.0.2.11", ["fleet_vip is empty"]),
    ],
)
def test_the_virtual_address(vip, prefix, own, words):
    variables = {"fleet_vip": vip, "fleet_vip_prefix": prefix, "ansible_host": own}
    found = list(network.virtual_address(fleet({"host1": variables}, {"lb": ["host1"]})))
    assert len(found) == len(words), found
    assert all(word in problem.problem for word, problem in zip(words, found, strict=True)), found


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("192.0.2.11", None),
        ("127.0.0.1", "a loopback address"),
        ("127.0.1.1", "a loopback address"),
        ("0.0.0.0", "the unspecified address"),
        ("224.0.0.1", "a multicast address"),
        ("2001:db8::11", "an IPv6 fleet is not supported"),
        ("::1", "an IPv6 fleet is not supported"),
        ("::ffff:192.0.2.11", "an IPv6 fleet is not supported"),
        ("198.18.12", "not an IP address"),
        ("node1.example.com", "not an IP address"),
        (None, "is not set"),
    ],
)
def test_the_address_of_a_host(address, words):
    found = list(network.addresses(fleet({"host1": {"ansible_host": address} if address else {}})))
    assert len(found) == (1 if words else 0)
    assert words is None or words in found[0].problem


def test_every_pair_of_hosts_has_its_own_addresses():
    hosts = {"a": {"ansible_host": "192.0.2.1"}, "b": {"ansible_host": "192.0.2.1"}, "c": {"ansible_host": "192.0.2.2"}}
    assert [(p.host, p.problem) for p in network.addresses(fleet(hosts))] == [("a, b", "share the address 192.0.2.1")]


@pytest.mark.parametrize(
    ("variables", "names_of_both"),
    [
        ({"nginx_listen": ["80"], "backend_port": 8080}, None),
        ({"nginx_listen": ["8080"], "backend_port": 8080}, ("nginx_listen 8080", "backend_port")),
        ({"nginx_listen": ["192.0.2.100:8080"], "backend_port": 8080, "backend_address": "192.0.2.11"}, None),
        (
            {"nginx_listen": ["192.0.2.11:8080 reuseport"], "backend_port": 8080, "backend_address": "0.0.0.0"},
            ("nginx_listen 192.0.2.11:8080 reuseport", "backend_port"),
        ),
        ({"nginx_listen": ["unix:/run/nginx.sock"], "backend_port": 80}, None),
        ({"kafka_broker_port": 9093, "kafka_controller_port": 9093}, ("kafka_broker_port", "kafka_controller_port")),
        ({"kafka_broker_port": 9093, "kafka_controller_port": 9093, "kafka_process_roles": ["broker"]}, None),
        ({"mysql_port": 9092, "kafka_broker_port": "9092"}, ("kafka_broker_port", "mysql_port")),
        (
            {"consumer_metrics_port": 9600, "consumer_alert_metrics_port": 9600},
            ("consumer_metrics_port", "consumer_alert_metrics_port"),
        ),
        ({"filebeat_http_port": 8081, "nginx_check_port": 8081}, ("nginx_check_port", "filebeat_http_port")),
    ],
)
def test_two_services_on_one_port(variables, names_of_both):
    groups = {group: ["host1"] for group in ROLES_OF_GROUP}
    roles = {"kafka_process_roles": ["broker", "controller"]}
    found = list(network.ports(fleet({"host1": roles | variables}, groups)))
    assert len(found) == (1 if names_of_both else 0), found
    if names_of_both:
        assert found[0].problem.startswith(f"{names_of_both[0]} and {names_of_both[1]} take the same port")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("node1", None),
        ("Node_1.example.com", None),
        ("n" * 63, None),
        ("n" * 70, "70 characters where a host name may have 63"),
        (".".join(["n" * 30] * 3), "92 characters where a host name may have 64"),
        ("node 1", "a character that a host name cannot have"),
        ("b\u00fccher", "a character that a host name cannot have"),
    ],
)
def test_the_name_of_a_host(name, words):
    found = list(names.host_names(fleet({name: {}})))
    assert len(found) == (1 if words else 0)
    assert words is None or words in found[0].problem


def test_the_rules_are_all_there():
    """Each function of a subject's module that yields problems of a fleet is in the list."""
    modules = {rule.__module__ for rule in rules.RULES}
    public = {
        f"{module.__name__}.{name}"
        for module in vars(rules).values()
        if getattr(module, "__name__", None) in modules
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
        and getattr(value, "__annotations__", {}) == {"fleet": "Fleet", "return": "Iterator[Problem]"}
    }
    assert public == {f"{rule.__module__}.{rule.__name__}" for rule in rules.RULES}


@pytest.mark.parametrize(
    "directive",
    [
        "80",
        "80 default_server",
        "*:80",
        "192.0.2.10",
        "192.0.2.10:8080",
        "[::]:80 ipv6only=on",
        "[::1]",
        "unix:/run/n.sock",
    ],
)
def test_what_nginx_listens_on(directive):
    one = fleet({"node1": {"nginx_listen": [directive, "8081"]}}, {"lb": ["node1"]})
    assert list(network.listens(one)) == []


@pytest.mark.parametrize(
    "directive",
    ["", " ", "abc", "abc:80", "localhost:80", "80;", "80 }", "0", "65536", "-1", "192.0.2.10:0", "192.0.2.256:80",
     "192.0.2.10:http", "2001:db8::1:80x", "unix:run", "unix:"],
)  # fmt: skip
def test_what_nginx_cannot_listen_on(directive):
    one = fleet({"node1": {"nginx_listen": [directive, "8081"]}}, {"lb": ["node1"]})
    assert len(list(network.listens(one))) == 1


def test_sockets_alone_are_on_no_address():
    one = fleet({"node1": {"nginx_listen": ["unix:/run/n.sock"]}}, {"lb": ["node1"]})
    assert [problem.fix for problem in network.listens(one)] == ["add a port to it"]


@pytest.mark.parametrize("text", ["192.0.2.10", "192.0.2.0/24", "192.0.2.10/32", "0.0.0.0/0", "2001:db8::/32"])
def test_an_address_or_a_network(text):
    assert network.network_fault(text) is None


@pytest.mark.parametrize(
    "text", ["192.0.2.7/24", "192.0.2.0/23x", "bastion", "", None, 7, "10/8", "2001:db8::1/32", "1/0"]
)
def test_neither_an_address_nor_a_network(text):
    assert network.network_fault(text) is not None


@pytest.mark.parametrize("name", network.SOURCES)
def test_each_list_of_networks_refuses_host_bits(name):
    (found,) = network.sources(fleet({"host1": {name: ["192.0.2.0/24", "192.0.2.7/24"]}}))
    assert "192.0.2.0/24 for the network, or 192.0.2.7 for the one host" in found.fix


def test_every_option_for_networks_is_looked_at():
    """An option that is new and takes networks is forgotten here by name."""
    named = set(network.SOURCES) | {"ignore_clients", "sources"}
    assert set(_lists_of_networks(SPECS.values())) == named


def _lists_of_networks(specs):
    for options in specs:
        for name, spec in options.items():
            words = str(spec.get("description")).lower()
            if spec.get("type") == "list" and "networks" in words:
                yield name
            yield from _lists_of_networks([spec["options"]] if spec.get("options") else [])


@pytest.mark.parametrize("port", [1, 22, "2222", 65535])
def test_a_login_port(port):
    one = fleet({"host1": {"ansible_port": port}})
    assert [*kinds.wrong_types(one), *values.login_ports(one)] == []


@pytest.mark.parametrize("name", ["ansible_port", "ansible_ssh_port"])
@pytest.mark.parametrize("port", ["ssh", "", True, False, 0, -1, 65536, 70000, "22/tcp", 22.5, [22], {"port": 22}])
def test_what_is_no_login_port_is_one_problem(name, port):
    one = fleet({"host1": {name: port}})
    found = [problem for problem in rules.find_problems(one) if name in problem.problem]
    assert len(found) == 1, found


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("kafka_extra_rights", {123: []}, "kafka_extra_rights has the key 123, which is not a text"),
        ("kafka_quotas", {"a": {1.5: 1}}, "kafka_quotas.a has the key 1.5, which is not a text"),
        ("console_oidc_roles", {True: "viewer"}, "console_oidc_roles has the key True, which is not a text"),
        ("kafka_topics", [{"name": "t", 1: 1}], "kafka_topics[0] has the key 1, which is not a text"),
    ],
)
def test_a_key_that_is_not_a_text_is_one_problem(option, value, problem):
    """YAML reads ``123:`` as a number and ``on:`` as true; Kafka would know another user than the inventory shows."""
    one = fleet({"host1": {option: value}}, {GROUP_OF[option]: ["host1"]}, specs=SPECS)
    found = [(found.problem, found.fix) for found in rules.find_problems(one) if option in found.problem]
    assert found == [(problem, "write the key in quotes")]
    assert not [found for found in rules.find_problems(one) if "cannot judge" in found.problem]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028", "\0"])
def test_a_secret_is_one_line(end):
    for secret in (f"word{end}word", f"word{end}", f"{end}word"):
        for on_the_wire in (True, False):
            assert "line break" in (secret_fault(secret, on_the_wire=on_the_wire) or ""), repr(secret)


def test_blanks_quotes_and_letters_of_any_script_are_good_in_a_secret():
    assert secret_fault("gute Wörter 'und' \"Zeichen\" #!$", on_the_wire=False) is None


@pytest.mark.parametrize(
    ("group", "near"),
    [("kafak", "kafka"), ("Kafka", "kafka"), ("filebeats", "filebeat"), ("consumers", "consumer"), ("web", None)],
)
def test_a_host_in_an_unknown_group_alone(group, near):
    one = fleet({"node1": {}}, {"kafka": ["node1"]})._replace(strays={"node9": [group]})
    (found,) = names.strays(one)
    assert (found.host, group in found.problem) == ("node9", True)
    assert (f"the group {near}?" if near else "fleet_foreign_groups") in found.fix


def test_a_host_of_a_foreign_group_is_left_alone():
    one = fleet({"node1": {"fleet_foreign_groups": ["monitor*"]}}, {"kafka": ["node1"]})
    assert list(names.strays(one._replace(strays={"node9": ["monitoring", "rack1"]}))) == []


def test_hosts_without_a_group_of_ours():
    groups = {"all": ["a", "b", "c"], "ungrouped": ["c"], "kafka": ["a"], "rack1": ["a", "b"], "kafak": ["b"]}
    assert strays(groups) == {"b": ["rack1", "kafak"]}


@pytest.mark.parametrize(
    ("tag", "fix"),
    [("kakfa", "did you mean kafka?"), ("broker", "use one of kafka, nginx"), ("kafka", ""), ("all", "")],
)
def test_a_tag_that_no_play_has_is_named(tag, fix):
    found = list(names.tags(fleet({})._replace(tags=[tag], known_tags=["kafka", "nginx"])))
    assert [problem.fix for problem in found] == ([fix] if fix else [])


def test_the_tags_are_those_of_the_playbooks():
    assert {"kafka", "nginx", "lb", "consumer", "common"} <= set(known_tags())
    assert not {"always", "never"} & set(known_tags())
