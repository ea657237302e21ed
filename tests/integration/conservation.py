"""The conservation oracle: whatever is killed and whenever, each line is in one table exactly once, as it was sent.

It sends lines with known ids, some of them again as a shipper does after a crash, and injects faults meanwhile:
consumers, database and broker are killed or hang, hosts crash, cables are pulled, at random moments and at each place
of the transaction. After each fault the tables must be as if nothing had been, and a fresh line must pass.

    python -m tests.integration.conservation --points 1000 --seed 1
    python -m tests.integration.conservation --points 1000 --seed 1 --from 400 --progress conservation-1.jsonl

A point's fault and moments come from the seed and its number alone. Each point is a line of the progress file; without
``--from`` a run continues after the last point in it.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
import pymysql
import yaml

from rig.cable import Cable, Place, Trap
from rig.consumer import Consumer, Pipeline, assert_conserved
from rig.database import MIGRATIONS, database_server, migration_statements
from rig.kafka import KafkaNode, unpack_kafka
from rig.ports import free_port
from rig.records import as_shipped, json_line, record
from rig.tools import kafka_archive, missing_tools
from rig.waiting import wait_for

SLOTS = ("one", "two")
OBSCTL = [sys.executable, "-c", "from obsctl.cli.main import main; main()"]
#: The database refuses these, but not for ever: only from a number on, so that a replay can move those before it.
REFUSED = "poison for now"
REFUSAL = (
    "CREATE TABLE poison_from (n BIGINT NOT NULL)",
    "INSERT INTO poison_from VALUES (0)",
    f"CREATE TRIGGER no_poison BEFORE INSERT ON access_log FOR EACH ROW IF NEW.user_agent='{REFUSED}'"
    " AND CAST(SUBSTRING(NEW.client_request_id,6) AS UNSIGNED)>=(SELECT n FROM poison_from)"
    " THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='not now'; END IF",
)
LINES_A_POINT = 240
#: How long the lines of a point take to be sent; the fault is injected meanwhile.
FEED_SECONDS = 0.8
#: Points on one database and its topics: a check reads all of them.
ROUND = 20
_SETTLE_SECONDS = 120.0
_REACH_SECONDS = 30.0


class Servers:
    """A broker and a database for a whole run, with the broker's cable."""

    def __init__(self, libs: Path, folder: Path) -> None:
        self.cable = Cable(free_port())
        (folder / "kafka").mkdir()
        (folder / "database").mkdir()
        self.kafka = KafkaNode(libs, folder / "kafka", self.cable)
        self.database = database_server(folder / "database", tls=False)

    def start(self) -> None:
        """Start what does not run: at the beginning all, later what a failed point has left dead."""
        if not self.kafka.running:
            self.kafka.start()
        if not self.database.running:
            self.database.start()

    def stop(self) -> None:
        self.kafka.kill()
        self.database.stop()
        self.cable.close()


class Oracle:
    """Knows every line it has sent, and in which table it has to be."""

    def __init__(self, servers: Servers, folder: Path, name: str) -> None:
        self.servers = servers
        self.kafka, self.database = servers.kafka, servers.database
        folder.mkdir()
        self.pipeline = Pipeline(self.kafka, self.database, folder, name)
        for statement in REFUSAL:
            self.pipeline.query(statement)
        self.cables = [Cable(self.database.port, is_databases=True) for _ in SLOTS]
        #: For what is no consumer.
        self.tools = Cable(self.database.port, is_databases=True)
        #: The first line of the present point.
        self.first = 0
        self.chance = random.Random(0)  # noqa: S311  repeatable, not secret
        self._producer = self.kafka.producer()
        self._watcher = confluent_kafka.Consumer(
            {"bootstrap.servers": self.kafka.bootstrap, "group.id": f"{name}-oracle", "log_level": 0}
        )
        self._sent: list[tuple[str, bytes]] = []
        self._access: dict[str, tuple[Any, ...]] = {}
        self._errors: dict[str, str] = {}
        self._broken: set[bytes] = set()
        self._refused: dict[int, tuple[bytes, str, tuple[Any, ...]]] = {}
        self._ever_refused: set[bytes] = set()
        self.consumers = [self._process(slot) for slot in range(len(SLOTS))]

    # -- the consumers -----------------------------------------------------------------------------------------

    def _process(self, slot: int, instance: str | None = None) -> Consumer:
        config = self.pipeline.config()
        return self.pipeline.start(
            SLOTS[slot] if instance is None else instance,
            kafka=config["kafka"] | {"bootstrap": [f"127.0.0.1:{self.servers.cable.port}"]},
            database=config["database"] | {"port": self.cables[slot].port},
        )

    def start(self, slot: int) -> None:
        """Start the consumer of a slot again."""
        self.consumers[slot] = self._process(slot)

    def join(self) -> Consumer:
        """Start one consumer more, which the others have to give partitions to."""
        return self._process(0, instance="")

    def replay(self) -> subprocess.Popen[bytes]:
        """Begin to move the lines that the database has refused out of the quarantine."""
        config = self.pipeline.config()
        config["database"]["port"] = self.tools.port
        path = self.pipeline.folder / "replay.yml"
        path.write_text(yaml.safe_dump(config))
        options = ["--reason", "refused", "--since", "1d", "--config", str(path)]
        with (self.pipeline.folder / "replay.log").open("ab") as out:
            return subprocess.Popen([*OBSCTL, "consumer", "replay", *options], stdout=out, stderr=out)

    def said(self) -> str:
        """Return the end of what the replays have said."""
        return (self.pipeline.folder / "replay.log").read_text()[-500:]

    def any_slot(self) -> int:
        return self.chance.randrange(len(SLOTS))

    def pause(self, shortest: float, longest: float) -> None:
        """Let a random time pass (seconds)."""
        time.sleep(self.chance.uniform(shortest, longest))

    # -- the lines ---------------------------------------------------------------------------------------------

    def feed(self, count: int, seconds: float) -> threading.Thread:
        """Send new lines in a thread of its own, evenly over a time, and some of those before once more."""
        self.first = len(self._sent)
        values = [self._line(n) for n in range(self.first, self.first + count)]
        self._sent += values
        start = self.chance.randrange(len(self._sent))
        again = self._sent[start : start + self.chance.randrange(count // 2 + 1)]
        other = self.chance.randrange(3)
        moments = max(int(seconds / 0.05), 1)

        def run() -> None:
            for moment in range(moments):
                for index, (topic, value) in enumerate(values[moment::moments]):
                    self._produce(topic, value, index % 3)
                for topic, value in again[moment::moments]:
                    self._produce(topic, value, other)
                self._producer.poll(0)
                time.sleep(seconds / moments)

        thread = threading.Thread(target=run, name="feed")
        thread.start()
        return thread

    def _produce(self, topic: str, value: bytes, partition: int) -> None:
        self._producer.produce(topic, value, partition=0 if topic == self.pipeline.error else partition)

    def _line(self, n: int) -> tuple[str, bytes]:
        """Return the topic and the value of a new line, and note where it belongs."""
        if n % 40 == 39:
            value = record(f"broken line {n}", n * 500)
            self._broken.add(value)
        elif n % 20 == 10:
            moment = datetime.datetime.now(datetime.UTC).strftime("%Y/%m/%d %H:%M:%S")
            text = f"line {n} 'ü\\😀"
            self._errors[text] = "192.0.2.7"
            line = f"{moment} [error] 7#7: *{n} {text}, client: 192.0.2.7, server: a"
            return self.pipeline.error, record(line, n * 500, log_format="error", log_input="error")
        else:
            agent = REFUSED if n % 80 == 20 else "".join(self.chance.choices("aü'\\😀", k=6))
            now = round(time.time(), 3)
            line = json_line(n, msec=now, user_agent=agent)
            fields = json.loads(line)
            when = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(tzinfo=None)
            row = (when, fields["uri"], agent, fields["status"], fields["bytes"])
            # As nginx writes it, and ships it: the native module leaves other escapes to Python.
            value = as_shipped(record(json.dumps(fields, ensure_ascii=False), n * 500))
            if agent == REFUSED:
                self._refused[n] = (value, fields["client_request_id"], row)
                self._ever_refused.add(value)
            else:
                self._access[fields["client_request_id"]] = row
        return self.pipeline.access, value

    def moved(self) -> None:
        """Note that the refused lines before this point are in their table now."""
        for n in [n for n in self._refused if n < self.first]:
            _, name, row = self._refused.pop(n)
            self._access[name] = row

    # -- what must be ------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Assert that all that was sent is stored, and nothing else.

        Raises:
            AssertionError: says what is missing, or there twice, or otherwise than it was sent.
        """
        assert self._producer.flush(_SETTLE_SECONDS) == 0, "the broker does not take the lines"
        ends = self._ends()

        def behind() -> dict[tuple[str, int], tuple[int, int]]:
            held = {
                (topic, partition): offset
                for topic, partition, offset in self.pipeline.query(
                    "SELECT topic,partition_id,next_offset FROM log_source"
                )
            }
            return {part: (held.get(part, 0), end) for part, end in ends.items() if held.get(part, 0) != end}

        wait_for(
            lambda: f"partitions stand still: {behind()}, {self.state()}", lambda: not behind(), seconds=_SETTLE_SECONDS
        )
        stored = self.pipeline.query("SELECT client_request_id,ts,uri,user_agent,status,bytes FROM access_log")
        _assert_equal("access_log", collections.Counter(stored), ((i, *row) for i, row in self._access.items()))
        errors = self.pipeline.query("SELECT message,client_addr FROM error_log")
        _assert_equal("error_log", collections.Counter(errors), self._errors.items())
        quarantined = self.pipeline.query("SELECT value,reason FROM quarantine")
        expected = [(v, "parse") for v in self._broken] + [(v, "refused_1644") for v, *_ in self._refused.values()]
        _assert_equal("quarantine", collections.Counter(quarantined), expected)
        assert_conserved(self.pipeline.query)
        for consumer in self.consumers:
            assert consumer.process.poll() is None, f"a consumer ended by itself: {self.state()}"

    def state(self) -> str:
        """Return what the consumers say, for the report of a failure."""
        return json.dumps([consumer.health() for consumer in self.consumers])

    def _ends(self) -> dict[tuple[str, int], int]:
        parts = [(self.pipeline.access, n) for n in range(3)] + [(self.pipeline.error, 0)]
        return {part: self._end(*part) for part in parts}

    def _end(self, topic: str, partition: int) -> int:
        place = confluent_kafka.TopicPartition(topic, partition)
        deadline = time.monotonic() + 30
        while True:
            try:
                return int(self._watcher.get_watermark_offsets(place, timeout=30)[1])
            except confluent_kafka.KafkaException:
                # A broker that hung for longer than its session leads nothing until it is let in again.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def finish(self) -> None:
        """Stop the consumers as an administrator does, and see that each refused line went to the dead letters."""
        for consumer in self.consumers:
            assert consumer.terminate() == 0, "a consumer did not end well"
        self.start(0)  # it begins with the letters that are due
        due = "SELECT COUNT(*) FROM quarantine WHERE dead_letter=0"
        wait_for(
            lambda: f"dead letters are due: {self.state()}", lambda: self.pipeline.query(due) == ((0,),), seconds=60
        )
        self._watcher.assign([confluent_kafka.TopicPartition(self.pipeline.dlq, 0, 0)])
        letters: set[bytes] = set()
        for _ in range(self._end(self.pipeline.dlq, 0)):
            message = self._watcher.poll(30)
            assert message is not None
            letters.add(message.value())
        # What a replay has moved may have been waiting for its letter.
        kept = {value for value, *_ in self._refused.values()}
        assert kept <= letters <= self._ever_refused, f"{len(letters)} dead letters for {len(kept)} refused lines"

    def close(self) -> None:
        self._watcher.close()
        self.pipeline.close()
        for cable in (*self.cables, self.tools):
            cable.close()


def _assert_equal(table: str, got: collections.Counter[Any], expected: Any) -> None:
    wanted = collections.Counter(expected)
    missing, surplus = wanted - got, got - wanted
    found = (
        f"{table}: {missing.total()} missing, for example {list(missing)[:3]};"
        f" {surplus.total()} too many or changed, for example {list(surplus)[:3]}"
    )
    assert missing + surplus == collections.Counter(), found


# -- faults ----------------------------------------------------------------------------------------------------


def at_random(victim: str) -> Callable[[Oracle], None]:
    """Kill a victim at a random moment, and start it again."""

    def inject(o: Oracle) -> None:
        o.pause(0, FEED_SECONDS)
        _kill(o, victim, o.any_slot(), o.chance.uniform(0, 0.5))

    return inject


def _kill(o: Oracle, victim: str, slot: int, seconds: float) -> None:
    """Kill a victim and start it again after some seconds."""
    if victim == "consumer":
        o.consumers[slot].kill()
        time.sleep(seconds)
        o.start(slot)
    elif victim == "consumers":
        for consumer in o.consumers:
            consumer.kill()
        time.sleep(seconds)
        for each in range(len(SLOTS)):
            o.start(each)
    elif victim == "database":
        o.database.kill()
        time.sleep(seconds)
        o.database.start()
    else:
        o.kafka.kill()
        time.sleep(seconds)
        o.kafka.start()


def while_it_starts(o: Oracle) -> None:
    """Kill a consumer, and once more in its start."""
    slot = o.any_slot()
    _kill(o, "consumer", slot, 0)
    o.pause(0.2, 2)
    _kill(o, "consumer", slot, 0)


def hang(victim: str, shortest: float, longest: float) -> Callable[[Oracle], None]:
    """Stop a victim where it is for a while; its connections stay."""

    def inject(o: Oracle) -> None:
        o.pause(0, FEED_SECONDS / 2)
        consumer = o.consumers[o.any_slot()]
        # Listed once: who was stopped is to go on, even if another was started in its place meanwhile.
        send = {
            "consumer": functools.partial(_send, consumer.pids()),
            "worker": functools.partial(_send, consumer.worker_pids()),
            "database": o.database.send,
            "broker": o.kafka.send,
        }[victim]
        send(signal.SIGSTOP)
        o.pause(shortest, longest)
        send(signal.SIGCONT)

    return inject


def kill_worker(o: Oracle) -> None:
    """Kill the process that reads and stores; the one that watches over it starts another."""
    o.pause(0, FEED_SECONDS)
    # There may be none at the moment, when the consumer was just started.
    _send(o.consumers[o.any_slot()].worker_pids(), signal.SIGKILL)


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def pull_cable(whose: str) -> Callable[[Oracle], None]:
    """Pull the cable to the database of one consumer, or that to the broker of all, and put it back."""

    def inject(o: Oracle) -> None:
        o.pause(0, FEED_SECONDS / 2)
        cable = o.servers.cable if whose == "broker" else o.cables[o.any_slot()]
        cable.cut()
        o.pause(0.5, 3)
        cable.heal()

    return inject


def crash_consumers_host(o: Oracle) -> None:
    """The database never hears that the consumer has gone, and may hold a transaction of its open."""
    o.pause(0, FEED_SECONDS)
    slot = o.any_slot()
    o.cables[slot].silence()
    _kill(o, "consumer", slot, 0)


def crash_databases_host(o: Oracle) -> None:
    """The connections fall silent; when the host is back it resets them."""
    o.pause(0, FEED_SECONDS)
    for cable in o.cables:
        cable.cut()
    _kill(o, "database", 0, o.chance.uniform(0, 1))
    for cable in o.cables:
        cable.reset()
        cable.heal()


def at_place(place: Place, victim: str) -> Callable[[Oracle], None]:
    """Inject when a consumer reaches a place of its transaction: it is held there until the fault has been injected."""

    def inject(o: Oracle) -> None:
        trap = Trap(place)
        for cable in o.cables:
            cable.trap = trap
        try:
            if place is Place.POSITIONS:
                _kill(o, "consumer", o.any_slot(), 0)
            assert trap.wait(_REACH_SECONDS), f"no consumer came to the place: {place.value}"
        finally:
            for cable in o.cables:
                cable.trap = None
        slot = next(i for i, cable in enumerate(o.cables) if cable is trap.cable)
        if victim == "cable":
            trap.drop()
        elif victim == "consumer":
            # What it had sent may still arrive, or may not.
            o.consumers[slot].kill()
            (trap.release if o.chance.random() < 0.5 else trap.drop)()
            o.start(slot)
        elif victim == "database":
            o.database.kill()
            trap.drop()
            o.database.start()
        else:
            o.kafka.kill()
            trap.release()
            o.kafka.start()

    return inject


def in_rebalance(victim: str) -> Callable[[Oracle], None]:
    """A member joins; inject when the others hand partitions over to it. It leaves again, or dies."""

    def inject(o: Oracle) -> None:
        third = o.join()
        wait_for(
            lambda: "the third member does not start", lambda: _count(third, "started") > 0, seconds=_REACH_SECONDS
        )

        def handed() -> list[int]:
            return [_count(consumer, "partitions handed over") for consumer in o.consumers]

        before = handed()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and handed() == before:
            time.sleep(0.02)
        o.pause(0, 0.3)
        _kill(o, victim, o.any_slot(), 0)
        o.pause(0, 0.5)
        if o.chance.random() < 0.3:
            third.kill()
        else:
            assert third.terminate() == 0, "the member that left did not end well"

    return inject


def in_replay(victim: str) -> Callable[[Oracle], None]:
    """Inject when a replay has moved lines and not yet committed; then let another one do it."""

    def inject(o: Oracle) -> None:
        o.pipeline.query(f"UPDATE poison_from SET n={o.first}")
        o.tools.trap = trap = Trap(Place.MOVE)
        tool = o.replay()
        assert trap.wait(_REACH_SECONDS), f"the replay moves nothing: {o.said()}"
        o.tools.trap = None
        if victim == "replay":
            tool.kill()
            (trap.release if o.chance.random() < 0.5 else trap.drop)()
        elif victim == "database":
            o.database.kill()
            trap.drop()
            o.database.start()
        else:
            slot = o.any_slot()
            o.consumers[slot].kill()
            trap.release()
            o.start(slot)
        tool.wait(60)
        assert o.replay().wait(60) in {0, 1}, "a replay does not end well"  # 1: some are refused again
        o.moved()

    return inject


def in_migration(victim: str) -> Callable[[Oracle], None]:
    """Take the tables back to the first version, and migrate them while consumers wait for it."""

    def inject(o: Oracle) -> None:
        for consumer in o.consumers:
            consumer.kill()
        o.pipeline.query(
            "ALTER TABLE log_source DROP KEY log_source_position, DROP COLUMN topic_id,"
            " ADD UNIQUE KEY log_source_position (cluster_id, topic, partition_id)"
        )
        for table in ("access_log", "error_log"):
            o.pipeline.query(f"ALTER TABLE {table} DROP COLUMN cut_fields")
        o.pipeline.query("DELETE FROM schema_migrations WHERE version>1")
        for slot in range(len(SLOTS)):
            o.start(slot)
        o.pause(0, 2)
        trap = Trap(Place.NAMING)
        for cable in o.cables:
            cable.trap = trap
        if victim == "database":
            migration = threading.Thread(target=_migrate, args=(o,))
            migration.start()
            o.pause(0, 0.1)
            o.database.kill()
            migration.join()
            o.database.start()
        _migrate(o)
        assert trap.wait(_REACH_SECONDS), f"no consumer came to the place: {trap.place.value}"
        for cable in o.cables:
            cable.trap = None
        slot = next(i for i, cable in enumerate(o.cables) if cable is trap.cable)
        if victim == "consumer":
            _kill(o, "consumer", slot, 0)
        (trap.release if o.chance.random() < 0.5 else trap.drop)()

    return inject


def _migrate(o: Oracle) -> None:
    """Apply the later migrations as the role does; a server that dies meanwhile leaves the rest undone."""
    later = sorted(MIGRATIONS.glob("*.sql"))[1:]
    with contextlib.suppress(pymysql.MySQLError), o.database.root(o.pipeline.database) as cursor:
        for version, path in enumerate(later, 2):
            for statement in migration_statements(path.read_text()):
                cursor.execute(statement)
            cursor.execute(
                f"INSERT IGNORE INTO schema_migrations (version,name,checksum) VALUES ({version},'{path.stem}','')"
            )


def _count(consumer: Consumer, message: str) -> int:
    return consumer.log.read_text().count(f'"{message}"')


@dataclass(frozen=True)
class Fault:
    """What is done to the pipeline, and how often it is in a schedule."""

    name: str
    inject: Callable[[Oracle], None]
    count: int = 1


FAULTS = [
    Fault("a consumer is killed", at_random("consumer"), 3),
    Fault("both consumers are killed", at_random("consumers")),
    Fault("a worker is killed", kill_worker),
    Fault("a consumer is killed in its start", while_it_starts, 2),
    Fault("the database is killed", at_random("database"), 3),
    Fault("the broker is killed", at_random("broker"), 3),
    Fault("a consumer hangs", hang("consumer", 0.5, 2.5), 2),
    Fault("a consumer hangs for longer than its session", hang("consumer", 7, 9)),
    Fault("a worker hangs for longer than its session", hang("worker", 7, 9)),
    Fault("the database hangs", hang("database", 0.5, 2.5), 2),
    Fault("the broker hangs", hang("broker", 0.5, 2.5)),
    Fault("a cable to the database is pulled", pull_cable("database"), 2),
    Fault("the cable to the broker is pulled", pull_cable("broker"), 2),
    Fault("a consumer's host crashes", crash_consumers_host),
    Fault("the database's host crashes", crash_databases_host, 2),
    *(
        Fault(f"{place.value}: {victim}", at_place(place, victim))
        for place, victims in {
            Place.POSITIONS: ("consumer", "database"),
            Place.FENCE: ("consumer", "database"),
            Place.INSERT: ("consumer", "database", "cable"),
            Place.ROLL_UP: ("consumer", "broker"),
            Place.COMMIT: ("consumer", "database", "cable"),
            Place.COMMITTED: ("consumer", "database", "cable"),
        }.items()
        for victim in victims
    ),
    *(Fault(f"in a rebalance: {victim}", in_rebalance(victim)) for victim in ("consumer", "database", "broker")),
    *(Fault(f"in a replay: {victim}", in_replay(victim)) for victim in ("replay", "database", "consumer")),
    *(Fault(f"in a migration: {victim}", in_migration(victim)) for victim in ("database", "consumer")),
]
SCHEDULE = [fault for fault in FAULTS for _ in range(fault.count)]


def fault_of(seed: int, point: int) -> Fault:
    """Return a point's fault: each schedule holds every fault, in an order of its own."""
    schedule = list(SCHEDULE)
    random.Random(f"{seed}:{point // len(schedule)}").shuffle(schedule)  # noqa: S311
    return schedule[point % len(schedule)]


# -- the run ---------------------------------------------------------------------------------------------------


def run(servers: Servers, folder: Path, seed: int, points: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Run the points, and yield what each came to; after one that failed, servers and tables are new."""
    numbers = iter(points)
    for number in range(len(points)):
        results = _run_round(servers, folder / f"round-{number}", seed, numbers)
        yielded = False
        for result in results:
            yielded = True
            yield result
        if not yielded:
            return


def _run_round(servers: Servers, folder: Path, seed: int, numbers: Iterator[int]) -> Iterator[dict[str, Any]]:
    """Run points on one database until they fail or are enough for it."""
    oracle: Oracle | None = None
    try:
        for count, point in zip(range(ROUND), numbers, strict=False):
            fault = fault_of(seed, point)
            began = time.monotonic()
            result = {"seed": seed, "point": point, "fault": fault.name, "ok": True}
            try:
                if oracle is None:
                    servers.start()
                    oracle = Oracle(servers, folder, f"c{seed}x{point}")
                    oracle.feed(50, 0).join()
                    oracle.check()
                oracle.chance = random.Random(f"{seed}:{point}")  # noqa: S311
                _point(oracle, fault)
                if count == ROUND - 1:
                    oracle.finish()
            except Exception as error:
                result |= {"ok": False, "error": str(error)[:4000], "trace": traceback.format_exc()[-4000:]}
                result["folder"] = str(folder)
            yield result | {"seconds": round(time.monotonic() - began, 1)}
            if not result["ok"]:
                return
    finally:
        if oracle is not None:
            oracle.close()


def _point(oracle: Oracle, fault: Fault) -> None:
    feed = oracle.feed(LINES_A_POINT, FEED_SECONDS)
    try:
        fault.inject(oracle)
    finally:
        feed.join()
    oracle.feed(1, 0).join()  # a fresh line passes
    oracle.check()


def main(argv: list[str] | None = None) -> int:
    """Run points from the command line; return 1 if one failed."""
    parser = argparse.ArgumentParser(
        description="The conservation oracle: whatever is killed, each line is stored exactly once.",
        epilog="example: python -m tests.integration.conservation --points 1000 --seed 1",
    )
    parser.add_argument("--points", type=int, default=len(SCHEDULE), help="the last point's number, plus one")
    parser.add_argument("--seed", type=int, default=20260102)
    parser.add_argument("--from", type=int, dest="first", help="the first point (default: after the last one done)")
    parser.add_argument("--progress", type=Path, help="a line of JSON a point (default: conservation-SEED.jsonl)")
    arguments = parser.parse_args(argv)
    if reason := missing_tools():
        parser.error(reason)
    progress: Path = arguments.progress or Path(f"conservation-{arguments.seed}.jsonl")
    done = [json.loads(line) for line in progress.read_text().splitlines()] if progress.exists() else []
    done = [result for result in done if result["seed"] == arguments.seed]
    first = arguments.first if arguments.first is not None else max((r["point"] + 1 for r in done), default=0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    folder = Path(tempfile.mkdtemp(prefix="obs-conservation-"))
    archive = kafka_archive()
    assert archive is not None
    servers = Servers(unpack_kafka(archive, folder), folder)
    with contextlib.ExitStack() as ending:
        ending.callback(servers.stop)
        for result in run(servers, folder, arguments.seed, range(first, arguments.points)):
            done = [r for r in done if r["point"] != result["point"]] + [result]
            with progress.open("a") as file:
                file.write(json.dumps(result) + "\n")
            verdict = "ok" if result["ok"] else f"FAILED: {result['error']}\nsee {progress} and {folder}"
            _say(f"{result['point']:5} {result['seconds']:6.1f} s  {result['fault']}: {verdict}")
    failed = [result["point"] for result in done if not result["ok"]]
    mean = sum(result["seconds"] for result in done) / max(len(done), 1)
    _say(f"seed {arguments.seed}: {len(done)} points, {len(failed)} failed {failed}, {mean:.1f} s a point")
    if not failed:
        shutil.rmtree(folder)
    return 1 if failed else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
