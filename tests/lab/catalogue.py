"""The faults of a fleet in one table: how each is made and taken back, who is asked, and what has to be said of it.

``test_fault_catalogue.py`` makes them on the lab, one after the other. A row with ``long`` is left out by
``./test.sh lab``. ``docs/reference/faults.md`` is this table as users read it.

Commands are written for the lab, with these names in braces, and no others: ``{holder}`` of the VIP, ``{other}``
balancer, and ``{database}``, the database's unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

VIP = "198.18.0.100"
BROKER = "--bootstrap-server 198.18.0.11:9094"
#: What a command may take for its answer, in seconds, by docs/reference/commands.md. What hangs is a fault here; how
#: quick a command is, bench/ measures.
DEADLINES = {
    # 1.6 s for everything that is asked.
    "kafka status": 3.0,
    # Its window is 10 s.
    "kafka lag": 16.0,
    # A host has 6 s, and is asked about its logs twice; a failover is waited for 6 s.
    "health": 15.0,
    "verify logs --passive": 15.0,
    "verify logs --deadline 6s": 40.0,
    "consumer status": 15.0,
    "verify vip": 12.0,
    # The run may take a minute, and a minute is what a back end that only hangs must not cost.
    "verify lb": 60.0,
    "alert test": 10.0,
    # A host has 4 s, the database 6 s.
    "certs status": 10.0,
}


class Step(NamedTuple):
    """One command.

    Attributes:
        where: a host, on which a shell runs it (``set -e``); ``obsctl`` for a command of obsctl's from here, ``play``
            for a playbook, ``robot`` for what the stand-in of DingTalk answers from now on, ``certificate`` for a
            certificate that clients refuse (``HOST USE FAULT``, ``certificates.py``).
        command: with names in braces.
    """

    where: str
    command: str


@dataclass(frozen=True)
class Says:
    """What one command has to say of a fault.

    Attributes:
        command: of obsctl, without its options of every command.
        top: its first line, without time and duration; ``…`` stands for any text.
        causes: ``CODE OBJECT`` of the findings that stand for themselves, all of them: another one is a false finding.
        exit_code: of the command.
        may: findings and errors that may stand beside them, as consequences or before the fault has shown itself
            wholly; with wildcards of file names.
        informs: findings that are an information and have to be there.
        hint: what the hint of the first finding has to say; often the very command that takes the fault back.
    """

    command: str
    top: str
    causes: tuple[str, ...]
    exit_code: int
    may: tuple[str, ...] = ()
    informs: tuple[str, ...] = ()
    hint: str = ""

    @property
    def snapshot(self) -> bool:
        """Whether the command can save what it saw."""
        return self.command != "alert test"


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        make: the commands that make it.
        mend: those that undo it; each is run, even if others fail.
        says: what is asked meanwhile, in this order.
        lines: the host that gets twenty requests while the fault is there, whose lines must all be rows at the end.
        meanwhile: run before each look.
        within: seconds until each command has to say it.
        long: it is made on demand, and where one system runs on all hosts.
    """

    make: tuple[Step, ...]
    mend: tuple[Step, ...]
    says: tuple[Says, ...]
    lines: str = ""
    meanwhile: tuple[Step, ...] = ()
    within: float = 45
    long: bool = True


def filled(text: str, names: Mapping[str, str]) -> str:
    """Return a text of the table with the names put in."""
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


# -- commands that several rows need ---------------------------------------------------------------------------------


def stop(unit: str, host: str) -> tuple[Step, ...]:
    """Return how a unit is stopped."""
    return (Step(host, f"systemctl stop {unit}"),)


def start(unit: str, host: str) -> tuple[Step, ...]:
    """Return how it is started again."""
    return (Step(host, f"systemctl start {unit}"),)


def freeze(unit: str, host: str) -> tuple[Step, ...]:
    """Return how all processes of a unit are stopped by a signal."""
    return (Step(host, f"systemctl kill -s STOP {unit}"),)


def thaw(unit: str, host: str) -> tuple[Step, ...]:
    """Return how they go on."""
    return (Step(host, f"systemctl kill -s CONT {unit}"),)


def kill(*hosts: str) -> tuple[Step, ...]:
    """Return how hosts crash."""
    return (Step("obsctl", f"lab kill {' '.join(hosts)}"),)


def boot(*hosts: str) -> tuple[Step, ...]:
    """Return how they are started again."""
    return (Step("obsctl", f"lab start {' '.join(hosts)}"),)


def fill(unit: str, host: str, folder: str, *, then: tuple[Step, ...] = ()) -> tuple[Step, ...]:
    """Return how a small disk is put over a unit's folder, and filled to the last block while the unit runs.

    Args:
        unit: stopped and started around the mount.
        host: where it runs.
        folder: of its data, which stays as it is below the mount.
        then: what is waited for before the disk is filled.
    """
    mount = (
        f"systemctl stop {unit}; mkdir -p /run/full; size=$(du -sm {folder} | cut -f1); "
        "mount -t tmpfs -o size=$((size + 96))m tmpfs /run/full; mkdir /run/full/upper /run/full/work; "
        f"chown --reference={folder} /run/full/upper; chmod --reference={folder} /run/full/upper; "
        f"mount -t overlay -o lowerdir={folder},upperdir=/run/full/upper,workdir=/run/full/work overlay {folder}; "
        f"systemctl start {unit}"
    )
    return (Step(host, mount), *then, Step(host, f"cat /dev/zero >{folder}/filler 2>/dev/null || true"))


def empty(unit: str, host: str, folder: str) -> tuple[Step, ...]:
    """Return how the disk of :func:`fill` is taken away; MySQL does not stop while it waits for space."""
    away = f"rm -f {folder}/filler; systemctl stop {unit}; umount {folder}; umount /run/full; systemctl start {unit}"
    return (Step(host, away),)


def curls(host: str, count: int, target: str = "127.0.0.1") -> Step:
    """Return requests from a host, for lines in a log."""
    return Step(host, f"for n in $(seq {count}); do curl -s -m 2 -o /dev/null http://{target}/catalogue?n=$n; done")


def edit(host: str, file: str, change: str, *, after: str) -> tuple[Step, ...]:
    """Return how a file is changed in place by sed.

    Args:
        host: where it is.
        file: changed; a copy is kept under /run.
        change: an expression of sed.
        after: what loads the file.
    """
    return (Step(host, f"cp -p {file} /run/kept; sed -i '{change}' {file}; {after}"),)


def restore(host: str, file: str, *, after: str) -> tuple[Step, ...]:
    """Return how the change of :func:`edit` is taken back."""
    return (Step(host, f"cat /run/kept >{file}; {after}"),)


def present(host: str, use: str, fault: str, *, after: str) -> tuple[Step, ...]:
    """Return how a service comes to present a certificate that clients refuse.

    Args:
        host: where it runs.
        use: such as ``kafka``.
        fault: ``expired``, ``misnamed`` or ``foreign``.
        after: what makes the service read it.
    """
    return (Step("certificate", f"{host} {use} {fault}"), Step(host, after))


def present_own(host: str, use: str, *, after: str) -> tuple[Step, ...]:
    """Return how it presents its own one again."""
    return (Step(host, f"cd {TLS}; ln -sfn $(cat /run/kept-{use}) {use}; rm -r .{use}-drill; {after}"),)


def rights(action: str, user: str, operation: str) -> tuple[Step, ...]:
    """Return how a user gets or loses a right on the topics of lines.

    Args:
        action: ``add`` or ``remove``, with further options of Kafka's tool.
        user: of Kafka.
        operation: ``Read`` or ``Write``.
    """
    topics = "--topic nginxlog --topic nginxlog-error"
    words = f"--{action} --allow-principal User:{user} --operation {operation} {topics}"
    return (Step("node1", f"kafka-cli acls {BROKER} {words}"),)


CONSUMER, ALERTER = "obsctl-consumer/app1", "obsctl-alerter/app1"
NO_CONSUMER = f"HEALTH_CONSUMER_WAITING {CONSUMER}"
#: The alerter's own page, or that none of them is active yet.
NO_ALERTER = "HEALTH_ALERTER_WAITING obsctl-alerter*"


def of_broker(*nodes: int) -> tuple[str, ...]:
    """Return what may follow from brokers that are down, at one moment or another."""
    return (
        "LOGS_LATE filebeat/*",
        *(f"KAFKA_BROKER_DOWN broker/{node}" for node in nodes),
        *(f"KAFKA_QUORUM_VOTER_LAGGING controller/{node}" for node in nodes),
        "KAFKA_LEADER_SILENT kafka",
        "KAFKA_WATERMARK_STUCK kafka",
        "KAFKA_AT_MIN_ISR kafka",
        "KAFKA_UNDER_REPLICATED kafka",
        # Where it led the quorum, until another one does.
        "KAFKA_NO_CONTROLLER kafka/quorum",
        "KAFKA_METADATA_STALE kafka/metadata",
    )


def of_host(node: int) -> tuple[str, ...]:
    """Return what may follow from a balancer that is down, at one moment or another."""
    return (
        *of_broker(node),
        f"LB_NODE_UNREACHABLE host/node{node}",
        f"HEALTH_BACKEND_DOWN backend/node{node}",
        # Where it coordinates the consumer group: a new coordinator waits for the members of before, half a minute.
        NO_CONSUMER,
        NO_ALERTER,
    )


NO_WRITES = ("KAFKA_UNDER_MIN_ISR kafka", "KAFKA_OFFLINE_PARTITIONS kafka", "LOGS_LATE filebeat/*")
NO_ROWS = ("LOGS_ROW_MISSING host/*", "CONSUMER_BEHIND partition/*", "KAFKA_GROUP_UNREAD group/obsctl-consumer")
#: While the address moves.
FAILOVER = (f"VIP_UNREACHABLE vip/{VIP}", f"VIP_NO_HOLDER vip/{VIP}", f"VIP_HOLDER_UNKNOWN vip/{VIP}")
TLS = "/etc/obscraft/tls"
DATABASE_CONFIG = "$(ls /etc/mysql/mariadb.conf.d/60-obscraft.cnf /etc/my.cnf.d/60-obscraft.cnf 2>/dev/null)"
NGINX, FILEBEAT = "/etc/nginx/nginx.conf", "/etc/filebeat/filebeat.yml"
LOG = "/var/log/nginx/access.log"
APP = "/opt/obs-backend/app/obs_backend.py"
OVERRIDE = "/run/systemd/system/obs-backend.service.d"
#: The interface of a balancer's own address.
DEVICE = "$(ip -o -4 addr | awk '/198.18.0.1[0-9]/ {print $2; exit}')"
STRANGER = "198.18.0.99:8080"
_STRANGER_ANSWERS = (
    "import http.server as h, ssl\n"
    "class H(h.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    '        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()\n'
    # Many connections at once: with the five that are its default, nginx would retry requests on another back end.
    "h.ThreadingHTTPServer.request_queue_size = 128\n"
    's = h.ThreadingHTTPServer(("127.0.0.1", 9999), H)\n'
    # With the certificate of this host's back end: nginx trusts no other.
    "c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
    f'c.load_cert_chain("{TLS}/backend/cert.pem", "{TLS}/backend/key.pem")\n'
    "s.socket = c.wrap_socket(s.socket, server_side=True)\n"
    "s.serve_forever()\n"
)

# -- the table -------------------------------------------------------------------------------------------------------

_HOSTS = {
    "a balancer, back end and broker crashes": Fault(
        make=kill("node2"),
        mend=boot("node2"),
        long=False,
        says=(
            Says("health",
                 "health: CRITICAL  node2 is down… · … findings follow from it · writes continue, one more "
                 "broker down stops them",
                 ("HEALTH_HOST_DOWN host/node2",), 2, may=(*of_host(2), *FAILOVER, *NO_ROWS)),
            Says("kafka status",
                 "kafka status: CRITICAL  broker 2 on node2 does not answer… · … findings follow from it…",
                 ("KAFKA_BROKER_DOWN broker/2",), 2, may=of_broker(2)),
            Says("verify vip", "verify vip: WARNING  node2 is down", ("LB_NODE_UNREACHABLE host/node2",), 1),
        ),
        lines="node1",
    ),
    "two of three such hosts crash": Fault(
        make=kill("node1", "node2"),
        mend=boot("node1", "node2"),
        within=60,
        says=(
            Says("health",
                 "health: CRITICAL  node1 and node2 are down… · … findings follow from them · writes stop on … of … "
                 "partitions; Filebeat keeps the lines",
                 ("HEALTH_HOST_DOWN host/node1", "HEALTH_HOST_DOWN host/node2"), 2,
                 may=(*of_host(1), *of_host(2), *FAILOVER, *NO_WRITES, *NO_ROWS)),
            Says("kafka status",
                 "kafka status: CRITICAL  broker 1 on node1 does not answer… and broker 2 on node2 does not answer…",
                 ("KAFKA_BROKER_DOWN broker/1", "KAFKA_BROKER_DOWN broker/2"), 2, may=(*of_broker(1, 2), *NO_WRITES)),
            Says("verify vip", "verify vip: WARNING  node1 and node2 are down",
                 ("LB_NODE_UNREACHABLE host/node1", "LB_NODE_UNREACHABLE host/node2"), 1),
        ),
        lines="node3",
    ),
    "the database's host crashes": Fault(
        make=kill("db1"),
        mend=boot("db1"),
        says=(
            Says("health", "health: CRITICAL  db1 is down… · … from it",
                 ("HEALTH_HOST_DOWN host/db1",), 2,
                 may=("HEALTH_DATABASE_DOWN database/198.18.0.21", NO_CONSUMER, *NO_ROWS)),
        ),
        lines="node1",
    ),
    "the host of consumer and alerter crashes": Fault(
        make=kill("app1"),
        mend=boot("app1"),
        says=(
            Says("health", "health: CRITICAL  app1 is down…",
                 ("HEALTH_HOST_DOWN host/app1",), 2,
                 may=(f"HEALTH_CONSUMER_DOWN {CONSUMER}", f"HEALTH_ALERTER_DOWN {ALERTER}", *NO_ROWS)),
        ),
        lines="node1",
    ),
    "the cable of the VIP's holder is cut": Fault(
        make=(Step("obsctl", "lab cut {holder}"),),
        mend=(Step("obsctl", "lab heal {holder}"),),
        says=(
            Says("verify vip", "verify vip: WARNING  {holder} is down",
                 ("LB_NODE_UNREACHABLE host/{holder}",), 1, may=FAILOVER),
            Says("health",
                 "health: CRITICAL  {holder} is down… · … findings follow from it · writes continue, one more broker "
                 "down stops them",
                 ("HEALTH_HOST_DOWN host/{holder}",), 2, may=(*of_host(1), *of_host(2), *of_host(3), *FAILOVER)),
        ),
    ),
    "a host's sshd is stopped": Fault(
        # It has to come back by itself.
        make=(
            Step("node1", "systemctl is-active -q ssh && unit=ssh || unit=sshd; "
                 "systemd-run --on-active=40 systemctl start $unit; systemctl stop $unit"),
        ),
        mend=(),
        within=20,
        says=(
            Says("health", "health: UNKNOWN  node1 is up, but obsctl cannot log in over ssh…",
                 ("HEALTH_HOST_NOT_ASKED host/node1",), 3,
                 may=("LB_NODE_NOT_ASKED host/node1", "LOGS_NOT_ASKED host/node1", f"VIP_HOLDER_UNKNOWN vip/{VIP}")),
        ),
    ),
    "a wrong address in a host's /etc/hosts": Fault(
        make=(
            Step("app1", "cp -p /etc/hosts /run/kept; echo '198.18.0.99 node1 node2 node3 db1' >>/etc/hosts; "
                 "systemctl restart obsctl-consumer obsctl-alerter"),
        ),
        mend=(Step("app1", "cat /run/kept >/etc/hosts"),),
        says=(
            Says("health", "health: OK",
                 (), 0,
                 may=(f"HEALTH_CONSUMER_* {CONSUMER}", "HEALTH_ALERTER_* obsctl-alerter*")),
        ),
        lines="node1",
    ),
}  # fmt: skip

_KAFKA = {
    "a broker hangs": Fault(
        make=freeze("kafka", "node3"),
        mend=thaw("kafka", "node3"),
        long=False,
        says=(
            Says("kafka status", "kafka status: CRITICAL  broker 3 on node3 does not answer…",
                 ("KAFKA_BROKER_DOWN broker/3",), 2, may=of_broker(3), hint="systemctl kill -s CONT kafka"),
            Says("health",
                 "health: CRITICAL  kafka on node3 is frozen… findings follow from it · writes continue, one more "
                 "broker down stops them",
                 ("HEALTH_SERVICE_FROZEN kafka/node3",), 2, may=(*of_broker(3), NO_ALERTER, *NO_ROWS),
                 hint="systemctl kill -s CONT kafka"),
        ),
        lines="node1",
    ),
    "a broker's unit is stopped": Fault(
        make=stop("kafka", "node3"),
        mend=start("kafka", "node3"),
        says=(
            Says("health",
                 "health: CRITICAL  kafka on node3 is inactive since … UTC · … follow from it · writes continue, one "
                 "more broker down stops them",
                 ("HEALTH_SERVICE_DOWN kafka/node3",), 2, may=(*of_broker(3), NO_ALERTER)),
        ),
        lines="node1",
    ),
    "all brokers hang": Fault(
        make=(*freeze("kafka", "node1"), *freeze("kafka", "node2"), *freeze("kafka", "node3")),
        mend=(*thaw("kafka", "node1"), *thaw("kafka", "node2"), *thaw("kafka", "node3")),
        says=(
            Says("health",
                 "health: CRITICAL  kafka on node1 is frozen… · 2 more findings: obsctl health · nothing can be "
                 "written; Filebeat keeps the lines",
                 tuple(f"HEALTH_SERVICE_FROZEN kafka/node{node}" for node in (1, 2, 3)), 2,
                 may=("KAFKA_UNREACHABLE kafka", NO_CONSUMER, NO_ALERTER, *NO_WRITES, *NO_ROWS)),
            Says("kafka status", "kafka status: CRITICAL  kafka: no broker answers (…",
                 ("KAFKA_UNREACHABLE kafka",), 2),
        ),
        lines="node1",
    ),
    "a follower is cut off from its leaders, and answers everybody else": Fault(
        make=(
            Step(
                "node2",
                "nft add table ip drill; nft 'add chain ip drill out { type filter hook output priority 0; }'; "
                "nft add rule ip drill out meta skuid $(id -u kafka) ip daddr '{ 198.18.0.11, 198.18.0.13 }' "
                "tcp dport 9095 drop",
            ),
        ),
        mend=(Step("node2", "nft delete table ip drill"),),
        meanwhile=(curls("node1", 5), curls("node3", 5)),
        says=(
            Says("kafka status", "kafka status: CRITICAL  broker 2 on node2: fetches nothing from broker…",
                 ("KAFKA_FOLLOWER_STUCK broker/2",), 2,
                 may=("KAFKA_WATERMARK_STUCK kafka", "KAFKA_UNDER_REPLICATED kafka", "KAFKA_AT_MIN_ISR kafka")),
            Says("health", "health: … broker 2 on node2: fetches nothing from broker…",
                 ("KAFKA_FOLLOWER_STUCK broker/2",), 2,
                 may=("KAFKA_WATERMARK_STUCK kafka", "KAFKA_UNDER_REPLICATED kafka", "KAFKA_AT_MIN_ISR kafka",
                      "LOGS_LATE filebeat/*", *NO_ROWS, NO_ALERTER)),
        ),
        lines="node1",
    ),
    "all leaders on one broker": Fault(
        make=(
            Step("node1", "systemctl restart kafka"),
            Step("obsctl", "kafka status --watch 2 --until ok -q -o nagios"),
            Step("node2", "systemctl restart kafka"),
            Step("obsctl", "kafka status --watch 2 --until ok -q -o nagios"),
        ),
        mend=(Step("obsctl", "kafka rebalance-leaders"),),
        says=(
            Says("kafka status", "kafka status: OK",
                 (), 0, may=(*of_broker(1, 2), "KAFKA_BROKER_FENCED broker/*"), informs=("KAFKA_LEADER_SKEW broker/3",),
                 hint="obsctl kafka rebalance-leaders"),
        ),
    ),
    "a topic made by hand with one replica": Fault(
        make=(Step("node1", f"kafka-cli topics {BROKER} --create --topic handmade --partitions 2 "
                   "--replication-factor 1"),),
        mend=(Step("node1", f"kafka-cli topics {BROKER} --delete --topic handmade"),),
        says=tuple(
            Says(command,
                 f"{command}: WARNING  topic/handmade: 2 of 2 partitions have 1 replica, the inventory specifies 3: …",
                 ("KAFKA_REPLICATION_FACTOR topic/handmade",), 1)
            for command in ("kafka status", "health")
        ),
    ),
    "a topic made by hand that needs all of its replicas for a write": Fault(
        make=(Step("node1", f"kafka-cli topics {BROKER} --create --topic handmade --partitions 1 "
                   "--replication-factor 2 --config min.insync.replicas=2"),),
        mend=(Step("node1", f"kafka-cli topics {BROKER} --delete --topic handmade"),),
        says=(
            Says("kafka status", "kafka status: WARNING  topic/handmade: min.insync.replicas is 2 of 2 replicas: …",
                 ("KAFKA_MIN_ISR_HIGH topic/handmade",), 1, informs=("KAFKA_REPLICATION_FACTOR topic/handmade",)),
        ),
    ),
    "a topic's retention is shorter than the inventory's": Fault(
        make=(Step("node1", f"kafka-cli configs {BROKER} --alter --entity-type topics --entity-name nginxlog-error "
                   "--add-config retention.ms=60000"),),
        mend=(Step("node1", f"kafka-cli configs {BROKER} --alter --entity-type topics --entity-name nginxlog-error "
                   "--delete-config retention.ms"),),
        says=tuple(
            Says(command,
                 f"{command}: WARNING  topic/nginxlog-error: keeps its records for 1 min, the inventory specifies 7 d…",
                 ("KAFKA_RETENTION_SHORT topic/nginxlog-error",), 1)
            for command in ("kafka status", "health")
        ),
    ),
    "a topic is deleted": Fault(
        make=(Step("node1", f"kafka-cli topics {BROKER} --delete --topic nginxlog-error"),),
        mend=(Step("play", "playbooks/kafka.yml"),),
        says=(
            Says("kafka status",
                 "kafka status: CRITICAL  topic/nginxlog-error: the topic does not exist; the inventory specifies it…",
                 ("KAFKA_TOPIC_MISSING topic/nginxlog-error",), 2),
            Says("health", "health: CRITICAL  topic/nginxlog-error: the topic does not exist…",
                 ("KAFKA_TOPIC_MISSING topic/nginxlog-error",), 2,
                 may=(NO_CONSUMER, NO_ALERTER)),
        ),
    ),
    "a topic is deleted and created again by hand": Fault(
        make=(
            Step("node1", f"kafka-cli topics {BROKER} --delete --topic nginxlog-error; sleep 2; "
                 f"kafka-cli topics {BROKER} --create --topic nginxlog-error --partitions 1 --replication-factor 1"),
        ),
        mend=(
            Step("node1", f"kafka-cli topics {BROKER} --delete --topic nginxlog-error; sleep 2"),
            Step("play", "playbooks/kafka.yml"),
        ),
        within=60,
        says=(
            Says("consumer status", "consumer status: OK",
                 (), 0, may=(NO_CONSUMER, "CONSUMER_TOPIC_REMADE partition/nginxlog-error/*"),
                 informs=("CONSUMER_NOTICE notice/nginxlog-error",)),
            Says("health", "health: WARNING  topic/nginxlog-error: …",
                 ("KAFKA_PARTITION_COUNT topic/nginxlog-error", "KAFKA_REPLICATION_FACTOR topic/nginxlog-error"), 1,
                 may=(NO_CONSUMER, NO_ALERTER,
                      "KAFKA_MIN_ISR_LOW topic/nginxlog-error")),
        ),
    ),
    "a foreign group has stopped reading": Fault(
        make=(
            Step("node1", f"kafka-cli consume {BROKER} --topic nginxlog --group analytics-foreign --from-beginning "
                 "--max-messages 1 >/dev/null"),
        ),
        mend=(Step("node1", f"kafka-cli groups {BROKER} --delete --group analytics-foreign"),),
        says=(
            Says("kafka lag", "kafka lag: OK",
                 (), 0, may=("KAFKA_LAG_* group/analytics-foreign",),
                 informs=("KAFKA_GROUP_ABANDONED group/analytics-foreign",)),
            Says("health", "health: OK", (), 0),
        ),
    ),
    "a broker's disk is full": Fault(
        make=fill("kafka", "node3", "/var/lib/kafka",
                  then=(Step("obsctl", "kafka status --watch 2 --until ok --ignore KAFKA_DISK_LOW -q -o nagios"),)),
        mend=empty("kafka", "node3", "/var/lib/kafka"),
        within=60,
        says=(
            Says("health",
                 "health: CRITICAL  /var/lib/kafka on node3 has 0% free… · … from it · writes continue, one more "
                 "broker down stops them",
                 ("HEALTH_DISK_FULL host/node3",), 2,
                 # It closes its port before it ends.
                 may=(*of_broker(3), "HEALTH_SERVICE_FROZEN kafka/node3", "HEALTH_SERVICE_DOWN kafka/node3",
                      "KAFKA_DISK_LOW broker/3", "KAFKA_LOG_DIR_OFFLINE broker/3", NO_ALERTER)),
        ),
        lines="node1",
    ),
}  # fmt: skip

_ROWS = {
    "the consumer is stopped": Fault(
        make=stop("obsctl-consumer", "app1"),
        mend=start("obsctl-consumer", "app1"),
        says=(
            Says("health", "health: CRITICAL  obsctl-consumer on app1 is inactive since … UTC…",
                 (f"HEALTH_CONSUMER_DOWN {CONSUMER}",), 2, may=NO_ROWS),
            Says("consumer status", "consumer status: CRITICAL  obsctl-consumer on app1 is inactive since … UTC…",
                 (f"HEALTH_CONSUMER_DOWN {CONSUMER}",), 2, may=NO_ROWS),
        ),
        lines="node1",
    ),
    "the consumer hangs": Fault(
        make=(Step("app1", "kill -STOP $(systemctl show --property=MainPID --value obsctl-consumer)"),),
        mend=thaw("obsctl-consumer", "app1"),
        within=20,
        says=(
            Says("health", "health: CRITICAL  obsctl-consumer on app1: the unit is active, but its health page …",
                 (f"HEALTH_CONSUMER_DOWN {CONSUMER}",), 2, may=NO_ROWS, hint="systemctl kill -s CONT obsctl-consumer"),
        ),
        lines="node1",
    ),
    "one worker of the consumer hangs": Fault(
        make=(
            Step("app1", "pid=$(curl -s -m 2 http://127.0.0.1:9600/health | python3 -c "
                 "'import json, sys; print(json.load(sys.stdin)[\"workers\"][0][\"pid\"])'); kill -STOP $pid"),
        ),
        mend=(),
        within=30,
        says=(
            Says("health", "health: CRITICAL  obsctl-consumer on app1: reports 'waiting': worker …",
                 (NO_CONSUMER,), 2, may=NO_ROWS),
            Says("health",
                 "health: WARNING  obsctl-consumer on app1: a worker process was replaced within the last minute…",
                 (f"HEALTH_CONSUMER_RESTARTED {CONSUMER}",), 1, may=(NO_CONSUMER, *NO_ROWS)),
        ),
        lines="node1",
    ),
    "the database is stopped": Fault(
        make=stop("{database}", "db1"),
        mend=start("{database}", "db1"),
        long=False,
        says=(
            Says("health", "health: CRITICAL  {database} on db1 is inactive since … UTC · … from it",
                 ("HEALTH_DATABASE_DOWN {database}/db1",), 2,
                 may=("HEALTH_DATABASE_DOWN database/198.18.0.21", NO_CONSUMER, *NO_ROWS)),
            Says("consumer status", "consumer status: CRITICAL  database on db1: …",
                 ("HEALTH_DATABASE_DOWN database/198.18.0.21",), 2, may=(NO_CONSUMER,)),
        ),
        lines="node1",
    ),
    "the database hangs": Fault(
        make=freeze("{database}", "db1"),
        mend=thaw("{database}", "db1"),
        says=(
            Says("health", "health: CRITICAL  {database} on db1 is frozen… · … from it",
                 ("HEALTH_SERVICE_FROZEN {database}/db1",), 2,
                 may=("HEALTH_DATABASE_DOWN database/198.18.0.21", NO_CONSUMER, *NO_ROWS),
                 hint="systemctl kill -s CONT {database}"),
        ),
        lines="node1",
    ),
    "the database takes no writes": Fault(
        make=(Step("db1", "mysql -e 'SET GLOBAL read_only = 1'"),),
        mend=(Step("db1", "mysql -e 'SET GLOBAL read_only = 0'"),),
        meanwhile=(curls("node1", 2),),
        says=(
            Says("health", "health: CRITICAL  obsctl-consumer on app1: reports 'waiting': database: …",
                 (NO_CONSUMER,), 2, may=NO_ROWS, hint="read_only"),
        ),
        lines="node1",
    ),
    "the database's disk is full": Fault(
        make=fill("{database}", "db1", "/var/lib/mysql"),
        mend=empty("{database}", "db1", "/var/lib/mysql"),
        meanwhile=(curls("node1", 20),),
        within=90,
        says=(
            Says("health", "health: CRITICAL  /var/lib/mysql on db1 has 0% free…",
                 ("HEALTH_DISK_FULL host/db1",), 2,
                 may=("HEALTH_DATABASE_DOWN *", NO_CONSUMER, *NO_ROWS)),
        ),
        lines="node1",
    ),
    "the disk of the alerter's state is full": Fault(
        make=fill("obsctl-alerter", "app1", "/var/lib/obsctl-alerter"),
        mend=empty("obsctl-alerter", "app1", "/var/lib/obsctl-alerter"),
        meanwhile=(curls("node1", 20),),
        says=(
            Says("health", "health: CRITICAL  /var/lib/obsctl-alerter on app1 has 0% free…",
                 ("HEALTH_DISK_FULL host/app1",), 2,
                 may=(f"HEALTH_ALERTER_DOWN {ALERTER}", NO_ALERTER)),
        ),
    ),
}  # fmt: skip

_BALANCING = {
    "a back end is stopped": Fault(
        make=stop("obs-backend", "node3"),
        mend=start("obs-backend", "node3"),
        long=False,
        says=(
            Says("health", "health: WARNING  obs-backend on node3 is inactive since … UTC · 1 finding follows from it",
                 ("HEALTH_SERVICE_DOWN obs-backend/node3",), 1, may=("HEALTH_BACKEND_DOWN backend/node3",)),
            Says("verify lb", "verify lb: CRITICAL  backend on node3: none of … answers came from it…",
                 ("LB_BACKEND_SILENT backend/node3",), 2, may=("LB_ERRORS lb",), hint="systemctl status obs-backend"),
        ),
    ),
    "a back end hangs": Fault(
        make=freeze("obs-backend", "node3"),
        mend=thaw("obs-backend", "node3"),
        says=(
            Says("verify lb", "verify lb: CRITICAL  backend on node3: none of … answers came from it…",
                 ("LB_BACKEND_SILENT backend/node3",), 2, may=("LB_ERRORS lb",), hint="systemctl restart obs-backend"),
            Says("health", "health: WARNING  obs-backend on node3 is frozen · … from it",
                 ("HEALTH_SERVICE_FROZEN obs-backend/node3",), 1,
                 may=("HEALTH_BACKEND_DOWN backend/node3", "VIP_NGINX_DOWN host/*", f"VIP_UNREACHABLE vip/{VIP}"),
                 hint="systemctl kill -s CONT obs-backend"),
        ),
    ),
    "a back end is slow, but for its readiness probe": Fault(
        make=edit("node3", APP, "s/^        g.started = time.monotonic()/&; time.sleep(0.3 * (request.path != "
                  "\"\\/healthz\"))/", after="systemctl restart obs-backend"),
        mend=restore("node3", APP, after="systemctl restart obs-backend"),
        says=(
            Says("verify lb",
                 "verify lb: WARNING  backend on node3: half of its answers took … ms or more, the others' … ms",
                 ("LB_SLOW_BACKEND backend/node3",), 1, may=("LB_SKEW backend/*",)),
            Says("health", "health: OK", (), 0),
        ),
    ),
    "a back end gives a name that the inventory does not know": Fault(
        make=(
            Step("node3", f"mkdir -p {OVERRIDE}; printf '[Service]\\nEnvironment=OBS_BACKEND_NAME=intruder7\\n' "
                 f">{OVERRIDE}/name.conf; systemctl daemon-reload; systemctl restart obs-backend"),
        ),
        mend=(Step("node3", f"rm -r {OVERRIDE}; systemctl daemon-reload; systemctl restart obs-backend"),),
        says=(
            Says("verify lb",
                 "verify lb: CRITICAL  backend/intruder7: … answers came from a back end that is not in the …",
                 ("LB_UNKNOWN_BACKEND backend/intruder7",), 2, hint="on node3: ss -ltnp"),
        ),
    ),
    "the holder's nginx sends requests to a server that is no back end": Fault(
        make=(
            Step("{holder}", f"systemd-run --unit=obs-stranger python3 -c '{_STRANGER_ANSWERS}'"),
            Step("{holder}", "curl -ks --retry 9 --retry-delay 1 --retry-connrefused -o /dev/null https://127.0.0.1:9999"),
            *edit("{holder}", NGINX, "s/^ *least_conn;/& server 127.0.0.1:9999;/", after="systemctl reload nginx"),
        ),
        mend=(
            *restore("{holder}", NGINX, after="systemctl reload nginx"),
            Step("{holder}", "systemctl stop obs-stranger"),
        ),
        says=(
            Says("verify lb",
                 "verify lb: CRITICAL  backend/127.0.0.1:9999: … good answers carry no X-Backend-Server header…",
                 ("LB_UNKNOWN_BACKEND backend/127.0.0.1:9999",), 2, hint="nginx -T"),
        ),
    ),
    "the holder's nginx lists a server that is dead and no back end": Fault(
        make=edit("{holder}", NGINX, f"s/^ *least_conn;/& server {STRANGER};/", after="systemctl reload nginx"),
        mend=restore("{holder}", NGINX, after="systemctl reload nginx"),
        says=(
            Says("verify lb",
                 f"verify lb: WARNING  backend/{STRANGER}: nginx on {{holder}} lists {STRANGER}, which is no…",
                 (f"LB_MEMBER_UNKNOWN backend/{STRANGER}",), 1),
        ),
    ),
}  # fmt: skip

_ADDRESS = {
    "the holder's nginx is stopped": Fault(
        make=stop("nginx", "{holder}"),
        mend=start("nginx", "{holder}"),
        says=(
            Says("verify vip", "verify vip: WARNING  {holder}: nginx does not answer there (…",
                 ("VIP_NGINX_DOWN host/{holder}",), 1, may=FAILOVER, hint="systemctl status nginx"),
            Says("health", "health: WARNING  nginx on {holder} is inactive since … UTC · 1 finding follows from it",
                 ("HEALTH_SERVICE_DOWN nginx/{holder}",), 1, may=("VIP_NGINX_DOWN host/{holder}",)),
        ),
    ),
    "the holder's nginx hangs": Fault(
        make=freeze("nginx", "{holder}"),
        mend=thaw("nginx", "{holder}"),
        says=(
            Says("verify vip", "verify vip: WARNING  {holder}: nginx does not answer there (…) and hangs: …",
                 ("VIP_NGINX_DOWN host/{holder}",), 1, may=FAILOVER, hint="systemctl restart nginx"),
            Says("health", "health: WARNING  nginx on {holder} is frozen · 1 finding follows from it",
                 ("HEALTH_SERVICE_FROZEN nginx/{holder}",), 1, may=("VIP_NGINX_DOWN host/{holder}",),
                 hint="systemctl kill -s CONT nginx"),
        ),
    ),
    "the holder's keepalived is stopped": Fault(
        make=stop("keepalived", "{holder}"),
        mend=start("keepalived", "{holder}"),
        says=(
            Says("verify vip", "verify vip: WARNING  {holder}: keepalived is inactive: it cannot take over",
                 ("VIP_KEEPALIVED_DOWN host/{holder}",), 1, may=FAILOVER),
            Says("health",
                 "health: WARNING  keepalived on {holder} is inactive since … UTC · 1 finding follows from it",
                 ("HEALTH_SERVICE_DOWN keepalived/{holder}",), 1, may=("VIP_KEEPALIVED_DOWN host/{holder}",)),
        ),
    ),
    "the holder's keepalived hangs": Fault(
        make=freeze("keepalived", "{holder}"),
        mend=(Step("{holder}", "systemctl restart keepalived"),),
        long=False,
        says=(
            Says("verify vip",
                 f"verify vip: CRITICAL  … hold {VIP} at once: keepalived hangs on {{holder}}",
                 (f"VIP_SPLIT_BRAIN vip/{VIP}",), 2, may=("VIP_KEEPALIVED_DOWN host/{holder}",),
                 hint="on {holder}: systemctl restart keepalived"),
            Says("health", "health: CRITICAL  keepalived on {holder} is frozen · 1 finding follows from it",
                 ("HEALTH_SERVICE_FROZEN keepalived/{holder}",), 2, may=(f"VIP_SPLIT_BRAIN vip/{VIP}",),
                 hint="systemctl restart keepalived"),
        ),
    ),
    "keepalived is stopped on all balancers": Fault(
        make=(*stop("keepalived", "node1"), *stop("keepalived", "node2"), *stop("keepalived", "node3")),
        mend=(*start("keepalived", "node1"), *start("keepalived", "node2"), *start("keepalived", "node3")),
        says=(
            Says("verify vip",
                 "verify vip: CRITICAL  node1: keepalived is inactive… · 1 finding follows from it · 2 more findings: "
                 "obsctl verify vip",
                 tuple(f"VIP_KEEPALIVED_DOWN host/node{node}" for node in (1, 2, 3)), 2, may=FAILOVER),
            Says("verify lb", f"verify lb: CRITICAL  vip/{VIP}: nothing answers: …",
                 (f"VIP_UNREACHABLE vip/{VIP}",), 2, may=("LB_ERRORS lb", "LB_TOO_FEW_ANSWERS lb")),
        ),
    ),
    "the address is added by hand beside its holder": Fault(
        make=(Step("{other}", f"ip addr add {VIP}/32 dev {DEVICE}"),),
        mend=(Step("{other}", f"ip addr del {VIP}/32 dev {DEVICE}"),),
        says=(
            Says("verify vip",
                 f"verify vip: CRITICAL  … hold {VIP} at once: it was added by hand on {{other}}",
                 (f"VIP_SPLIT_BRAIN vip/{VIP}",), 2, may=(f"VIP_HOLDER_MISMATCH vip/{VIP}",),
                 hint=f"on {{other}}: ip addr del {VIP}/32 dev "),
        ),
    ),
    "balancers do not hear each other": Fault(
        # In both directions: a holder that still hears a node of higher priority would become a backup.
        make=(
            Step(
                "{holder}",
                "nft add table ip drill; "
                + "; ".join(
                    f"nft 'add chain ip drill {hook} {{ type filter hook {hook} priority 0; }}'; "
                    f"nft add rule ip drill {hook} ip protocol 112 drop"
                    for hook in ("input", "output")
                ),
            ),
        ),
        mend=(Step("{holder}", "nft delete table ip drill"),),
        says=(
            Says("verify vip",
                 f"verify vip: CRITICAL  … hold {VIP} at once: they do not hear each other",
                 (f"VIP_SPLIT_BRAIN vip/{VIP}",), 2, may=(f"VIP_HOLDER_MISMATCH vip/{VIP}",),
                 hint="let IP protocol 112 through between them"),
        ),
    ),
}  # fmt: skip


def _shipping(code: str, top: str) -> tuple[Says, ...]:
    """Return what is said of a shipper that runs and does not ship."""
    found = f"{code} filebeat/node2"
    may = ("LOGS_LATE filebeat/node2", "LOGS_NOT_OPENED filebeat/node2")
    return (
        Says("health", f"health: CRITICAL  filebeat on node2: {top}", (found,), 2, may=may),
        Says("verify logs --passive", f"verify logs: CRITICAL  filebeat on node2: {top}", (found,), 2, may=may),
        Says(
            "verify logs --deadline 6s",
            f"verify logs: CRITICAL  filebeat on node2: {top}",
            (found,),
            2,
            may=("LOGS_NOT_READ host/node2", *may),
        ),
    )


_SHIPPERS = {
    "a shipper is stopped": Fault(
        make=stop("filebeat", "node2"),
        mend=start("filebeat", "node2"),
        says=(
            Says("health", "health: CRITICAL  filebeat on node2 is inactive since … UTC",
                 ("HEALTH_SERVICE_DOWN filebeat/node2",), 2),
            Says("verify logs --passive", "verify logs: CRITICAL  filebeat on node2: the unit is not running",
                 ("HEALTH_SERVICE_DOWN filebeat/node2",), 2),
        ),
        lines="node2",
    ),
    "a shipper hangs": Fault(
        make=freeze("filebeat", "node2"),
        mend=thaw("filebeat", "node2"),
        long=False,
        says=(
            Says("health", "health: CRITICAL  filebeat on node2 is frozen · … from it",
                 ("HEALTH_SERVICE_FROZEN filebeat/node2",), 2,
                 may=("LOGS_SHIPPER_SILENT filebeat/node2", "LOGS_LATE filebeat/node2"),
                 hint="systemctl kill -s CONT filebeat"),
            *_shipping("LOGS_SHIPPER_SILENT", "the process is stopped by a signal…")[1:],
        ),
        lines="node2",
    ),
    "a shipper may not read the logs": Fault(
        make=(
            Step("node2", "stat -c '%a %U:%G' /var/log/nginx >/run/kept; chown root:root /var/log/nginx; "
                 "chmod 0700 /var/log/nginx; systemctl restart filebeat"),
        ),
        mend=(Step("node2", "read mode owner </run/kept; chown $owner /var/log/nginx; chmod $mode /var/log/nginx"),),
        says=_shipping("LOGS_UNREADABLE", "Filebeat's account may not read /var/log/nginx/…"),
        lines="node2",
    ),
    "a shipper reads another file": Fault(
        make=edit("node2", FILEBEAT, f"s#{LOG}[*]#/var/log/nginx/missing.log*#", after="systemctl restart filebeat"),
        mend=restore("node2", FILEBEAT, after="systemctl restart filebeat"),
        says=_shipping("LOGS_NO_INPUT", f"nginx writes {LOG}, and no Filebeat…"),
        lines="node2",
    ),
    "a log is a symbolic link that the shipper does not follow": Fault(
        make=(
            Step("node2", f"cp -p {FILEBEAT} /run/kept; sed -i 's/symlinks: true/symlinks: false/' {FILEBEAT}; "
                 "systemctl stop filebeat; mkdir -p /srv/drill; chmod 0755 /srv/drill; "
                 f"mv {LOG} /srv/drill/access.log; ln -s /srv/drill/access.log {LOG}; nginx -s reopen; "
                 "systemctl start filebeat"),
        ),
        mend=(
            Step("node2", f"cat /run/kept >{FILEBEAT}; rm {LOG}; mv /srv/drill/access.log {LOG}; nginx -s reopen; "
                 "systemctl restart filebeat"),
        ),
        says=_shipping("LOGS_LINK_IGNORED", f"{LOG}: a symbolic link, which Filebeat…"),
        lines="node2",
    ),
    "a rotated log was never read": Fault(
        # Rotated while the shipper could not read it: only a restart makes Filebeat try again.
        make=(
            Step("node2", "systemctl stop filebeat"),
            curls("node2", 20),
            Step("node2", f"logrotate --force /etc/logrotate.d/nginx; chmod 0600 {LOG}.1; chown root {LOG}.1; "
                 "systemctl start filebeat"),
        ),
        mend=(
            Step("node2", f"chmod --reference={LOG} {LOG}.1; chown --reference={LOG} {LOG}.1; "
                 "systemctl restart filebeat"),
        ),
        says=(
            Says("health", f"health: CRITICAL  filebeat on node2: … bytes of {LOG}.1 were not…",
                 ("LOGS_ROTATION_UNREAD filebeat/node2",), 2),
        ),
    ),
}  # fmt: skip

_ALERTS = {
    "the alerter is stopped": Fault(
        make=stop("obsctl-alerter", "app1"),
        mend=start("obsctl-alerter", "app1"),
        says=(
            Says("health", "health: CRITICAL  obsctl-alerter on app1 is inactive since … UTC…",
                 (f"HEALTH_ALERTER_DOWN {ALERTER}",), 2),
        ),
    ),
    "the alerter hangs": Fault(
        make=freeze("obsctl-alerter", "app1"),
        mend=thaw("obsctl-alerter", "app1"),
        within=20,
        says=(
            Says("health", "health: CRITICAL  obsctl-alerter on app1: the unit is active, but its health page …",
                 (f"HEALTH_ALERTER_DOWN {ALERTER}",), 2, hint="systemctl kill -s CONT obsctl-alerter"),
        ),
    ),
    "a robot refuses while nothing is due": Fault(
        make=(Step("robot", "300005"),),
        mend=(Step("robot", "success"),),
        long=False,
        says=(
            Says("alert test", "alert test: CRITICAL  channel/ops-dingtalk: …300005…",
                 ("ALERT_CHANNEL_REFUSED channel/ops-dingtalk",), 2),
            Says("health", "health: OK", (), 0),
        ),
    ),
    "a robot refuses while an alert is due": Fault(
        make=(Step("robot", "300005"), curls("node1", 150, VIP)),
        mend=(Step("robot", "success"), Step("app1", "systemctl restart obsctl-alerter")),
        says=(
            Says("health",
                 "health: CRITICAL  obsctl-alerter on app1: reports 'degraded': channel ops-dingtalk: refused…",
                 (f"HEALTH_ALERTER_WAITING {ALERTER}",), 2, hint="obsctl alert test"),
        ),
    ),
}  # fmt: skip


def _load_certificate(ca_file: str) -> str:
    """Return how the database reads its certificate again; MySQL itself takes only one that it trusts."""
    reload = f'SET GLOBAL ssl_ca = "{ca_file}"; ALTER INSTANCE RELOAD TLS'
    return f"case {{database}} in mariadb) mysql -e 'FLUSH SSL';; *) mysql -e '{reload}';; esac"


_ACCESS = {
    "every user of a host can read a broker's key": Fault(
        make=(Step("node3", f"chmod o+r {TLS}/kafka/key.pem"),),
        mend=(Step("node3", f"chmod o-r {TLS}/kafka/key.pem"),),
        long=False,
        says=tuple(
            Says(command,
                 f"{command}: CRITICAL  kafka on node3: every user of the host can read the private key: key.pem …",
                 ("CERT_KEY_READABLE kafka/node3",), 2, hint="replace the key too")
            for command in ("certs status", "health")
        ),
    ),
    "the certificate of a balancer that does not hold the address has expired": Fault(
        make=present("{other}", "nginx", "expired", after="systemctl reload nginx"),
        mend=present_own("{other}", "nginx", after="systemctl reload nginx"),
        says=(
            Says("health", "health: CRITICAL  nginx on {other}: the certificate expired … ago, on …",
                 ("CERT_EXPIRED nginx/{other}",), 2, may=("VIP_CERTIFICATE_REFUSED host/{other}",),
                 hint="playbooks/certificates.yml"),
            Says("verify vip", "verify vip: WARNING  {other}: on port 443 its certificate has expired",
                 ("VIP_CERTIFICATE_REFUSED host/{other}",), 1, hint="playbooks/nginx.yml"),
        ),
    ),
    "the holder presents a certificate of a foreign CA": Fault(
        make=present("{holder}", "nginx", "foreign", after="systemctl reload nginx"),
        mend=present_own("{holder}", "nginx", after="systemctl reload nginx"),
        says=(
            Says("health", "health: CRITICAL  nginx on {holder}: its chain does not end at a trusted CA (…",
                 ("CERT_UNTRUSTED nginx/{holder}",), 2, may=("VIP_CERTIFICATE_REFUSED host/{holder}",),
                 hint="playbooks/certificates.yml"),
            Says("verify vip", "verify vip: CRITICAL  {holder}: on port 443 its certificate is not signed by a CA of …",
                 ("VIP_CERTIFICATE_REFUSED host/{holder}",), 2, hint="nginx_tls_ca_file"),
            Says("verify lb",
                 f"verify lb: CRITICAL  vip/{VIP}: on port 443 its certificate is not signed by a CA of …",
                 (f"VIP_CERTIFICATE_REFUSED vip/{VIP}",), 2),
        ),
    ),
    "a back end's certificate is for another address": Fault(
        make=present("node3", "backend", "misnamed", after="systemctl restart obs-backend"),
        mend=present_own("node3", "backend", after="systemctl restart obs-backend"),
        says=(
            Says("health", "health: CRITICAL  backend on node3: it is not for 198.18.0.13 but for 192.0.2.9…",
                 ("CERT_NAME_MISMATCH backend/node3",), 2, may=("HEALTH_BACKEND_DOWN backend/node3",),
                 hint="playbooks/certificates.yml"),
            Says("verify lb", "verify lb: CRITICAL  backend on node3: none of … answers came from it…",
                 ("LB_BACKEND_SILENT backend/node3",), 2, may=("LB_ERRORS lb",)),
        ),
    ),
    "a broker is started again with a certificate of a foreign CA": Fault(
        # It does not come up, and systemd tries it every five seconds.
        make=present("node3", "kafka", "foreign", after="systemctl restart kafka"),
        mend=present_own("node3", "kafka", after="systemctl restart kafka"),
        within=60,
        says=(
            Says("health", "health: CRITICAL  kafka on node3: the chain of its file on the host does not end at…",
                 ("CERT_UNTRUSTED kafka/node3",), 2,
                 may=("HEALTH_SERVICE_DOWN kafka/node3", "KAFKA_CERT_UNTRUSTED broker/3", *of_broker(3), NO_ALERTER,
                      *NO_ROWS),
                 hint="playbooks/certificates.yml"),
        ),
        lines="node1",
    ),
    "the database presents a certificate of a foreign CA": Fault(
        # What is connected stays connected.
        make=present("db1", "mysql", "foreign", after=_load_certificate(f"{TLS}/mysql/cert.pem")),
        mend=present_own("db1", "mysql", after=_load_certificate(f"{TLS}/ca.pem")),
        says=(
            Says("health", "health: CRITICAL  mysql on db1: the chain of its file on the host does not end at…",
                 ("CERT_UNTRUSTED mysql/db1",), 2,
                 may=("HEALTH_DATABASE_TLS database/198.18.0.21", NO_CONSUMER, *NO_ROWS),
                 hint="playbooks/certificates.yml"),
            Says("consumer status",
                 "consumer status: CRITICAL  database on db1: the certificate of the database at 198.18.0.21:3306…",
                 ("HEALTH_DATABASE_TLS database/198.18.0.21",), 2, may=(NO_CONSUMER,),
                 hint="openssl s_client -starttls mysql"),
        ),
        lines="node1",
    ),
    "the database offers no TLS": Fault(
        make=edit("db1", DATABASE_CONFIG,
                  "/^ssl_/d; /^require_secure_transport/d; s/^tls_version = .*/tls_version =/",
                  after="systemctl restart {database}"),
        mend=restore("db1", DATABASE_CONFIG, after="systemctl restart {database}"),
        says=(
            Says("health", "health: CRITICAL  database on db1: the database at 198.18.0.21:3306 offers no TLS…",
                 ("HEALTH_DATABASE_TLS database/198.18.0.21",), 2,
                 may=("HEALTH_DATABASE_DOWN *", NO_CONSUMER, *NO_ROWS),
                 hint="playbooks/mysql.yml"),
            Says("consumer status",
                 "consumer status: CRITICAL  database on db1: the database at 198.18.0.21:3306 offers no TLS…",
                 ("HEALTH_DATABASE_TLS database/198.18.0.21",), 2, may=(NO_CONSUMER,)),
        ),
        lines="node1",
    ),
    "the consumer's user of Kafka has another password": Fault(
        make=(
            Step("node1", f"kafka-cli configs {BROKER} --alter --entity-type users --entity-name consumer "
                 "--add-config 'SCRAM-SHA-512=[password=drill]'"),
            # Who is logged in stays logged in.
            Step("app1", "systemctl restart obsctl-consumer"),
        ),
        mend=(Step("play", "playbooks/kafka.yml"),),
        within=60,
        says=(
            Says("health", "health: CRITICAL  obsctl-consumer on app1: reports 'waiting': …the brokers refuse…",
                 (NO_CONSUMER,), 2, may=(f"HEALTH_CONSUMER_DOWN {CONSUMER}", *NO_ROWS),
                 hint="gives Kafka's users their passwords"),
        ),
        lines="node1",
    ),
    "the consumer may not read the topics any more": Fault(
        make=rights("remove --force", "consumer", "Read"),
        mend=rights("add", "consumer", "Read"),
        within=60,
        says=(
            Says("health",
                 "health: CRITICAL  obsctl-consumer on app1: reports 'waiting': nginxlog…: Kafka does not let…",
                 (NO_CONSUMER,), 2, may=NO_ROWS, hint="gives Kafka's users their rights"),
            Says("kafka status", "kafka status: OK", (), 0),
        ),
        lines="node1",
    ),
    "the shippers may not write to the topics any more": Fault(
        make=rights("remove --force", "filebeat", "Write"),
        mend=rights("add", "filebeat", "Write"),
        # A warning after ten seconds, critical after a minute.
        within=150,
        says=(
            Says("health", "health: CRITICAL  filebeat on node2: … bytes of /var/log/nginx/access.log wait, the …",
                 ("LOGS_LATE filebeat/node2",), 2, hint="gives Filebeat's user its password and rights again"),
            Says("kafka status", "kafka status: OK", (), 0),
        ),
        lines="node2",
    ),
}  # fmt: skip

_CONSOLE = {
    "the console is stopped": Fault(
        make=stop("obsctl-console", "app1"),
        mend=start("obsctl-console", "app1"),
        says=(
            Says("health", "health: WARNING  obsctl-console on app1 is inactive since … UTC…",
                 ("HEALTH_SERVICE_DOWN obsctl-console/app1",), 1, hint="systemctl status obsctl-console"),
        ),
    ),
    "the console hangs": Fault(
        make=freeze("obsctl-console", "app1"),
        mend=thaw("obsctl-console", "app1"),
        within=20,
        long=False,
        says=(
            Says("health", "health: WARNING  obsctl-console on app1 is frozen…",
                 ("HEALTH_SERVICE_FROZEN obsctl-console/app1",), 1,
                 hint="systemctl kill -s CONT obsctl-console"),
        ),
    ),
}  # fmt: skip

#: The table, in the parts of its page.
PARTS = {
    "Hosts": _HOSTS,
    "The virtual address": _ADDRESS,
    "Balancing": _BALANCING,
    "Shippers": _SHIPPERS,
    "Kafka": _KAFKA,
    "Consumer and database": _ROWS,
    "Certificates, logins and rights": _ACCESS,
    "Alerts": _ALERTS,
    "Console": _CONSOLE,
}
FAULTS: dict[str, Fault] = {name: fault for part in PARTS.values() for name, fault in part.items()}
