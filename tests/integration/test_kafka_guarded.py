"""Checks of a broker with TLS, logins and rights: each closed door is a finding, what ACLs hide is unknown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import msgspec
import pytest

from obsctl.checks.canary.collect import collect_canary
from obsctl.checks.canary.judge import judge_canary
from obsctl.checks.kafka.collect import collect_cluster
from obsctl.checks.kafka.judge import judge_cluster, judge_topics
from obsctl.core.brokers import IN_CLEAR, Brokers, Security
from obsctl.core.report import Finding, Severity
from obsctl.kafka import any_broker, clients, topic_log
from obsctl.kafka.topic_log import NotAllowedError, NotAnsweredError
from rig.consumer import Pipeline
from rig.database import MariaDB
from rig.guarded_kafka import PASSWORD, USER, GuardedKafka
from rig.waiting import HANGS_S, wait_for

TOPIC = "nginxlog"
OBSCTL = str(Path(sys.executable).with_name("obsctl"))


@pytest.fixture(scope="module")
def kafka(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedKafka]:
    broker = GuardedKafka(kafka_libs, tmp_path_factory.mktemp("guarded"))
    try:
        broker.start()
        for topic in (TOPIC, "canary", "acknowledgements"):
            broker.node.create_topic(topic, 1)
        yield broker
    finally:
        broker.close()


@pytest.fixture
def rights(kafka: GuardedKafka) -> Iterator[GuardedKafka]:
    """The broker with all rights that the checks need; none of them afterwards."""
    kafka.allow("cluster", "kafka-cluster", "DESCRIBE")
    kafka.allow("topic", "*", "DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE")
    kafka.allow("group", "*", "DESCRIBE", "READ")
    yield kafka
    kafka.deny_all()


def found(kafka: GuardedKafka, listener: str, security: Security) -> list[Finding]:
    fleet = kafka.fleet(listener, security, (TOPIC,))
    return [one for one in judge_cluster(fleet, collect_cluster(fleet)) if one.severity is not Severity.INFO]


def obsctl(kafka: GuardedKafka, folder: Path, *argv: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and report of a command that asks the listener with logins as it should."""
    path = folder / "fleet.json"
    path.write_bytes(msgspec.json.encode(kafka.fleet("LOGIN", kafka.security(), (TOPIC,))))
    command = [OBSCTL, "-i", str(path), *argv, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


# -- the doors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listener", "protocol", "changes"),
    [
        ("TLS", "SSL", {}),
        ("MUTUAL", "SSL", {"certificate_file": "own"}),
        ("NAMED", "SSL", {"check_hostname": False}),
        ("LOGIN", "SASL_SSL", {}),
        ("LOGIN", "SASL_SSL", {"mechanism": "PLAIN"}),
        ("OPENLOGIN", "SASL_PLAINTEXT", {}),
    ],
)
def test_a_client_that_has_everything_right_sees_the_broker(
    kafka: GuardedKafka, listener: str, protocol: str, changes: dict[str, Any]
) -> None:
    if "certificate_file" in changes:
        changes = {"certificate_file": str(kafka.authority.issue("checker"))}
    fleet = kafka.fleet(listener, kafka.security(protocol, **changes))
    # A JVM's first handshakes may take longer than a command waits.
    (broker,) = collect_cluster(fleet, deadline_s=HANGS_S).brokers
    assert (broker.answered, broker.registered, broker.failure) == (True, True, "")


@pytest.mark.parametrize(
    ("listener", "protocol", "changes", "said"),
    [
        ("TLS", "PLAINTEXT", {}, ("KAFKA_TLS_WANTED", "the port expects TLS")),
        ("LOGIN", "SASL_PLAINTEXT", {}, ("KAFKA_TLS_WANTED", "the port expects TLS")),
        ("CLEAR", "SSL", {}, ("KAFKA_TLS_NOT_SPOKEN", "the port does not use TLS")),
        ("OPENLOGIN", "SASL_SSL", {}, ("KAFKA_TLS_NOT_SPOKEN", "the port does not use TLS")),
        ("FOREIGN", "SSL", {}, ("KAFKA_CERT_UNTRUSTED", "its certificate is not trusted")),
        ("NAMED", "SSL", {}, ("KAFKA_CERT_NAME", "its certificate does not name 127.0.0.1")),
        ("EXPIRED", "SSL", {}, ("KAFKA_CERT_EXPIRED", "its certificate has expired")),
        ("MUTUAL", "SSL", {}, ("KAFKA_CLIENT_CERT_REFUSED", "refuses the client's certificate")),
        ("LOGIN", "SASL_SSL", {"password": "wrong"}, ("KAFKA_LOGIN_REFUSED", "refuses the login of user obsctl")),
        ("LOGIN", "SASL_SSL", {"password": "wrong", "mechanism": "PLAIN"}, ("KAFKA_LOGIN_REFUSED", "by PLAIN")),
        ("LOGIN", "SASL_SSL", {"user": "nobody"}, ("KAFKA_LOGIN_REFUSED", "refuses the login of user nobody")),
        (
            "LOGIN",
            "SASL_SSL",
            {"mechanism": "SCRAM-SHA-256"},
            ("KAFKA_SASL_MECHANISM", "knows SCRAM-SHA-512, PLAIN"),
        ),
        ("LOGIN", "SSL", {}, ("KAFKA_LOGIN_WANTED", "wants a login (SCRAM-SHA-512, PLAIN)")),
        ("OPENLOGIN", "PLAINTEXT", {}, ("KAFKA_LOGIN_WANTED", "wants a login (SCRAM-SHA-512, PLAIN)")),
        ("CLEAR", "SASL_PLAINTEXT", {}, ("KAFKA_LOGIN_NOT_TAKEN", "takes no login")),
        ("TLS", "SASL_SSL", {}, ("KAFKA_LOGIN_NOT_TAKEN", "takes no login")),
        ("LOGIN", "SASL_SSL", {"password": "env:NOTHING_THERE"}, ("KAFKA_NOT_ASKED", "env:NOTHING_THERE is empty")),
        ("LOGIN", "SASL_SSL", {"ca_file": "/nowhere.pem"}, ("KAFKA_NOT_ASKED", "/nowhere.pem cannot be read")),
    ],
)
def test_each_closed_door_is_a_finding_of_its_own_and_no_broker_that_is_down(
    kafka: GuardedKafka, listener: str, protocol: str, changes: dict[str, Any], said: tuple[str, str]
) -> None:
    if changes.get("password") == "wrong":
        changes = changes | {"password": f"file:{kafka.wrong_password_file}"}
    security = kafka.security(protocol, **changes) if protocol != "PLAINTEXT" else IN_CLEAR
    code, words = said
    (finding,) = found(kafka, listener, security)
    assert (finding.code, finding.object) == (code, "broker/1")
    assert words in finding.summary
    assert finding.severity is (Severity.CRITICAL if code == "KAFKA_CERT_EXPIRED" else Severity.UNKNOWN)
    assert PASSWORD not in str(finding)
    assert finding.hint


# -- rights ----------------------------------------------------------------------------------------------------------


def missing(kafka: GuardedKafka) -> dict[str, Finding]:
    """Return the rights that are found to be missing, by resource and operation."""
    findings = found(kafka, "LOGIN", kafka.security())
    assert {one.code for one in findings} <= {"KAFKA_ACL_MISSING"}, findings
    return {f"{one.evidence['resource']} {one.evidence['operation']}": one for one in findings}


def test_with_all_rights_there_is_no_finding(rights: GuardedKafka) -> None:
    wait_for("the rights are known to the broker", lambda: not missing(rights))
    fleet = rights.fleet("LOGIN", rights.security(), (TOPIC,))
    seen = collect_cluster(fleet)
    assert seen.quorum is not None
    assert {partition.topic for partition in seen.partitions} >= {TOPIC, "canary"}


def test_without_rights_nothing_is_missing_and_nothing_is_ok(kafka: GuardedKafka) -> None:
    wait_for("the rights are gone", lambda: "topic Describe" in missing(kafka))
    rights = missing(kafka)
    assert set(rights) == {"cluster Describe", "topic Describe", "group Describe"}
    assert {one.severity for one in rights.values()} == {Severity.UNKNOWN}
    assert TOPIC in rights["topic Describe"].evidence["names"]
    assert rights["group Describe"].evidence["names"] == ["obsctl-alerter", "obsctl-consumer"]
    fleet = kafka.fleet("LOGIN", kafka.security(), (TOPIC,))
    codes = {one.code for one in judge_topics(fleet, collect_cluster(fleet))}
    assert codes == {"KAFKA_ACL_MISSING"}, "no topic is called missing"


def test_a_right_that_is_missing_alone_is_named_alone(kafka: GuardedKafka) -> None:
    kafka.allow("topic", "*", "DESCRIBE")
    kafka.allow("cluster", "kafka-cluster", "DESCRIBE")
    try:
        wait_for("the rights are known", lambda: set(missing(kafka)) == {"topic DescribeConfigs", "group Describe"})
        assert "--operation DescribeConfigs --topic '*'" in missing(kafka)["topic DescribeConfigs"].hint
    finally:
        kafka.deny_all()


def test_the_hints_command_gives_the_right(kafka: GuardedKafka) -> None:
    wait_for("the rights are gone", lambda: len(missing(kafka)) == 3)
    try:
        for right in missing(kafka).values():
            command = right.hint.partition("kafka-cli acls ")[2]
            options = command.replace("--command-config /etc/kafka/admin.properties ", "").replace("'", "").split()
            # Where the test is an administrator without a login.
            options[1] = kafka.node.bootstrap
            kafka.node.run_tool("kafka.admin.AclCommand", *options)
        wait_for("nothing is hidden", lambda: not missing(kafka))
    finally:
        kafka.deny_all()


# -- the commands, and the clients of librdkafka --------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "partitions", "topics", "quorum", "whatif --lose 1"])
def test_a_command_over_sasl_ssl(rights: GuardedKafka, tmp_path: Path, command: str) -> None:
    wait_for("the rights are known to the broker", lambda: not missing(rights))

    def everything_known() -> bool:
        """On a busy machine the broker may answer one look too late."""
        _, report = obsctl(rights, tmp_path, "kafka", *command.split())
        return not report["errors"] and not [one for one in report["findings"] if one["severity"] == "unknown"]

    wait_for(f"a look of {command} that hides nothing", everything_known, seconds=20)


def test_lag_and_canary_and_acknowledgements_over_sasl_ssl(rights: GuardedKafka, tmp_path: Path) -> None:
    wait_for("the rights are known to the broker", lambda: not missing(rights))
    fleet = rights.fleet("LOGIN", rights.security(), (TOPIC,))
    producer = confluent_kafka.Producer(topic_log.writer_settings(fleet.brokers(), "test"))
    for number in range(10):
        producer.produce(TOPIC, f"line {number}".encode(), partition=0)
    assert producer.flush(20) == 0
    consumer = confluent_kafka.Consumer(clients.settings(fleet.brokers(), "test") | {"group.id": "readers"})
    consumer.commit(offsets=[confluent_kafka.TopicPartition(TOPIC, 0, 4)], asynchronous=False)
    consumer.close()
    _, lag = obsctl(rights, tmp_path, "kafka", "lag", "--window", "6s")
    assert [one for one in lag["findings"] if one["severity"] in ("critical", "unknown")] == []
    (group,) = [one for one in lag["data"]["groups"] if one["group"] == "readers"]
    assert group["lag"] == 6
    code, canary = obsctl(rights, tmp_path, "kafka", "canary", "--count", "3")
    assert (code, canary["findings"]) == (0, [])


def canary(kafka: GuardedKafka, security: Security) -> Finding:
    fleet = kafka.fleet("LOGIN", security)
    (finding,) = judge_canary(fleet, collect_canary(fleet, count=2))
    return finding


def test_a_canary_that_may_not_fly_says_nothing_of_the_brokers(kafka: GuardedKafka) -> None:
    wait_for("the rights are gone", lambda: len(missing(kafka)) == 3)
    unseen = canary(kafka, kafka.security())
    assert (unseen.code, unseen.severity) == ("KAFKA_ACL_MISSING", Severity.UNKNOWN)
    assert "--operation Describe --operation Write --operation Read --topic canary" in unseen.hint
    try:
        kafka.allow("topic", "canary", "DESCRIBE", "WRITE")
        wait_for("only reading is refused", lambda: "Fetch from broker" in canary(kafka, kafka.security()).summary)
        assert canary(kafka, kafka.security()).code == "KAFKA_ACL_MISSING"
    finally:
        kafka.deny_all()
    wrong = canary(kafka, kafka.security(password=f"file:{kafka.wrong_password_file}"))
    assert (wrong.code, wrong.severity) == ("KAFKA_CANARY_REFUSED", Severity.UNKNOWN)
    assert "Authentication failed" in wrong.summary


def test_a_topic_that_our_user_may_not_read_is_told_from_brokers_that_are_silent(kafka: GuardedKafka) -> None:
    wait_for("the rights are gone", lambda: len(missing(kafka)) == 3)
    brokers = kafka.fleet("LOGIN", kafka.security()).brokers()
    with pytest.raises(NotAllowedError):
        topic_log.write(brokers, "acknowledgements", "test", [(b"key", b"value")])
    kafka.allow("topic", "acknowledgements", "DESCRIBE")
    try:
        wait_for(
            "it may be seen", lambda: "acknowledgements" in clients.admin(brokers, "test").list_topics(timeout=5).topics
        )
        for use in (
            lambda: list(topic_log.read(brokers, "acknowledgements", "test")),
            lambda: topic_log.write(brokers, "acknowledgements", "test", [(b"key", b"value")]),
        ):
            with pytest.raises(NotAllowedError, match="read or write topic acknowledgements"):
                use()
    finally:
        kafka.deny_all()


def test_lag_without_rights_is_unknown_and_names_them(kafka: GuardedKafka, tmp_path: Path) -> None:
    wait_for("the rights are gone", lambda: len(missing(kafka)) == 3)
    code, lag = obsctl(kafka, tmp_path, "kafka", "lag", "--window", "6s")
    assert code == 3
    hidden = {one["object"] for one in lag["findings"] if one["code"] == "KAFKA_ACL_MISSING"}
    assert hidden == {"kafka/topic", "kafka/group"}


def test_a_topic_is_written_and_read_over_sasl_ssl(rights: GuardedKafka) -> None:
    wait_for("the rights are known to the broker", lambda: not missing(rights))
    brokers = rights.fleet("LOGIN", rights.security()).brokers()
    topic_log.write(brokers, "acknowledgements", "test", [(b"key", b"value")])
    assert [record.value for record in topic_log.read(brokers, "acknowledgements", "test")][-1] == b"value"
    asking = any_broker.AnyBroker(Brokers(["127.0.0.1:1", *brokers], brokers.security), "test")
    assert asking.ask(lambda client: client.list_topics(timeout=5).cluster_id)


def test_without_the_settings_the_same_client_gets_no_answer(rights: GuardedKafka) -> None:
    """What the tests above prove is the settings', not the listener's."""
    brokers = list(rights.fleet("LOGIN", rights.security()).brokers())
    with pytest.raises(NotAnsweredError):
        topic_log.write(brokers, "acknowledgements", USER, [(b"key", b"value")])


def test_the_consumer_stores_lines_over_sasl_ssl(rights: GuardedKafka, mariadb: MariaDB, tmp_path: Path) -> None:
    wait_for("the rights are known to the broker", lambda: not missing(rights))
    pipeline = Pipeline(rights.node, mariadb, tmp_path, "guarded")
    try:
        settings = pipeline.config()["kafka"]
        brokers = rights.fleet("LOGIN", rights.security()).brokers()
        security = msgspec.to_builtins(brokers.security)
        pipeline.start(kafka=settings | {"bootstrap": list(brokers), "security": security})
        pipeline.send([b"no log line"] * 20)
        pipeline.wait_kept(20)
    finally:
        pipeline.close()
