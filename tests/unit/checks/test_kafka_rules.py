"""Each rule about a cluster, as a table: what was seen, and what is said of it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from tests.unit.checks.kafka_cluster import FLEET, HEALTHY, QUORUM, broker, but, down, partition, voter, watched

from obsctl.checks.kafka.judge import (
    cluster_in_short,
    describe_cluster,
    describe_partitions,
    describe_topics,
    judge_cluster,
)
from obsctl.checks.kafka.rules import RULES, judged_by
from obsctl.checks.kafka.snapshot import (
    BARRED,
    CLEAR,
    EXPIRED,
    LOGIN,
    MUTE,
    NAME,
    NO_SASL,
    REFUSED,
    SASL,
    TLS,
    UNNAMED,
    UNREACHABLE,
    UNTRUSTED,
    Broker,
    Denied,
    KafkaSnapshot,
    Partition,
    TopicSettings,
)
from obsctl.checks.kafka.view import ClusterView
from obsctl.checks.kafka.writes import writes
from obsctl.core.brokers import IN_CLEAR, Security
from obsctl.core.report import Finding, Severity
from obsctl.fleet.login import connect_command
from obsctl.fleet.model import Fleet, Kafka, Ssh, Topic

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/commands.md"
CRITICAL, WARNING, UNKNOWN, INFO = Severity.CRITICAL, Severity.WARNING, Severity.UNKNOWN, Severity.INFO
WEEK_MS = 7 * 86_400_000


def found(seen: KafkaSnapshot, fleet: Fleet = FLEET) -> dict[str, Finding]:
    return {finding.code: finding for finding in judge_cluster(fleet, seen)}


def severities(seen: KafkaSnapshot, fleet: Fleet = FLEET) -> dict[str, Severity]:
    return {code: finding.severity for code, finding in found(seen, fleet).items()}


def parts(*changed: Partition) -> tuple[Partition, ...]:
    """Return the cluster's partitions with some of them changed."""
    return tuple({p.name: p for p in (*HEALTHY.partitions, *changed)}.values())


def test_the_rules_are_numbered_in_their_order_and_documented() -> None:
    assert [rule.number for rule in RULES] == list(range(1, len(RULES) + 1))
    codes = [code for rule in RULES for code in rule.codes]
    assert len(set(codes)) == len(codes)
    written = dict(re.findall(r"(?m)^\| (\d+) \| (`KAFKA_[^|]+) \|", PAGE.read_text()))
    assert {number: set(re.findall(r"`(\w+)`", cell)) for number, cell in written.items()} == {
        str(rule.number): set(rule.codes) for rule in RULES
    }


SICK = [
    but(brokers=(broker(1), down(2), broker(3, registered=False, cluster_id="c2"))),
    but(brokers=(broker(1), down(2), down(3)), quorum=None),
    but(partitions=parts(partition(0, leader=None), partition(1, isr=(1,)), partition(2, isr=(1, 2), adding=(3,)))),
    but(partitions=parts(watched(leo={1: 9, 2: 5, 3: 9}, later={1: 9, 2: 5, 3: 9}, hw=(5, 5)))),
    but(partitions=(), listed={7: "198.18.0.17:9092"}),
]


@pytest.mark.parametrize("seen", SICK)
def test_a_rule_makes_only_the_findings_that_it_declares(seen: KafkaSnapshot) -> None:
    view = ClusterView(FLEET, seen)
    for rule in RULES:
        assert {finding.code for finding in rule.judge(view)} <= set(rule.codes), rule.number
    assert {f.code for f in judged_by(RULES, view)} <= {f.code for f in judge_cluster(FLEET, seen)}


# How a broker is silent says what to look at.


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (UNNAMED, "set ansible_host of node3 in inventories/prod"),
        (REFUSED, "nothing listens on the port; on node3: systemctl status kafka"),
        (UNREACHABLE, "ssh -p 2222 ops@198.18.0.13 true"),
        (MUTE, "systemctl kill -s CONT kafka"),
        ("", "on node3: systemctl status kafka"),
    ],
)
def test_the_hint_about_a_silent_broker_follows_from_how_it_is_silent(kind: str, words: str) -> None:
    host = msgspec.structs.replace(FLEET.hosts[2], ssh=Ssh(user="ops", port=2222))
    fleet = msgspec.structs.replace(FLEET, hosts=(*FLEET.hosts[:2], host))
    seen = but(brokers=(broker(1), broker(2), msgspec.structs.replace(down(3), silence=kind)))
    assert words in found(seen, fleet)["KAFKA_BROKER_DOWN"].hint


# A broker that does not let us in is not down.

SASL_SSL = Security(protocol="SASL_SSL", user="obs ctl", password="vault:kafka", ca_file="/ca.pem")


def asked(security: Security) -> Fleet:
    return msgspec.structs.replace(FLEET, kafka=msgspec.structs.replace(FLEET.kafka, client=security))


def closed(node: int, kind: str) -> Broker:
    return msgspec.structs.replace(down(node), silence=kind, failure="why")


@pytest.mark.parametrize("kind", BARRED)
def test_a_closed_door_is_one_finding_for_all_brokers_and_nobody_is_down(kind: str) -> None:
    (finding,) = judge_cluster(asked(SASL_SSL), KafkaSnapshot(brokers=tuple(closed(node, kind) for node in (1, 2, 3))))
    assert finding.code in RULES[21].codes
    assert (finding.object, finding.evidence["brokers"], finding.evidence["kind"]) == ("kafka", [1, 2, 3], kind)
    assert finding.severity is (CRITICAL if kind == EXPIRED else UNKNOWN)
    assert "node1 (198.18.0.11:9092): why; the same of node2, node3" in finding.summary
    assert writes(FLEET, KafkaSnapshot(brokers=tuple(closed(node, kind) for node in (1, 2, 3)))) == ""


def test_each_way_has_its_own_code() -> None:
    codes = [judge_cluster(FLEET, KafkaSnapshot(brokers=(closed(1, kind),)))[0].code for kind in BARRED]
    assert tuple(codes) == RULES[21].codes


def test_a_closed_door_beside_brokers_that_answer_changes_nothing_else() -> None:
    """Its replicas are not known, which is no reason to call its partitions offline or short."""
    assert severities(but(brokers=(broker(1), broker(2), closed(3, LOGIN)))) == {"KAFKA_LOGIN_REFUSED": UNKNOWN}
    ask = but(brokers=(broker(1), closed(2, EXPIRED), closed(3, EXPIRED)), quorum=None)
    assert severities(ask) == {"KAFKA_CERT_EXPIRED": CRITICAL, "KAFKA_NO_CONTROLLER": UNKNOWN}


@pytest.mark.parametrize(
    ("kind", "security", "words"),
    [
        (TLS, IN_CLEAR, "is PLAINTEXT: set it to SSL, or SASL_SSL where users log in"),
        (TLS, Security(protocol="SASL_PLAINTEXT"), "set it to SASL_SSL,"),
        (CLEAR, SASL_SSL, "set it to SASL_PLAINTEXT,"),
        (CLEAR, Security(protocol="SSL"), "set it to PLAINTEXT,"),
        (SASL, Security(protocol="SSL"), "set it to SASL_SSL,"),
        (SASL, IN_CLEAR, "set it to SASL_PLAINTEXT,"),
        (NO_SASL, SASL_SSL, "set it to SSL,"),
        (
            UNTRUSTED,
            SASL_SSL,
            "kafka_client_ca_file is /ca.pem; who signed the broker's certificate: openssl s_client ",
        ),
        (UNTRUSTED, Security(protocol="SSL"), "this machine's authorities are trusted"),
        (LOGIN, SASL_SSL, "/etc/kafka/admin.properties --describe --entity-type users --entity-name 'obs ctl'"),
        (NAME, SASL_SSL, "ansible_host of node1 in inventories/prod"),
    ],
)
def test_the_hint_is_about_the_settings_that_there_are(kind: str, security: Security, words: str) -> None:
    (finding,) = judge_cluster(asked(security), KafkaSnapshot(brokers=(closed(1, kind),)))
    assert words in finding.hint


@pytest.mark.parametrize(
    ("security", "right", "command"),
    [
        (
            SASL_SSL,
            Denied(resource="topic", operation="Describe", names=("nginxlog",)),
            "on node1: kafka-cli acls --bootstrap-server 198.18.0.11:9092 --command-config "
            "/etc/kafka/admin.properties --add --allow-principal 'User:obs ctl' --operation Describe --operation "
            "DescribeConfigs --topic '*'",
        ),
        (
            IN_CLEAR,
            Denied(resource="cluster", operation="Describe"),
            "on node1: kafka-cli acls --bootstrap-server 198.18.0.11:9092 --add --allow-principal User:ANONYMOUS "
            "--operation Describe --cluster",
        ),
        (
            Security(protocol="SSL", certificate_file="/own.pem"),
            Denied(resource="group", operation="Describe", names=("g",)),
            "SUBJECT is what openssl x509 -noout -subject -nameopt RFC2253 -in /own.pem prints here behind subject=; "
            "on node1: kafka-cli acls --bootstrap-server 198.18.0.11:9092 --command-config /etc/kafka/admin.properties "
            "--add --allow-principal \"User:$SUBJECT\" --operation Describe --group '*'",
        ),
    ],
)
def test_a_right_that_is_missing_is_unknown_and_has_its_command(
    security: Security, right: Denied, command: str
) -> None:
    (finding,) = judge_cluster(asked(security), but(denied=(right,)))
    assert (finding.code, finding.severity) == ("KAFKA_ACL_MISSING", UNKNOWN)
    assert finding.hint == command


def test_a_cluster_that_may_not_be_described_has_no_lack_of_a_controller() -> None:
    seen = but(quorum=None, denied=(Denied(resource="cluster", operation="Describe"),))
    assert severities(seen) == {"KAFKA_ACL_MISSING": UNKNOWN}


def test_a_broker_that_the_inventory_does_not_know_is_named_with_what_it_leads() -> None:
    seen = but(
        listed={1: "a:9092", 2: "b:9092", 3: "c:9092", 7: "198.18.0.17:9092"},
        partitions=parts(partition(0, leader=7, replicas=(7, 1, 2), isr=(1, 2, 7), leo={1: 1, 2: 1, 7: None})),
    )
    finding = found(seen)["KAFKA_UNKNOWN_BROKER"]
    assert (finding.severity, finding.object, finding.evidence["led"]) == (WARNING, "broker/7", ["nginxlog-0"])
    assert "198.18.0.17:9092 is in the cluster but not in the inventory" in finding.summary


# Metadata that are not current are not judged by.

LONE = but(quorum=None, brokers=(broker(1), down(2, registered=True), down(3, registered=True)))


def test_without_a_majority_nothing_is_said_to_be_whole() -> None:
    assert severities(LONE) == {
        "KAFKA_BROKER_DOWN": CRITICAL,
        "KAFKA_NO_CONTROLLER": CRITICAL,
        "KAFKA_METADATA_STALE": UNKNOWN,
        "KAFKA_LEADER_SILENT": CRITICAL,
    }
    finding = found(LONE)["KAFKA_NO_CONTROLLER"]
    assert "only 1 of 3 controllers can be up, 2 are needed" in finding.summary
    assert "writes stop on 3 of 3 partitions, and lines pile up on the hosts" in finding.summary
    assert "bring back 1 of node2, node3" in finding.hint


def test_without_a_majority_no_number_of_the_last_metadata_passes_for_one_of_now() -> None:
    data = describe_cluster(FLEET, LONE)
    assert data["metadata"]["state"] == "stale"
    assert data["metrics"]["offline"] is None
    assert data["metrics"]["under_replicated"] is None
    assert {(row["leads"], row["in_sync"]) for row in data["brokers"]} == {(None, None)}
    assert {(row["whole"], row["offline"], row["verdict"]) for row in data["topics"]} == {(None, None, "not known")}
    rows = describe_partitions(FLEET, LONE)["partitions"]
    assert {(row["leader"], row["isr"], row["may_lose"]) for row in rows} == {(None, None, None)}
    assert [row["last_leader"] for row in rows] == [1, 2, 3]
    assert [row["state"] for row in rows] == ["last known", "leader silent", "leader silent"]
    assert data["headroom"]["may_lose"] is None


def test_the_line_of_health_says_no_more_than_is_known() -> None:
    assert cluster_in_short(FLEET, HEALTHY) == "3 of 3 brokers, 3 partitions, 0 under-replicated"
    assert cluster_in_short(FLEET, but(partitions=parts(partition(0, isr=(1, 2), adding=(3,))))).endswith(
        " 0 under-replicated"
    )
    assert cluster_in_short(FLEET, LONE) == (
        "1 of 3 brokers, 3 partitions as last known: only 1 of 3 controllers can be up"
    )


BEHIND = msgspec.structs.replace(QUORUM, voters=(voter(1, 0), voter(2), voter(3, 60_000)))
NO_MAJORITY = msgspec.structs.replace(QUORUM, voters=(voter(1, 0), voter(2, 9_000), voter(3, 9_000)))
ELECTED = msgspec.structs.replace(QUORUM, voters=(voter(1, 0), voter(2, None), voter(3, None)))
FOLLOWED = msgspec.structs.replace(QUORUM, observers=(voter(7, 300),))


@pytest.mark.parametrize(
    ("seen", "state", "age_ms"),
    [
        (HEALTHY, "current", 0),
        # The controller's own broker is silent: the age is that of the next one.
        (but(brokers=(down(1), broker(2), broker(3))), "current", 100),
        # Only a broker that no longer follows the controller answers us.
        (but(brokers=(down(1), down(2), broker(3)), quorum=BEHIND), "stale", None),
        (but(quorum=NO_MAJORITY), "stale", None),
        # Right after an election the new leader has not heard of the others yet.
        (but(quorum=ELECTED), "unproved", None),
        (but(brokers=(down(1), down(2), broker(3)), quorum=ELECTED), "unproved", None),
        (but(quorum=None), "unproved", None),
        (but(quorum=None, brokers=(broker(1), broker(2), down(3))), "unproved", None),
        (but(quorum=None, brokers=(broker(1), down(2), down(3))), "stale", None),
        (but(quorum=None, brokers=tuple(broker(n, registered=False) for n in (1, 2, 3))), "stale", None),
        (but(brokers=(broker(7),), quorum=FOLLOWED), "current", 300),
        (but(brokers=(broker(8),), quorum=FOLLOWED), "unproved", None),
    ],
)
def test_how_far_metadata_can_be_trusted(seen: KafkaSnapshot, state: str, age_ms: int | None) -> None:
    metadata = ClusterView(FLEET, seen).metadata
    assert (metadata.state, metadata.age_ms) == (state, age_ms)
    assert bool(metadata.why) == (state != "current")


def test_in_the_first_seconds_after_a_death_its_in_sync_count_is_not_shown_as_one() -> None:
    rows = describe_cluster(FLEET, but(brokers=(broker(1), broker(2), down(3, registered=True))))["brokers"]
    assert [(row["in_sync"], row["last_in_sync"]) for row in rows] == [(3, 3), (3, 3), (None, 3)]


def test_a_broker_that_was_taken_out_has_no_replica_in_sync_and_that_is_known() -> None:
    taken_out = tuple(partition(n, isr=(1, 2), leader=1 + n % 2) for n in range(3))
    rows = describe_cluster(FLEET, but(brokers=(broker(1), broker(2), down(3)), partitions=taken_out))["brokers"]
    assert (rows[2]["leads"], rows[2]["in_sync"]) == (0, 0)


def test_a_silent_leader_with_nobody_in_sync_beside_it_is_critical() -> None:
    alone = parts(partition(2, isr=(3,)))
    seen = but(brokers=(broker(1), broker(2), down(3, registered=True)), partitions=alone)
    assert severities(seen)["KAFKA_LEADER_SILENT"] is CRITICAL


# Replicas and high watermarks, by two looks.


@pytest.mark.parametrize(
    ("name", "seen", "codes"),
    [
        (
            "a follower of three does not fetch, and is in the ISR",
            watched(leo={1: 642, 2: 591, 3: 642}, later={1: 650, 2: 591, 3: 650}, hw=(591, 591)),
            {"KAFKA_WATERMARK_STUCK": CRITICAL, "KAFKA_FOLLOWER_STUCK": WARNING},
        ),
        (
            "the same, and nobody writes meanwhile",
            watched(leo={1: 642, 2: 591, 3: 642}, later={1: 642, 2: 591, 3: 642}, hw=(591, 591)),
            {"KAFKA_WATERMARK_STUCK": CRITICAL, "KAFKA_FOLLOWER_STUCK": WARNING},
        ),
        (
            "out of the ISR already",
            watched(leo={1: 642, 2: 591, 3: 642}, later={1: 650, 2: 591, 3: 650}, hw=(642, 650), isr=(1, 3)),
            {"KAFKA_FOLLOWER_STUCK": WARNING, "KAFKA_AT_MIN_ISR": WARNING, "KAFKA_UNDER_REPLICATED": WARNING},
        ),
        (
            "slow: behind, and moving",
            watched(leo={1: 9000, 2: 1000, 3: 9000}, later={1: 9900, 2: 4000, 3: 9900}, hw=(9000, 9900), isr=(1, 3)),
            {"KAFKA_AT_MIN_ISR": WARNING, "KAFKA_UNDER_REPLICATED": WARNING},
        ),
        ("slow, in the ISR", watched(leo={1: 90, 2: 80, 3: 90}, later={1: 95, 2: 85, 3: 95}, hw=(80, 85)), {}),
        ("too short a look", watched(leo={1: 9, 2: 5, 3: 9}, later={1: 9, 2: 5, 3: 9}, hw=(5, 5), after_s=0.15), {}),
        ("no leader later", watched(leo={1: 9, 2: 5, 3: 9}, later={1: None, 2: None, 3: 9}, hw=(5, None)), {}),
        ("idle", partition(0), {}),
    ],
)  # fmt: skip
def test_stuck_is_told_from_slow_and_from_idle(name: str, seen: Partition, codes: dict[str, Severity]) -> None:
    assert severities(but(partitions=parts(seen))) == codes, name


def test_a_silent_broker_in_the_isr_is_named_as_what_the_high_watermark_waits_for() -> None:
    stuck = watched(leo={1: 642, 2: None, 3: 642}, later={1: 642, 2: None, 3: 642}, hw=(591, 591))
    seen = but(brokers=(broker(1), down(2, registered=True), broker(3)), partitions=parts(stuck))
    finding = found(seen)["KAFKA_WATERMARK_STUCK"]
    assert finding.evidence["held_back_by"] == [2]
    assert "51 records wait for broker 2, in the ISR and not answering: nginxlog-0" in finding.summary


def test_a_follower_that_has_all_and_no_longer_asks_is_one_of_those_that_may_be_to_blame() -> None:
    """Its leader moves the mark with the fetch that follows, so the log ends alone do not say which one it is."""
    stuck = watched(leo={1: 642, 2: 642, 3: 642}, later={1: 642, 2: 642, 3: 642}, hw=(641, 641))
    finding = found(but(partitions=parts(stuck)))["KAFKA_WATERMARK_STUCK"]
    assert "1 record waits for one of brokers 2 and 3, in the ISR" in finding.summary
    assert "on node2: timeout 3 bash -c '</dev/tcp/198.18.0.11/9092' && echo open" in finding.hint
    assert "on node3: timeout 3 bash -c '</dev/tcp/198.18.0.11/9092' && echo open" in finding.hint
    assert finding.evidence["held_back_by"] == []


def test_the_stuck_follower_is_told_its_leaders_and_how_to_test_the_way_to_them() -> None:
    stuck = watched(leo={1: 642, 2: 591, 3: 642}, later={1: 650, 2: 591, 3: 650}, hw=(591, 591))
    finding = found(but(partitions=parts(stuck)))["KAFKA_FOLLOWER_STUCK"]
    assert finding.object == "broker/2"
    assert "fetches nothing from broker 1" in finding.summary
    assert "up to 51 behind, nginxlog-0" in finding.summary
    reach = "; ".join(connect_command(address, 9092) for address in ("198.18.0.11", "198.18.0.13"))
    assert finding.hint.startswith(f"on node2: {reach}")


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (partition(0), "ok"),
        (partition(0, leader=None), "offline"),
        (partition(0, isr=(1,)), "under min ISR"),
        (partition(0, isr=(1, 3)), "under-replicated"),
        (partition(0, isr=(1, 2), adding=(3,)), "being reassigned"),
        (watched(leo={1: 9, 2: 5, 3: 9}, later={1: 9, 2: 5, 3: 9}, hw=(5, 5)), "watermark stuck"),
        (watched(leo={1: 9, 2: 5, 3: 9}, later={1: 9, 2: 5, 3: 9}, hw=(9, 9), isr=(1, 3)), "2 stuck"),
        (watched(leo={1: 9, 2: 5, 3: 9}, later={1: 9, 2: 7, 3: 9}, hw=(9, 9), isr=(1, 3)), "2 catching up"),
    ],
)
def test_the_state_of_a_partition_in_a_few_words(seen: Partition, state: str) -> None:
    assert describe_partitions(FLEET, but(partitions=parts(seen)))["partitions"][0]["state"] == state


def test_a_partition_counts_a_silent_broker_as_not_sure() -> None:
    rows = describe_partitions(FLEET, but(brokers=(broker(1), broker(2), down(3, registered=True))))["partitions"]
    assert [row["state"] for row in rows] == ["ISR unsure", "ISR unsure", "leader silent"]


# Reassignments.


def test_a_replica_that_is_being_added_is_not_missing() -> None:
    seen = but(partitions=parts(partition(0, isr=(1, 2), adding=(3,))))
    assert severities(seen) == {"KAFKA_REASSIGNING": INFO}
    assert "copies are added on broker 3: nginxlog-0" in found(seen)["KAFKA_REASSIGNING"].summary


@pytest.mark.parametrize(("known", "words"), [(True, False), (False, True)])
def test_where_no_controller_spoke_of_reassignments_a_missing_replica_may_be_a_new_one(
    known: bool, words: bool
) -> None:
    seen = but(partitions=parts(partition(0, isr=(1, 2))), reassignments_known=known)
    assert ("only be new replicas" in found(seen)["KAFKA_UNDER_REPLICATED"].hint) is words


def test_one_that_was_there_before_is_missed_also_while_another_is_added() -> None:
    moving = partition(0, replicas=(1, 2, 3, 4), isr=(1, 3), adding=(4,), removing=(2,))
    codes = severities(but(partitions=parts(moving)))
    assert "KAFKA_UNDER_REPLICATED" in codes
    assert (
        "copies are added on broker 4 and those on broker 2 are removed"
        in found(but(partitions=parts(moving)))["KAFKA_REASSIGNING"].summary
    )


# Topics.

WANTING = msgspec.structs.replace(
    FLEET,
    kafka=Kafka(
        retention_ms=WEEK_MS,
        topics=(Topic(name="nginxlog", partitions=3), Topic(name="kept", partitions=1, configs={"retention.ms": 1000})),
    ),
)


def made(name: str, replicas: tuple[int, ...], **changes: object) -> Partition:
    values = {"topic": name, "leader": replicas[0], "replicas": replicas, "isr": replicas, **changes}
    return partition(0, leo=dict.fromkeys(replicas, 100), **values)


def settings(**changes: object) -> TopicSettings:
    return TopicSettings(**{"retention_ms": WEEK_MS, "cleanup": "delete", "unclean": False, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("added", "configured", "codes"),
    [
        (made("handmade", (1,), min_isr=1), {}, {"KAFKA_REPLICATION_FACTOR": WARNING}),
        (made("rf2", (1, 2), min_isr=2), {}, {"KAFKA_REPLICATION_FACTOR": INFO, "KAFKA_MIN_ISR_HIGH": WARNING}),
        (made("rf2", (1, 2), min_isr=1), {}, {"KAFKA_REPLICATION_FACTOR": INFO}),
        (made("fine", (1, 2, 3)), {"fine": settings()}, {}),
        (made("risky", (1, 2, 3)), {"risky": settings(unclean=True)}, {"KAFKA_UNCLEAN_ELECTION": WARNING}),
        # How long others keep their own records is their business.
        (made("short", (1, 2, 3)), {"short": settings(retention_ms=60_000)}, {}),
        (made("__consumer_offsets", (1,), internal=True), {}, {"KAFKA_REPLICATION_FACTOR": WARNING}),
        (made("kept", (1, 2, 3)), {"kept": settings(retention_ms=1000)}, {}),
        (made("kept", (1, 2, 3)), {"kept": settings(retention_ms=999)}, {"KAFKA_RETENTION_SHORT": WARNING}),
        (partition(0), {"nginxlog": settings(retention_ms=60_000)}, {"KAFKA_RETENTION_SHORT": WARNING}),
        (partition(0), {"nginxlog": settings(retention_ms=-1)}, {}),
        (partition(0), {"nginxlog": settings(retention_ms=60_000, cleanup="compact")}, {}),
    ],
)
def test_every_topic_is_judged(
    added: Partition, configured: dict[str, TopicSettings], codes: dict[str, Severity]
) -> None:
    kept = made("kept", (1, 2, 3))
    seen = but(partitions=parts(kept, added), settings=configured)
    assert severities(seen, WANTING) == codes


def test_a_document_of_an_earlier_release_says_nothing_of_retention() -> None:
    assert severities(but(settings={"nginxlog": settings(retention_ms=60_000)})) == {}


def test_what_is_wrong_with_foreign_topics_is_one_finding_a_kind() -> None:
    thin = [made(f"t{number}", (1,), min_isr=1) for number in range(20)]
    (finding,) = judge_cluster(FLEET, but(partitions=parts(*thin)))
    assert finding.object == "kafka"
    assert "20 topics that are not in the inventory: t0 (RF 1), t1 (RF 1)" in finding.summary
    assert len(finding.evidence["topics"]) == 20


CONFIGS = "on node1: kafka-cli configs --bootstrap-server 198.18.0.11:9092"


@pytest.mark.parametrize(
    ("added", "configured", "hint"),
    [
        (
            made("handmade", (2,), min_isr=1),
            {},
            'on node1: echo \'{"version":1,"partitions":[{"topic":"handmade","partition":0,"replicas":[2,3,1]}]}\' > '
            "/tmp/handmade.json && kafka-cli reassign --bootstrap-server 198.18.0.11:9092 --reassignment-json-file "
            "/tmp/handmade.json --execute",
        ),
        (
            made("rf2", (1, 2), min_isr=2),
            {},
            f"{CONFIGS} --alter --entity-type topics --entity-name rf2 --add-config min.insync.replicas=1",
        ),
        (
            partition(0),
            {"nginxlog": settings(retention_ms=60_000)},
            f"{CONFIGS} --alter --entity-type topics --entity-name nginxlog --delete-config retention.ms",
        ),
        (
            made("kept", (1, 2, 3)),
            {"kept": settings(retention_ms=10)},
            "ansible-playbook playbooks/kafka.yml -i inventories/prod sets it",
        ),
    ],
)
def test_the_command_that_mends_a_topic(added: Partition, configured: dict[str, TopicSettings], hint: str) -> None:
    seen = but(partitions=parts(made("kept", (1, 2, 3)), added), settings=configured)
    assert hint in [finding.hint for finding in judge_cluster(WANTING, seen)]


def test_a_topic_that_we_may_not_see_is_not_missing() -> None:
    assert "KAFKA_TOPIC_MISSING" in severities(but(partitions=()))
    assert severities(but(partitions=(), hidden=("nginxlog",))) == {}


def test_a_finding_names_the_partitions_of_the_inventory_first() -> None:
    offsets = [made("__consumer_offsets", (1, 2, 3), isr=(1, 2), internal=True), made("aaa", (1, 2, 3), isr=(1, 2))]
    seen = but(partitions=parts(*offsets, partition(0, isr=(1, 2))))
    names = found(seen)["KAFKA_UNDER_REPLICATED"].evidence["partitions"]
    assert names == ["nginxlog-0", "aaa-0", "__consumer_offsets-0"]


def test_topics_of_the_inventory_come_first_and_kafkas_own_last() -> None:
    seen = but(partitions=parts(made("__consumer_offsets", (1, 2, 3), internal=True), made("a", (1, 2, 3))))
    rows = describe_topics(FLEET, seen)["topics"]
    assert [row["topic"] for row in rows] == ["nginxlog", "a", "__consumer_offsets"]
    folded = {row["topic"]: row["folded"] for row in describe_partitions(FLEET, seen)["partitions"]}
    assert folded == {"nginxlog": False, "a": False, "__consumer_offsets": True}


def test_a_partition_of_kafkas_own_that_is_not_well_is_shown() -> None:
    seen = but(partitions=parts(made("__consumer_offsets", (1, 2, 3), isr=(1,), internal=True)))
    rows = describe_partitions(FLEET, seen)
    assert [row["folded"] for row in rows["partitions"] if row["topic"] == "__consumer_offsets"] == [False]
    assert rows["internal"][0]["well"] == 0
