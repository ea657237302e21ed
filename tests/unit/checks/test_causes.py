"""Which findings follow from which: each fault of a fleet with the cause that its findings have."""

from __future__ import annotations

from typing import Any

import pytest

from obsctl.checks import causes
from obsctl.checks.causes import RULES, host_of, with_causes
from obsctl.core.report import Finding, Severity, following, in_order, roots
from obsctl.fleet.model import Database, Fleet, Host, KafkaNode

FLEET = Fleet(
    hosts=(
        *(
            Host(
                name=f"node{i}",
                address=f"192.0.2.{i}",
                groups=("lb", "backend", "kafka", "filebeat"),
                kafka=KafkaNode(node_id=i),
            )
            for i in (1, 2, 3)
        ),
        Host(name="db1", address="192.0.2.21", groups=("mysql",)),
        Host(name="app1", address="192.0.2.31", groups=("consumer",)),
    ),
    database=Database(host="192.0.2.21", service="mariadb"),
)
_DB, _CONSUMER, _ALERTER = "database/192.0.2.21", "obsctl-consumer/app1", "obsctl-alerter/app1"


def _f(code: str, name: str, severity: Severity = Severity.CRITICAL, **evidence: Any) -> Finding:
    return Finding(code=code, severity=severity, object=name, summary="", evidence=evidence)


def _short(code: str, *missing: int, partitions: tuple[str, ...] = ("t-0",)) -> Finding:
    return _f(code, "kafka", Severity.WARNING, missing_replicas_on=list(missing), partitions=list(partitions))


def _causes(*findings: Finding) -> dict[str, list[str]]:
    """Return for each finding, by code and object, the ones that it follows from."""
    return {f"{f.code} {f.object}": [f"{c.code} {c.object}" for c in f.caused_by] for f in with_causes(FLEET, findings)}


def _alone(*findings: Finding) -> list[str]:
    return [f"{f.code} {f.object}" for f in roots(with_causes(FLEET, findings))]


WARNING = Severity.WARNING
HOST_DOWN = _f("HEALTH_HOST_DOWN", "host/node2", WARNING)
BROKER_DOWN = _f("KAFKA_BROKER_DOWN", "broker/2")

#: The faults of a fleet, by name: what is found, and which of it is the cause of all the rest.
FAULTS = {
    "a host is killed": (
        [
            BROKER_DOWN,
            _f("KAFKA_QUORUM_VOTER_LAGGING", "controller/2", behind_ms=9_000),
            _short("KAFKA_AT_MIN_ISR", 2),
            _short("KAFKA_UNDER_REPLICATED", 2),
            _f("KAFKA_LEADER_SKEW", "kafka", Severity.INFO),
            _f("LB_NODE_UNREACHABLE", "host/node2", WARNING),
            HOST_DOWN,
            _f("HEALTH_BACKEND_DOWN", "backend/node2", WARNING),
        ],
        ["HEALTH_HOST_DOWN host/node2"],
    ),
    "a host's clock is years behind": (
        [_f("CERT_CLOCK", "host/node2"), _f("HEALTH_CLOCK_SKEW", "host/node2")],
        ["HEALTH_CLOCK_SKEW host/node2"],
    ),
    "a broker's certificate has expired": (
        [_f("KAFKA_CERT_EXPIRED", "broker/2", brokers=[2]), _f("CERT_EXPIRED", "kafka/node2")],
        ["CERT_EXPIRED kafka/node2"],
    ),
    "a broker was restarted with a certificate of a foreign CA, and does not start": (
        [
            BROKER_DOWN,
            _f("HEALTH_SERVICE_DOWN", "kafka/node2", WARNING),
            _short("KAFKA_AT_MIN_ISR", 2),
            _f("CERT_UNTRUSTED", "kafka/node2"),
        ],
        ["CERT_UNTRUSTED kafka/node2"],
    ),
    "the same, in a moment when its unit is active": (
        [BROKER_DOWN, _f("CERT_UNTRUSTED", "kafka/node2")],
        ["CERT_UNTRUSTED kafka/node2"],
    ),
    "the database presents a certificate of a foreign CA": (
        [
            _f("HEALTH_DATABASE_TLS", _DB),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["database"]),
            _f("CERT_UNTRUSTED", "mysql/db1"),
        ],
        ["CERT_UNTRUSTED mysql/db1"],
    ),
    "a back end's certificate has another name": (
        [_f("HEALTH_BACKEND_DOWN", "backend/node3", WARNING), _f("CERT_NAME_MISMATCH", "backend/node3")],
        ["CERT_NAME_MISMATCH backend/node3"],
    ),
    "the holder's certificate has expired": (
        [_f("VIP_CERTIFICATE_REFUSED", "host/node1", kind="expired"), _f("CERT_EXPIRED", "nginx/node1")],
        ["CERT_EXPIRED nginx/node1"],
    ),
    "a balancer's certificate has expired, and who holds the address is not known": (
        [
            _f("VIP_CERTIFICATE_REFUSED", "vip/192.0.2.100", kind="expired"),
            _f("VIP_CERTIFICATE_REFUSED", "host/node1", WARNING, kind="expired"),
            _f("CERT_EXPIRED", "nginx/node1"),
        ],
        ["CERT_EXPIRED nginx/node1"],
    ),
    "a balancer speaks clear text on the port of TLS, and who holds the address is not known": (
        [
            _f("VIP_WRONG_PROTOCOL", "vip/192.0.2.100", kind="clear"),
            _f("VIP_WRONG_PROTOCOL", "host/node1", WARNING, kind="clear"),
        ],
        ["VIP_WRONG_PROTOCOL host/node1"],
    ),
    "the address presents a certificate that verify lb refuses": (
        [
            _f("VIP_CERTIFICATE_REFUSED", "vip/192.0.2.100", kind="authority"),
            _f("LB_TOO_FEW_ANSWERS", "lb", Severity.UNKNOWN),
        ],
        ["VIP_CERTIFICATE_REFUSED vip/192.0.2.100"],
    ),
    "two hosts are killed": (
        [
            _f("KAFKA_BROKER_DOWN", "broker/1"),
            BROKER_DOWN,
            _f("KAFKA_NO_CONTROLLER", "kafka/quorum"),
            _short("KAFKA_OFFLINE_PARTITIONS", 1, 2),
            _short("KAFKA_UNDER_MIN_ISR", 1, 2),
            _f("HEALTH_HOST_DOWN", "host/node1", WARNING),
            HOST_DOWN,
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["kafka", "nginxlog/0 end"], status="waiting"),
            _f("HEALTH_ALERTER_WAITING", _ALERTER, status="failing"),
        ],
        ["HEALTH_HOST_DOWN host/node1", "HEALTH_HOST_DOWN host/node2"],
    ),
    "the database's host is killed": (
        [
            _f("HEALTH_HOST_DOWN", "host/db1"),
            _f("HEALTH_DATABASE_DOWN", _DB),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["database", "upkeep"]),
            _f("KAFKA_LAG", "group/obsctl-consumer", WARNING),
        ],
        ["HEALTH_HOST_DOWN host/db1"],
    ),
    "the consumer's host is killed": (
        [
            _f("HEALTH_HOST_DOWN", "host/app1"),
            _f("HEALTH_CONSUMER_DOWN", _CONSUMER),
            _f("HEALTH_ALERTER_DOWN", _ALERTER),
            _f("KAFKA_LAG", "group/obsctl-consumer", WARNING),
            _f("KAFKA_LAG", "group/obsctl-alerter", WARNING),
        ],
        ["HEALTH_HOST_DOWN host/app1"],
    ),
    "all balancers are killed": (
        [
            *(_f("LB_NODE_UNREACHABLE", f"host/node{i}", WARNING) for i in (1, 2, 3)),
            _f("VIP_UNREACHABLE", "vip/192.0.2.100"),
            _f("LB_TOO_FEW_ANSWERS", "lb", Severity.UNKNOWN),
        ],
        [f"LB_NODE_UNREACHABLE host/node{i}" for i in (1, 2, 3)],
    ),
    "the brokers' certificates have expired": (
        [
            _f("KAFKA_CERT_EXPIRED", "kafka"),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["kafka", "nginxlog/0 end"], status="waiting"),
            _f("HEALTH_ALERTER_WAITING", _ALERTER, status="failing"),
            _f("LOGS_ROW_MISSING", "logs/node1"),
        ],
        ["KAFKA_CERT_EXPIRED kafka"],
    ),
    "a broker hangs": (
        [
            _f("KAFKA_BROKER_DOWN", "broker/2"),
            _short("KAFKA_UNDER_REPLICATED", 2),
            _f("HEALTH_SERVICE_FROZEN", "kafka/node2", WARNING),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["kafka"]),
        ],
        ["HEALTH_SERVICE_FROZEN kafka/node2"],
    ),
    "a broker that leads partitions hangs, before another one leads them": (
        [
            BROKER_DOWN,
            _f("KAFKA_LEADER_SILENT", "kafka", WARNING, leaders=[2]),
            _f("KAFKA_WATERMARK_STUCK", "kafka", held_back_by=[2]),
        ],
        ["KAFKA_BROKER_DOWN broker/2"],
    ),
    "a follower is cut from its leaders": (
        [_f("KAFKA_FOLLOWER_STUCK", "broker/2", WARNING), _f("KAFKA_WATERMARK_STUCK", "kafka", held_back_by=[2])],
        ["KAFKA_FOLLOWER_STUCK broker/2"],
    ),
    "a follower is cut from its leaders, and Kafka has noticed": (
        [_f("KAFKA_FOLLOWER_STUCK", "broker/2", WARNING), _short("KAFKA_UNDER_REPLICATED", 2)],
        ["KAFKA_FOLLOWER_STUCK broker/2"],
    ),
    "a follower is cut from its leaders, and lines wait for it": (
        [
            _f("KAFKA_FOLLOWER_STUCK", "broker/2", WARNING),
            _f("KAFKA_WATERMARK_STUCK", "kafka", held_back_by=[2]),
            _f("LOGS_LATE", "filebeat/node1"),
            _f("HEALTH_ALERTER_WAITING", "obsctl-alerter", standby=["app1"]),
        ],
        ["KAFKA_FOLLOWER_STUCK broker/2"],
    ),
    "a follower is cut from its leaders, and no alerter gets a place in its group": (
        [
            _f("KAFKA_FOLLOWER_STUCK", "broker/2", WARNING),
            _f("HEALTH_ALERTER_WAITING", "obsctl-alerter", standby=["app1"]),
        ],
        ["KAFKA_FOLLOWER_STUCK broker/2"],
    ),
    "no controller": (
        [_f("KAFKA_NO_CONTROLLER", "kafka/quorum"), _f("KAFKA_METADATA_STALE", "kafka/metadata", Severity.UNKNOWN)],
        ["KAFKA_NO_CONTROLLER kafka/quorum"],
    ),
    "a shipper hangs": (
        [
            _f("LOGS_SHIPPER_SILENT", "filebeat/node2"),
            _f("LOGS_LATE", "filebeat/node2"),
            _f("HEALTH_SERVICE_FROZEN", "filebeat/node2"),
        ],
        ["HEALTH_SERVICE_FROZEN filebeat/node2"],
    ),
    "a followed line is not read by a shipper that may not read the log": (
        [_f("LOGS_NOT_READ", "host/node2"), _f("LOGS_UNREADABLE", "filebeat/node2")],
        ["LOGS_UNREADABLE filebeat/node2"],
    ),
    "a cluster takes no records": (
        [_f("KAFKA_UNDER_MIN_ISR", "kafka", missing_replicas_on=[1, 2]), _f("LOGS_LATE", "filebeat/node1")],
        ["KAFKA_UNDER_MIN_ISR kafka"],
    ),
    "a broker hangs, and a shipper waits for what it led": (
        [
            _f("HEALTH_SERVICE_FROZEN", "kafka/node2", WARNING),
            BROKER_DOWN,
            _f("LOGS_LATE", "filebeat/node1", WARNING, read=True),
        ],
        ["HEALTH_SERVICE_FROZEN kafka/node2"],
    ),
    "rows are missing because the database is away": (
        [_f("HEALTH_DATABASE_DOWN", _DB), _f("LOGS_ROW_MISSING", "filebeat/node1", WARNING)],
        [f"HEALTH_DATABASE_DOWN {_DB}"],
    ),
    "a broker is away, and the alerter's group and topics wait for another one": (
        [
            BROKER_DOWN,
            _f("HEALTH_ALERTER_WAITING", _ALERTER, status="degraded", reason="group obsctl-alerter is being joined"),
            _f("HEALTH_ALERTER_WAITING", "obsctl-alerter/app2", reason="Kafka does not answer for topic t: obsctl x"),
        ],
        ["KAFKA_BROKER_DOWN broker/2"],
    ),
    "a broker's unit is stopped": (
        [BROKER_DOWN, _short("KAFKA_AT_MIN_ISR", 2), _f("HEALTH_SERVICE_DOWN", "kafka/node2", WARNING)],
        ["HEALTH_SERVICE_DOWN kafka/node2"],
    ),
    "a broker's disk is full, and it has died of it": (
        [
            BROKER_DOWN,
            _short("KAFKA_UNDER_REPLICATED", 2),
            _f("HEALTH_SERVICE_DOWN", "kafka/node2", WARNING, state="failed"),
            _f("HEALTH_DISK_FULL", "host/node2", mount="/var/lib/kafka", free_share=0.0, free_bytes=0),
        ],
        ["HEALTH_DISK_FULL host/node2"],
    ),
    "a broker's disk is full, and it is about to end": (
        [
            _f("HEALTH_SERVICE_FROZEN", "kafka/node2", WARNING),
            _f("HEALTH_DISK_FULL", "host/node2", mount="/var/lib/kafka", free_share=0.0, free_bytes=0),
        ],
        ["HEALTH_DISK_FULL host/node2"],
    ),
    "a disk is full, and the database has died of it": (
        [
            _f("HEALTH_DATABASE_DOWN", "mariadb/db1", state="failed"),
            _f("HEALTH_DISK_FULL", "host/db1", mount="/", free_share=0.001, free_bytes=9),
        ],
        ["HEALTH_DISK_FULL host/db1"],
    ),
    "a broker's disk is nearly full": (
        [
            _f("KAFKA_DISK_LOW", "broker/2", path="/var/lib/kafka/data", usable_bytes=1_000_000),
            _f("HEALTH_DISK_FULL", "host/node2", mount="/var/lib/kafka", free_share=0.03, free_bytes=1_010_000),
        ],
        ["HEALTH_DISK_FULL host/node2"],
    ),
    "a follower lags": (
        [_short("KAFKA_AT_MIN_ISR", 2), _short("KAFKA_UNDER_REPLICATED", 2, partitions=("t-0", "u-0"))],
        ["KAFKA_UNDER_REPLICATED kafka"],
    ),
    "the database's unit is stopped": (
        [
            _f("HEALTH_DATABASE_DOWN", "mariadb/db1", state="inactive"),
            _f("HEALTH_DATABASE_DOWN", _DB),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["database", "nginxlog/0"]),
            _f("CONSUMER_BEHIND", "partition/nginxlog/0", WARNING),
        ],
        ["HEALTH_DATABASE_DOWN mariadb/db1"],
    ),
    "the database's certificate is not believed": (
        [
            _f("HEALTH_DATABASE_TLS", _DB),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["database", "nginxlog/0"]),
            _f("LOGS_ROW_MISSING", "filebeat/node1", WARNING),
        ],
        [f"HEALTH_DATABASE_TLS {_DB}"],
    ),
    "the database hangs": (
        [
            _f("HEALTH_SERVICE_FROZEN", "mariadb/db1"),
            _f("HEALTH_DATABASE_DOWN", _DB),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["database"]),
        ],
        ["HEALTH_SERVICE_FROZEN mariadb/db1"],
    ),
    "the database's disk is full, and it answers": (
        [
            _f("HEALTH_DISK_FULL", "host/db1", mount="/", free_share=0.0, free_bytes=0),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["database"]),
        ],
        ["HEALTH_DISK_FULL host/db1"],
    ),
    "the consumer is stopped": (
        [
            _f("HEALTH_CONSUMER_DOWN", _CONSUMER, state="inactive"),
            _f("KAFKA_LAG", "group/obsctl-consumer", WARNING),
            _f("KAFKA_GROUP_UNREAD", "group/obsctl-consumer", WARNING),
            _f("CONSUMER_BEHIND", "partition/nginxlog/0", WARNING),
        ],
        [f"HEALTH_CONSUMER_DOWN {_CONSUMER}"],
    ),
    "nginx is stopped on the holder": (
        [
            _f("HEALTH_SERVICE_DOWN", "nginx/node3", WARNING),
            _f("VIP_NGINX_DOWN", "host/node3", holds_vip=True),
            _f("VIP_UNREACHABLE", "vip/192.0.2.100"),
        ],
        ["HEALTH_SERVICE_DOWN nginx/node3"],
    ),
    "nginx hangs on the holder": (
        [
            _f("HEALTH_SERVICE_FROZEN", "nginx/node3", WARNING),
            _f("VIP_NGINX_DOWN", "host/node3", holds_vip=True),
            _f("VIP_UNREACHABLE", "vip/192.0.2.100"),
        ],
        ["HEALTH_SERVICE_FROZEN nginx/node3"],
    ),
    "keepalived is stopped on the holder": (
        [
            _f("HEALTH_SERVICE_DOWN", "keepalived/node2", WARNING),
            _f("VIP_KEEPALIVED_DOWN", "host/node2", holds_vip=True),
            _f("VIP_SPLIT_BRAIN", "vip/192.0.2.100", holders=["node1", "node2"], left_behind=["node2"]),
        ],
        ["HEALTH_SERVICE_DOWN keepalived/node2"],
    ),
    "keepalived hangs on the holder": (
        [
            _f("HEALTH_SERVICE_FROZEN", "keepalived/node2", WARNING),
            _f("VIP_SPLIT_BRAIN", "vip/192.0.2.100", holders=["node1", "node2"], left_behind=[]),
        ],
        ["HEALTH_SERVICE_FROZEN keepalived/node2"],
    ),
    "keepalived is stopped everywhere": (
        [
            *(_f("VIP_KEEPALIVED_DOWN", f"host/node{i}", WARNING) for i in (1, 2, 3)),
            _f("VIP_NO_HOLDER", "vip/192.0.2.100"),
        ],
        [f"VIP_KEEPALIVED_DOWN host/node{i}" for i in (1, 2, 3)],
    ),
    "a back end is stopped": (
        [
            _f("HEALTH_SERVICE_DOWN", "obs-backend/node1", WARNING),
            _f("HEALTH_BACKEND_DOWN", "backend/node1", WARNING),
        ],
        ["HEALTH_SERVICE_DOWN obs-backend/node1"],
    ),
    "a back end hangs": (
        [
            _f("HEALTH_SERVICE_FROZEN", "obs-backend/node1", WARNING),
            _f("HEALTH_BACKEND_DOWN", "backend/node1", WARNING),
        ],
        ["HEALTH_SERVICE_FROZEN obs-backend/node1"],
    ),
    "a back end hangs, and the requests of the check have come to it": (
        [
            _f("VIP_UNREACHABLE", "vip/192.0.2.100"),
            _f("VIP_NGINX_DOWN", "host/node1", WARNING, holds_vip=False),
            _f("HEALTH_SERVICE_FROZEN", "obs-backend/node3", WARNING),
        ],
        ["HEALTH_SERVICE_FROZEN obs-backend/node3"],
    ),
    "a back end is silent, as verify lb sees it": (
        [
            _f("LB_BACKEND_SILENT", "backend/node1"),
            _f("LB_ERRORS", "lb", by_backend={"nginx itself": 30}),
        ],
        ["LB_BACKEND_SILENT backend/node1"],
    ),
    "no back end is left": (
        [_f("LB_ERRORS", "lb"), _f("LB_TOO_FEW_ANSWERS", "lb", Severity.UNKNOWN)],
        ["LB_ERRORS lb"],
    ),
    "a broker is down, as kafka status sees it": (
        [BROKER_DOWN, _f("KAFKA_QUORUM_VOTER_LAGGING", "controller/2"), _short("KAFKA_UNDER_REPLICATED", 2)],
        ["KAFKA_BROKER_DOWN broker/2"],
    ),
    "the holder takes no key, as verify vip sees it": (
        [
            _f("LB_NODE_NOT_ASKED", "host/node1", Severity.UNKNOWN),
            _f("VIP_HOLDER_UNKNOWN", "vip/192.0.2.100", Severity.UNKNOWN),
        ],
        ["LB_NODE_NOT_ASKED host/node1"],
    ),
    "the holder is killed, and another one answers": (
        [
            _f("LB_NODE_UNREACHABLE", "host/node1", WARNING),
            _f("VIP_HOLDER_UNKNOWN", "vip/192.0.2.100", Severity.UNKNOWN),
        ],
        ["LB_NODE_UNREACHABLE host/node1"],
    ),
    "sshd refuses": (
        [
            _f("LB_NODE_UNREACHABLE", "host/node1", WARNING),
            _f("LB_NODE_NOT_ASKED", "host/node1", Severity.UNKNOWN),
            _f("HEALTH_HOST_NOT_ASKED", "host/node1", Severity.UNKNOWN),
        ],
        ["HEALTH_HOST_NOT_ASKED host/node1"],
    ),
    "no host takes our key": (
        [
            *(_f("LB_NODE_NOT_ASKED", f"host/node{i}", Severity.UNKNOWN) for i in (1, 2, 3)),
            _f("VIP_HOLDER_UNKNOWN", "vip/192.0.2.100", Severity.UNKNOWN),
            *(_f("HEALTH_HOST_NOT_ASKED", f"host/node{i}", Severity.UNKNOWN) for i in (1, 2, 3)),
        ],
        [f"HEALTH_HOST_NOT_ASKED host/node{i}" for i in (1, 2, 3)],
    ),
    "a topic is deleted": (
        [
            _f("KAFKA_TOPIC_MISSING", "topic/nginxlog-error"),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["nginxlog-error"]),
            _f("HEALTH_ALERTER_WAITING", _ALERTER, reason="topic nginxlog-error does not exist: obsctl x"),
        ],
        ["KAFKA_TOPIC_MISSING topic/nginxlog-error"],
    ),
    "a position lies beyond the end": (
        [
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["nginxlog/0"]),
            _f("CONSUMER_POSITION_BEYOND_END", "partition/nginxlog/0"),
        ],
        ["CONSUMER_POSITION_BEYOND_END partition/nginxlog/0"],
    ),
    "all brokers are stopped": (
        [
            *(_f("HEALTH_SERVICE_DOWN", f"kafka/node{i}", WARNING) for i in (1, 2, 3)),
            _f("KAFKA_UNREACHABLE", "kafka"),
            _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["kafka"]),
        ],
        [f"HEALTH_SERVICE_DOWN kafka/node{i}" for i in (1, 2, 3)],
    ),
}


@pytest.mark.parametrize("reverse", [False, True], ids=["as found", "in the other order"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_one_cause_and_all_else_follows_from_it(fault: str, reverse: bool) -> None:
    found, expected = FAULTS[fault]
    judged = with_causes(FLEET, found[::-1] if reverse else found)
    assert sorted(f"{f.code} {f.object}" for f in roots(judged)) == sorted(expected)
    follow = following(roots(judged), judged)
    assert len(follow) == len(found) - len(expected)
    assert all(f.severity is Severity.CRITICAL for f in roots(judged)) or not any(
        f.severity is Severity.CRITICAL for f in found
    )


#: Findings that stand beside each other, and of which none explains another.
INDEPENDENT = {
    "a host, and a broker of another one": [HOST_DOWN, _f("KAFKA_BROKER_DOWN", "broker/3")],
    "partitions that also lack a replica on a broker that answers": [
        BROKER_DOWN,
        _short("KAFKA_UNDER_REPLICATED", 2, 3),
    ],
    "partitions of which nothing is known": [BROKER_DOWN, _short("KAFKA_UNDER_REPLICATED")],
    "a consumer with a trouble of its own": [
        _f("HEALTH_DATABASE_DOWN", _DB),
        _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["database", "worker 1"]),
    ],
    "a unit that needs no room, on a full disk": [
        _f("HEALTH_SERVICE_DOWN", "obs-backend/node2", WARNING),
        _f("HEALTH_DISK_FULL", "host/node2", mount="/", free_share=0.0, free_bytes=0),
    ],
    "a consumer whose client was ended by another member": [
        BROKER_DOWN,
        _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["client"]),
    ],
    "a consumer that waits and says nothing": [
        _f("HEALTH_DATABASE_DOWN", _DB),
        _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=[]),
    ],
    "a consumer that waits for Kafka, while the database is down": [
        _f("HEALTH_DATABASE_DOWN", _DB),
        _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["kafka"]),
    ],
    "a broker that is down, on a host with a disk that still has room": [
        BROKER_DOWN,
        _f("HEALTH_DISK_FULL", "host/node2", mount="/", free_share=0.04, free_bytes=9_000_000),
    ],
    "a broker's disk, and another file system of the host": [
        _f("KAFKA_DISK_LOW", "broker/2", path="/var/lib/kafka", usable_bytes=1_000_000),
        _f("HEALTH_DISK_FULL", "host/node2", mount="/", free_share=0.03, free_bytes=90_000_000),
    ],
    "a full disk of a host that has nothing to do with the database": [
        _f("HEALTH_DISK_FULL", "host/node2", mount="/", free_share=0.0, free_bytes=0),
        _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["database"]),
    ],
    "no holder, while one of three balancers is down": [HOST_DOWN, _f("VIP_NO_HOLDER", "vip/192.0.2.100")],
    "nginx down beside the holder, and a silent address": [
        _f("VIP_NGINX_DOWN", "host/node2", WARNING, holds_vip=False),
        _f("VIP_UNREACHABLE", "vip/192.0.2.100"),
    ],
    "two holders, and keepalived down on a third": [
        _f("VIP_KEEPALIVED_DOWN", "host/node3", WARNING),
        _f("VIP_SPLIT_BRAIN", "vip/192.0.2.100", holders=["node1", "node2"], left_behind=[]),
    ],
    "a silent back end, and errors of another one": [
        _f("LB_BACKEND_SILENT", "backend/node1"),
        _f("LB_ERRORS", "lb", by_backend={"node2": 30}),
    ],
    "a foreign group's lag": [_f("HEALTH_CONSUMER_DOWN", _CONSUMER), _f("KAFKA_LAG", "group/theirs", WARNING)],
    "the alerter's group, and the consumer": [
        _f("HEALTH_CONSUMER_DOWN", _CONSUMER),
        _f("KAFKA_LAG", "group/obsctl-alerter", WARNING),
    ],
    "an alerter that reads, and whose channel refuses": [
        _f("KAFKA_UNDER_MIN_ISR", "kafka"),
        _f("HEALTH_ALERTER_WAITING", _ALERTER, status="degraded", reason="channel ops: refused"),
    ],
    "the database's host, and a holder that could not be found": [
        _f("HEALTH_HOST_DOWN", "host/db1"),
        _f("VIP_HOLDER_UNKNOWN", "vip/192.0.2.100", Severity.UNKNOWN),
    ],
    "a broker is away, and a shipper does not read": [
        BROKER_DOWN,
        _f("LOGS_LATE", "filebeat/node1", WARNING, read=False),
    ],
    "a topic, and an alerter that waits for one of a similar name": [
        _f("KAFKA_TOPIC_MISSING", "topic/nginxlog"),
        _f("HEALTH_ALERTER_WAITING", _ALERTER, reason="topic nginxlog-error does not exist: obsctl x"),
    ],
    "a followed line, and a shipper of another host": [
        _f("LOGS_NOT_READ", "host/node2"),
        _f("LOGS_UNREADABLE", "filebeat/node3"),
    ],
    "a followed line, and another unit of its host": [
        _f("LOGS_NOT_READ", "host/node2"),
        _f("HEALTH_SERVICE_DOWN", "obs-backend/node2", WARNING),
    ],
    "a unit, and a certificate for another one of its host": [
        _f("HEALTH_SERVICE_DOWN", "nginx/node2", WARNING),
        _f("CERT_UNTRUSTED", "kafka/node2"),
    ],
    "a broker that is down, and a certificate without its address: it would start with that": [
        BROKER_DOWN,
        _f("CERT_NAME_MISMATCH", "kafka/node2"),
    ],
    "a balancer that is refused, and the certificate of another one": [
        _f("VIP_CERTIFICATE_REFUSED", "host/node1", kind="expired"),
        _f("CERT_EXPIRED", "nginx/node2"),
    ],
    "an address and a balancer that are refused for different reasons": [
        _f("VIP_WRONG_PROTOCOL", "vip/192.0.2.100", kind="clear"),
        _f("VIP_CERTIFICATE_REFUSED", "host/node1", kind="name"),
    ],
    "a topic that is called as a host": [HOST_DOWN, _f("KAFKA_TOPIC_MISSING", "topic/node2")],
    "Kafka silent from here, while one of its units runs": [
        _f("HEALTH_SERVICE_DOWN", "kafka/node1", WARNING),
        _f("HEALTH_SERVICE_DOWN", "kafka/node2", WARNING),
        _f("KAFKA_UNREACHABLE", "kafka"),
    ],
    "Kafka silent from here, while another unit is down everywhere": [
        *(_f("HEALTH_SERVICE_DOWN", f"nginx/node{i}", WARNING) for i in (1, 2, 3)),
        _f("KAFKA_UNREACHABLE", "kafka"),
    ],
    "lines lost, while the consumer is down: a loss is never folded away": [
        _f("HEALTH_CONSUMER_DOWN", _CONSUMER),
        _f("CONSUMER_POSITION_GONE", "partition/nginxlog/0", WARNING),
    ],
}


@pytest.mark.parametrize("case", INDEPENDENT)
def test_what_nothing_explains_stands_for_itself(case: str) -> None:
    found = INDEPENDENT[case]
    assert _alone(*found) == [f"{f.code} {f.object}" for f in found]


def test_a_cause_is_named_directly_and_the_chain_leads_to_the_root() -> None:
    names = _causes(HOST_DOWN, BROKER_DOWN, _short("KAFKA_UNDER_REPLICATED", 2))
    assert names == {
        "HEALTH_HOST_DOWN host/node2": [],
        "KAFKA_BROKER_DOWN broker/2": ["HEALTH_HOST_DOWN host/node2"],
        "KAFKA_UNDER_REPLICATED kafka": ["KAFKA_BROKER_DOWN broker/2"],
    }


def test_what_only_several_causes_explain_names_all_of_them() -> None:
    names = _causes(_f("KAFKA_BROKER_DOWN", "broker/1"), BROKER_DOWN, _short("KAFKA_OFFLINE_PARTITIONS", 1, 2))
    assert names["KAFKA_OFFLINE_PARTITIONS kafka"] == ["KAFKA_BROKER_DOWN broker/1", "KAFKA_BROKER_DOWN broker/2"]


def test_a_cause_is_worth_what_follows_from_it_and_no_more() -> None:
    not_needed = with_causes(FLEET, [HOST_DOWN, _f("HEALTH_BACKEND_DOWN", "backend/node2", WARNING)])
    assert not_needed[0].severity is Severity.WARNING
    needed = with_causes(FLEET, [HOST_DOWN, BROKER_DOWN])
    assert needed[0].severity is Severity.CRITICAL
    not_known = with_causes(FLEET, [HOST_DOWN, _f("LB_NODE_NOT_ASKED", "host/node2", Severity.UNKNOWN)])
    assert not_known[0].severity is Severity.WARNING


def test_a_proved_cause_comes_before_what_could_not_be_found_out() -> None:
    late = _f("KAFKA_NO_CONTROLLER", "kafka/quorum", Severity.UNKNOWN)
    missing = _f("KAFKA_TOPIC_MISSING", "topic/nginxlog-error")
    consumer = _f("HEALTH_CONSUMER_WAITING", _CONSUMER, troubles=["nginxlog-error/0"])
    reason = "topic nginxlog-error does not exist: obsctl x"
    alerter = _f("HEALTH_ALERTER_WAITING", _ALERTER, status="failing", reason=reason)
    judged = roots(with_causes(FLEET, [late, missing, consumer, alerter]))
    assert [(f.code, f.severity) for f in judged] == [(f.code, f.severity) for f in (late, missing)]
    assert _alone(late, consumer) == ["KAFKA_NO_CONTROLLER kafka/quorum"]


def test_nothing_is_added_lost_or_changed_but_causes_and_severities() -> None:
    found, _ = FAULTS["two hosts are killed"]
    judged = with_causes(FLEET, found)
    assert [(f.code, f.object, f.evidence) for f in judged] == [(f.code, f.object, f.evidence) for f in found]


def test_two_findings_that_explain_each_other_do_not_hide_both() -> None:
    rows = [_f("HEALTH_DATABASE_DOWN", "mariadb/db1"), _f("HEALTH_DATABASE_DOWN", "mariadb/db1")]
    assert roots(with_causes(FLEET, rows))


def test_causes_come_first_and_of_each_the_worst() -> None:
    judged = with_causes(FLEET, [_f("HEALTH_QUARANTINE", _DB, Severity.INFO), BROKER_DOWN, HOST_DOWN])
    assert [f.code for f in in_order(judged)] == ["HEALTH_HOST_DOWN", "HEALTH_QUARANTINE", "KAFKA_BROKER_DOWN"]


def test_of_causes_that_are_as_bad_the_one_that_explains_most_comes_first() -> None:
    judged = with_causes(FLEET, [_f("VIP_NO_HOLDER", "vip/192.0.2.100"), *FAULTS["a host is killed"][0]])
    assert [f.code for f in roots(in_order(judged))] == ["HEALTH_HOST_DOWN", "VIP_NO_HOLDER"]


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("host/node1", "node1"), ("backend/node1", "node1"), ("nginx/node3", "node3"), ("broker/2", "node2"),
        ("controller/3", "node3"), ("database/192.0.2.21", "db1"), ("mariadb/db1", "db1"), ("broker/9", ""),
        ("topic/node1", ""), ("group/node1", ""), ("vip/192.0.2.1", ""), ("kafka", ""), ("backend/unknown", ""),
    ],
)  # fmt: skip
def test_the_host_of_an_object(name: str, host: str) -> None:
    assert host_of(FLEET, _f("X", name)) == host


@pytest.mark.parametrize("index", range(len(RULES)))
def test_each_row_of_the_table_is_needed_by_one_of_the_faults(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that no fault needs is dead, or its fault is not tried."""
    before = [_causes(*found) for found, _ in FAULTS.values()]
    monkeypatch.setattr(causes, "RULES", RULES[:index] + RULES[index + 1 :])
    assert [_causes(*found) for found, _ in FAULTS.values()] != before, RULES[index]
