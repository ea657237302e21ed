"""The consumer under test: its names, its processes, what it has stored, and the conservation of lines."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pymysql
import yaml

from obsctl.store.rollup import BYTES_COUNTED, LATENCY_BOUNDS_MS
from rig.database import MariaDB, grant, make_schema
from rig.ending import with_us
from rig.kafka import KafkaNode
from rig.ports import free_port
from rig.read_by import NATIVE
from rig.waiting import wait_for

PASSWORD = "obs-test-password"


class Pipeline:
    """Topics and a database under names of their own, and consumer processes between them."""

    def __init__(self, kafka: KafkaNode, mariadb: MariaDB, folder: Path, name: str, partitions: int = 3) -> None:
        self.kafka, self.mariadb, self.folder, self.name = kafka, mariadb, folder, name
        self.database = f"obs_{name}"
        self.access, self.error, self.dlq = f"{name}-access", f"{name}-error", f"{name}-dlq"
        kafka.create_topic(self.access, partitions)
        kafka.create_topic(self.error, 1)
        kafka.create_topic(self.dlq, 1)
        with mariadb.root() as cursor:
            make_schema(cursor, self.database)
            grant(cursor, self.database, "obs_consumer", PASSWORD)
        (folder / "password").write_text(PASSWORD + "\n")
        self._processes: list[subprocess.Popen[bytes]] = []
        self._producer = kafka.producer()
        self._members = 0

    # -- consumer ----------------------------------------------------------------------------------------------

    def config(self, **changes: Any) -> dict[str, Any]:
        """Return a configuration; ``changes`` replaces top-level keys."""
        return {
            "kafka": {
                "bootstrap": [self.kafka.bootstrap],
                "group": self.name,
                "topics": {"access": self.access, "error": self.error, "dlq": self.dlq},
                "session_timeout_ms": 6000,
            },
            "database": {
                "host": "127.0.0.1",
                "port": self.mariadb.port,
                "name": self.database,
                "user": "obs_consumer",
                "password": f"file:{self.folder / 'password'}",
            },
            "batch": {"lines": 500, "interval_ms": 100},
            "processes": 1,
            "native": NATIVE,
            "retention_days": 30,
            "trusted_proxies": [],
            "error_log_timezone": "UTC",
            "health": {"address": "127.0.0.1", "port": free_port()},
        } | changes

    def start(self, instance: str = "one", **changes: Any) -> Consumer:
        """Start a consumer process."""
        config = self.config(**changes)
        config["kafka"]["instance"] = instance
        self._members += 1
        path = self.folder / f"consumer-{self._members}.yml"
        path.write_text(yaml.safe_dump(config))
        consumer = Consumer(path, config["health"]["port"])
        self._processes.append(consumer.process)
        return consumer

    # -- input -------------------------------------------------------------------------------------------------

    def send(self, values: Iterable[bytes | None], topic: str | None = None, partition: int | None = None) -> None:
        """Produce values, spread over the partitions unless one is given, and wait until they are written."""
        for index, value in enumerate(values):
            self._producer.produce(topic or self.access, value, partition=index % 3 if partition is None else partition)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    # -- output ------------------------------------------------------------------------------------------------

    def query(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        with self.mariadb.root(self.database) as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def dump(self) -> bytes:
        """Return a consistent backup of the database, as its administrator makes one."""
        return self._client("mariadb-dump", "--single-transaction", self.database)

    def restore(self, backup: bytes) -> None:
        """Put the database back to what a backup holds."""
        self._client("mariadb", self.database, text=backup)

    def _client(self, program: str, *arguments: str, text: bytes = b"") -> bytes:
        done = subprocess.run(
            [program, "--no-defaults", f"--socket={self.mariadb.socket}", "--user=root", *arguments],
            input=text,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return done.stdout

    def count(self, table: str) -> int:
        return int(self.query(f"SELECT COUNT(*) FROM {table}")[0][0])

    def kept(self) -> int:
        """Return how many lines lie in any of the tables."""
        return self.count("access_log") + self.count("error_log") + self.count("quarantine")

    def wait_kept(self, expected: int, timeout: float = 60.0) -> None:
        """Wait until that many lines lie in the tables, and see that they do not become more."""
        wait_for(
            lambda: f"{self.kept()} of {expected} lines are kept", lambda: self.kept() >= expected, seconds=timeout
        )
        assert self.kept() == expected

    def wait_positions(self, expected: int, timeout: float = 60.0) -> None:
        """Wait until the sources' positions sum up to that many records."""

        def total() -> int:
            return int(self.query("SELECT COALESCE(SUM(next_offset),0) FROM log_source")[0][0])

        wait_for(lambda: f"{total()} of {expected} records are passed", lambda: total() >= expected, seconds=timeout)
        assert total() == expected

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        # A server that was killed in a migration leaves a file that it does not know, and keeps the folder with it.
        with self.mariadb.root() as cursor, contextlib.suppress(pymysql.OperationalError):
            cursor.execute(f"DROP DATABASE {self.database}")


class Consumer:
    """A consumer's main process, which has started its workers."""

    def __init__(
        self,
        config: Path,
        health_port: int,
        *,
        program: Sequence[str] = ("-m", "obsctl.consumer.service"),
        python: str | Path = sys.executable,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.log = config.with_suffix(".log")
        self.health_port = health_port
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                with_us([python, *program, "--config", config]), stderr=out, env=environment
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def worker_pids(self) -> list[int]:
        """Return the processes of the workers that live."""
        pid = self.process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:  # it has ended
            return []
        return [int(child) for child in children.split()]

    def pids(self) -> list[int]:
        """Return the main process and its workers."""
        return [self.process.pid, *self.worker_pids()]

    def terminate(self, timeout: float = 30.0) -> int:
        """Ask the process to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a page of the health server."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def health(self) -> dict[str, Any]:
        """Return what ``/health`` says; a process that does not answer yet has no troubles."""
        try:
            return dict(json.loads(self.get("/health")[1]))
        except urllib.error.URLError:
            return {"status": "silent", "troubles": {}, "partitions": [], "workers": []}

    def workers(self) -> list[dict[str, Any]]:
        """Return what ``/health`` says of the workers."""
        return list(self.health()["workers"])

    def wait_health(self, condition: Callable[[dict[str, Any]], bool], timeout: float = 30.0) -> dict[str, Any]:
        """Wait until the page fulfils a condition, and return it: it shows what the workers last reported."""

        def holds() -> bool:
            page = self.health()
            return page["status"] != "silent" and condition(page)

        wait_for(lambda: str(self.health()), holds, seconds=timeout)
        return self.health()

    def logged(self) -> list[dict[str, Any]]:
        """Return what the processes have logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def messages(self) -> list[str]:
        return [entry["message"] for entry in self.logged()]

    def complaints(self) -> list[dict[str, Any]]:
        """Return what the processes have logged as warnings and errors."""
        return [entry for entry in self.logged() if entry["level"] not in {"debug", "info"}]


def assert_conserved(query: Callable[[str], tuple[tuple[Any, ...], ...]]) -> None:
    """Assert that no line is in two tables, and that the roll-ups equal a recount, the hours to the class of routes."""
    both = query(
        "SELECT COUNT(*) FROM quarantine q WHERE q.line_id IN (SELECT line_id FROM access_log)"
        " OR q.line_id IN (SELECT line_id FROM error_log)"
    )
    assert both == ((0,),), "lines are in two tables"
    twice = query("SELECT line_id FROM access_log GROUP BY line_id HAVING COUNT(*) > 1")
    assert twice == (), "lines are in the table twice"
    bounds = [0, *LATENCY_BOUNDS_MS, 10**13]
    buckets = ",".join(
        f"COALESCE(SUM(request_time*1000>{low if low else -1} AND request_time*1000<={high}),0)"
        for low, high in itertools.pairwise(bounds)
    )
    recount = query(
        "SELECT DATE_FORMAT(ts,'%Y-%m-%d %H:%i:00'),source_id,host,status DIV 100,COUNT(*),"
        f"SUM(LEAST(bytes,{BYTES_COUNTED})),{buckets} FROM access_log GROUP BY 1,2,3,4 ORDER BY 1,2,3,4"
    )
    sums = ",".join(f"SUM(lat_{bound})" for bound in (*LATENCY_BOUNDS_MS, "more"))
    rollup = query(
        "SELECT DATE_FORMAT(minute,'%Y-%m-%d %H:%i:00'),source_id,host,status_class,SUM(requests),SUM(bytes),"
        f"{sums} FROM rollup_minute GROUP BY 1,2,3,4 ORDER BY 1,2,3,4"
    )
    assert rollup == recount, "the roll-ups are not what a recount gives"
    keys = "source_id,host,route_class,status_class"
    minutes = query(
        f"SELECT DATE_FORMAT(minute,'%Y-%m-%d %H:00:00'),{keys},SUM(requests),SUM(bytes),{sums}"
        " FROM rollup_minute GROUP BY 1,2,3,4,5 ORDER BY 1,2,3,4,5"
    )
    hours = query(
        f"SELECT DATE_FORMAT(hour,'%Y-%m-%d %H:%i:00'),{keys},SUM(requests),SUM(bytes),{sums}"
        " FROM rollup_hour GROUP BY 1,2,3,4,5 ORDER BY 1,2,3,4,5"
    )
    assert hours == minutes, "the hours are not the sum of their minutes"
