"""The Kafka role with TLS on real Kafkas: through all stages, the roles' own modules, users, rights and refusals."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.admin as kafka_admin
import pytest
import yaml

from obsctl.alerter.channels.outcome import Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.core import secrets
from obsctl.core.brokers import Brokers, Security
from obsctl.kafka import clients
from obsctl.kafka.any_broker import AnyBroker
from obsctl.kafka.topic_log import DENIED
from rig.authority import Authority
from rig.ending import with_us
from rig.filebeat import archive, unpack
from rig.kafka import Java
from rig.kafka_rights import deleted, read, written
from rig.ports import free_port
from rig.rendered_role import RenderedNode
from rig.server import ServerProcess
from rig.waiting import wait_for
from tests.contract.alerter.robots import alert

from ansible_collections.obscraft.fleet.plugins.module_utils import kafka_wire  # isort: skip
from ansible_collections.obscraft.fleet.plugins.modules import (  # isort: skip
    kafka_acls,
    kafka_node_health,
    kafka_quotas,
    kafka_topics,
    kafka_users,
)

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
STAGES = ("clear", "offer", "move", "tls")
PORTS = (
    "kafka_broker_port", "kafka_controller_port", "kafka_tls_port", "kafka_tls_broker_port",
    "kafka_tls_controller_port",
)  # fmt: skip
PASSWORDS = {"filebeat": "f=1,2", "consumer": "c o n", "alerter": 'a"l\\', "obsctl": "o-b-s", "admin": "ad;min"}
TOPICS = ("nginxlog", "nginxlog-error", "nginxlog-dlq", "nginxlog-canary", "nginxlog-alert-history")
_HOUR = datetime.timedelta(hours=1)


class Cluster:
    """A controller and a broker with what the role writes for a stage.

    Attributes:
        authority: signed the nodes' certificates.
        ports: variable of the role to port.
        stage: the one that both run in.
    """

    def __init__(self, libs: Path, folder: Path) -> None:
        self._folder = folder
        self._java = Java(libs)
        self.authority = Authority(folder / "ca")
        self.ports = {name: free_port() for name in PORTS}
        self.stage = ""
        self._servers: dict[str, ServerProcess] = {}
        for name in ("controller1", "broker1"):
            (folder / name / "data").mkdir(parents=True)
            tls = folder / name / "tls"
            (tls / "kafka").mkdir(parents=True)
            (tls / "ca.pem").write_bytes(self.authority.ca_file.read_bytes())
            whole = self.authority.issue(name, ("127.0.0.1", name), unit="kafka").read_text()
            key, separator, chain = whole.partition("-----END PRIVATE KEY-----\n")
            (tls / "kafka/keystore.pem").write_text(whole)
            (tls / "kafka/key.pem").write_text(key + separator)
            (tls / "kafka/cert.pem").write_text(chain)

    def node(self, name: str, stage: str, role: str = "kafka", **more: Any) -> RenderedNode:
        hosts = {
            host: {
                "ansible_host": "127.0.0.1",
                "kafka_node_id": number,
                "kafka_process_roles": [role],
                "kafka_data_dir": str(self._folder / host / "data"),
                "kafka_config_dir": str(self._folder / host),
                "fleet_tls_dir": str(self._folder / host / "tls"),
            }
            for number, (host, role) in enumerate((("controller1", "controller"), ("broker1", "broker")), 1)
        }
        variables = {
            "kafka_version": "3.9.1", "kafka_replication_factor": 1, "kafka_min_insync_replicas": 1,
            "fleet_tls": True, "kafka_tls_stage": stage, **self.ports, **more,
        }  # fmt: skip
        groups = {
            "kafka": {"hosts": hosts},
            "filebeat": {"hosts": {"broker1": {}}},
            "consumer": {"hosts": {"app1": {}}},
        }
        path = self._folder / "inventory.yml"
        path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": groups}}))
        return RenderedNode(path, name, role)

    def restart(self, name: str, stage: str) -> None:
        """Write a node's configuration for a stage, and start it, or start it again."""
        node, folder = self.node(name, stage), self._folder / name
        config = folder / "server.properties"
        new = not config.exists()
        config.write_text(node.file("server.properties.j2"))
        (folder / "log4j.properties").write_text(node.file("log4j.properties.j2"))
        if new:
            self._java.format(config)
        if name in self._servers:
            self._servers[name].end(signal.SIGTERM)
        server = ServerProcess(folder, f"output-{stage}")
        server.launch(self._java.broker(config, f"-Dlog4j.configuration=file:{folder / 'log4j.properties'}"))
        self._servers[name] = server

    def until_served(self, stage: str) -> None:
        """Wait as the role does: by the module, over the listener of the stage."""
        wait_for(lambda: self.missing(stage), lambda: not self.missing(stage), seconds=START_SECONDS)

    def until_broker_served(self, stage: str) -> None:
        """Wait for the broker alone, whose stage this is."""
        wait_for(lambda: self.missing(stage), lambda: "broker1" not in self.missing(stage), seconds=START_SECONDS)

    def missing(self, stage: str) -> str:
        """Return what the role would wait for, empty for nothing."""
        reasons = [
            self._view(name, stage, check)
            for name in self._servers
            for check in (kafka_node_health.not_serving, kafka_node_health.not_in_sync)
        ]
        return "; ".join(reason for reason in reasons if reason)

    def _view(self, name: str, stage: str, check: Any) -> str:
        node = self.node(name, stage)
        params = {
            "node_id": node.value("kafka_node_id"),
            "address": node.value("__kafka_address"),
            "broker": node.value("__kafka_is_broker"),
            "bootstrap": node.value("__kafka_bootstrap"),
            "tls": self.files() if node.value("__kafka_tls") else None,
        }
        said = check(kafka_node_health.look(params))
        return f"{name}: {said}" if said else ""

    def files(self, name: str = "broker1") -> dict[str, str]:
        """Return the files of TLS as the role hands them to its modules."""
        found: dict[str, str] = self.node(name, "tls").value("__kafka_tls_files")
        return found

    def address(self, variable: str) -> str:
        return f"SSL://127.0.0.1:{self.ports[variable]}"

    def client(self, user: str = "", password: str = "", **changes: str) -> dict[str, Any]:
        """Return librdkafka's settings of somebody who logs in."""
        return {
            "bootstrap.servers": f"127.0.0.1:{self.ports['kafka_tls_port']}",
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority.ca_file),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": password or PASSWORDS.get(user, "none"),
            "log_level": 0,
            **changes,
        }

    def close(self) -> None:
        for server in reversed(self._servers.values()):
            server.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def cluster(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The two nodes; the tests of this file follow each other from clear text to TLS."""
    made = Cluster(kafka_libs, tmp_path_factory.mktemp("kafka-tls"))
    try:
        for name in ("controller1", "broker1"):
            made.restart(name, "clear")
        made.until_served("clear")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def guarded(cluster: Cluster) -> Cluster:
    """The same cluster at its end: TLS alone, topics, users and rights."""
    for stage, after in itertools.pairwise(STAGES):
        # One node after the other: in between, one is in the earlier stage and one in the later.
        cluster.restart("controller1", after)
        cluster.until_broker_served(stage)
        cluster.restart("broker1", after)
        cluster.until_served(after)
    users(cluster, PASSWORDS)
    acls(cluster, cluster.node("broker1", "tls").value("__kafka_all_rights"))
    for name in TOPICS:
        topic = {"name": name, "partitions": 1, "replication_factor": 1, "configs": {"min.insync.replicas": "1"}}
        inside = [cluster.address("kafka_tls_broker_port")]
        todo = kafka_topics.plan([topic], *kafka_topics.look(inside, [topic], cluster.files()))
        kafka_topics.apply(inside, todo, cluster.files())
    return cluster


def users(cluster: Cluster, passwords: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Do what the module kafka_users does; return who was new and who had another password."""
    params = {
        "bootstrap": [cluster.address("kafka_tls_broker_port")],
        "login": cluster.address("kafka_tls_port"),
        "tls": cluster.files(),
        "users": dict(passwords),
        "iterations": 4096,
    }
    missing, other = kafka_users.look(params)
    if missing or other:
        kafka_users.apply(params, missing + other)
        kafka_users.await_logins(params, missing + other, time.time() + 30)
    return missing, other


def acls(cluster: Cluster, rights: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Do what the module kafka_acls does; return what was added and removed."""
    inside, files = [cluster.address("kafka_tls_broker_port")], cluster.files()
    add, remove = kafka_acls.plan(rights, kafka_wire.acls(inside, 10, files))
    if add:
        kafka_wire.create_acls(inside, add, 10, files)
    if remove:
        kafka_wire.delete_acls(inside, remove, 10, files)
    return [kafka_acls.line(acl) for acl in add], [kafka_acls.line(acl) for acl in remove]


def test_cluster_serves_in_each_stage_and_between_them(guarded: Cluster) -> None:
    assert guarded.missing("tls") == ""


def test_closed_ports_are_closed(guarded: Cluster) -> None:
    for variable in ("kafka_broker_port", "kafka_controller_port"):
        with pytest.raises(kafka_wire.KafkaError, match="refused"):
            kafka_wire.touch(f"127.0.0.1:{guarded.ports[variable]}", 5)


def test_second_run_changes_nothing(guarded: Cluster) -> None:
    assert users(guarded, PASSWORDS) == ([], [])
    assert acls(guarded, guarded.node("broker1", "tls").value("__kafka_all_rights")) == ([], [])


def test_password_is_changed_and_only_that_one(guarded: Cluster) -> None:
    assert users(guarded, {**PASSWORDS, "alerter": "another"}) == ([], ["alerter"])
    with pytest.raises(kafka_wire.LoginRefused):
        kafka_wire.log_in(guarded.address("kafka_tls_port"), "alerter", PASSWORDS["alerter"], 10, guarded.files())
    assert users(guarded, PASSWORDS) == ([], ["alerter"])


def test_rights_of_a_user_are_the_listed_ones_and_others_are_left_alone(guarded: Cluster) -> None:
    extra = {"probe": [{"resource": "topic", "names": ["a", "b"], "pattern": "prefixed", "operations": ["Read"]}]}
    assert acls(guarded, extra)[0] == ["User:probe may Read topic a*", "User:probe may Read topic b*"]
    assert acls(guarded, extra) == ([], [])
    assert acls(guarded, {"stranger": []}) == ([], [])
    assert acls(guarded, {"probe": []})[1] == ["User:probe may Read topic a*", "User:probe may Read topic b*"]


def test_quotas_of_a_user_are_the_listed_ones_and_slow_it_down(guarded: Cluster) -> None:
    inside, files = [guarded.address("kafka_tls_broker_port")], guarded.files()
    of_another = {"other": {"consumer_byte_rate": 9e9}}

    def change(changes: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        kafka_wire.set_quotas(inside, changes, 10, files)
        wait_for(f"quotas are {after}", lambda: kafka_wire.quotas(inside, 10, files) == after)

    before = {"filebeat": {"request_percentage": 50.0}, **of_another}
    change(before, before)
    node = guarded.node("broker1", "tls", kafka_quotas={"filebeat": {"producer_byte_rate": 2000}, "reports": {}})
    wanted = kafka_quotas.wanted_quotas(node.value("__kafka_all_quotas"))
    assert sorted(wanted) == ["alerter", "console", "consumer", "filebeat", "obsctl", "reports"]
    change(kafka_quotas.plan(wanted, before), {"filebeat": {"producer_byte_rate": 2000.0}, **of_another})

    slowed: list[Any] = []
    producer = confluent_kafka.Producer(guarded.client("filebeat") | {"throttle_cb": slowed.append})
    for _ in range(20):
        producer.produce("nginxlog", b"x" * 2000)
        assert producer.flush(30) == 0
        if slowed:
            break
    assert slowed
    change({"filebeat": {"producer_byte_rate": None}, "other": {"consumer_byte_rate": None}}, {})


def test_each_user_may_do_its_part_and_nothing_else(guarded: Cluster) -> None:
    assert written(guarded.client("filebeat"), "nginxlog") == ""
    assert read(guarded.client("consumer"), "nginxlog", "obsctl-consumer") == ""
    assert written(guarded.client("consumer"), "nginxlog-dlq") == ""
    assert written(guarded.client("obsctl"), "nginxlog-canary") == ""
    denied = "TOPIC_AUTHORIZATION_FAILED"
    assert written(guarded.client("filebeat"), "nginxlog-dlq") == denied
    assert written(guarded.client("consumer"), "nginxlog") == denied
    assert written(guarded.client("alerter"), "nginxlog") == denied
    assert written(guarded.client("obsctl"), "nginxlog") == denied
    assert read(guarded.client("filebeat"), "nginxlog", "obsctl-consumer") in (denied, "GROUP_AUTHORIZATION_FAILED")
    assert read(guarded.client("consumer"), "nginxlog", "another") == "GROUP_AUTHORIZATION_FAILED"
    assert deleted(guarded.client("obsctl"), "nginxlog") == denied


def test_administrator_may_do_everything(guarded: Cluster) -> None:
    asking = kafka_admin.AdminClient(guarded.client("admin"))
    asking.create_topics([kafka_admin.NewTopic("passing", 1, 1)])["passing"].result(20)
    asking.delete_topics(["passing"])["passing"].result(20)


@pytest.mark.parametrize("variable", ["kafka_tls_broker_port", "kafka_tls_controller_port"])
@pytest.mark.parametrize("who", ["nobody", "foreign", "expired"])
def test_a_stranger_is_refused_among_the_brokers(guarded: Cluster, tmp_path: Path, variable: str, who: str) -> None:
    files: dict[str, Any] = {"ca_file": str(guarded.authority.ca_file)}
    if who == "foreign":
        files["certificate_file"] = str(Authority(tmp_path / "other").issue("broker1", unit="kafka"))
    elif who == "expired":
        files["certificate_file"] = str(guarded.authority.issue("late", valid=(-2 * _HOUR, -_HOUR), unit="kafka"))
    with pytest.raises(kafka_wire.KafkaError):
        kafka_wire.metadata([guarded.address(variable)], 5, files)


def test_another_certificate_of_the_fleet_may_do_nothing(guarded: Cluster) -> None:
    files = {"ca_file": str(guarded.authority.ca_file)}
    files["certificate_file"] = str(guarded.authority.issue("db1", unit="mysql"))
    inside = [guarded.address("kafka_tls_broker_port")]
    assert kafka_wire.metadata(inside, 5, files)["topics"] == {}
    with pytest.raises(kafka_wire.KafkaError, match="error 31"):
        kafka_wire.acls(inside, 5, files)


def test_clear_text_and_a_wrong_name_are_refused(guarded: Cluster) -> None:
    for variable in ("kafka_tls_port", "kafka_tls_broker_port"):
        with pytest.raises(kafka_wire.KafkaError):
            kafka_wire.metadata([f"127.0.0.1:{guarded.ports[variable]}"], 5)
    elsewhere = f"SSL://localhost:{guarded.ports['kafka_tls_broker_port']}"
    with pytest.raises(kafka_wire.KafkaError, match=r"its certificate names 127\.0\.0\.1, broker1, not localhost"):
        kafka_wire.metadata([elsewhere], 5, guarded.files())


def test_a_wrong_password_an_unknown_user_and_no_login_are_refused(guarded: Cluster) -> None:
    login = guarded.address("kafka_tls_port")
    for user, password in (("filebeat", "wrong"), ("stranger", "any")):
        with pytest.raises(kafka_wire.LoginRefused):
            kafka_wire.log_in(login, user, password, 10, guarded.files())
    with pytest.raises(kafka_wire.KafkaError):
        kafka_wire.metadata([login], 5, guarded.files())
    with pytest.raises(kafka_wire.KafkaError, match="it supports logins by nothing, not by SCRAM-SHA-512"):
        kafka_wire.log_in(guarded.address("kafka_tls_broker_port"), "admin", PASSWORDS["admin"], 10, guarded.files())


def test_a_client_that_is_shut_out_and_one_that_sees_no_topic_can_say_so(guarded: Cluster, tmp_path: Path) -> None:
    def asking(user: str, password: str) -> AnyBroker:
        (tmp_path / "password").write_text(password)
        security = Security(
            protocol="SASL_SSL",
            user=user,
            password=f"file:{tmp_path / 'password'}",
            ca_file=str(guarded.authority.ca_file),
        )
        return AnyBroker(Brokers([f"127.0.0.1:{guarded.ports['kafka_tls_port']}"], security), "test")

    with pytest.raises(confluent_kafka.KafkaException) as shut_out:
        asking("consumer", "wrong").ask(lambda client: client.list_topics(timeout=3))
    assert clients.words(shut_out.value.args[0]).startswith("the brokers refuse the login: ")
    seeing = asking("filebeat", PASSWORDS["filebeat"])
    assert "nginxlog-dlq" not in seeing.ask(lambda client: client.list_topics(timeout=5)).topics
    hidden = seeing.ask(lambda client: client.list_topics("nginxlog-dlq", timeout=5)).topics["nginxlog-dlq"]
    assert hidden.error is not None
    assert hidden.error.code() in DENIED


def test_an_alert_channel_writes_with_the_alerters_login(guarded: Cluster, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORDS["alerter"])

    def sent(topic: str) -> tuple[Verdict, str]:
        entry = {
            "name": "bus", "type": "kafka", "topic": topic, "protocol": "SASL_SSL", "username": "alerter",
            "bootstrap": [f"127.0.0.1:{guarded.ports['kafka_tls_port']}"],
            "password": f"file:{tmp_path / 'password'}", "ca_file": str(guarded.authority.ca_file),
        }  # fmt: skip
        (spec,) = parse_channels([entry], "test")
        delivery = spec.open(secrets.resolve).send(alert())
        assert PASSWORDS["alerter"] not in str(delivery)
        return delivery.verdict, delivery.code

    assert sent("nginxlog-alert-history") == (Verdict.DELIVERED, "0")
    assert sent("nginxlog") == (Verdict.REFUSED, "TOPIC_AUTHORIZATION_FAILED")


@pytest.fixture(scope="module")
def filebeat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program; skips where it is not built."""
    if archive() is None:
        pytest.skip("Filebeat is not built: obsctl artifacts build")
    return unpack(tmp_path_factory.mktemp("filebeat"))


@contextlib.contextmanager
def _shipping(cluster: Cluster, filebeat: Path, folder: Path, **variables: Any) -> Iterator[Path]:
    """Run Filebeat with what the role writes; give its log."""
    node = cluster.node("broker1", "tls", "filebeat", filebeat_nginx_log_dir=str(folder), **variables)
    files = [folder / "filebeat.yml", folder / "kafka-login.yml"]
    files[0].write_text(node.file("filebeat.yml.j2").replace("http.port: 5066", f"http.port: {free_port()}"))
    login = {"output.kafka.username": "filebeat", "output.kafka.password": PASSWORDS["filebeat"]}
    files[1].write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in login.items()))
    for path in files:
        path.chmod(0o600)
    log = folder / "filebeat.log"
    command = [filebeat, "-e", *(word for path in files for word in ("-c", path)), "--path.data", folder / "data"]
    with log.open("wb") as out, subprocess.Popen(with_us(command), stdout=out, stderr=out) as process:
        try:
            yield log
        finally:
            process.kill()


def test_filebeat_ships_over_tls_with_its_login(guarded: Cluster, filebeat: Path, tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text('{"mark": "shipped over tls"}\n')
    reader = confluent_kafka.Consumer(guarded.client("consumer") | {"group.id": "obsctl-consumer"})
    reader.assign([confluent_kafka.TopicPartition("nginxlog", 0, 0)])
    seen: list[bytes] = []

    def arrived() -> bool:
        seen.extend(record.value() for record in reader.consume(100, 0.5) if record.error() is None)
        return any(b"shipped over tls" in value for value in seen)

    with _shipping(guarded, filebeat, tmp_path) as log:
        wait_for(lambda: log.read_text()[-2000:], arrived, seconds=60)
    reader.close()
    assert PASSWORDS["filebeat"] not in log.read_text()


def test_filebeat_sends_nothing_to_a_broker_with_another_name(guarded: Cluster, filebeat: Path, tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text('{"mark": "for the right broker alone"}\n')
    before = _end(guarded)
    hosts = [f"localhost:{guarded.ports['kafka_tls_port']}"]
    with _shipping(guarded, filebeat, tmp_path, filebeat_kafka_hosts=hosts) as log:
        # It does not say why at this level.
        wait_for(lambda: log.read_text()[-2000:], lambda: log.read_text().count("retryer: send unwait") > 2, seconds=60)
    assert _end(guarded) == before


def _end(cluster: Cluster) -> int:
    reader = confluent_kafka.Consumer(cluster.client("consumer") | {"group.id": "obsctl-consumer"})
    try:
        return int(reader.get_watermark_offsets(confluent_kafka.TopicPartition("nginxlog", 0), 20)[1])
    finally:
        reader.close()


def test_kafkas_own_tools_log_in_with_what_the_role_writes(guarded: Cluster, kafka_libs: Path, tmp_path: Path) -> None:
    login = tmp_path / "admin.properties"
    login.write_text(
        guarded.node("broker1", "tls", __kafka_admin_secret=PASSWORDS["admin"]).file("admin.properties.j2")
    )
    end = f"127.0.0.1:{guarded.ports['kafka_tls_port']}"
    tool = ("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", end, "--command-config", str(login), "--list")
    assert set(TOPICS) <= set(Java(kafka_libs).run(*tool).split())


def test_the_modules_run_under_ansible_and_change_nothing_the_second_time(guarded: Cluster) -> None:
    """As modules, with their arguments: what the tests above call is their inside."""
    inside = [guarded.address("kafka_tls_broker_port")]
    common = {"bootstrap": inside, "tls": guarded.files(), "timeout": 20}
    rights = {"guest": [{"resource": "topic", "names": ["nginxlog"], "operations": ["Describe"]}]}
    logins = {**common, "login": guarded.address("kafka_tls_port"), "users": {"guest": "a guest's"}}
    limits = {"guest": {"producer_byte_rate": 1048576, "request_percentage": 12.5}}
    for module, arguments in (
        ("kafka_users", logins),
        ("kafka_acls", {**common, "rights": rights}),
        ("kafka_quotas", {**common, "quotas": limits}),
    ):
        looked = _module(module, {**arguments, "_ansible_check_mode": True})
        first, second = _module(module, arguments), _module(module, arguments)
        assert (looked["changed"], first["changed"], second["changed"]) == (True, True, False), module
        assert "a guest's" not in str(looked) + str(first) + str(second)
    assert _module("kafka_elect_leaders", common)["changed"] is False


@pytest.mark.parametrize("version", ["2.7", "3.6"])
def test_the_wire_under_the_pythons_of_old_hosts(guarded: Cluster, tmp_path: Path, version: str) -> None:
    folder = Path(os.environ.get("OBSCTL_TEST_PYTHONS", Path.home() / ".pyenv/versions"))
    found = sorted(folder.glob(f"{version}.*/bin/python{version}"))
    if not found:
        pytest.skip(f"no Python {version} below {folder}; OBSCTL_TEST_PYTHONS names a folder of versions")
    asked = {
        "inside": [guarded.address("kafka_tls_broker_port")],
        "login": guarded.address("kafka_tls_port"),
        "tls": guarded.files(),
        "foreign": {"ca_file": str(Authority(tmp_path / "other").ca_file)},
    }
    done = subprocess.run(
        [found[-1], "-c", _OLD, ROOT / "plugins/module_utils"], input=json.dumps(asked),
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["visitor", "refused", "untrusted"]), done.stderr


_OLD = """
import io, json, sys
sys.path.insert(0, sys.argv[1])
import kafka_wire as wire
asked = json.load(sys.stdin)
inside, tls = asked["inside"], asked["tls"]
assert "nginxlog" in wire.metadata(inside, 10, tls)["topics"]
assert wire.acls(inside, 10, tls)
wire.set_quotas(inside, {"visitor": {"request_percentage": 12.5}}, 10, tls)
wire.set_passwords(inside, {"visitor": u"p\u00e4ss"}, 4096, 10, tls)
import time
time.sleep(2)
wire.log_in(asked["login"], u"visitor", u"p\u00e4ss", 10, tls)
print(" ".join(wire.users(inside, ["visitor", "none"], 10, tls)))
assert wire.quotas(inside, 10, tls)["visitor"] == {"request_percentage": 12.5}
wire.set_quotas(inside, {"visitor": {"request_percentage": None}}, 10, tls)
try:
    wire.log_in(asked["login"], "visitor", "another", 10, tls)
except wire.LoginRefused:
    print("refused")
try:
    wire.metadata(inside, 10, asked["foreign"])
except wire.KafkaError:
    print("untrusted")
"""


def _module(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a module in a process of its own, as Ansible does."""
    program = f"from ansible_collections.obscraft.fleet.plugins.modules import {name}; {name}.main()"
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_diff": True, **arguments}})
    done = subprocess.run(
        [sys.executable, "-c", f"from rig import collection; {program}"],
        input=given, capture_output=True, text=True, timeout=90, check=False, cwd=ROOT / "tests",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
