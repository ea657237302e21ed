"""The store on MySQL and MariaDB.

One transaction holds a batch's rows, their minute roll-ups, its quarantine, and the sources' next offsets moved by
compare-and-set. Whoever has lost its partitions in the meantime fails at the compare-and-set and stores nothing. Roll-
ups count only rows that this transaction inserted: if fewer were inserted than sent, the known identities are read
and the transaction is made again without them.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import pymysql

from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact, resolve
from obsctl.kafka.partition import TopicPartition
from obsctl.lines.formats.line import AccessLine, ErrorLine, Line
from obsctl.lines.formats.registry import revision
from obsctl.store import rollup
from obsctl.store.batch import Batch
from obsctl.store.interface import DeadLetter, FencedError, Origin, Outcome, Position, StoreUnavailableError, Upkeep
from obsctl.store.mysql import day_partitions
from obsctl.store.mysql import rows as sql
from obsctl.store.mysql.loading import LoadingConnection
from obsctl.store.quarantine import DETAIL_LENGTH, REFUSED, Quarantined
from obsctl.store.settings import Database

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The migration that this code was written for. Newer ones only add.
SCHEMA_VERSION = 2
#: What the consumer's database user needs; the role grants exactly this. "*" stands for the whole database.
PRIVILEGES = {
    "log_source": ("SELECT", "INSERT", "UPDATE"),
    "access_log": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "error_log": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "rollup_minute": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "quarantine": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "schema_migrations": ("SELECT",),
}

#: Deadlock and lock wait: the transaction is innocent and is made again.
_RETRIED = frozenset({1213, 1205, 1020})
_RETRIES = 20
#: What a server says of a row that it will not have: NULL, range, cut, wrong value, too long, a check, a trigger.
_REFUSALS = frozenset({1048, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1441, 1644, 1690, 3819, 4025})
_PACKET_TOO_LARGE = 1153
#: LOAD DATA LOCAL is switched off: MySQL and MariaDB in their releases.
_LOADING_FORBIDDEN = frozenset({1148, 3948, 4166})
#: Rounds of "some are known, make it again"; each needs another writer that was faster, so few are ever needed.
_ROUNDS = 50
_CONNECT_SECONDS = 5
#: How long a statement may take before the server counts as dead: a partition must not be held for the operating
#: system's many minutes.
_IO_SECONDS = 60
#: The same for a change of partitions, which may copy rows.
_CHANGE_SECONDS = 1800
#: A change waits so long for those who read the table; meanwhile all writers queue up behind it.
_CHANGE_WAIT_SECONDS = 1
_STATEMENT_BYTES = 4 * 2**20
_KEYS_PER_QUERY = 1000
_QUARANTINE_CHECK_SECONDS = 60
_CHUNK_ROWS = 5000
_CHUNKS_A_RUN = 200
#: Beyond this many, p_max is not counted further.
_COUNT_LIMIT = 100_000
#: A packet holds more than the rows: command, head and tail of the statement.
_PACKET_MARGIN = 16 * 1024
#: With less, next to nothing is left for the rows.
_LEAST_PACKET_BYTES = 2 * _PACKET_MARGIN

_HINTS = {
    1044: "grant the user its privileges: run the mysql role again",
    1045: "the user or its password is refused: compare the secret's file with the mysql role's",
    1049: "the database is missing: run the mysql role",
    1054: "a column is missing: apply the migrations (run the mysql role)",
    1142: "a privilege is missing: run the mysql role again",
    1146: "a table is missing: apply the migrations (run the mysql role)",
    1114: "the disk is full: free space on the database's host",
    1290: "the server is read-only",
    **dict.fromkeys((2002, 2003, 2006, 2013), "is the database up, and may this host reach its port?"),
}


class _KnownRowsError(Exception):
    """Fewer rows were inserted than sent: some identities are stored already."""


class _RetryError(StoreUnavailableError):
    """A deadlock or a lock wait ended the transaction."""


class _Refusal(NamedTuple):
    """A line that the server will not have, and what it said."""

    line: Line
    code: int
    message: str


class _Source(NamedTuple):
    """A partition and the id of its topic: the key of a position within a cluster. The id may be '', not known yet."""

    part: TopicPartition
    topic_id: str

    def nameless(self) -> _Source:
        """Return the key of the same source before topic ids were kept."""
        return self._replace(topic_id="")


class MySQLStore:
    """See :class:`obsctl.store.interface.Store`.

    Args:
        database: how to reach it; the password is read anew for each connection.
        retention_days: see the configuration.
        today: the UTC day by this host's clock, for the upkeep; the server's is asked as well.
    """

    def __init__(
        self,
        database: Database,
        retention_days: int,
        today: Callable[[], datetime.date] = lambda: datetime.datetime.now(datetime.UTC).date(),
    ) -> None:
        self._database = database
        self._retention_days = retention_days
        self._today = today
        self._connection: LoadingConnection | None = None
        #: Whether the server takes rows by LOAD DATA LOCAL.
        self._loads = False
        self._used_at = 0.0
        self._packet_bytes = _STATEMENT_BYTES
        self._check_quarantine = True
        self._quarantine_checked = float("-inf")

    # -- what the pipeline calls -------------------------------------------------------------------------------

    def positions(self, cluster_id: str, topic_ids: Mapping[TopicPartition, str]) -> dict[TopicPartition, Position]:
        """Return where each partition goes on, and remember the new ones."""
        return self._guard(lambda: self._positions(cluster_id, topic_ids))

    def commit(self, batch: Batch) -> Outcome:
        """Store the batch in one transaction, made again as long as only deadlocks or known rows stand in its way."""
        known: set[bytes] = set()
        attempts = retries = 0
        loads = True
        while True:
            attempts += 1
            try:
                stored, quarantined, refused = self._guard(
                    functools.partial(self._transaction, batch, known, loads=loads)
                )
            except _KnownRowsError:
                if attempts > _ROUNDS:
                    raise StoreUnavailableError("other writers keep storing the same lines") from None
                found = self._guard(functools.partial(self._read_known, batch))
                # What LOAD DATA left out and is not there, the server refuses; INSERT tells which row, and why.
                loads = not found <= known
                known |= found
            except _RetryError as error:
                retries += 1
                if retries > _RETRIES:
                    raise StoreUnavailableError(f"the transaction gives way again and again: {error}") from None
                time.sleep(random.uniform(0, 0.01 * min(retries, 10)))  # noqa: S311  spreads, hides nothing
            else:
                return Outcome(
                    stored=stored,
                    quarantined=quarantined,
                    known=batch.records - stored - quarantined,
                    refused=refused,
                    attempts=attempts,
                )

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return refused records whose copy is still due."""
        return self._guard(lambda: self._dead_letters(limit))

    def settle_dead_letters(self, letters: Collection[DeadLetter]) -> None:
        """Note that the copies have been accepted."""
        if letters:
            ids = ",".join(f"0x{letter.line_id.hex()}" for letter in letters)
            self._guard(lambda: self._run(f"UPDATE quarantine SET dead_letter=1 WHERE line_id IN ({ids})", commit=True))

    def upkeep(self) -> Upkeep:
        """Bring the partitions to this day. Only one process does so at a time, the others find nothing to do."""
        return self._guard(self._upkeep)

    def close(self) -> None:
        """Close the connection; what it had open is rolled back by the server."""
        if self._connection is not None:
            with contextlib.suppress(pymysql.Error, OSError):
                self._connection.close()
            self._connection = None

    # -- connection and errors ---------------------------------------------------------------------------------

    def _guard(self, action: Callable[[], T]) -> T:
        """Run an action on an open connection and sort its errors."""
        try:
            self._connect()
            return action()
        except (FencedError, _KnownRowsError):
            self._rollback()
            raise
        except StoreUnavailableError:
            self.close()  # what was found wrong with the connection is to be found again
            raise
        except pymysql.MySQLError as error:
            code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            if code in _RETRIED and self._rollback():
                raise _RetryError(str(error)) from None
            self.close()
            message = redact(str(error.args[1] if len(error.args) > 1 else error))
            raise StoreUnavailableError(f"database error {code}: {message}", _HINTS.get(code, "")) from None
        except (OSError, ConfigError) as error:
            self.close()
            hint = error.hint if isinstance(error, ConfigError) else ""
            raise StoreUnavailableError(redact(str(error)), hint) from None

    def _connect(self) -> None:
        now = time.monotonic()
        if self._connection is not None and now - self._used_at < sql.IDLE_SECONDS / 2:
            self._used_at = now
            return
        self.close()  # the server may have closed it already, or do so at any moment
        self._used_at = now
        database = self._database
        connection = LoadingConnection(
            host=database.host,
            port=database.port,
            user=database.user,
            password=resolve(database.password).reveal(),
            database=database.name,
            charset="utf8mb4",
            autocommit=False,
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_IO_SECONDS,
            write_timeout=_IO_SECONDS,
        )
        self._connection = connection
        self._run(sql.SESSION)
        self._run(sql.READ_COMMITTED)
        self._require_schema()
        ((packet, loads),) = self._select("SELECT @@max_allowed_packet,@@local_infile")
        self._packet_bytes, self._loads = int(packet), bool(loads)
        self._end_read()
        if self._packet_bytes < _LEAST_PACKET_BYTES:
            raise StoreUnavailableError(
                f"the server's max_allowed_packet is {packet} bytes, which is too little for rows",
                "set it to 16M, as the servers do by themselves",
            )
        self._quarantine_checked = float("-inf")

    def _require_schema(self) -> None:
        ((newest,),) = self._select("SELECT MAX(version) FROM schema_migrations")
        if newest is None or int(newest) < SCHEMA_VERSION:
            raise StoreUnavailableError(
                f"the schema is at version {newest or 0}, this consumer needs {SCHEMA_VERSION}",
                "apply the migrations: ansible-playbook site.yml --limit mysql",
            )

    def _run(self, statement: str | bytes, *, commit: bool = False) -> int:
        """Run a statement; return the rows it affected."""
        assert self._connection is not None  # noqa: S101  _guard connects
        affected = self._connection.query(statement)
        if commit:
            self._connection.commit()
        return affected

    def _select(self, query: str) -> tuple[tuple[Any, ...], ...]:
        assert self._connection is not None  # noqa: S101  _guard connects
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def _rollback(self) -> bool:
        """Roll back; return whether the connection still lives."""
        try:
            if self._connection is not None:
                self._connection.rollback()
        except (pymysql.MySQLError, OSError):
            self.close()
        return self._connection is not None

    # -- positions ---------------------------------------------------------------------------------------------

    def _positions(self, cluster_id: str, topic_ids: Mapping[TopicPartition, str]) -> dict[TopicPartition, Position]:
        """Return the positions; a source without a topic id, made before those were kept, is given the present one."""
        wanted = sorted(_Source(part, topic_id) for part, topic_id in topic_ids.items())
        sources = self._read_sources(cluster_id)
        missing = [source for source in wanted if source not in sources]
        if missing:
            nameless = [source for source in missing if _is_nameless(source, sources)]
            self._name(nameless, sources)
            self._add(cluster_id, [source for source in missing if source not in nameless])
            sources = self._read_sources(cluster_id)
            if any(source not in sources for source in wanted):
                raise StoreUnavailableError("another consumer has named the same source meanwhile")
        elsewhere = self._topics_elsewhere(cluster_id, [s for s in wanted if not sources[s].next_offset])
        return {source.part: sources[source]._replace(origin=_origin(source, sources, elsewhere)) for source in wanted}

    def _read_sources(self, cluster_id: str) -> dict[_Source, Position]:
        rows = self._select(
            "SELECT topic,partition_id,topic_id,source_id,next_offset FROM log_source"
            f" WHERE cluster_id='{sql.text(cluster_id)}'"
        )
        self._end_read()
        return {
            _Source(TopicPartition(topic, part), topic_id): Position(source, offset)
            for topic, part, topic_id, source, offset in rows
        }

    def _name(self, nameless: Sequence[_Source], sources: Mapping[_Source, Position]) -> None:
        """Write the topic's id to sources that have none."""
        for source in nameless:
            self._run(
                f"UPDATE log_source SET topic_id='{sql.text(source.topic_id)}'"
                f" WHERE source_id={sources[source.nameless()].source_id} AND topic_id=''",
                commit=True,
            )

    def _add(self, cluster_id: str, new: Sequence[_Source]) -> None:
        if new:
            values = ",".join(
                f"('{sql.text(cluster_id)}','{sql.text(s.part.topic)}',{s.part.partition},'{sql.text(s.topic_id)}')"
                for s in new
            )
            self._run(
                f"INSERT INTO log_source (cluster_id,topic,partition_id,topic_id) VALUES {values}"
                " ON DUPLICATE KEY UPDATE source_id=log_source.source_id",
                commit=True,
            )

    def _topics_elsewhere(self, cluster_id: str, unread: Sequence[_Source]) -> set[str]:
        """Return which of the topics another cluster has as well."""
        if not unread:
            return set()
        names = ",".join(sorted({f"'{sql.text(source.part.topic)}'" for source in unread}))
        rows = self._select(
            f"SELECT DISTINCT topic FROM log_source WHERE topic IN ({names}) AND cluster_id<>'{sql.text(cluster_id)}'"
        )
        self._end_read()
        return {topic for (topic,) in rows}

    def _end_read(self) -> None:
        """End the transaction that even a SELECT begins: it would hold up every change of the tables it read."""
        assert self._connection is not None  # noqa: S101  _guard connects
        self._connection.commit()

    # -- the transaction ---------------------------------------------------------------------------------------

    def _transaction(self, batch: Batch, known: set[bytes], *, loads: bool) -> tuple[int, int, int]:
        """Make the transaction; return the rows stored, the rows quarantined, and how many of these were refused.

        Args:
            batch: what to store.
            known: identities that are stored already.
            loads: whether LOAD DATA may be used where the server takes it.
        """
        # First the fence: it decides whether the rest is ours to do, and lets a rival wait here and not at a row.
        if self._run(sql.advance(batch.steps, batch.newest_event)) != len(batch.steps):
            raise FencedError
        settled = known | self._in_quarantine(batch)
        access = [line for line in batch.access if line.line_id not in settled] if settled else batch.access
        errors = [line for line in batch.errors if line.line_id not in settled] if settled else batch.errors
        refusals: list[_Refusal] = []
        if not (loads and self._load(access)):
            self._insert(sql.INSERT_ACCESS, access, refusals)
        self._insert(sql.INSERT_ERROR, errors, refusals)
        quarantined = batch.quarantined
        if refusals:
            self._require_unknown(refusals)
            refused = {r.line.line_id: _refused(r, batch.value(r.line)) for r in refusals}
            access = [line for line in access if line.line_id not in refused]
            quarantined = sorted([*quarantined, *refused.values()], key=lambda q: q.line_id)
            self._check_quarantine = True
        added = self._insert_quarantined(quarantined)
        totals = rollup.count(access)
        for piece in sql.chunks(sql.rollup_rows(totals), self._statement_bytes):
            self._run(_statement(sql.INSERT_ROLLUP, piece))
        assert self._connection is not None  # noqa: S101  _guard connects
        self._connection.commit()
        return len(access) + len(errors) - sum(type(r.line) is ErrorLine for r in refusals), added, len(refusals)

    def _load(self, lines: Sequence[AccessLine]) -> bool:
        """Store lines by LOAD DATA LOCAL, for half of the server's time; return whether they are stored.

        They are not where the server does not allow it, and where it had anything to say against a row: LOCAL turns
        errors into warnings, and changed values with them. INSERT will say which row it was.

        Raises:
            _KnownRowsError: rows were left out and nothing was changed; most likely they were there before.
        """
        if not self._loads or not lines:
            return False
        assert self._connection is not None  # noqa: S101  _guard connects
        self._run("SAVEPOINT before_rows")
        try:
            loaded = self._connection.load(sql.LOAD_ACCESS, sql.arrays(lines), self._packet_bytes - _PACKET_MARGIN)
        except pymysql.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code in _LOADING_FORBIDDEN:
                self._loads = False
            elif code not in _REFUSALS:
                raise
        else:
            known = len(lines) - loaded.rows
            if loaded.warnings == known == 0:
                return True
            if loaded.warnings == known:
                raise _KnownRowsError
        self._run("ROLLBACK TO SAVEPOINT before_rows")
        return False

    def _insert(self, statement: tuple[bytes, bytes], lines: Sequence[Line], refusals: list[_Refusal]) -> None:
        """Insert lines; add to ``refusals`` those that the server will not have.

        Raises:
            _KnownRowsError: a line was there before, so the roll-ups must not count it.
        """
        inserted, start, before = 0, 0, len(refusals)
        for piece in sql.chunks(sql.line_rows(lines), self._statement_bytes):
            inserted += self._insert_piece(statement, lines[start : start + len(piece)], piece, refusals)
            start += len(piece)
        if inserted != len(lines) - (len(refusals) - before):
            raise _KnownRowsError

    def _insert_piece(
        self, statement: tuple[bytes, bytes], lines: Sequence[Line], literals: list[bytes], refusals: list[_Refusal]
    ) -> int:
        """Insert lines by one statement, and by halves where one of them is refused; return how many were new.

        A failed statement leaves nothing behind, and its transaction goes on.
        """
        if len(lines) == 1 and len(literals[0]) > self._packet_bytes - _PACKET_MARGIN:
            refusals.append(_Refusal(lines[0], _PACKET_TOO_LARGE, "the row is larger than max_allowed_packet"))
            return 0
        try:
            return self._run(_statement(statement, literals))
        except pymysql.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code not in _REFUSALS:
                raise
            if len(lines) == 1:
                refusals.append(_Refusal(lines[0], code, str(error.args[1])))
                return 0
        half = len(lines) // 2
        return self._insert_piece(statement, lines[:half], literals[:half], refusals) + self._insert_piece(
            statement, lines[half:], literals[half:], refusals
        )

    def _insert_quarantined(self, quarantined: Sequence[Quarantined]) -> int:
        limit = (self._packet_bytes - _PACKET_MARGIN) // 2  # escaping doubles a byte at worst
        literals = (sql.quarantine_row(row, revision(), limit) for row in quarantined)
        return sum(
            self._run(_statement(sql.INSERT_QUARANTINE, piece)) for piece in sql.chunks(literals, self._statement_bytes)
        )

    @property
    def _statement_bytes(self) -> int:
        return min(_STATEMENT_BYTES, (self._packet_bytes - _PACKET_MARGIN) // 2)

    # -- what is known -----------------------------------------------------------------------------------------

    def _read_known(self, batch: Batch) -> set[bytes]:
        """Return the identities of the batch that the log tables hold."""
        found = self._known_in("access_log", batch.access) | self._known_in("error_log", batch.errors)
        self._end_read()
        return found

    def _known_in(self, table: str, lines: Sequence[Line]) -> set[bytes]:
        found: set[bytes] = set()
        for start in range(0, len(lines), _KEYS_PER_QUERY):
            for (line_id,) in self._select(sql.known_in(table, lines[start : start + _KEYS_PER_QUERY])):
                found.add(bytes(line_id))
        return found

    def _require_unknown(self, refusals: Sequence[_Refusal]) -> None:
        """A refused line may have been stored when the server was less strict; it must not be in both tables."""
        access = [r.line for r in refusals if type(r.line) is AccessLine]
        errors = [r.line for r in refusals if type(r.line) is ErrorLine]
        if self._known_in("access_log", access) or self._known_in("error_log", errors):
            raise _KnownRowsError

    def _in_quarantine(self, batch: Batch) -> set[bytes]:
        """Return the identities of the batch's rows that lie in the quarantine: there they are the record.

        The same parsers and the same tables judge a line the same way each time. So this is asked only while the
        quarantine holds lines that *other* parsers judged, or that the server refused: its mind can change.
        """
        now = time.monotonic()
        if now - self._quarantine_checked > _QUARANTINE_CHECK_SECONDS:
            mine = revision()
            rows = self._select(
                f"(SELECT 1 FROM quarantine WHERE revision<'{mine}' LIMIT 1)"
                f" UNION ALL (SELECT 1 FROM quarantine WHERE revision>'{mine}' LIMIT 1)"
                " UNION ALL (SELECT 1 FROM quarantine WHERE dead_letter>=0 LIMIT 1)"
            )
            self._check_quarantine, self._quarantine_checked = bool(rows), now
        if not self._check_quarantine:
            return set()
        line_ids = [line.line_id for line in (*batch.access, *batch.errors)]
        found: set[bytes] = set()
        for start in range(0, len(line_ids), _KEYS_PER_QUERY):
            for (line_id,) in self._select(sql.known_in_quarantine(line_ids[start : start + _KEYS_PER_QUERY])):
                found.add(bytes(line_id))
        return found

    # -- dead letters and upkeep -------------------------------------------------------------------------------

    def _dead_letters(self, limit: int) -> list[DeadLetter]:
        rows = self._select(
            "SELECT q.line_id,s.topic,s.partition_id,q.kafka_offset,q.log_format,q.host,q.reason,q.detail,q.value"
            " FROM quarantine q JOIN log_source s ON s.source_id=q.source_id"
            f" WHERE q.dead_letter=0 ORDER BY q.stored_at LIMIT {limit}"
        )
        self._end_read()
        return [DeadLetter(*row) for row in rows]

    def _upkeep(self) -> Upkeep:
        lock = f"'{self._database.name}.upkeep'"
        ((got,),) = self._select(f"SELECT GET_LOCK({lock},0)")
        self._end_read()
        today = self._day()
        if got != 1:
            return Upkeep(done=False, ready=self._ready(today))
        changes: list[str] = []
        busy: list[str] = []
        try:
            # The days of all tables come first: without them nothing can be stored, and deleting may take its time.
            for keep in (self._keep_days, self._delete_old):
                for table in day_partitions.TABLES:
                    try:
                        changes += keep(table, today)
                    except pymysql.MySQLError as error:
                        if not error.args or error.args[0] not in _RETRIED or not self._rollback():
                            raise
                        busy += [table] if table not in busy else []
            beyond = {table: self._count_beyond(table) for table in day_partitions.TABLES}
            ready = self._ready(today)
        finally:
            if self._connection is not None and self._connection.open:
                self._select(f"SELECT RELEASE_LOCK({lock})")
                self._end_read()
        return Upkeep(done=True, ready=ready, changes=tuple(changes), busy=tuple(busy), beyond=beyond)

    def _day(self) -> datetime.date:
        """Return the UTC day on which this host and the server agree: one clock ahead must not empty the tables."""
        ((day,),) = self._select("SELECT UTC_DATE()")
        self._end_read()
        return min(self._today(), datetime.date.fromisoformat(str(day)))

    def _partitions(self, table: str) -> list[day_partitions.Partition]:
        rows = self._select(
            "SELECT partition_name,partition_description FROM information_schema.partitions"
            f" WHERE table_schema=DATABASE() AND table_name='{table}' ORDER BY partition_ordinal_position"
        )
        self._end_read()
        return day_partitions.from_server([(str(name), str(text)) for name, text in rows])

    def _ready(self, today: datetime.date) -> bool:
        return all(day_partitions.holds(self._partitions(table), today) for table in day_partitions.TABLES)

    def _keep_days(self, table: str, today: datetime.date) -> list[str]:
        """Make and let go partitions; return what was done."""
        done = []
        changes = day_partitions.plan(table, self._partitions(table), today, self._retention_days)
        if changes:
            self._run(f"SET SESSION lock_wait_timeout={_CHANGE_WAIT_SECONDS}")
        for change in changes:
            with self._patience(_CHANGE_SECONDS):
                self._run(change.sql)
            log.info("partitions changed", extra={"change": change.summary})
            done.append(change.summary)
        return done

    @contextlib.contextmanager
    def _patience(self, seconds: int) -> Iterator[None]:
        """Wait longer for answers on the open connection; PyMySQL has no public way to say so."""
        connection: Any = self._connection
        connection._read_timeout = seconds
        try:
            yield
        finally:
            connection._read_timeout = _IO_SECONDS

    def _delete_old(self, table: str, today: datetime.date) -> list[str]:
        """Delete from p_old what has been stored for the retention, in chunks; return what was done."""
        before = datetime.datetime.combine(today, datetime.time()) - datetime.timedelta(days=self._retention_days)
        total = 0
        for _ in range(_CHUNKS_A_RUN):
            with self._patience(_CHANGE_SECONDS):  # no index leads to them: it may read all of a large p_old
                deleted = self._run(
                    f"DELETE FROM {table} PARTITION ({day_partitions.OLD})"
                    f" WHERE stored_at<'{before}' LIMIT {_CHUNK_ROWS}",
                    commit=True,
                )
            total += deleted
            if deleted < _CHUNK_ROWS:
                break
        return [f"{table}: deleted {total} old rows"] if total else []

    def _count_beyond(self, table: str) -> int:
        ((count,),) = self._select(
            "SELECT COUNT(*) FROM"
            f" (SELECT 1 FROM {table} PARTITION ({day_partitions.BEYOND}) LIMIT {_COUNT_LIMIT}) AS capped"
        )
        return int(count)


def _is_nameless(source: _Source, sources: Collection[_Source]) -> bool:
    """Whether a source is kept without its topic's id, since before those were kept.

    Not where the topic had another id meanwhile: the one without may belong to that. A new one begins at 0, and reading
    again is always right.
    """
    topic_ids = {other.topic_id for other in sources if other.part.topic == source.part.topic}
    return source.nameless() in sources and topic_ids <= {"", source.topic_id}


def _origin(source: _Source, sources: Mapping[_Source, Position], elsewhere: Collection[str]) -> Origin:
    """Return what was known of a source's partition before its first line was read."""
    if sources[source].next_offset:
        return Origin.READ
    topic_ids = {other.topic_id for other in sources if other.part == source.part}
    if topic_ids != {source.topic_id}:
        return Origin.REMADE
    # A partition that was added to a topic is no news.
    read = any(p.next_offset for s, p in sources.items() if s.part.topic == source.part.topic)
    return Origin.OTHER_CLUSTER if source.part.topic in elsewhere and not read else Origin.NEW


def _statement(around: tuple[bytes, bytes], literals: Sequence[bytes]) -> bytes:
    return around[0] + b",".join(literals) + around[1]


def _refused(refusal: _Refusal, value: bytes | None) -> Quarantined:
    line = refusal.line
    return Quarantined(
        line_id=line.line_id,
        source_id=line.source_id,
        offset=line.kafka_offset,
        log_format=line.log_format,
        host=line.host,
        reason=f"{REFUSED}{refusal.code}",
        detail=refusal.message[:DETAIL_LENGTH],
        value=value,
        dead_letter=True,
    )
