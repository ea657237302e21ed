"""A real Kafka, started by the tests on loopback."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import confluent_kafka
import confluent_kafka.admin

from rig.cable import Cable
from rig.ports import free_port
from rig.server import START_SECONDS, Server, ServerProcess
from rig.waiting import wait_for

#: Any will do: the nodes differ by their ports.
CLUSTER_ID = "obsTestClusterAAAAAAAA"
#: A test's broker has little to do and shall start soon.
SMALL_JAVA = ("-Xmx384m", "-XX:TieredStopAtLevel=1")


def unpack_kafka(archive: Path, folder: Path) -> Path:
    """Unpack the archive's ``libs``; return that folder."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, members=[m for m in tar if "/libs/" in m.name], filter="data")
    return next(folder.glob("*/libs"))


class Java(NamedTuple):
    """How Kafka's programs are run: the unpacked archive's libs, and options of the virtual machine."""

    libs: Path
    options: Sequence[str] = SMALL_JAVA

    def format(self, config: Path, cluster_id: str = CLUSTER_ID) -> None:
        """Format the storage that a server.properties names."""
        self.run("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", f"--config={config}")

    def run(self, main: str, *arguments: str) -> str:
        """Run one of Kafka's own tools, and return what it prints."""
        done = subprocess.run(self.command(main, *arguments), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def broker(self, config: Path, *options: str) -> list[str]:
        """Return the command that runs a node."""
        return self.command("kafka.Kafka", str(config), options=options)

    def command(self, main: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
        """Return the command that runs one of Kafka's programs."""
        return ["java", *self.options, *options, "-cp", f"{self.libs}/*", main, *arguments]


def text_of(properties: Mapping[str, object]) -> str:
    """Return a server.properties."""
    return "".join(f"{key}={value}\n" for key, value in properties.items())


class KafkaNode(Server):
    """One broker and controller in one process, KRaft, on loopback.

    Args:
        libs: the unpacked archive's libs.
        folder: for its configuration, data and output.
        cable: leads to a second listener; a client that comes that way gets that address for its next connections.
        settings: what its server.properties says otherwise.
        java: options of the virtual machine.
        cluster_id: the id that the cluster is formatted with.
        listeners: more of them: name to port and security protocol.
    """

    def __init__(
        self,
        libs: Path,
        folder: Path,
        cable: Cable | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        java: Sequence[str] = SMALL_JAVA,
        cluster_id: str = CLUSTER_ID,
        listeners: Mapping[str, tuple[int, str]] | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._java = Java(libs, java)
        self._process = ServerProcess(folder, "kafka")
        self._config = folder / "server.properties"
        controller = free_port()
        second = f",CABLE://127.0.0.1:{cable.target}" if cable else ""
        advertised = f",CABLE://127.0.0.1:{cable.port}" if cable else ""
        more = "".join(f",{name}://127.0.0.1:{port}" for name, (port, _) in (listeners or {}).items())
        protocols = "".join(f",{name}:{protocol}" for name, (_, protocol) in (listeners or {}).items())
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}{second}{more}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}{advertised}{more}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CABLE:PLAINTEXT{protocols}",
            "log.dirs": str(folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "2",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # A killed broker is let in again when its old session is over.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "400",
        }
        properties.update(settings or {})
        self._config.write_text(text_of(properties))
        self._java.format(self._config, cluster_id)

    def run_tool(self, main: str, *arguments: str) -> str:
        """Run one of Kafka's own tools, and return what it prints."""
        return self._java.run(main, *arguments)

    def start(self) -> None:
        """Start the broker and wait until it answers."""
        self._process.launch(self._java.broker(self._config))
        wait_for(self._process.output, self._answers, seconds=START_SECONDS)

    def _answers(self) -> bool:
        assert self._process.running, f"Kafka ended: {self._process.output()}"
        with contextlib.suppress(confluent_kafka.KafkaException):
            return bool(self.admin().list_topics(timeout=1).brokers)
        return False

    def admin(self) -> confluent_kafka.admin.AdminClient:
        return confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def create_topic(self, name: str, partitions: int, **settings: str) -> None:
        topic = confluent_kafka.admin.NewTopic(name, partitions, 1, config=settings)
        admin = self.admin()  # must outlive its futures
        admin.create_topics([topic])[name].result(90)

    def delete_topic(self, name: str) -> None:
        admin = self.admin()
        admin.delete_topics([name])[name].result(30)

    def delete_records(self, topic: str, before: dict[int, int]) -> None:
        """Let the log of partitions begin at an offset of each, as the retention does."""
        admin = self.admin()
        starts = [confluent_kafka.TopicPartition(topic, part, offset) for part, offset in before.items()]
        for future in admin.delete_records(starts).values():
            future.result(30)

    def producer(self) -> confluent_kafka.Producer:
        return confluent_kafka.Producer(
            # Idempotent: what is sent again after a crash of the broker is in the topic once.
            {"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "linger.ms": 20, "log_level": 0}
        )

    def stop(self) -> None:
        self._process.end(signal.SIGTERM)
