"""Draining a backlog: the servers, the programs that store it, and the cost of a run."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pymysql
import yaml
from measure import ROOT

sys.path.insert(0, str(ROOT / "tests"))
from obsctl.lines.formats.line import AccessLine
from obsctl.store.mysql.store import MySQLStore
from obsctl.store.settings import Database
from rig.consumer import assert_conserved
from rig.database import Certificates, MariaDB, grant, make_schema
from rig.kafka import KafkaNode, unpack_kafka
from rig.ports import free_port
from rig.tools import kafka_archive

DATABASE, USER, PASSWORD = "obs", "obs_consumer", "bench"
#: Number of day partitions, as on a host; the backlog is from yesterday.
RETENTION_DAYS = 30
#: Rows per transaction of LOAD DATA; with the 10,000 of our batches it is no faster.
ROWS_A_TRANSACTION = 5000
#: Seconds without a stored row after which a run has failed.
_SILENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.1
#: Both members of a group must be in its first assignment, or the run begins with a rebalance.
_KAFKA_SETTINGS = {"group.initial.rebalance.delay.ms": "3000", "log.retention.hours": "-1"}
_MARIADB_OPTIONS = (
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=512M",
    "--max-allowed-packet=64M",
    "--secure-file-priv=",
    "--local-infile=ON",
)
_LOADED_COLUMNS = ",".join(AccessLine.__struct_fields__).replace("line_id", "@line_id")


class Figures(NamedTuple):
    """The figures of a run: rows a second, and CPU-seconds per million rows of the workers and of the database."""

    rate: float
    worker: float
    database: float


class Rig:
    """The benchmark's own broker and database, on loopback and in one folder, and the topic with the backlog.

    Args:
        folder: for all that they keep.
        rows: of the backlog.
        consumer: its program; the naive one runs on the Python beside it.
        tls: there is a second database with TLS. One of the two runs at a time.
    """

    topic = "nginxlog"

    def __init__(self, folder: Path, rows: int, consumer: Path, *, tls: bool = False) -> None:
        self.folder = folder
        self.rows = rows
        self._consumer = consumer
        archive = kafka_archive()
        assert archive is not None
        libs = unpack_kafka(archive, folder / "libs")
        (folder / "kafka").mkdir()
        (folder / "mariadb").mkdir()
        self.kafka = KafkaNode(libs, folder / "kafka", settings=_KAFKA_SETTINGS, java=("-Xmx512m",))
        self.mariadb = MariaDB(folder / "mariadb", _MARIADB_OPTIONS)
        self._clear, self._encrypted, self._ca_file = self.mariadb, self.mariadb, ""
        if tls:
            (folder / "encrypted").mkdir()
            certificates = Certificates(folder / "certificates")
            self._encrypted = MariaDB(folder / "encrypted", (*_MARIADB_OPTIONS, *certificates.options))
            self._ca_file = str(certificates.authority.ca_file)
        (folder / "password").write_text(PASSWORD)
        self._runs = 0

    def start(self) -> None:
        """Start both servers."""
        self.kafka.start()
        self.mariadb.start()

    def close(self) -> None:
        """Kill both servers: nothing of them is kept."""
        for server in (self.kafka, self.mariadb):
            with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
                server.kill()
        Path(self.mariadb.socket).unlink(missing_ok=True)

    # -- the sides ---------------------------------------------------------------------------------------------

    def ours(
        self,
        processes: int,
        *,
        tls: bool = False,
        beside: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> Figures:
        """Drain the backlog with the consumer, and check that every row and every roll-up is stored.

        Args:
            processes: workers of the consumer.
            tls: to the database.
            beside: what goes on meanwhile; it begins when the tables are there, before the consumer.
        """
        group = self._begin(tls=tls)
        command = [self._consumer, "--config", self._config(group, processes)]
        with beside(), _ended(self._launch(command, group)) as unit:
            figures = self._watch(unit, self._passed)
        self._require_all("the consumer")
        assert_conserved(self.query)
        return figures

    def load_data(self, files: Sequence[Path], sessions: int) -> Figures:
        """Load the files into the same table, one transaction each."""
        self._begin()
        before = cpu_seconds(self.mariadb.pid)
        began = time.monotonic()
        threads = [threading.Thread(target=self._load, args=(files[i::sessions],)) for i in range(sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        used = cpu_seconds(self.mariadb.pid) - before
        self._require_all("LOAD DATA")
        return Figures(self.rows / took, 0.0, used / self.rows * 1e6)

    def program(self, command: Callable[[str], Sequence[str | Path]]) -> Figures:
        """Drain the backlog with another program, which ``command`` names for a consumer group."""
        group = self._begin()
        with _ended(self._launch(command(group), "peer")) as process:
            figures = self._watch(process, self._inserted())
        self._require_all("another program")
        return figures

    def naive(self, rows: int) -> Figures:
        """Let the naive consumer store some rows."""
        group = self._begin()
        command = [
            self._consumer.with_name("python"),
            ROOT / "bench" / "naive.py",
            self.kafka.bootstrap,
            self.topic,
            group,
        ]
        process = subprocess.Popen([*command, self.mariadb.socket, str(rows)], stdout=subprocess.PIPE, text=True)
        with _ended(process):
            before = cpu_seconds(self.mariadb.pid)
            worker = 0.0
            while process.poll() is None:
                worker = cpu_seconds(process.pid) or worker
                time.sleep(_LOOK_SECONDS)
            used = cpu_seconds(self.mariadb.pid) - before
            assert process.stdout is not None
            said = process.stdout.read()
            if process.returncode:
                sys.exit(f"the naive consumer ended with {process.returncode}")
            return Figures(rows / float(said), worker / rows * 1e6, used / rows * 1e6)

    def files(self) -> list[Path]:
        """Write the stored rows to files for LOAD DATA, one file per transaction, in the order of their key."""
        folder = self.folder / "rows"
        folder.mkdir()
        folder.chmod(0o777)  # the server writes there, perhaps as another user
        whole = folder / "all"
        columns = _LOADED_COLUMNS.replace("@line_id", "HEX(line_id)")
        self.query(
            f"SELECT {columns} INTO OUTFILE '{whole}' CHARACTER SET utf8mb4 FROM access_log"
            f" ORDER BY kafka_offset DIV {ROWS_A_TRANSACTION}, ts, line_id"
        )
        found = []
        with whole.open("rb") as lines:
            while piece := list(itertools.islice(lines, ROWS_A_TRANSACTION)):
                path = folder / f"{len(found)}"
                path.write_bytes(b"".join(piece))
                found.append(path)
        whole.unlink()
        return found

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Let the database run on one core, and broker, consumer and this program on the others, as on two hosts."""
        cores = os.sched_getaffinity(0)
        database = {min(cores)}
        others = (self.kafka.pid, os.getpid())
        pin(self.mariadb.pid, database)
        for pid in others:
            pin(pid, cores - database)
        try:
            yield
        finally:
            for pid in (self.mariadb.pid, *others):
                pin(pid, cores)

    # -- a run -------------------------------------------------------------------------------------------------

    def query(self, sql: str) -> tuple[tuple[object, ...], ...]:
        """Ask the database as its administrator."""
        with self.mariadb.root(DATABASE) as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def _require_all(self, whose: str) -> None:
        ((count,),) = self.query("SELECT COUNT(*) FROM access_log")
        if count != self.rows:
            sys.exit(f"{whose} stored {count} rows of {self.rows}")

    def _begin(self, *, tls: bool = False) -> str:
        """Create the tables again, with the days' partitions; return a consumer group that has not been used."""
        wanted = self._encrypted if tls else self._clear
        if wanted is not self.mariadb:
            # A client without TLS would use TLS if the server offers it, so there are two servers.
            self.mariadb.stop()
            self.mariadb = wanted
            self.mariadb.start()
        with self.mariadb.root() as cursor:
            make_schema(cursor, DATABASE)
            grant(cursor, DATABASE, USER, PASSWORD)
        store = MySQLStore(self._database(), RETENTION_DAYS)
        store.upkeep()
        store.close()
        self._settle()
        self._runs += 1
        return f"bench-{self._runs}"

    def _settle(self) -> None:
        """Wait, at most ten seconds, until the database has written to disk what the previous run left in memory."""
        for _ in range(20):
            ((_, pages),) = self.query("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
            if int(str(pages)) < 200:
                return
            time.sleep(0.5)

    def _database(self) -> Database:
        password = f"file:{self.folder / 'password'}"
        return Database(
            host="127.0.0.1",
            port=self.mariadb.port,
            name=DATABASE,
            user=USER,
            password=password,
            ca_file="" if self.mariadb is self._clear else self._ca_file,
        )

    def _config(self, group: str, processes: int) -> Path:
        path = self.folder / f"{group}.yml"
        database = self._database()
        settings = {
            "kafka": {
                "bootstrap": [self.kafka.bootstrap],
                "group": group,
                "instance": "bench",
                "topics": {"access": "nginxlog", "error": "nginxlog-error", "dlq": "nginxlog-dlq"},
            },
            "database": {name: getattr(database, name) for name in database.__struct_fields__},
            "batch": {"lines": 10_000, "interval_ms": 200},
            "health": {"address": "127.0.0.1", "port": free_port()},
            "retention_days": RETENTION_DAYS,
            "trusted_proxies": [],
            "error_log_timezone": "UTC",
            "processes": processes,
            "native": True,
        }
        path.write_text(yaml.safe_dump(settings))
        return path

    def _launch(self, command: Sequence[str | Path], name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as out:
            return subprocess.Popen(command, stdout=out, stderr=out)

    def _watch(self, program: subprocess.Popen[bytes], stored: Callable[[], int]) -> Figures:
        """Wait until all rows are stored; return figures from the first stored rows seen to the last."""
        first: _Look | None = None
        changed = time.monotonic()
        rows = 0
        while True:
            time.sleep(_LOOK_SECONDS)
            look = _Look(time.monotonic(), stored(), cpu_seconds(program.pid), cpu_seconds(self.mariadb.pid))
            if look.rows > rows:
                rows, changed = look.rows, look.time
                first = first or look
            if rows >= self.rows:
                assert first is not None
                return first.until(look)
            if program.poll() is not None or look.time - changed > _SILENCE_SECONDS:
                logs = "".join(path.read_text()[-2000:] for path in sorted(self.folder.glob("*.log"))[-2:])
                sys.exit(f"a run ended with {rows} rows of {self.rows}:\n{logs}")

    def _passed(self) -> int:
        ((passed,),) = self.query("SELECT COALESCE(SUM(next_offset),0) FROM log_source")
        return int(str(passed))

    def _inserted(self) -> Callable[[], int]:
        """Return a count of the rows written since now, of whatever table: a COUNT(*) would disturb the run."""

        def written() -> int:
            ((_, count),) = self.query("SHOW GLOBAL STATUS LIKE 'Handler_write'")
            return int(str(count))

        before = written()
        columns = "ts,line_id,source_id,kafka_offset,log_format,host,client_addr,uri,status,bytes,referer,user_agent"
        values = "NOW(),'',0,0,'','','','',0,0,'','',''"
        self.query(f"INSERT INTO access_log ({columns},x_forwarded_for) VALUES ({values})")
        self.query("DELETE FROM access_log")
        of_a_row = written() - before  # two where the table has partitions: the table's and the partition's
        before = written()
        return lambda: (written() - before) // of_a_row

    def _load(self, files: Sequence[Path]) -> None:
        connection = pymysql.connect(
            unix_socket=self.mariadb.socket, user="root", database=DATABASE, autocommit=True, charset="utf8mb4"
        )
        try:
            for path in files:
                connection.query(
                    f"LOAD DATA INFILE '{path}' INTO TABLE access_log CHARACTER SET utf8mb4 ({_LOADED_COLUMNS})"
                    " SET line_id=UNHEX(@line_id)"
                )
        finally:
            connection.close()


class _Look(NamedTuple):
    time: float
    rows: int
    worker: float
    database: float

    def until(self, last: _Look) -> Figures:
        millions = max(last.rows - self.rows, 1) / 1e6
        return Figures(
            millions * 1e6 / max(last.time - self.time, 1e-9),
            (last.worker - self.worker) / millions,
            (last.database - self.database) / millions,
        )


def cpu_seconds(pid: int) -> float:
    """Return the CPU-seconds that a process and its living children have used; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS + sum(cpu_seconds(int(child)) for child in children)


_TICKS = 100  # of /proc, on every Linux that is built today


def pin(pid: int, cores: set[int]) -> None:
    """Let all threads of a process, and what they start from now on, run on these cores alone."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread.name), cores)


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process at the end of the block."""
    try:
        yield process  # type: ignore[misc]
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
