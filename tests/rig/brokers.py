"""Three brokers and controllers on loopback, which a test may suspend, kill and start again."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import confluent_kafka
import confluent_kafka.admin
import msgspec

from obsctl.fleet.model import Fleet, Host, Kafka, KafkaNode, Topic
from rig.cable import Cable
from rig.kafka import Java, text_of
from rig.ports import free_port
from rig.server import START_SECONDS, ServerProcess
from rig.waiting import wait_for

TOPIC = "nginxlog"
PARTITIONS = 6


class Brokers:
    """A KRaft cluster of three combined nodes, replication factor 3, min.insync.replicas 2.

    Args:
        libs: the unpacked archive's libs.
        folder: for configurations, data and output.
        replica_lag_ms: after which Kafka takes a replica out of the ISR (``replica.lag.time.max.ms``).

    Attributes:
        cables: the way of the other brokers to each node's log, by node; clients and controllers have their own.
    """

    def __init__(self, libs: Path, folder: Path, *, replica_lag_ms: int = 3000) -> None:
        self._replica_lag_ms = replica_lag_ms
        self.cables = {node: Cable(free_port()) for node in (1, 2, 3)}
        self._java = Java(libs, ("-Xmx320m", "-XX:TieredStopAtLevel=1"))
        self._folder = folder
        self._processes = {node: ServerProcess(folder, str(node)) for node in (1, 2, 3)}
        self.ports = {node: free_port() for node in (1, 2, 3)}
        self._controllers = {node: free_port() for node in (1, 2, 3)}
        for node in self.ports:
            self._config(node).write_text(text_of(self._properties(node)))
            self._java.format(self._config(node))

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    def fleet(self, *, controllers_open: bool) -> Fleet:
        """Return the cluster as an inventory names it; ``controllers_open`` is what a firewall decides."""
        return Fleet(
            hosts=tuple(
                Host(
                    name=f"node{node}",
                    address="127.0.0.1",
                    groups=("kafka",),
                    kafka=KafkaNode(
                        node_id=node,
                        broker_port=port,
                        controller_port=self._controllers[node] if controllers_open else free_port(),
                    ),
                )
                for node, port in self.ports.items()
            ),
            kafka=Kafka(topics=(Topic(name=TOPIC, partitions=PARTITIONS),)),
        )

    def fleet_file(self, folder: Path) -> Path:
        path = folder / "fleet.json"
        path.write_bytes(msgspec.json.encode(self.fleet(controllers_open=True)))
        return path

    def start(self, *nodes: int) -> None:
        """Start the nodes (all at once, or the first waits for a majority) and wait until each is registered."""
        for node in nodes:
            self._processes[node].launch(self._java.broker(self._config(node)))

        def registered() -> bool:
            with contextlib.suppress(confluent_kafka.KafkaException):
                return set(nodes) <= self.named_by(*self.ports)
            return False

        wait_for(
            f"the brokers {nodes} are registered, see {self._folder}", registered, seconds=START_SECONDS, every=0.2
        )

    def reassign(self, plan: Path) -> str:
        """Begin what a file says of partitions and their replicas, as Kafka's own tool does."""
        main = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
        arguments = ("--bootstrap-server", self.bootstrap, "--reassignment-json-file", str(plan), "--execute")
        return self._java.run(main, *arguments)

    def lead_evenly(self) -> None:
        """Have each partition of the topic led by its first replica: a broker that hung leads none of its own."""

        def led() -> bool:
            with contextlib.suppress(confluent_kafka.KafkaException):
                admin = self.admin()
                admin.elect_leaders(confluent_kafka.ElectionType.PREFERRED).result(10)
                partitions = admin.list_topics(TOPIC, timeout=5).topics[TOPIC].partitions.values()
                return all(part.leader == part.replicas[0] for part in partitions)
            return False

        wait_for("each broker leads partitions", led, every=0.5)

    def admin(self, *nodes: int) -> confluent_kafka.admin.AdminClient:
        """Return a client that asks these nodes first, or any."""
        bootstrap = ",".join(f"127.0.0.1:{self.ports[node]}" for node in nodes) or self.bootstrap
        return confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def named_by(self, *nodes: int) -> set[int]:
        """Return the brokers that these nodes name to clients: those that are not fenced."""
        return set(self.admin(*nodes).list_topics(timeout=2).brokers)

    def create_topic(self, name: str = TOPIC, partitions: int = PARTITIONS, replicas: int = 3, **settings: str) -> None:
        topic = confluent_kafka.admin.NewTopic(name, partitions, replicas, config=settings)
        admin = self.admin()  # must outlive its futures
        admin.list_topics(timeout=10)
        create(admin, topic)

    def produce(self, partition: int, lines: int, *, acks: str, leader: int | None = None) -> None:
        """Write so many lines to one partition; with its leader named, no other broker is asked, which might hang."""
        bootstrap = f"127.0.0.1:{self.ports[leader]}" if leader else self.bootstrap
        producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "acks": acks, "log_level": 0})
        for number in range(lines):
            producer.produce(TOPIC, f"line {number}".encode(), partition=partition)
        assert producer.flush(20) == 0

    def refusal(self, topic: str) -> str:
        """Write a line with acks=all and return the name of the error that comes of it, empty for none."""
        settings = {"bootstrap.servers": self.bootstrap, "acks": "all", "retries": 0, "log_level": 0}
        producer = confluent_kafka.Producer(settings)
        errors: list[str] = []
        producer.produce(topic, b"line", on_delivery=lambda error, _: errors.append(error.name() if error else ""))
        assert producer.flush(20) == 0
        return errors[0]

    def suspend(self, node: int) -> None:
        self._processes[node].send(signal.SIGSTOP)

    def resume(self, node: int) -> None:
        self._processes[node].send(signal.SIGCONT)

    def kill(self, node: int) -> None:
        self._processes[node].end(signal.SIGKILL, 30)

    def close(self) -> None:
        for node in list(self._processes):
            self.kill(node)
        for cable in self.cables.values():
            cable.close()

    def _config(self, node: int) -> Path:
        return self._folder / f"{node}.properties"

    def _properties(self, node: int) -> dict[str, object]:
        broker, controller = self.ports[node], self._controllers[node]
        voters = ",".join(f"{other}@127.0.0.1:{port}" for other, port in self._controllers.items())
        return {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{broker},REPLICAS://127.0.0.1:{self.cables[node].target},"
            f"CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker},REPLICAS://127.0.0.1:{self.cables[node].port}",
            "inter.broker.listener.name": "REPLICAS",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,REPLICAS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self._folder / f"data{node}",
            "auto.create.topics.enable": "false",
            "default.replication.factor": 3,
            "min.insync.replicas": 2,
            "offsets.topic.num.partitions": 3,
            "offsets.topic.replication.factor": 3,
            "group.initial.rebalance.delay.ms": 0,
            # Short, so that a test sees the ISR shrink and grow within seconds.
            "replica.lag.time.max.ms": self._replica_lag_ms,
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
        }


def create(admin: confluent_kafka.admin.AdminClient, topic: confluent_kafka.admin.NewTopic) -> None:
    """Create a topic.

    A request on a connection that the client gives up, when the brokers' names become known, is lost, or its answer is:
    it is sent again, and then the topic may be there.
    """
    for _ in range(5):
        try:
            admin.create_topics([topic])[topic.topic].result(30)
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() == confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                return
            if error.args[0].code() != confluent_kafka.KafkaError._DESTROY_BROKER:
                raise
        else:
            return
    raise AssertionError(f"{topic.topic}: each connection was given up")
