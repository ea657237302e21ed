"""A real broker and a real database, started by the tests on loopback and in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import confluent_kafka
import confluent_kafka.admin
import pymysql

from tests.integration.cable import Cable

REPOSITORY = Path(__file__).resolve().parents[2]
MIGRATIONS = REPOSITORY / "roles" / "mysql" / "files" / "migrations"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "obsctl"
#: Any will do: the nodes are told apart by their ports.
CLUSTER_ID = "obsTestClusterAAAAAAAA"
START_SECONDS = 60.0
#: The program of a MySQL server to test with, instead of MariaDB.
MYSQLD = os.environ.get("OBSCTL_TEST_MYSQLD", "")
#: A test's broker has little to do and shall start soon.
SMALL_JAVA = ("-Xmx384m", "-XX:TieredStopAtLevel=1")
SMALL_MARIADB = ("--innodb-buffer-pool-size=256M",)


def kafka_archive() -> Path | None:
    """Return the newest Kafka archive of the artifact folder, or None."""
    found = sorted((CACHE / "artifacts" / "kafka").glob("kafka_*.tgz"))
    return found[-1] if found else None


def unpack_kafka(archive: Path, folder: Path) -> Path:
    """Unpack the archive's ``libs``; return that folder."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, members=[m for m in tar if "/libs/" in m.name], filter="data")
    return next(folder.glob("*/libs"))


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class _Process:
    """A server process in its own process group, its output in a file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, command: list[str]) -> None:
        with (self.folder / f"{self.name}.out").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        return (self.folder / f"{self.name}.out").read_text(errors="replace")[-4000:]

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: signal.Signals, timeout: float = 60.0) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout)


class KafkaNode:
    """One broker and controller in one process, KRaft, on loopback.

    Args:
        libs: the unpacked archive's libs.
        folder: for its configuration, data and output.
        cable: leads to a second listener; who comes that way is told to come back that way.
        settings: what its server.properties says otherwise.
        java: options of the virtual machine.
        cluster_id: the id that the cluster is formatted with.
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
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._libs = libs
        self._java_options = java
        self._process = _Process(folder, "kafka")
        self._config = folder / "server.properties"
        controller = free_port()
        second = f",CABLE://127.0.0.1:{cable.target}" if cable else ""
        advertised = f",CABLE://127.0.0.1:{cable.port}" if cable else ""
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}{second}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}{advertised}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CABLE:PLAINTEXT",
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
        self._config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(self._config))

    def _command(self, main: str, *arguments: str) -> list[str]:
        return ["java", *self._java_options, "-cp", f"{self._libs}/*", main, *arguments]

    def _java(self, main: str, *arguments: str) -> None:
        subprocess.run(self._command(main, *arguments), check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        """Start the broker and wait until it answers."""
        self._process.launch(self._command("kafka.Kafka", str(self._config)))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self._process.running:
                break
            with contextlib.suppress(confluent_kafka.KafkaException):
                if self.admin().list_topics(timeout=1).brokers:
                    return
        raise RuntimeError(f"Kafka did not start: {self._process.output()}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def admin(self) -> confluent_kafka.admin.AdminClient:
        return confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def create_topic(self, name: str, partitions: int) -> None:
        topic = confluent_kafka.admin.NewTopic(name, partitions, 1)
        admin = self.admin()  # must outlive its futures
        admin.create_topics([topic])[name].result(30)

    def delete_topic(self, name: str) -> None:
        admin = self.admin()
        admin.delete_topics([name])[name].result(30)

    def producer(self) -> confluent_kafka.Producer:
        return confluent_kafka.Producer(
            # Idempotent: what is sent again after a crash of the broker is in the topic once.
            {"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "linger.ms": 20, "log_level": 0}
        )

    def stop(self) -> None:
        self._process.end(signal.SIGTERM)

    @property
    def running(self) -> bool:
        return self._process.running

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send(number)

    def freeze(self) -> None:
        """Stop the process where it is: connections stay, and nothing is answered."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        self._process.end(signal.SIGKILL)


class MariaDB:
    """A MariaDB server of its own: a socket, a loopback port, a data folder. ``options`` are further ones of it."""

    #: Its error number for a row that violates a CHECK.
    check_violated = 4025

    def __init__(self, folder: Path, options: Sequence[str] = SMALL_MARIADB) -> None:
        self.folder = folder
        self._options = options
        self.port = free_port()
        # A socket's path may have 107 characters; temporary folders can be longer.
        self.socket = f"/tmp/obs-test-{self.port}.sock"
        self._process = _Process(folder, "database")
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        self._install()

    def _install(self) -> None:
        command = ["mariadb-install-db", "--no-defaults", *self._user, f"--datadir={self.folder / 'data'}"]
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([*command, *options], check=True, capture_output=True, timeout=120)

    def _command(self) -> list[str]:
        return ["mariadbd", "--no-defaults", "--skip-name-resolve"]

    def start(self) -> None:
        """Start the server and wait until it answers."""
        own = self.folder / "tmp"  # a server that starts deletes others' temporary tables from a folder they share
        own.mkdir(exist_ok=True)
        self._process.launch(
            [
                *self._command(),
                *self._user,
                f"--datadir={self.folder / 'data'}",
                f"--tmpdir={own}",
                f"--socket={self.socket}",
                f"--port={self.port}",
                "--bind-address=127.0.0.1",
                f"--pid-file={self.folder / 'pid'}",
                *self._options,
                "--innodb-flush-log-at-trx-commit=1",
            ]
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.running:
            with contextlib.suppress(pymysql.MySQLError), self.root():
                return
            time.sleep(0.1)
        raise RuntimeError(f"the database did not start: {self._process.output()}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @contextlib.contextmanager
    def root(self, database: str | None = None) -> Iterator[pymysql.cursors.Cursor]:
        """Yield a cursor of the administrator, with autocommit."""
        # Over the socket nobody listens; to make a TLS context costs more than all else here.
        connection = pymysql.connect(
            unix_socket=self.socket,
            user="root",
            database=database,
            autocommit=True,
            charset="utf8mb4",
            ssl_disabled=True,
        )
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.end(signal.SIGTERM)
        Path(self.socket).unlink(missing_ok=True)

    @property
    def running(self) -> bool:
        return self._process.running

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send(number)

    def freeze(self) -> None:
        """Stop the process where it is: it accepts connections and answers nothing."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        self._process.end(signal.SIGKILL)


class MySQL(MariaDB):
    """The same with MySQL's own server; :data:`MYSQLD` names it.

    Args:
        folder: for its data and output.
        tls: offer TLS, as it does by itself. Without it a cable can read the statements.
    """

    check_violated = 3819

    def __init__(self, folder: Path, *, tls: bool = True) -> None:
        self._tls = tls
        super().__init__(folder)

    def _install(self) -> None:
        command = [MYSQLD, "--no-defaults", "--initialize-insecure", *self._user, f"--datadir={self.folder / 'data'}"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def _command(self) -> list[str]:
        plain = [] if self._tls else ["--tls-version="]
        return [MYSQLD, "--no-defaults", "--mysqlx=0", "--disable-log-bin", "--secure-file-priv=NULL", *plain]


def database_server(folder: Path, *, tls: bool = True) -> MariaDB:
    """Return the server that the tests use: MariaDB, or MySQL where :data:`MYSQLD` is set."""
    return MySQL(folder, tls=tls) if MYSQLD else MariaDB(folder)


def migration_statements(text: str) -> list[str]:
    """Return a migration's statements: each ends with a semicolon at the end of a line."""
    without_comments = re.sub(r"(?m)^\s*--.*$", "", text)
    return [s.strip() for s in re.split(r";[ \t]*(?:\n|$)", without_comments) if s.strip()]


def make_schema(cursor: pymysql.cursors.Cursor, database: str) -> None:
    """Make a database as the role does: the migrations, and the table that remembers them."""
    cursor.execute(f"DROP DATABASE IF EXISTS {database}")
    cursor.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    cursor.execute(f"USE {database}")
    cursor.execute(
        "CREATE TABLE schema_migrations (version INT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL,"
        " checksum CHAR(64) NOT NULL, applied_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
    for path in sorted(MIGRATIONS.glob("*.sql")):
        for statement in migration_statements(path.read_text()):
            cursor.execute(statement)
        version, name = path.stem.split("_", 1)
        cursor.execute("INSERT INTO schema_migrations (version,name,checksum) VALUES (%s,%s,'')", (int(version), name))


def grant(cursor: pymysql.cursors.Cursor, database: str, user: str, password: str) -> None:
    """Make the consumer's user with exactly the privileges that it declares."""
    from obsctl.store.mysql.schema import PRIVILEGES

    cursor.execute(f"CREATE USER IF NOT EXISTS '{user}'@'127.0.0.1' IDENTIFIED BY '{password}'")
    for table, privileges in PRIVILEGES.items():
        cursor.execute(f"GRANT {', '.join(privileges)} ON {database}.{table} TO '{user}'@'127.0.0.1'")


def missing_tools() -> str:
    """Return why the servers cannot be started here, or an empty string."""
    if shutil.which("java") is None:
        return "java is not installed"
    if kafka_archive() is None:
        return f"no Kafka archive in {CACHE / 'artifacts' / 'kafka'} (obsctl artifacts build)"
    if MYSQLD:
        return "" if shutil.which(MYSQLD) else f"OBSCTL_TEST_MYSQLD names no program: {MYSQLD}"
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        return "mariadb-server is not installed"
    return ""
