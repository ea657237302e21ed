"""Three brokers and controllers on loopback, which a test may suspend, kill and start again."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import confluent_kafka
import confluent_kafka.admin
import msgspec

from obsctl.fleet.model import Fleet, Host, Kafka, KafkaNode, Topic
from rig.kafka import Java, text_of
from rig.ports import free_port
from rig.server import START_SECONDS, ServerProcess
from rig.waiting import wait_for

TOPIC = "nginxlog"
PARTITIONS = 6


class Brokers:
    """A KRaft cluster of three combined nodes, replication factor 3, min.insync.replicas 2."""

    def __init__(self, libs: Path, folder: Path) -> None:
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

    def admin(self, *nodes: int) -> confluent_kafka.admin.AdminClient:
        """Return a client that asks these nodes first, or any."""
        bootstrap = ",".join(f"127.0.0.1:{self.ports[node]}" for node in nodes) or self.bootstrap
        return confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def named_by(self, *nodes: int) -> set[int]:
        """Return the brokers that these nodes name to clients: those that are not fenced."""
        return set(self.admin(*nodes).list_topics(timeout=2).brokers)

    def create_topic(self) -> None:
        topic = confluent_kafka.admin.NewTopic(TOPIC, PARTITIONS, 3)
        admin = self.admin()  # must outlive its futures
        admin.create_topics([topic])[TOPIC].result(30)

    def produce(self, partition: int, lines: int, *, acks: str, leader: int | None = None) -> None:
        """Write so many lines to one partition; with its leader named, no other broker is asked, which might hang."""
        bootstrap = f"127.0.0.1:{self.ports[leader]}" if leader else self.bootstrap
        producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "acks": acks, "log_level": 0})
        for number in range(lines):
            producer.produce(TOPIC, f"line {number}".encode(), partition=partition)
        assert producer.flush(20) == 0

    def suspend(self, node: int) -> None:
        self._processes[node].send(signal.SIGSTOP)

    def resume(self, node: int) -> None:
        self._processes[node].send(signal.SIGCONT)

    def kill(self, node: int) -> None:
        self._processes[node].end(signal.SIGKILL, 30)

    def close(self) -> None:
        for node in list(self._processes):
            self.kill(node)

    def _config(self, node: int) -> Path:
        return self._folder / f"{node}.properties"

    def _properties(self, node: int) -> dict[str, object]:
        broker, controller = self.ports[node], self._controllers[node]
        voters = ",".join(f"{other}@127.0.0.1:{port}" for other, port in self._controllers.items())
        return {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self._folder / f"data{node}",
            "auto.create.topics.enable": "false",
            "default.replication.factor": 3,
            "min.insync.replicas": 2,
            "offsets.topic.num.partitions": 3,
            "offsets.topic.replication.factor": 3,
            "group.initial.rebalance.delay.ms": 0,
            # Short, so that a test sees the ISR shrink and grow within seconds.
            "replica.lag.time.max.ms": 3000,
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
        }
