"""The transaction, on a real server and without Kafka."""

from __future__ import annotations

import datetime
import itertools
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from obsctl.consumer import config
from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch, Source
from obsctl.store.interface import FencedError, Origin, Position, StoreUnavailableError
from obsctl.store.mysql import commit, day_partitions, schema
from obsctl.store.mysql import rows as sql
from obsctl.store.mysql.store import MySQLStore
from rig.consumer import PASSWORD, assert_conserved
from rig.database import MIGRATIONS, MariaDB, grant, make_schema, migration_statements
from rig.read_by import assembler
from rig.records import json_line, record
from rig.tools import MYSQLD
from tests.unit.consumer.messages import run_of

ASSEMBLER = assembler()
TODAY = datetime.date(2026, 3, 10)
TOPIC_ID = "AAAAAAAAAAEAAAAAAAAAAg"
NOON = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC).timestamp()
_numbers = itertools.count(1)


class Database:
    """A database of the test's own, and stores on it."""

    def __init__(self, server: MariaDB, folder: Path) -> None:
        self.server = server
        self.name = f"obs_s{next(_numbers)}"
        with server.root() as cursor:
            make_schema(cursor, self.name)
            grant(cursor, self.name, "obs_consumer", PASSWORD)
        (folder / "password").write_text(PASSWORD)
        self.settings = config.Database(
            host="127.0.0.1",
            port=server.port,
            name=self.name,
            user="obs_consumer",
            password=f"file:{folder / 'password'}",
        )
        self.stores: list[MySQLStore] = []

    def store(self, today: datetime.date = TODAY, retention_days: int = 3) -> MySQLStore:
        store = MySQLStore(self.settings, retention_days, lambda: today)
        self.stores.append(store)
        return store

    def query(self, sql: str) -> tuple[tuple[object, ...], ...]:
        with self.server.root(self.name) as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def count(self, table: str) -> int:
        return int(str(self.query(f"SELECT COUNT(*) FROM {table}")[0][0]))

    def close(self) -> None:
        for store in self.stores:
            store.close()
        self.query(f"DROP DATABASE {self.name}")


@pytest.fixture(params=["by LOAD DATA", "by INSERT"])
def db(request: pytest.FixtureRequest, mariadb: MariaDB, tmp_path: Path) -> Iterator[Database]:
    """A database on a server that takes rows from its clients' memory, and on one that does not."""
    database = Database(mariadb, tmp_path)
    database.query(f"SET GLOBAL local_infile={int(request.param == 'by LOAD DATA')}")
    yield database
    database.query("SET GLOBAL local_infile=1")
    database.close()


def batch_of(store: MySQLStore, values: list[bytes | None], *, partition: int = 0, start: int | None = None) -> Batch:
    """Return the values as the next batch of a partition; ``start`` pretends that the position was there."""
    place = TopicPartition("nginxlog", partition)
    position = store.positions("cluster", {place: TOPIC_ID})[place]
    first = position.next_offset if start is None else start
    run = run_of(*values, first=first, partition=partition)
    return ASSEMBLER.assemble([run], {place: Source(position.source_id, "cluster")}, {place: first})


def lines(count: int, first: int = 0, msec: float = NOON) -> list[bytes | None]:
    return [record(json_line(n, msec=msec + n / 10), n * 400) for n in range(first, first + count)]


def test_a_batch_is_stored_with_its_roll_ups_and_position(db: Database) -> None:
    store = db.store()
    outcome = store.commit(batch_of(store, [*lines(100), b"rubbish", None]))
    assert (outcome.stored, outcome.quarantined, outcome.known, outcome.attempts) == (100, 2, 0, 1)
    assert db.query("SELECT next_offset,newest_event FROM log_source") == (
        (102, datetime.datetime.fromisoformat("2026-03-10 12:00:09.9")),
    )
    assert_conserved(db.query)


def test_a_cut_line_is_stored_and_counted(db: Database) -> None:
    store = db.store()
    long = [record(json_line(n, msec=NOON, host="h" * 300, method="M" * 40, uri="/ü" * 40_000), n) for n in range(3)]
    assert store.commit(batch_of(store, [*long, *lines(2, first=3)])).stored == 5
    assert db.query(
        "SELECT cut_fields,CHAR_LENGTH(vhost),method,LENGTH(uri),COUNT(*) FROM access_log GROUP BY 1,2,3,4 ORDER BY 1"
    )[-1] == ("method,uri,vhost", 255, "M" * 32, 65_535, 3)
    assert db.query("SELECT COUNT(*) FROM access_log WHERE cut_fields=''") == ((2,),)
    assert_conserved(db.query)


def test_the_cut_fields_are_added_without_touching_a_row(mariadb: MariaDB) -> None:
    """The servers choose the algorithm by themselves: here they are asked to refuse any that copies rows."""
    first, second, third = sorted(MIGRATIONS.glob("*.sql"))[:3]
    changes = re.findall(r"'(ALTER TABLE \w+_log\s+ADD COLUMN .+? DEFAULT '{4})'\)", third.read_text(), re.DOTALL)
    assert len(changes) == 2
    with mariadb.root() as cursor:
        cursor.execute("CREATE DATABASE obs_before CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        cursor.execute("USE obs_before")
        try:
            for path in (first, second):
                for statement in migration_statements(path.read_text()):
                    cursor.execute(statement)
            cursor.execute(
                "INSERT INTO access_log (ts,line_id,source_id,kafka_offset,log_format,host,client_addr,uri,status,"
                "bytes,referer,user_agent,x_forwarded_for) VALUES (NOW(),'a',1,1,'json','h','c','/',200,1,'','','')"
            )
            for change in changes:
                cursor.execute(change.replace("''", "'") + ", ALGORITHM=INSTANT")
            for statement in migration_statements(third.read_text()):  # as after a crash before it was noted
                cursor.execute(statement)
            cursor.execute("SELECT cut_fields FROM access_log")
            assert cursor.fetchall() == (("",),)
            cursor.execute("SELECT cut_fields FROM error_log")
        finally:
            cursor.execute("DROP DATABASE obs_before")


def test_sources_before_topic_ids_were_kept_are_given_one(db: Database) -> None:
    """The consumer of the version before still runs: its own statements, beside those of this one."""
    store, places = db.store(), [TopicPartition("nginxlog", n) for n in range(3)]
    ids = dict.fromkeys(places, TOPIC_ID)
    db.query("INSERT INTO log_source (cluster_id,topic,partition_id,next_offset) VALUES ('cluster','nginxlog',0,70)")
    old_id = db.query("SELECT source_id FROM log_source")[0][0]
    found = store.positions("cluster", ids)
    assert found[places[0]]._replace(known_at=None) == Position(old_id, 70, Origin.READ)
    assert [found[place].origin for place in places[1:]] == [Origin.NEW, Origin.NEW]
    # It meets a partition that is there, as it always did.
    db.query(
        "INSERT INTO log_source (cluster_id,topic,partition_id) VALUES ('cluster','nginxlog',3)"
        " ON DUPLICATE KEY UPDATE source_id=log_source.source_id"
    )
    again = store.positions("cluster", {**ids, TopicPartition("nginxlog", 3): TOPIC_ID})
    assert {place: again[place][:2] for place in places} == {place: found[place][:2] for place in places}
    assert db.query("SELECT DISTINCT topic_id FROM log_source") == ((TOPIC_ID,),)
    assert db.count("log_source") == 4


def test_a_source_without_a_topic_id_is_not_given_that_of_a_topic_made_again(db: Database) -> None:
    """An old consumer still had that partition when the topic was deleted: its source may be the old topic's."""
    store, first, second = db.store(), TopicPartition("nginxlog", 0), TopicPartition("nginxlog", 1)
    db.query(
        "INSERT INTO log_source (cluster_id,topic,partition_id,topic_id,next_offset)"
        f" VALUES ('cluster','nginxlog',0,'{TOPIC_ID}',70),('cluster','nginxlog',1,'',70)"
    )
    assert store.positions("cluster", {first: "another"})[first].origin is Origin.REMADE
    remade = store.positions("cluster", {second: "another"})[second]
    assert (remade.next_offset, remade.origin) == (0, Origin.REMADE)
    assert db.query("SELECT next_offset FROM log_source WHERE topic_id=''") == ((70,),)


def test_a_topic_made_again_and_a_cluster_built_again(db: Database) -> None:
    store, place = db.store(), TopicPartition("nginxlog", 0)
    store.commit(batch_of(store, lines(10)))
    remade = store.positions("cluster", {place: "another"})[place]
    assert (remade.next_offset, remade.origin) == (0, Origin.REMADE)
    assert store.positions("cluster", {place: "another"})[place] == remade, "until its first line is stored"
    rebuilt = store.positions("another cluster", {place: "third"})[place]
    assert (rebuilt.next_offset, rebuilt.origin) == (0, Origin.OTHER_CLUSTER)
    assert store.positions("cluster", {place: TOPIC_ID})[place].next_offset == 10
    added = TopicPartition("nginxlog", 7)
    assert store.positions("cluster", {added: TOPIC_ID})[added].origin is Origin.NEW


def test_a_migration_may_be_repeated(db: Database) -> None:
    store = db.store()
    store.commit(batch_of(store, lines(10)))
    before = db.query("SELECT * FROM log_source")
    with db.server.root(db.name) as cursor:
        for path in sorted(MIGRATIONS.glob("*.sql")):
            for statement in migration_statements(path.read_text()):
                cursor.execute(statement)
    assert db.query("SELECT * FROM log_source") == before
    assert_conserved(db.query)


def fill_hours(db: Database) -> None:
    """Run the statements by which migration 9 fills the hours."""
    (migration,) = MIGRATIONS.glob("0009_*.sql")
    with db.server.root(db.name) as cursor:
        for statement in migration_statements(migration.read_text()):
            cursor.execute(statement)


def test_the_hours_are_filled_from_the_minutes_of_before(db: Database) -> None:
    store = db.store()
    store.upkeep()
    times = [NOON - 40 * 86_400, NOON - 86_400, NOON, NOON + 59 * 60, NOON + 3600, NOON + 90 * 86_400]
    store.commit(batch_of(store, [record(json_line(n, msec=moment), n) for n, moment in enumerate(times)]))
    db.query("UPDATE rollup_minute SET stored_at='2026-03-09 10:00:00.5'")
    db.query("DELETE FROM rollup_hour")
    fill_hours(db)
    assert_conserved(db.query)
    assert db.query(
        "SELECT COUNT(DISTINCT hour),MIN(stored_at)=MAX(stored_at),MAX(stored_at)='2026-03-09 10:00:00.5'"
        " FROM rollup_hour"
    ) == ((5, 1, 1),)
    # What a consumer of the version before adds meanwhile is missing, until they are filled again.
    db.query("UPDATE rollup_minute SET requests=requests+3")
    fill_hours(db)
    assert db.query("SELECT SUM(requests) FROM rollup_hour") == ((6 + 3 * 6,),)


def test_the_hours_are_filled_while_consumers_store(db: Database) -> None:
    failures: list[BaseException] = []
    done = threading.Event()

    def write(number: int) -> None:
        try:
            store = db.store()
            for turn in range(12):
                values = lines(40, first=40 * (12 * number + turn), msec=NOON + 1800 * turn)
                store.commit(batch_of(store, values, partition=number))
        except BaseException as error:
            failures.append(error)

    def fill() -> None:
        try:
            while not done.is_set():
                fill_hours(db)
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    filler = threading.Thread(target=fill)
    for thread in (filler, *writers):
        thread.start()
    for thread in writers:
        thread.join(120)
    done.set()
    filler.join(60)
    assert failures == []
    assert db.count("access_log") == 3 * 12 * 40
    assert_conserved(db.query)


def test_the_fence(db: Database) -> None:
    """A consumer that lost its partitions and wakes up again stores nothing, whatever it had read."""
    zombie, owner = db.store(), db.store()
    late = batch_of(zombie, lines(50))
    owner.commit(batch_of(owner, lines(20)))
    with pytest.raises(FencedError):
        zombie.commit(late)
    assert db.count("access_log") == 20
    owner.commit(batch_of(owner, lines(30, first=20)))
    with pytest.raises(FencedError):
        zombie.commit(batch_of(zombie, lines(10, first=50), start=20))
    assert db.count("access_log") == 50
    assert_conserved(db.query)


def test_a_resend_changes_nothing(db: Database) -> None:
    store = db.store()
    store.commit(batch_of(store, [*lines(100), b"rubbish", record("no line", 7)]))
    before = db.query("SELECT * FROM rollup_minute ORDER BY 1,2,3,4,5")
    outcome = store.commit(batch_of(store, [*lines(100), record("no line", 7)], partition=1))
    assert (outcome.stored, outcome.quarantined, outcome.known, outcome.attempts) == (0, 0, 101, 2)
    outcome = store.commit(batch_of(store, lines(120), partition=2))
    assert (outcome.stored, outcome.known) == (20, 100)
    assert (db.count("access_log"), db.count("quarantine")) == (120, 2)
    assert set(before) <= set(db.query("SELECT * FROM rollup_minute ORDER BY 1,2,3,4,5"))
    assert_conserved(db.query)


def test_the_same_lines_at_the_same_moment_in_several_processes(db: Database) -> None:
    """Five writers store overlapping lines in other orders: locks, deadlocks and duplicates, each line once."""
    writers, rounds = 5, 8
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            store = db.store()
            for turn in range(rounds):
                values = lines(60, first=40 * ((turn * (number + 1)) % rounds))
                store.commit(batch_of(store, values, partition=number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert db.count("access_log") == len({n for turn in range(rounds) for n in range(40 * turn, 40 * turn + 60)})
    assert_conserved(db.query)


@pytest.mark.parametrize(
    "bad", [{0}, {24}, {49}, {3, 4, 30}, set(range(50))], ids=["first", "middle", "last", "3", "all"]
)
def test_only_the_refused_rows_are_quarantined(db: Database, bad: set[int]) -> None:
    db.query("ALTER TABLE access_log ADD CONSTRAINT no_poison CHECK (user_agent <> 'poison')")
    store = db.store()
    values = [record(json_line(n, msec=NOON, user_agent="poison" if n in bad else "fine"), n * 400) for n in range(50)]
    outcome = store.commit(batch_of(store, [*values, b"rubbish"]))
    assert (outcome.stored, outcome.quarantined, outcome.refused) == (50 - len(bad), len(bad) + 1, len(bad))
    rows = db.query("SELECT kafka_offset,reason,value,dead_letter FROM quarantine ORDER BY kafka_offset")
    assert rows[:-1] == tuple((n, f"refused_{db.server.check_violated}", values[n], 0) for n in sorted(bad))
    assert rows[-1] == (50, "not_json", b"rubbish", None)
    letters = store.dead_letters(100)
    assert sorted(letter.offset for letter in letters) == sorted(bad)
    assert {letter.value for letter in letters} == {values[n] for n in bad}
    store.settle_dead_letters(letters)
    assert store.dead_letters(100) == []
    # The shipper sends all of it again: nothing changes, no new letter is due.
    outcome = store.commit(batch_of(store, values, partition=1))
    assert (outcome.stored, outcome.quarantined) == (0, 0)
    assert store.dead_letters(100) == []
    assert_conserved(db.query)


def test_what_the_server_refused_stays_in_the_quarantine_when_it_changes_its_mind(db: Database) -> None:
    db.query("ALTER TABLE access_log ADD CONSTRAINT no_poison CHECK (user_agent <> 'poison')")
    store = db.store()
    value = record(json_line(1, msec=NOON, user_agent="poison"), 0)
    store.commit(batch_of(store, [value]))
    db.query("ALTER TABLE access_log DROP CONSTRAINT no_poison")
    for number in (1, 2):
        other = db.store()
        outcome = other.commit(batch_of(other, [value, *lines(1, first=number)], partition=number))
        assert (outcome.stored, outcome.known) == (1, 1)
    assert_conserved(db.query)


def test_a_stored_line_that_the_server_would_refuse_now_stays_stored(db: Database) -> None:
    store = db.store()
    value = record(json_line(1, msec=NOON, user_agent="poison"), 0)
    store.commit(batch_of(store, [value]))
    db.query(
        "CREATE TRIGGER no_poison BEFORE INSERT ON access_log FOR EACH ROW"
        " IF NEW.user_agent='poison' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='poison'; END IF"
    )
    store.commit(batch_of(store, [value], partition=1))
    assert (db.count("access_log"), db.count("quarantine")) == (1, 0)
    outcome = store.commit(batch_of(store, [value.replace(b'"offset": 0', b'"offset": 9')], partition=2))
    assert (outcome.stored, outcome.refused) == (0, 1)
    assert db.query("SELECT reason,detail FROM quarantine") == (("refused_1644", "poison"),)


def test_a_line_that_only_newer_parsers_read_stays_in_the_quarantine(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is moved on purpose: its row in the quarantine is the record."""
    store = db.store()
    value = record(json_line(1, msec=NOON), 0)
    batch = batch_of(store, [value])
    old = batch_of(store, [value.replace(b'"log_format": "json"', b'"log_format": "x"')]).quarantined
    assert old[0].line_id == batch.access[0].line_id
    with monkeypatch.context() as patch:
        patch.setattr(commit, "revision", lambda: "0" * 16)
        batch.access, batch.quarantined = [], old
        store.commit(batch)
    newer = db.store()
    outcome = newer.commit(batch_of(newer, [value, *lines(1, first=5)], partition=1))
    assert (outcome.stored, outcome.known) == (1, 1)
    assert_conserved(db.query)


ODD = "\0\x01\t\n\r\"'\\%_\x1a;--😀\u2028ü\ufffd\f\b\x0b\x1f\x7f" r"\u0001 \f \N \0 \\" '"]\n["",",NULL,null'


def test_odd_texts_come_back_as_they_were(db: Database) -> None:
    store = db.store()
    access = json_line(1, msec=NOON, uri=ODD, user_agent=ODD, referer=ODD, remote_user=ODD, upstream_addr=ODD)
    error = f'2026/03/10 12:00:00 [error] 1#2: *3 {ODD}, client: ::1, server: a, request: "GET /{ODD}", host: "b"'
    values = [
        record(access, 0),
        record(error, 0, log_format="error", host="o'\\node"),
        b"\x00\xff'\\",
        record("it's \\ no line", 5, log_format="'\\é" * 20, host="'\\😀" * 100),
    ]
    assert store.commit(batch_of(store, values)).stored == 2
    assert db.query("SELECT uri,user_agent,referer,remote_user,upstream_addr FROM access_log") == ((ODD,) * 5,)
    assert db.query("SELECT host,message,request,client_addr,pid,tid,connection_id FROM error_log") == (
        ("o'\\node", ODD, f"GET /{ODD}", "::1", 1, 2, 3),
    )
    assert db.query("SELECT value FROM quarantine ORDER BY kafka_offset") == ((values[2],), (values[3],))


def test_loading_may_be_switched_off_at_any_moment(db: Database) -> None:
    store = db.store()
    store.commit(batch_of(store, lines(10)))
    db.query("SET GLOBAL local_infile=0")
    assert store.commit(batch_of(store, lines(10, first=10))).stored == 10
    assert db.count("access_log") == 20
    assert_conserved(db.query)


def test_more_repeated_lines_than_the_server_keeps_warnings(db: Database) -> None:
    ((kept,),) = db.query("SELECT @@max_error_count")
    repeated = int(str(kept)) + 100
    store = db.store()
    store.commit(batch_of(store, lines(repeated)))
    outcome = store.commit(batch_of(store, lines(repeated + 100), partition=1))
    assert (outcome.stored, outcome.known, outcome.attempts) == (100, repeated, 2)
    assert_conserved(db.query)


def test_a_server_that_takes_no_rows_is_told(db: Database) -> None:
    db.query("SET GLOBAL max_allowed_packet=16384")
    try:
        with pytest.raises(StoreUnavailableError, match="max_allowed_packet is 16384 bytes"):
            db.store().positions("cluster", {TopicPartition("nginxlog", 0): TOPIC_ID})
    finally:
        db.query("SET GLOBAL max_allowed_packet=16777216")


def test_a_value_larger_than_a_packet_is_kept_up_to_there(db: Database) -> None:
    db.query("SET GLOBAL max_allowed_packet=1048576")
    try:
        store = db.store()
        values = [b"\\" * 3_000_000, *lines(3), *(b"x" * 300_000 for _ in range(5))]
        outcome = store.commit(batch_of(store, values))
    finally:
        db.query("SET GLOBAL max_allowed_packet=16777216")
    assert (outcome.stored, outcome.quarantined) == (3, 6)
    rows = db.query("SELECT LENGTH(value),value_bytes FROM quarantine ORDER BY kafka_offset")
    assert rows[0][1] == 3_000_000
    assert 400_000 < int(str(rows[0][0])) < 524_288
    assert rows[1:] == ((300_000, 300_000),) * 5


def test_a_commit_whose_answer_is_lost_is_not_made_twice(db: Database) -> None:
    store = db.store()
    batch = batch_of(store, lines(10))
    connection = store.session.connection
    assert connection is not None
    commit = connection.commit

    def commit_and_vanish() -> None:
        commit()
        raise pymysql.OperationalError(2013, "Lost connection to MySQL server during query")

    connection.commit = commit_and_vanish  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError):
        store.commit(batch)
    with pytest.raises(FencedError):
        store.commit(batch)
    assert db.count("access_log") == 10
    assert_conserved(db.query)


def test_a_frozen_owner_does_not_hold_its_positions_for_long(db: Database) -> None:
    """Cut off in the middle of its transaction, it still holds the lock; its successor must not wait for hours."""
    frozen, owner = db.store(), db.store()
    batch = batch_of(frozen, lines(5))
    connection = frozen.session.connection
    assert connection is not None
    connection.query(sql.advance(batch.steps, batch.newest_event))
    started = time.monotonic()
    owner.commit(batch_of(owner, lines(5)))
    assert time.monotonic() - started < sql.IDLE_SECONDS + 15
    with pytest.raises(pymysql.MySQLError):
        connection.query("COMMIT")
    with pytest.raises(FencedError):
        frozen.commit(batch)


def test_days_and_what_lies_outside_them(db: Database) -> None:
    store = db.store()
    upkeep = store.upkeep()
    assert upkeep.done
    assert len(upkeep.changes) == 4
    assert store.upkeep().changes == ()
    day = 86_400.0
    times = [NOON - 3000 * day, NOON - 3 * day, NOON - 2 * day, NOON, NOON + 7 * day, NOON + 8 * day]
    values = [record(json_line(n, msec=moment), n) for n, moment in enumerate(times)]
    assert store.commit(batch_of(store, [*values])).stored == 6
    held = {
        name: db.count(f"access_log PARTITION ({name})")
        for name in ("p_old", "p20260308", "p20260310", "p20260317", "p_max")
    }
    assert held == {"p_old": 2, "p20260308": 1, "p20260310": 1, "p20260317": 1, "p_max": 1}
    assert store.upkeep().beyond == {"access_log": 1, "error_log": 0, "rollup_minute": 1, "rollup_hour": 1}

    # A day later the oldest day goes, p_old takes its range, and p_max gives what has a day now.
    tomorrow = db.store(TODAY + datetime.timedelta(days=1))
    assert any("emptied p20260308" in change for change in tomorrow.upkeep().changes)
    assert db.count("access_log PARTITION (p_old)") == 2
    assert db.count("access_log PARTITION (p_max)") == 0
    assert db.count("access_log") == 5
    outcome = tomorrow.commit(batch_of(tomorrow, values, partition=1))
    # A line of a dropped day that is sent again is stored again; it lies in p_old, counted from now.
    assert (outcome.stored, outcome.known) == (1, 5)
    assert db.count("access_log PARTITION (p_old)") == 3

    # p_old is emptied by the time of arrival, whatever the events' times are.
    db.query("UPDATE access_log PARTITION (p_old) SET stored_at='2026-03-07 23:59:59' WHERE ts<'2025-01-01'")
    db.query("UPDATE access_log PARTITION (p_old) SET stored_at='2026-03-08 00:00:00' WHERE ts>'2025-01-01'")
    assert "access_log: deleted 1 old rows" in tomorrow.upkeep().changes
    assert db.count("access_log PARTITION (p_old)") == 2


@pytest.mark.parametrize(
    "dropped",
    [
        "p20260310",
        "p20260311",
        "p_max",
        "p_old",
        "p20260310,p_max",
        "p20260308,p20260309,p20260310,p20260317",
        "p_old,p_max",
    ],
)
def test_partitions_dropped_by_hand_are_created_again(db: Database, dropped: str) -> None:
    store = db.store()
    store.upkeep()
    store.commit(batch_of(store, lines(10)))
    left = db.count("access_log") - sum(db.count(f"access_log PARTITION ({name})") for name in dropped.split(","))
    db.query(f"ALTER TABLE access_log DROP PARTITION {dropped}")
    restarted = db.store()
    upkeep = restarted.upkeep()
    assert upkeep.done
    assert upkeep.ready
    assert any(change.startswith("access_log: ") for change in upkeep.changes)
    assert restarted.upkeep().changes == ()
    times = [NOON - 3000 * 86400, NOON - 86400, NOON, NOON + 86400, NOON + 40 * 86400]
    later = [record(json_line(n, msec=moment), n) for n, moment in enumerate(times, 100)]
    assert restarted.commit(batch_of(restarted, [*later])).stored == 5
    for name, rows in (("p_old", 1), ("p20260309", 1), ("p20260311", 1), ("p_max", 1)):
        assert db.count(f"access_log PARTITION ({name})") == rows
    assert db.count("access_log") == left + 5


def test_a_table_without_partitions_is_named_with_the_statement_that_mends_it(db: Database) -> None:
    store = db.store()
    store.upkeep()
    store.commit(batch_of(store, lines(5)))
    db.query("ALTER TABLE access_log REMOVE PARTITIONING")
    with pytest.raises(StoreUnavailableError, match="access_log has no partitions") as refusal:
        store.upkeep()
    statement = refusal.value.hint.partition(' -e "')[2].removesuffix('"')
    db.query(statement)
    assert store.upkeep().ready
    assert db.count("access_log") == 5


@pytest.mark.parametrize(
    ("clause", "named"),
    [
        ("HASH (TO_DAYS(ts)) PARTITIONS 4", "HASH"),
        ("RANGE (TO_DAYS(ts)) (PARTITION p_old VALUES LESS THAN (730000), PARTITION p_max VALUES LESS THAN MAXVALUE)",
         "RANGE \\("),
        ("RANGE COLUMNS (line_id) (PARTITION p_old VALUES LESS THAN ('5'), PARTITION p_max VALUES LESS THAN"
         " (MAXVALUE))", "line_id"),
        ("RANGE COLUMNS (ts) SUBPARTITION BY KEY (line_id) SUBPARTITIONS 2 (PARTITION p_old VALUES LESS THAN"
         " ('2026-03-01'), PARTITION p_max VALUES LESS THAN (MAXVALUE))", "subpartitions"),
    ],
)  # fmt: skip
def test_a_table_partitioned_otherwise_is_named_with_the_statement_that_mends_it(
    db: Database, clause: str, named: str
) -> None:
    store = db.store()
    store.upkeep()
    store.commit(batch_of(store, lines(5)))
    db.query(f"ALTER TABLE access_log PARTITION BY {clause}")
    with pytest.raises(StoreUnavailableError, match=f"access_log is partitioned by .*{named}") as refusal:
        store.upkeep()
    db.query(refusal.value.hint.partition(' -e "')[2].removesuffix('"'))
    assert store.upkeep().ready
    assert db.count("access_log") == 5


@pytest.mark.parametrize(
    "changes",
    [
        ["p20260310 INTO (PARTITION p20260311x VALUES LESS THAN ('2026-03-11'))",
         "p20260311,p20260312 INTO (PARTITION p20260311 VALUES LESS THAN ('2026-03-13'))"],
        ["p_max INTO (PARTITION `the rest` VALUES LESS THAN (MAXVALUE))",
         "p_old INTO (PARTITION p_max VALUES LESS THAN ('2026-03-08'))"],
        ["p_old INTO (PARTITION `very old` VALUES LESS THAN ('1999-01-01'), PARTITION P_Old VALUES LESS THAN"
         " ('2026-03-08'))", "p_max INTO (PARTITION P_MAX VALUES LESS THAN (MAXVALUE))"],
        ["p_old,p20260308,p20260309,p20260310,p20260311 INTO (PARTITION p_old VALUES LESS THAN ('2026-03-12'))"],
        ["p20260310,p20260311 INTO (PARTITION `a-b` VALUES LESS THAN ('2026-03-12'))"],
    ],
)  # fmt: skip
def test_partitions_changed_by_hand_are_made_again_and_lose_no_row(db: Database, changes: list[str]) -> None:
    store = db.store()
    store.upkeep()
    days = [NOON + n * 86400 for n in (-3000, -1, 0, 1, 40)]
    store.commit(batch_of(store, [record(json_line(n, msec=moment), n) for n, moment in enumerate(days)]))
    for change in changes:
        db.query(f"ALTER TABLE access_log REORGANIZE PARTITION {change}")
    assert store.upkeep().ready
    assert store.upkeep().changes == ()
    assert db.count("access_log") == 5
    assert (db.count("access_log PARTITION (p_old)"), db.count("access_log PARTITION (p_max)")) == (1, 1)


def test_a_server_that_became_read_only_is_named(db: Database) -> None:
    store = db.store()
    batch = batch_of(store, lines(5))
    db.query("SET GLOBAL read_only=1")
    try:
        with pytest.raises(StoreUnavailableError, match="1290") as refusal:
            store.commit(batch)
    finally:
        db.query("SET GLOBAL read_only=0")
    assert "read_only" in refusal.value.hint
    assert store.commit(batch).stored == 5


def test_only_one_process_does_the_upkeep(db: Database) -> None:
    with db.server.root() as cursor:
        cursor.execute(f"SELECT GET_LOCK('{db.name}.upkeep',0)")
        assert not db.store().upkeep().done
    assert db.store().upkeep().done


def test_a_missing_migration_is_named(db: Database) -> None:
    db.query("ALTER TABLE access_log DROP COLUMN cut_fields")
    db.query("DELETE FROM schema_migrations WHERE version>2")
    store = db.store()
    for _ in range(2):  # and not passed by at the second try
        with pytest.raises(StoreUnavailableError, match=r"newest migration: 2\).*cut_fields is missing") as refusal:
            store.positions("cluster", {})
        assert "mysql.yml" in refusal.value.hint


def test_a_missing_table_is_named(db: Database) -> None:
    db.query("RENAME TABLE error_log TO error_log_old")
    with pytest.raises(StoreUnavailableError, match="no table error_log") as refusal:
        db.store().positions("cluster", {})
    assert "mysql.yml" in refusal.value.hint


@pytest.mark.parametrize("engine", ["MyISAM", "Aria"])
@pytest.mark.parametrize("table", schema.TABLES)
def test_a_table_of_an_engine_without_transactions_is_named(db: Database, table: str, engine: str) -> None:
    if MYSQLD and (engine == "Aria" or table in day_partitions.TABLES):
        pytest.skip("MySQL has no Aria, and no partitioned MyISAM")
    db.query(f"ALTER TABLE {table} ENGINE={engine}")
    with pytest.raises(StoreUnavailableError, match=f"table {table}: its engine is {engine}") as refusal:
        db.store().positions("cluster", {})
    assert mend(db, refusal.value) == [f"ALTER TABLE {table} ENGINE=InnoDB"]
    assert db.store().positions("cluster", {}) == {}


def mend(db: Database, error: StoreUnavailableError) -> list[str]:
    """Run the statements that the error shows, and return them."""
    statements = error.hint.partition(' -e "')[2].removesuffix('"').split("; ")
    for statement in statements:
        db.query(statement.replace("\\`", "`"))  # as a shell reads it
    return statements


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            "access_log MODIFY uri VARCHAR(100) NOT NULL",
            r"column uri is VARCHAR\(100\), but TEXT NOT NULL is needed",
        ),
        ("access_log MODIFY user_agent TINYTEXT NOT NULL", "user_agent is TINYTEXT"),
        ("access_log MODIFY uri TEXT CHARACTER SET latin1 NOT NULL", "uri is TEXT in latin1"),
        ("access_log MODIFY vhost VARCHAR(254) NOT NULL DEFAULT ''", r"vhost is VARCHAR\(254\)"),
        ("access_log MODIFY status TINYINT UNSIGNED NOT NULL", "status is TINYINT"),
        ("access_log MODIFY bytes INT UNSIGNED NOT NULL", "bytes is INT"),
        ("access_log MODIFY request_time DECIMAL(10,3) NULL", "request_time is DECIMAL"),
        ("access_log MODIFY request_time DOUBLE NULL", "request_time is DOUBLE"),
        ("access_log MODIFY request_length BIGINT UNSIGNED NOT NULL", "request_length is BIGINT.* NOT NULL"),
        ("access_log MODIFY stored_at DATETIME NOT NULL", "stored_at is DATETIME,"),
        ("access_log MODIFY stored_at DATETIME(3) NOT NULL", "stored_at has lost its default"),
        ("access_log DROP COLUMN referer", "referer is missing"),
        ("access_log ADD COLUMN `my note` VARCHAR(9) NOT NULL", "my note, which is not the consumer's"),
        ("error_log MODIFY message TEXT NOT NULL", "message is TEXT"),
        ("error_log DROP COLUMN vhost", "vhost is missing"),
        ("quarantine MODIFY value BLOB NULL", "value is BLOB"),
        ("quarantine DROP PRIMARY KEY", r"key \(line_id\) is missing"),
        ("rollup_minute DROP COLUMN lat_250", "lat_250 is missing"),
        ("rollup_minute MODIFY requests INT UNSIGNED NOT NULL", "requests is INT"),
        ("rollup_hour DROP COLUMN lat_more", "lat_more is missing"),
        ("access_log DROP PRIMARY KEY", r"key \(ts, line_id\) is missing"),
        ("log_source DROP KEY log_source_position", r"key \(cluster_id, topic, partition_id, topic_id\) is missing"),
        ("log_source MODIFY source_id INT UNSIGNED NOT NULL", "source_id has lost its default"),
    ],
)
def test_a_table_that_takes_less_than_is_written_is_named_with_the_statement_that_mends_it(
    db: Database, change: str, named: str
) -> None:
    table = change.partition(" ")[0]
    db.query(f"ALTER TABLE {change}")
    with pytest.raises(StoreUnavailableError, match=f"the table {table}: .*{named}") as refusal:
        db.store().positions("cluster", {})
    (statement,) = mend(db, refusal.value)
    assert statement.startswith(f"ALTER TABLE {table} ")
    store = db.store()
    assert store.commit(batch_of(store, lines(3))).stored == 3


def test_all_that_is_wrong_is_named_at_once(db: Database) -> None:
    db.query("ALTER TABLE access_log MODIFY uri VARCHAR(100) NOT NULL, DROP COLUMN referer")
    db.query("ALTER TABLE quarantine ENGINE=MyISAM")
    with pytest.raises(StoreUnavailableError) as refusal:
        db.store().positions("cluster", {})
    for words in ("access_log: the column uri", "referer is missing", "quarantine: its engine is MyISAM"):
        assert words in str(refusal.value)
    assert len(mend(db, refusal.value)) == 2
    assert db.store().positions("cluster", {}) == {}


def test_what_takes_more_than_is_needed_is_used(db: Database) -> None:
    """A person may widen a column, or add one with a default."""
    db.query(
        "ALTER TABLE access_log MODIFY uri MEDIUMTEXT NOT NULL, MODIFY vhost VARCHAR(300) NOT NULL DEFAULT '',"
        " MODIFY method TEXT NOT NULL, MODIFY bytes BIGINT NOT NULL, MODIFY status INT NOT NULL,"
        " MODIFY request_time DECIMAL(20,6) NULL, MODIFY stored_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),"
        " ADD COLUMN note VARCHAR(9) NOT NULL DEFAULT '', ADD COLUMN more INT NULL, ADD KEY client (client_addr, ts)"
    )
    store = db.store()
    assert store.commit(batch_of(store, lines(3))).stored == 3


def test_a_table_that_is_changed_while_a_consumer_runs_is_named_by_the_upkeep(db: Database) -> None:
    store = db.store()
    assert store.upkeep().done
    db.query("ALTER TABLE quarantine ENGINE=MyISAM")
    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="engine is MyISAM") as refusal:
            store.upkeep()
    mend(db, refusal.value)
    assert store.upkeep().done


def test_a_wrong_password_waits_and_shows_no_secret(db: Database, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("not-the-password")
    with pytest.raises(StoreUnavailableError) as refusal:
        db.store().positions("cluster", {})
    assert "1045" in str(refusal.value)
    assert "not-the-password" not in str(refusal.value)
