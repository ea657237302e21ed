"""The pure halves of the Kafka modules: what is changed on topics, and when a node may be stopped."""

from __future__ import annotations

import copy
import hashlib
import socket
from typing import Any

import pytest

from rig import collection  # noqa: F401  # makes ansible_collections importable

from ansible_collections.obscraft.fleet.plugins.filter.kafka_nodes import kafka_nodes  # isort: skip
from ansible_collections.obscraft.fleet.plugins.filter.kafka_topic_specs import kafka_topic_specs  # isort: skip
from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire  # isort: skip
from ansible_collections.obscraft.fleet.plugins.modules import kafka_acls, kafka_node_health, kafka_quotas, kafka_topics  # isort: skip

LOG = {"name": "nginxlog", "partitions": 6, "replication_factor": 3, "configs": {"min.insync.replicas": "2"}}


def partitions(count: int, *, copies: int = 3) -> list[dict[str, Any]]:
    return [{"partition": i, "replicas": list(range(1, copies + 1))} for i in range(count)]


def plan(existing, configs) -> dict[str, Any]:
    return kafka_topics.plan([LOG], existing, configs)


def test_topic_as_wanted_needs_nothing():
    todo = plan({"nginxlog": partitions(6)}, {"nginxlog": {"min.insync.replicas": ("2", True)}})
    assert todo == {"create": [], "raise": {}, "configure": {}, "differences": []}


def test_absent_topic_is_created():
    assert plan({}, {})["create"] == [LOG]


def test_partitions_are_raised_and_never_removed():
    configs = {"nginxlog": {"min.insync.replicas": ("2", True)}}
    assert plan({"nginxlog": partitions(3)}, configs)["raise"] == {"nginxlog": 6}
    more = plan({"nginxlog": partitions(9)}, configs)
    assert more["raise"] == {}
    assert "cannot remove partitions" in more["differences"][0]


def test_another_replication_factor_is_reported_and_left():
    todo = plan({"nginxlog": partitions(6, copies=1)}, {"nginxlog": {"min.insync.replicas": ("2", True)}})
    assert "replication factor 1, 3 is listed" in todo["differences"][0]
    assert not todo["configure"]


def test_min_isr_that_only_comes_from_the_brokers_is_set_on_the_topic():
    todo = plan({"nginxlog": partitions(6)}, {"nginxlog": {"min.insync.replicas": ("2", False)}})
    assert todo["configure"] == {"nginxlog": {"min.insync.replicas": "2"}}


def test_specs_always_carry_min_isr_and_own_configs_win():
    wanted = [
        {"name": "a", "partitions": 1},
        {"name": "b", "partitions": 1, "configs": {"min.insync.replicas": 1, "x": True}},
    ]
    made = kafka_topic_specs(wanted, "3", "2")
    assert [t["configs"] for t in made] == [{"min.insync.replicas": 2}, {"min.insync.replicas": 1, "x": True}]
    assert kafka_topics.config_text(True) == "true"


def test_nodes_are_numbered_by_their_hosts_and_not_by_their_order():
    hosts = [
        {"inventory_hostname": "b", "kafka_node_id": "2", "ansible_host": "192.0.2.2"},
        {
            "inventory_hostname": "a",
            "kafka_node_id": 1,
            "kafka_advertised_host": "kafka01",
            "ansible_host": "192.0.2.1",
        },
        {
            "inventory_hostname": "c",
            "kafka_node_id": 3,
            "kafka_process_roles": ["controller"],
            "kafka_broker_port": "9192",
        },
    ]
    nodes = kafka_nodes(hosts)
    assert [(n["host"], n["id"], n["address"], n["listener"], n["broker"]) for n in nodes] == [
        ("a", 1, "kafka01", "kafka01:9092", True),
        ("b", 2, "192.0.2.2", "192.0.2.2:9092", True),
        ("c", 3, "c", "c:9192", False),
    ]


@pytest.fixture
def healthy() -> dict[str, Any]:
    """Three combined nodes, all well, seen for node 2."""
    names = [f"nginxlog-{i}" for i in range(3)]
    return {
        "node_id": 2,
        "broker": True,
        "own_fault": None,
        "cluster_fault": None,
        "leader": 1,
        "voters": [{"id": n, "log_end_offset": 10, "behind_ms": 0} for n in (1, 2, 3)],
        "brokers": {1: "a:1", 2: "b:1", 3: "c:1"},
        "partitions": [(n, {"leader": 1, "replicas": [1, 2, 3], "isr": [1, 2, 3], "min_isr": 2}) for n in names],
    }


def test_healthy_node_meets_every_condition(healthy):
    assert [check(healthy) for check in kafka_node_health.CONDITIONS.values()] == [None] * 5


def changed(view, **changes):
    return {**copy.deepcopy(view), **changes}


def test_node_answers_whatever_the_cluster_says_just_now(healthy):
    """An election, or a request that was lost, makes no broker down: all of them would be restarted together."""
    electing = changed(healthy, cluster_fault="not the leader (error 6)", leader=-1, voters=[], brokers={})
    assert kafka_node_health.not_answering(electing) is None
    assert kafka_node_health.not_led(electing) == "not the leader (error 6)"
    assert kafka_node_health.not_answering(changed(healthy, own_fault="refused")) == "refused"


def test_process_tells_the_address_that_it_was_started_with():
    words = {"41": b"/usr/bin/java\0-Dobscraft.address=192.0.2.1:9092\0kafka.Kafka\0", "42": b"/usr/bin/java\0"}
    assert kafka_node_health.process_of("ActiveState=active\nMainPID=41\n", words.get) == (None, "192.0.2.1:9092")
    assert kafka_node_health.process_of("ActiveState=active\nMainPID=42\n", words.get) == (None, None)
    assert kafka_node_health.process_of("ActiveState=activating\nMainPID=0\n", words.get) == (
        "its unit is activating",
        None,
    )


def test_running_node_is_asked_where_it_listens_and_tells_where_the_others_are(monkeypatch):
    """The inventory's ports have changed; all three brokers still listen on the old ones."""
    old = {1: "a:9092", 2: "b:9092", 3: "c:9092"}

    def metadata(addresses, timeout, tls):
        if addresses[0] not in old.values():
            raise kafka_wire.KafkaError(f"{addresses[0]}: refused")
        return {"cluster_id": "x", "brokers": old, "topics": {}}

    asked = []

    def quorum(addresses, timeout, tls):
        asked.append(addresses)
        return {"leader": 1, "voters": []}

    monkeypatch.setattr(kafka_wire, "metadata", metadata)
    monkeypatch.setattr(kafka_wire, "quorum", quorum)
    params = {"node_id": 2, "address": "b:9192", "broker": True, "bootstrap": ["a:9192", "b:9192", "c:9192"]}
    view = kafka_node_health.look(params, (None, "b:9092"))
    assert [check(view) for check in kafka_node_health.CONDITIONS.values()] == [None] * 5
    assert asked == [["a:9092", "c:9092", "b:9092"]]


def test_election_that_is_not_needed_moves_no_lead(monkeypatch):
    def one_partition(body, result):
        body.put("ih", *result).string(None).tags()

    answer = kafka_wire.Writer().put("ih", 0, 0)
    results = [(0, kafka_wire.ELECTION_NOT_NEEDED), (1, 0), (2, kafka_wire.PREFERRED_NOT_AVAILABLE)]
    answer.array(["nginxlog"], lambda b, name: b.string(name).array(results, one_partition).tags()).tags()
    asked = []

    def call(addresses, api, body, timeout, tls):
        asked.append((api, bytes(body)))
        return kafka_wire.Reader(bytes(answer.data))

    monkeypatch.setattr(kafka_wire, "first_answer", call)
    assert kafka_wire.elect_preferred_leaders(["a:9092"], 30) == 1
    # Preferred (0), all partitions (null), 30,000 ms, no tags.
    assert asked == [(kafka_wire.ELECT_LEADERS, b"\x00\x00\x00\x00\x75\x30\x00")]


def test_node_that_is_out_of_an_isr_is_not_back(healthy):
    healthy["partitions"][1][1]["isr"] = [1, 3]
    assert kafka_node_health.not_in_sync(healthy) == "not in the ISR of nginxlog-1"


def test_node_may_not_stop_while_another_copy_is_missing(healthy):
    healthy["partitions"][1][1]["isr"] = [1, 2]
    assert kafka_node_health.not_safe_to_stop(healthy) == "would fall under min ISR: nginxlog-1"


def test_node_may_not_stop_while_a_voter_is_behind(healthy):
    healthy["voters"][2]["behind_ms"] = 5000
    assert kafka_node_health.not_safe_to_stop(healthy) == "voter 3 is behind"
    # The node itself may be late: its restart is what helps it.
    healthy["voters"][2]["behind_ms"], healthy["voters"][1]["behind_ms"] = 0, 5000
    assert kafka_node_health.not_safe_to_stop(healthy) is None


def test_node_may_not_stop_when_the_majority_would_go(healthy):
    two = changed(healthy, voters=healthy["voters"][1:])
    assert kafka_node_health.not_safe_to_stop(two) == "the quorum would lose its majority"


def test_node_may_not_stop_while_something_is_offline(healthy):
    healthy["partitions"][0][1]["leader"] = -1
    assert kafka_node_health.not_safe_to_stop(healthy) == "offline: nginxlog-0"


def test_single_copy_does_not_block_a_restart_for_ever(healthy):
    healthy["partitions"][0][1].update(replicas=[2], isr=[2], min_isr=1)
    assert kafka_node_health.not_safe_to_stop(healthy) is None


def test_without_an_answer_nothing_is_safe(healthy):
    blind = changed(healthy, cluster_fault="timed out", voters=[], partitions=[])
    assert kafka_node_health.not_safe_to_stop(blind) == "timed out"
    assert kafka_node_health.not_in_sync(blind) == "timed out"


def test_broker_that_the_cluster_does_not_list_does_not_serve(healthy):
    del healthy["brokers"][2]
    assert "does not list broker 2" in kafka_node_health.not_serving(healthy)


def test_wire_forms_of_the_protocols_guide():
    body = kafka_wire.Writer().varint(300).string("ab").string(None).array([7], lambda w, n: w.put("i", n).tags())
    assert bytes(body.data) == b"\xac\x02" + b"\x03ab" + b"\x00" + b"\x02\x00\x00\x00\x07\x00"
    back = kafka_wire.Reader(bytes(body.data))
    assert back.varint() == 300
    assert (back.string(), back.string()) == ("ab", None)
    assert back.array(lambda r: (r.get("i"), r.tags())[0]) == [7]
    assert kafka_wire.split_address("[2001:db8::1]:9092") == ("2001:db8::1", 9092)


def test_hash_of_a_password_is_pbkdf2():
    """The hosts' oldest Python has none, so the wire has its own."""
    for password, salt in ((b"pencil", b"salt"), (b"\xe7\xa7\x98" * 50, bytes(range(32)))):
        wanted = hashlib.pbkdf2_hmac("sha512", password, salt, 4096)
        assert kafka_wire.salted_password(password, salt, 4096) == wanted


@pytest.mark.parametrize(
    ("host", "names", "named"),
    [
        ("192.0.2.1", ["node1", "192.0.2.1"], True),
        ("192.0.2.1", ["*.0.2.1"], False),
        ("Node1.example", ["node1.example"], True),
        ("node1.example", ["*.example"], True),
        ("a.node1.example", ["*.example"], False),
        ("node1", ["node10", "*"], False),
        ("node1", [], False),
    ],
)
def test_host_is_compared_with_the_names_of_the_certificate(host, names, named):
    assert kafka_wire.is_named(host, names) is named


def test_address_says_whether_it_speaks_tls():
    assert kafka_wire.split_address("SSL://192.0.2.1:9095") == ("192.0.2.1", 9095)
    assert kafka_wire.split_address("[2001:db8::1]:9092") == ("2001:db8::1", 9092)


def test_only_named_users_lose_rights():
    rights = {"filebeat": [{"resource": "topic", "names": ["nginxlog"], "operations": ["Write"]}], "gone": []}
    wanted = (2, "nginxlog", 3, "User:filebeat", "*", 4, 3)
    from_one_host = (2, "nginxlog", 3, "User:filebeat", "192.0.2.9", 4, 3)
    denying, of_gone = (2, "nginxlog", 3, "User:filebeat", "*", 3, 2), (4, "kafka-cluster", 3, "User:gone", "*", 2, 3)
    of_another = (2, "nginxlog", 3, "User:reports", "*", 2, 3)
    assert kafka_acls.plan(rights, [of_another]) == ([wanted], [])
    add, remove = kafka_acls.plan(rights, [wanted, from_one_host, denying, of_gone, of_another])
    assert (add, remove) == ([], sorted([from_one_host, denying, of_gone]))
    assert [kafka_acls.line(acl) for acl in (from_one_host, denying)] == [
        "User:filebeat may Write topic nginxlog from 192.0.2.9",
        "User:filebeat may not Read topic nginxlog",
    ]


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ({"resource": "topic", "operations": ["Read"]}, "User:x has no names"),
        ({"resource": "topic", "names": ["a"]}, "User:x has no operations"),
        ({"resource": "topik", "names": ["a"], "operations": ["Read"]}, "has topik; known are cluster, group, topic"),
        ({"resource": "topic", "names": ["a"], "operations": ["read"]}, "has the operation read; known are All, Alter"),
        ({"resource": "topic", "names": "a", "operations": ["Read"]}, "has a, where a list belongs"),
        ({"resource": "topic", "name": "a", "operations": ["Read"]}, "has name; it takes resource, names"),
        ({"resource": "topic", "names": ["a"], "operations": ["Read"], "pattern": "x"}, "known are literal, prefixed"),
    ],
)
def test_right_that_is_none_is_named(right, said):
    with pytest.raises(ValueError, match=said):
        kafka_acls.wanted_acls({"x": [right]})


@pytest.mark.parametrize("listed", [{"resource": "topic"}, ["topic"], "topic", 5])
def test_rights_that_are_no_list_are_named(listed):
    with pytest.raises(ValueError, match="User:x has"):
        kafka_acls.wanted_acls({"x": listed})


def test_only_named_users_lose_quotas():
    wanted = kafka_quotas.wanted_quotas({"filebeat": {"producer_byte_rate": "1e6"}, "gone": None})
    existing = {
        "filebeat": {"producer_byte_rate": 5.0, "request_percentage": 12.5},
        "gone": {"consumer_byte_rate": 1.0},
        "reports": {"consumer_byte_rate": 1.0},
    }
    assert kafka_quotas.plan(wanted, existing) == {
        "filebeat": {"producer_byte_rate": 1000000.0, "request_percentage": None},
        "gone": {"consumer_byte_rate": None},
    }
    assert kafka_quotas.plan(wanted, {"filebeat": {"producer_byte_rate": 1000000.0}}) == {}
    assert kafka_quotas.lines(wanted) == ["filebeat producer_byte_rate 1000000"]
    assert kafka_quotas.lines({"a": {"request_percentage": 12.5}}) == ["a request_percentage 12.5"]


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ({"producer_rate": 1}, "x has the quota producer_rate; known are consumer_byte_rate, producer_byte_rate"),
        ({"producer_byte_rate": 0}, "x has producer_byte_rate: 0, where a number above 0 belongs"),
        ({"producer_byte_rate": "10MB"}, "producer_byte_rate: 10MB, where a number above 0"),
        ({"producer_byte_rate": None}, "producer_byte_rate: None, where a number above 0"),
        ({"producer_byte_rate": True}, "producer_byte_rate: True, where a number above 0"),
        ({"producer_byte_rate": 12.5}, "producer_byte_rate: 12.5, and Kafka takes whole bytes"),
        ({"producer_byte_rate": "nan"}, "producer_byte_rate: nan, where a number above 0"),
        (["producer_byte_rate"], "where a dictionary of quotas belongs"),
    ],
)
def test_quota_that_is_none_is_named(listed, said):
    with pytest.raises(ValueError, match=said):
        kafka_quotas.wanted_quotas({"x": listed})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "it closed the connection"),
        # RFC 8446, section 6: an alert, version 1.2, two bytes, fatal, unexpected message.
        (b"\x15\x03\x03\x00\x02\x02\x0a", "it requires TLS, and was asked without it"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there is not Kafka"),
    ],
)
def test_who_answers_otherwise_is_named_with_its_address(said: bytes, words: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(kafka_wire.KafkaError) as refused:
            kafka_wire.exchange(ours, "192.0.2.11:9095", kafka_wire.METADATA, b"")
    assert str(refused.value).startswith(f"192.0.2.11:9095: {words}")
