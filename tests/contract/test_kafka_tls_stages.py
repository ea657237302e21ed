"""What the Kafka role writes in each stage of TLS: listeners, who speaks to whom how, who is who, who may do what."""

from __future__ import annotations

import itertools
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.rendered_role import RenderedNode

from ansible_collections.obscraft.fleet.plugins.modules import kafka_acls  # isort: skip

SEPARATE = Path(__file__).parent / "inventories/kafka-separate-controllers.yml"
SOUND = Path(__file__).parent / "inventories/preflight/sound/hosts.yml"
GUIDE = Path(__file__).resolve().parents[2] / "docs/guides/kafka-clients.md"
STAGES = ("clear", "offer", "move", "tls")
CLEAR = {"PLAINTEXT", "CONTROLLER"}
#: Listener with TLS to its protocol.
PROTECTED = {"CLIENTS": "SASL_SSL", "BROKERS": "SSL", "CONTROLLER_TLS": "SSL"}


def _node(folder: Path, host: str, stage: str, **variables: Any) -> RenderedNode:
    document = yaml.safe_load(SEPARATE.read_text())
    document["all"].setdefault("vars", {}).update(variables, kafka_tls_stage=stage, fleet_tls=True)
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(document))
    return RenderedNode(path, host)


def _listeners(text: str) -> dict[str, str]:
    """Return listener to its end, of a list such as ``A://:1,B://:2``."""
    return dict(entry.split("://") for entry in text.split(","))


def _protocols(found: dict[str, str]) -> dict[str, str]:
    return dict(entry.split(":") for entry in found["listener.security.protocol.map"].split(","))


def test_a_fleet_without_tls_is_written_as_before(tmp_path: Path):
    found = _node(tmp_path, "broker1", "clear").properties()
    assert found["listeners"] == "PLAINTEXT://:9092"
    assert found["advertised.listeners"] == "PLAINTEXT://192.0.2.1:9092"
    assert found["listener.security.protocol.map"] == "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"
    assert not [name for name in found if "ssl" in name or "sasl" in name or "authorizer" in name or "super" in name]


@pytest.mark.parametrize("stage", STAGES)
def test_the_switch_decides_where_no_stage_is_set(tmp_path: Path, stage: str):
    node = _node(tmp_path, "broker1", stage)
    assert node.value("kafka_tls_stage") == stage
    document = yaml.safe_load((tmp_path / "hosts.yml").read_text())
    del document["all"]["vars"]["kafka_tls_stage"]
    for on, wanted in ((True, "tls"), (False, "clear")):
        document["all"]["vars"]["fleet_tls"] = on
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(document))
        node = RenderedNode(tmp_path / "hosts.yml", "broker1")
        assert node.value("kafka_tls_stage") == wanted
        assert {one["stage"] for one in node.value("__kafka_nodes")} == {wanted}, "as other roles see it"


@pytest.mark.parametrize("stage", STAGES)
def test_open_listeners_of_a_stage(tmp_path: Path, stage: str):
    broker = _node(tmp_path, "broker1", stage).properties()
    controller = _node(tmp_path, "controller2", stage).properties()
    wanted = (set() if stage == "tls" else CLEAR) | (set() if stage == "clear" else set(PROTECTED))
    controllers = {name for name in wanted if name.startswith("CONTROLLER")}
    assert set(_listeners(broker["listeners"])) == wanted - controllers
    assert set(_listeners(controller["listeners"])) == controllers
    assert set(_protocols(broker)) == wanted
    assert _protocols(broker) == _protocols(controller)
    assert {name: _protocols(broker)[name] for name in wanted - CLEAR} == (PROTECTED if stage != "clear" else {})
    ports = {"PLAINTEXT": ":9092", "CONTROLLER": ":9093", "CLIENTS": ":9094", "BROKERS": ":9095"}
    ports["CONTROLLER_TLS"] = ":9096"
    for found in (broker, controller):
        assert _listeners(found["listeners"]).items() <= ports.items()


@pytest.mark.parametrize(("stage", "after"), list(itertools.pairwise(STAGES)))
def test_two_stages_that_follow_each_other_can_talk(tmp_path: Path, stage: str, after: str):
    """In a rolling restart some nodes are in one stage and some in the next, and each must reach each other one."""
    for here, there in ((stage, after), (after, stage)):
        opened = set(_listeners(_node(tmp_path, "broker1", there).properties()["listeners"]))
        opened |= set(_listeners(_node(tmp_path, "controller1", there).properties()["listeners"]))
        own = _node(tmp_path, "broker2", here).properties()
        assert own["inter.broker.listener.name"] in opened
        used = own["controller.listener.names"].split(",")[0]
        assert used in opened
        port = _listeners(_node(tmp_path, "controller1", there).properties()["listeners"])[used]
        assert all(voter.endswith(port) for voter in own["controller.quorum.voters"].split(","))
        # The role's own questions: over a listener that all of them have, or the answer leaves brokers out.
        (address, *_) = _node(tmp_path, "broker1", here).value("__kafka_bootstrap")
        name = "BROKERS" if address.startswith("SSL://") else "PLAINTEXT"
        assert name in opened


@pytest.mark.parametrize("stage", STAGES[1:])
def test_nodes_show_and_want_certificates_and_clients_log_in(tmp_path: Path, stage: str):
    found = _node(tmp_path, "broker1", stage).properties()
    assert found["ssl.keystore.type"] == found["ssl.truststore.type"] == "PEM"
    assert found["ssl.keystore.location"] == "/etc/obscraft/tls/kafka/keystore.pem"
    assert found["ssl.truststore.location"] == "/etc/obscraft/tls/ca.pem"
    wanting = [name for name, value in found.items() if name.endswith("ssl.client.auth") and value == "required"]
    assert sorted(wanting) == ["listener.name.brokers.ssl.client.auth", "listener.name.controller_tls.ssl.client.auth"]
    assert found["listener.name.clients.sasl.enabled.mechanisms"] == "SCRAM-SHA-512"
    assert "ScramLoginModule required;" in found["listener.name.clients.scram-sha-512.sasl.jaas.config"]
    assert found["ssl.enabled.protocols"] == "TLSv1.2,TLSv1.3"


@pytest.mark.parametrize("stage", STAGES[1:])
def test_who_is_not_listed_may_do_nothing(tmp_path: Path, stage: str):
    found = _node(tmp_path, "controller1", stage).properties()
    assert found["authorizer.class.name"] == "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    assert "allow.everyone.if.no.acl.found" not in found
    over = {"User:kafka", "User:admin"} | ({"User:ANONYMOUS"} if stage != "tls" else set())
    assert set(found["super.users"].split(";")) == over


@pytest.mark.parametrize(
    ("subject", "user"),
    [
        ("CN=node1,OU=kafka,O=obscraft", "kafka"),
        ("O=obscraft,OU=kafka,CN=node-1.example", "kafka"),
        ("CN=db1,OU=mysql,O=obscraft", "stranger"),
        ("CN=node1,OU=kafka,O=other", "stranger"),
        ("CN=x\\,OU=kafka,OU=nginx,O=obscraft", "stranger"),
        ("CN=x,OU=nginx+OU=kafka,O=obscraft", "stranger"),
        ("CN=node1,OU=kafka,O=obscraft,C=XX", "stranger"),
    ],
)
def test_only_the_brokers_own_certificates_are_administrators(tmp_path: Path, subject: str, user: str):
    text = _node(tmp_path, "broker1", "tls").properties()["ssl.principal.mapping.rules"]
    rules = re.findall(r"RULE:(.*?)/(\w+)/", text)
    assert len(rules) == 3
    assert next(name for pattern, name in rules if re.match(pattern, subject)) == user


def test_a_controller_names_itself_where_its_version_does(tmp_path: Path):
    """Its address is compared with its certificate; the name that a machine gives itself need not be in that."""
    newer = _node(tmp_path, "controller1", "tls", kafka_version="4.1.0").properties()
    assert newer["advertised.listeners"] == "CONTROLLER_TLS://192.0.2.11:9096"
    older = _node(tmp_path, "controller1", "tls", kafka_version="3.6.1").properties()
    assert "advertised.listeners" not in older, "3.6 does not start with a controller's listener there"


def test_a_renewed_certificate_is_a_reason_to_restart(tmp_path: Path):
    files = _node(tmp_path, "broker1", "tls").value("__kafka_unit_files")
    assert {"/etc/obscraft/tls/kafka/keystore.pem", "/etc/obscraft/tls/ca.pem"} <= set(files)
    assert len(_node(tmp_path, "broker1", "clear").value("__kafka_unit_files")) == 4


def test_clients_follow_the_switch(tmp_path: Path):
    def seen(stage: str) -> list[Any]:
        node = _node(tmp_path, "broker1", stage, kafka_obsctl_password="vault:x", fleet_tls_ca_file="/pki/ca.pem")
        names = ("port", "security_protocol", "user", "password", "ca_file")
        return [str(node.value(f"kafka_client_{name}")) for name in names]

    assert seen("clear") == ["9092", "PLAINTEXT", "", "", ""]
    for stage in STAGES[1:]:
        assert seen(stage) == ["9094", "SASL_SSL", "obsctl", "vault:x", "/pki/ca.pem"]


def test_the_stage_of_a_node_is_read_from_its_file(tmp_path: Path):
    for stage in STAGES:
        node = _node(tmp_path, "broker1", stage)
        assert node.value("__kafka_stages")[stage] == node.properties()["controller.listener.names"]


@pytest.mark.parametrize("password", ["plain", 'a"b\\c', "x=y;z, #!"])
def test_the_administrators_login_survives_two_kinds_of_quoting(tmp_path: Path, password: str):
    text = _node(tmp_path, "broker1", "tls", __kafka_admin_secret=password).file("admin.properties.j2")
    (line,) = [line for line in text.splitlines() if line.startswith("sasl.jaas.config=")]
    value = re.sub(r"\\(.)", r"\1", line.partition("=")[2])  # as java.util.Properties
    assert re.sub(r"\\(.)", r"\1", value.partition('password="')[2].removesuffix('";')) == password  # as JAAS


def _rights_of_the_guide() -> set[str]:
    """Return the table of users and rights, one line for each right of each name."""
    found = set()
    rows = re.findall(r"^\| `(\w+)` \| ([A-Z][\w, ]+) \| (.+) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    for user, operations, where in rows:
        what = ""
        for part in where.split(", "):
            words = re.fullmatch(
                r"(?:(all )?(topic|group|transactional_id|cluster)s?( that begin with)? ?)?(?:`(.+)`)?", part
            )
            assert words, part
            what = words[2] or what
            name = {"cluster": "kafka-cluster"}.get(what) or ("*" if words[1] else words[4])
            found |= {f"User:{user} may {one} {what} {name}{'*' if words[3] else ''}" for one in operations.split(", ")}
    return found


def test_the_guide_has_the_rights_that_the_role_gives():
    rights = RenderedNode(SOUND, "node1").value("__kafka_all_rights")
    assert {kafka_acls.line(acl) for acl in kafka_acls.wanted_acls(rights)} == _rights_of_the_guide()


def test_rights_follow_names_and_channels_of_the_inventory(tmp_path: Path):
    document = yaml.safe_load(SOUND.read_text())
    document["all"]["vars"] |= {
        "consumer_group": "stores",
        "filebeat_topic_access": "weblog",
        "consumer_alert_channels": [{"name": "x", "type": "kafka", "topic": "pages"}, {"name": "y", "type": "smtp"}],
        "kafka_extra_rights": {
            "filebeat": [{"resource": "topic", "names": ["audit"], "operations": ["Write"]}],
            "reports": [{"resource": "topic", "names": ["weblog"], "operations": ["Read"]}],
        },
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(document))
    rights = RenderedNode(tmp_path / "hosts.yml", "node1").value("__kafka_all_rights")
    found = {kafka_acls.line(acl) for acl in kafka_acls.wanted_acls(rights)}
    assert {
        "User:consumer may Read group stores",
        "User:filebeat may Write topic weblog",
        "User:filebeat may Write topic audit",
        "User:alerter may Write topic pages",
        "User:reports may Read topic weblog",
    } <= found
    assert "User:filebeat may Write topic nginxlog" not in found


@pytest.mark.parametrize(
    ("words", "login"),
    [
        ("topics --list", "--command-config {}"),
        ("topics --list --command-config own.properties", ""),
        ("configs --alter --add-config-file user.config", "--command-config {}"),
        ("acls --command-config=own.properties --list", ""),
        ("produce --topic a", "--producer.config {}"),
        ("consume --topic a", "--consumer.config {}"),
        ("consume --topic a --consumer.config own.properties", ""),
        ("elect --all-topic-partitions", "--admin.config {}"),
        ("quorum describe --status", "--command-config {}"),
        ("storage info", ""),
    ],
)
def test_kafkas_tools_log_in_by_themselves(tmp_path: Path, words: str, login: str):
    libs = tmp_path / "current/libs"
    libs.mkdir(parents=True)
    classes = (
        "TopicCommand", "ConfigCommand", "AclCommand", "ConsoleProducer", "consumer/ConsoleConsumer",
        "LeaderElectionCommand", "MetadataQuorumCommand",
    )  # fmt: skip
    names = [f"org/apache/kafka/tools/{name}.class" for name in classes]
    (libs / "kafka-tools-1.jar").write_text("\n".join([*names, "kafka/tools/StorageTool.class"]))
    java = tmp_path / "java"
    java.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    java.chmod(0o755)
    settings = {"kafka_install_dir": str(tmp_path), "kafka_config_dir": str(tmp_path), "kafka_java": str(java)}
    program = tmp_path / "kafka-cli"
    program.write_text(_node(tmp_path, "broker1", "tls", **settings).file("kafka-cli.j2"))

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", program, *words.split()], capture_output=True, text=True, check=False)

    own = tmp_path / "admin.properties"
    if login:
        refused = run()
        assert (refused.returncode, str(own) in refused.stderr) == (77, True)
    own.write_text("")
    done = run()
    assert done.returncode == 0, done.stderr
    given = done.stdout.split()
    wanted = login.format(own).split() + words.split()[1:]
    assert given[-len(wanted) :] == wanted
    # Without TLS it is the tool as it was.
    program.write_text(_node(tmp_path, "broker1", "clear", **settings).file("kafka-cli.j2"))
    assert run().stdout.split()[-len(words.split()[1:]) :] == words.split()[1:]
    assert "admin.properties" not in program.read_text()
