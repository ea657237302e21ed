"""What stands in the way of an installation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from obsctl.checks.health.clocks import Clock
from obsctl.checks.ready.collect import read_look
from obsctl.checks.ready.judge import describe_ready, judge_ready
from obsctl.checks.ready.needs import paths_of, ports_of
from obsctl.checks.ready.snapshot import FileSystem, HostLook, Listener, Path, Problem, ReadySnapshot
from obsctl.core.report import Fault, Finding, Severity
from obsctl.fleet.login import FailureKind
from obsctl.fleet.model import BackendNode, Database, Fleet, Host, Https, KafkaNode, Vip

NODE_GROUPS = ("lb", "backend", "kafka", "filebeat")
HOSTS = (
    *(
        Host(
            name=f"node{n}",
            address=f"192.0.2.1{n}",
            groups=NODE_GROUPS,
            kafka=KafkaNode(node_id=n),
            backend=BackendNode(),
        )
        for n in (1, 2)
    ),
    Host(name="db1", address="192.0.2.21", groups=("mysql",)),
    Host(name="app1", address="192.0.2.31", groups=("consumer",)),
)
FLEET = Fleet(hosts=HOSTS, vip=Vip(address="192.0.2.100"), database=Database(host="192.0.2.21", service="mariadb"))


def look(name: str, **changes: Any) -> HostLook:
    host = next(host for host in HOSTS if host.name == name)
    well = HostLook(
        name=name,
        address=host.address,
        system="Debian GNU/Linux 12",
        clock=Clock(asked=1000, answered=1000.2, shown=1000.1),
        synchronized=True,
        machine_id=f"id of {name}",
        addresses=("127.0.0.1", host.address, "::1"),
        file_systems=(FileSystem(mount="/", free_bytes=50 * 2**30),),
        vip_answers=False if "lb" in host.groups else None,
    )
    return msgspec.structs.replace(well, **changes)


def judged(changed: dict[str, dict[str, Any]] | None = None, **more: Any) -> list[Finding]:
    looks = tuple(look(host.name, **(changed or {}).get(host.name, {})) for host in HOSTS)
    return judge_ready(FLEET, ReadySnapshot(hosts=looks, **more))


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_hosts_that_are_ready_are_no_finding() -> None:
    assert judged() == []


def test_a_host_that_cannot_be_asked_has_the_failures_own_hint() -> None:
    away = {"failure": "no answer; ssh says: x", "failure_kind": FailureKind.TIMEOUT, "hint": "`ping -c 1 192.0.2.11`"}
    finding = only(judged({"node1": away}))
    assert (finding.code, finding.object, finding.hint) == (
        "PRE_HOST_NOT_ASKED",
        "host/node1",
        "`ping -c 1 192.0.2.11`",
    )
    assert finding.evidence == {"kind": "timeout"}


def test_the_preflights_problems_are_findings_but_for_hosts_that_are_named_already() -> None:
    problems = (
        Problem(host="node1", problem="cannot be reached: x", fix="y"),
        Problem(host="node1, node2", problem="cannot be reached: its value cannot be computed", fix="z"),
        Problem(host="db1", problem="no role knows the variable mysql_prot", fix="did you mean mysql_port?"),
    )
    found = judged({"node1": {"failure": "x"}}, problems=problems)
    assert [(f.code, f.object, f.hint) for f in found] == [
        ("PRE_HOST_NOT_ASKED", "host/node1", ""),
        ("PRE_INVENTORY", "inventory/node1, node2", "z"),
        ("PRE_INVENTORY", "inventory/db1", "did you mean mysql_port?"),
    ]


def test_an_inventory_that_cannot_be_read_is_named_once() -> None:
    seen = ReadySnapshot(unread="node2 has no kafka_node_id", unread_hint="set it")
    finding = only(judge_ready(Fleet(), seen))
    assert (finding.code, finding.object, finding.summary, finding.hint) == (
        "PRE_INVENTORY", "inventory", "node2 has no kafka_node_id", "set it",
    )  # fmt: skip
    named = msgspec.structs.replace(
        seen, problems=(Problem(host="node2", problem="kafka_node_id is missing", fix="x"),)
    )
    assert only(judge_ready(Fleet(), named)).object == "inventory/node2"


def test_without_root_nothing_can_be_installed() -> None:
    finding = only(judged({"db1": {"sudo_failure": "lets ops in, but", "sudo_hint": "`echo`"}}))
    assert (finding.code, finding.severity) == ("PRE_SUDO", Severity.CRITICAL)
    assert finding.hint.endswith("ansible-playbook playbooks/site.yml -i inventories/prod -K")


@pytest.mark.parametrize(
    ("name", "listener", "running", "taken"),
    [
        ("node1", Listener(address="0.0.0.0", port=80, program="httpd"), (), "port 80, which nginx needs"),
        ("node1", Listener(address="*", port=80), (), "taken by another program on *"),
        ("node1", Listener(address="0.0.0.0", port=80, program="nginx"), (), "is taken by nginx on 0.0.0.0"),
        ("node1", Listener(address="0.0.0.0", port=80), ("nginx",), ""),
        ("node1", Listener(address="0.0.0.0", port=9093, program="java"), ("kafka",), ""),
        ("node1", Listener(address="0.0.0.0", port=9092, program="nc"), (), "port 9092, which kafka needs"),
        ("node1", Listener(address="0.0.0.0", port=8080, program="tomcat"), (), "port 8080, which obs-backend needs"),
        ("db1", Listener(address="127.0.0.1", port=3306, program="mysqld"), ("mariadb",), ""),
        ("db1", Listener(address="0.0.0.0", port=80, program="httpd"), (), ""),
        ("app1", Listener(address="127.0.0.1", port=9600, program="prometheus"), (), "which obsctl-consumer needs"),
    ],
)
def test_a_port_that_another_program_has(name: str, listener: Listener, running: tuple[str, ...], taken: str) -> None:
    found = judged({name: {"listeners": (listener,), "running": running}})
    if not taken:
        assert found == []
        return
    assert only(found).code == "PRE_PORT_TAKEN"
    assert taken in only(found).summary
    assert f"`ss -ltnp 'sport = :{listener.port}'`" in only(found).hint


@pytest.mark.parametrize(
    ("here", "nodes", "code", "severity"),
    [
        (True, {}, "PRE_ADDRESS_TAKEN", Severity.CRITICAL),
        (False, {"node2": {"vip_answers": True}}, "PRE_ADDRESS_TAKEN", Severity.CRITICAL),
        (True, {"node1": {"addresses": ("192.0.2.11", "192.0.2.100")}}, "", None),
        (True, {"node1": {"failure": "x"}}, "PRE_ADDRESS_TAKEN", Severity.UNKNOWN),
    ],
)
def test_the_address_of_the_vip(here: bool, nodes: dict, code: str, severity: Severity | None) -> None:
    found = [finding for finding in judged(nodes, vip_answers=here) if finding.code != "PRE_HOST_NOT_ASKED"]
    assert [(finding.code, finding.severity) for finding in found] == ([(code, severity)] if code else [])
    assert all("`ip neigh show to 192.0.2.100`" in finding.hint for finding in found)


@pytest.mark.parametrize(
    ("failure", "severity"), [("no answer within 3 s", Severity.WARNING), ("No route to host", Severity.INFO)]
)
def test_a_path_that_is_blocked_is_one_finding_for_all_that_need_it(failure: str, severity: Severity) -> None:
    path = Path(to="db1", address="192.0.2.21", port=3306, purpose="database", failure=failure)
    found = judged({"app1": {"paths": (path,)}, "node1": {"paths": (path,)}})
    finding = only(found)
    assert (finding.code, finding.object, finding.severity) == ("PRE_PATH_BLOCKED", "host/db1", severity)
    assert finding.summary == f"node1, app1 cannot connect to 192.0.2.21 port 3306 (database): {failure}"
    away = judged({"app1": {"paths": (path,)}, "db1": {"failure": "x"}})
    assert [finding.code for finding in away] == ["PRE_HOST_NOT_ASKED"]


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"file_systems": (FileSystem(mount="/var", free_bytes=2 * 2**30),)}, "PRE_DISK_LOW", Severity.WARNING),
        ({"file_systems": (FileSystem(mount="/var", free_bytes=2**29),)}, "PRE_DISK_LOW", Severity.CRITICAL),
        ({"addresses": ("127.0.0.1", "10.0.0.5")}, "PRE_ADDRESS_NOT_OWN", Severity.WARNING),
        ({"synchronized": False}, "PRE_TIME_NOT_SYNCHRONIZED", Severity.INFO),
        ({"synchronized": False, "time_services": ("chronyd",)}, "PRE_TIME_NOT_SYNCHRONIZED", Severity.WARNING),
        ({"machine_id": "id of db1"}, "PRE_SAME_MACHINE", Severity.WARNING),
        ({"clock": Clock(asked=1000, answered=1000.2, shown=1100)}, "HEALTH_CLOCK_SKEW", Severity.CRITICAL),
        ({"synchronized": None, "machine_id": "", "clock": None, "addresses": ()}, "", None),
    ],
)
def test_a_hosts_own_troubles(changes: dict[str, Any], code: str, severity: Severity | None) -> None:
    found = judged({"node1": changes})
    assert [(finding.code, finding.severity) for finding in found] == ([(code, severity)] if code else [])


def test_what_the_fleet_needs_follows_from_its_groups() -> None:
    node1, _node2, db1, app1 = HOSTS
    assert [(port.number, port.unit) for port in ports_of(FLEET, node1)] == [
        (80, "nginx"), (8080, "obs-backend"), (9092, "kafka"), (9093, "kafka"),
    ]  # fmt: skip
    assert [port.number for port in ports_of(FLEET, db1)] == [3306]
    assert [(need.to.name, need.port) for need in paths_of(FLEET, node1)] == [
        ("node2", 8080), ("node2", 9092), ("node2", 9093),
    ]  # fmt: skip
    assert [(need.to.name, need.port) for need in paths_of(FLEET, app1)] == [
        ("node1", 9092), ("node2", 9092), ("db1", 3306),
    ]  # fmt: skip
    assert list(paths_of(FLEET, db1)) == []


def test_brokers_that_fetch_on_a_port_of_their_own_need_it_too() -> None:
    ports = {"broker_port": 9094, "replication_port": 9095, "controller_port": 9096}
    nodes = [
        Host(name=f"node{n}", address=f"192.0.2.1{n}", groups=("kafka",), kafka=KafkaNode(node_id=n, **ports))
        for n in (1, 2)
    ]
    fleet = Fleet(hosts=(*nodes, HOSTS[-1]))
    assert [port.number for port in ports_of(fleet, nodes[0])] == [9094, 9095, 9096]
    assert [need.port for need in paths_of(fleet, nodes[0])] == [9094, 9095, 9096]
    assert [need.port for need in paths_of(fleet, HOSTS[-1])] == [9094, 9094]


ANSWER = """\
Welcome to app1
clock 1764331200.500000000
os CentOS Stream 9
machine 0123abc
synchronized no
memory 2048000
address 127.0.0.1/8
address 192.0.2.31/24
listen 0.0.0.0:22 users:(("sshd",pid=1,fd=3))
listen [::]:22
listen 127.0.0.53%lo:53 users:(("systemd-resolve",pid=9,fd=1))
unit obsctl-consumer inactive
unit obsctl-alerter active
time chronyd active
time chrony active
disk 1048576 /
vip 1
path /dev/tcp/192.0.2.11/9092 1 bash: connect: Connection refused
path /dev/tcp/192.0.2.12/9092 124
path /dev/tcp/192.0.2.21/3306 1 bash: connect: No route to host
"""


def test_a_hosts_answer_is_read() -> None:
    app1 = HOSTS[-1]
    seen = read_look(FLEET, app1, HostLook(name="app1", address=app1.address), ANSWER, (1764331200.0, 1764331201.0))
    assert seen.clock == Clock(asked=1764331200.0, answered=1764331201.0, shown=1764331200.5)
    assert (seen.system, seen.machine_id, seen.synchronized) == ("CentOS Stream 9", "0123abc", False)
    assert seen.addresses == ("127.0.0.1", "192.0.2.31")
    assert seen.listeners == (
        Listener(address="0.0.0.0", port=22, program="sshd"),
        Listener(address="::", port=22),
        Listener(address="127.0.0.53", port=53, program="systemd-resolve"),
    )
    assert (seen.running, seen.time_services) == (("obsctl-alerter",), ("chronyd", "chrony"))
    assert seen.file_systems == (FileSystem(mount="/", free_bytes=2**30),)
    assert (seen.memory_bytes, seen.vip_answers) == (2048000 * 1024, False)
    assert [path.failure for path in seen.paths] == ["", "no answer within 3 s", "No route to host"]


def test_a_host_that_says_nothing_is_read_as_such() -> None:
    app1 = HOSTS[-1]
    seen = read_look(FLEET, app1, HostLook(name="app1", address=app1.address), "os unknown\n", (0, 1))
    assert (seen.clock, seen.synchronized, seen.memory_bytes, seen.vip_answers) == (None, None, None, None)
    assert {path.failure for path in seen.paths} == {"not tried"}


def test_a_snapshot_survives_json() -> None:
    path = Path(to="db1", address="192.0.2.21", port=3306, purpose="database", failure="x")
    seen = ReadySnapshot(
        hosts=(look("node1", failure="x", failure_kind=FailureKind.DENIED, paths=(path,)),),
        problems=(Problem(host="a", problem="b", fix="c"),),
        errors=(Fault(code="PRE_NOT_ASKED", object="preflight", summary="x"),),
    )
    assert msgspec.json.decode(msgspec.json.encode(seen), type=ReadySnapshot) == seen
    assert describe_ready(FLEET, seen)["hosts"][0]["paths"] == "0 of 1"


@pytest.mark.parametrize(
    ("https", "ports"),
    [(None, [80]), (Https(), [443, 80]), (Https(port=8443, http="redirect"), [8443, 80]), (Https(http="close"), [443])],
)
def test_a_balancer_needs_the_ports_that_nginx_will_have(https: Https | None, ports: list[int]) -> None:
    fleet = Fleet(vip=Vip(address="192.0.2.100", https=https))
    host = Host(name="node1", address="192.0.2.1", groups=("lb",))
    assert [port.number for port in ports_of(fleet, host)] == ports
