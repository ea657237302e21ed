"""The upkeep of the partitioned tables: creates partitions for the coming days, and drops those of expired days."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable

import pymysql

from obsctl.store.interface import StoreUnavailableError, Upkeep
from obsctl.store.mysql import day_partitions
from obsctl.store.mysql.session import RETRIED, Session
from obsctl.store.mysql.tables import upkeep_lock

log = logging.getLogger(__name__)

#: How long a change of partitions may take: it may copy rows.
_CHANGE_S = 1800
#: How long a change waits for readers of the table; meanwhile all writers queue up behind it.
_CHANGE_WAIT_S = 1
_CHUNK_ROWS = 5000
_CHUNKS_A_RUN = 200
#: The servers' errors for a change that does not fit the partitions: a name is taken, or bounds do not match.
_MISFITS = frozenset({1493, 1517, 1520})
#: Beyond this many, p_max is not counted further.
_COUNT_LIMIT = 100_000


class TableUpkeep:
    """Brings the tables' partitions up to date.

    Args:
        retention_days: whole UTC days that are kept.
        today: returns the UTC day by this host's clock; the server's day is queried as well.
    """

    def __init__(self, session: Session, retention_days: int, today: Callable[[], datetime.date]) -> None:
        self._session = session
        self._retention_days = retention_days
        self._today = today

    def run(self) -> Upkeep:
        """Do what is due. Only one process does this at a time.

        Raises:
            StoreUnavailableError: somebody has changed the tables so that they cannot be used, or their partitions so
                that the upkeep cannot continue.
        """
        session = self._session
        session.require_tables()
        lock = upkeep_lock(session.database.name)
        ((got,),) = session.read(f"SELECT GET_LOCK({lock},0)")
        today = self._day()
        if got != 1:
            return Upkeep(done=False, ready=self._ready_meanwhile(today))
        changes: list[str] = []
        busy: list[str] = []
        try:
            # The days of all tables come first: without them nothing can be stored, and deleting may take long.
            for keep in (self._keep_days, self._delete_old):
                for table in day_partitions.TABLES:
                    try:
                        changes += keep(table, today)
                    except pymysql.MySQLError as error:
                        if not error.args or error.args[0] not in RETRIED or not session.rollback():
                            raise
                        busy += [table] if table not in busy else []
            beyond = {table: self._count_beyond(table) for table in day_partitions.TABLES}
            ready = self._ready(today)
        finally:
            if session.connection is not None and session.connection.open:
                session.read(f"SELECT RELEASE_LOCK({lock})")
        return Upkeep(done=True, ready=ready, changes=tuple(changes), busy=tuple(busy), beyond=beyond)

    def _day(self) -> datetime.date:
        """Return the earlier UTC day of this host and the server: a clock that is ahead must not empty the tables."""
        ((day,),) = self._session.read("SELECT UTC_DATE()")
        return min(self._today(), datetime.date.fromisoformat(str(day)))

    def _partitions(self, table: str) -> list[day_partitions.Partition]:
        found = self._session.read(
            "SELECT partition_name,partition_description,partition_method,partition_expression,subpartition_name"
            " FROM information_schema.partitions"
            f" WHERE table_schema=DATABASE() AND table_name='{table}' AND partition_name IS NOT NULL"
            " ORDER BY partition_ordinal_position"
        )
        if not found:
            raise StoreUnavailableError(
                f"the table {table} has no partitions, or does not exist",
                f"if it exists, partition it (this copies all its rows): {self._partition_again(table)}",
            )
        column = day_partitions.TABLES[table]
        for _, _, method, expression, subpartition in found:
            if (method, str(expression).strip("`")) != ("RANGE COLUMNS", column) or subpartition:
                kind = f"{method} ({expression}){' with subpartitions' * bool(subpartition)}"
                raise StoreUnavailableError(
                    f"the table {table} is partitioned by {kind}, not by RANGE COLUMNS ({column}) alone",
                    f"partition it again (this copies all its rows): {self._partition_again(table)}",
                )
        return day_partitions.from_server([(str(name), str(text)) for name, text, *_ in found])

    def _partition_again(self, table: str) -> str:
        return f'mysql {self._session.database.name} -e "{day_partitions.partition_again(table, self._day())}"'

    def _ready(self, today: datetime.date) -> bool:
        return all(day_partitions.holds(self._partitions(table), today) for table in day_partitions.TABLES)

    def _ready_meanwhile(self, today: datetime.date) -> bool:
        """Like :meth:`_ready`, while another process may be changing partitions, which are incomplete then."""
        try:
            return self._ready(today)
        except StoreUnavailableError:
            return False

    def _keep_days(self, table: str, today: datetime.date) -> list[str]:
        """Create and drop partitions; return what was done."""
        session = self._session
        done = []
        changes = day_partitions.plan(table, self._partitions(table), today, self._retention_days)
        if changes:
            session.run(f"SET SESSION lock_wait_timeout={_CHANGE_WAIT_S}")
        for change in changes:
            try:
                with session.patience(_CHANGE_S):
                    session.run(change.sql)
            except pymysql.MySQLError as error:
                if error.args[:1] and error.args[0] in _MISFITS:
                    raise StoreUnavailableError(
                        f"the partitions of {table} are not as the upkeep makes them: {error.args[-1]}",
                        f"partition it again (this copies all its rows): {self._partition_again(table)}",
                    ) from None
                raise
            log.info("partitions changed", extra={"change": change.summary})
            done.append(change.summary)
        return done

    def _delete_old(self, table: str, today: datetime.date) -> list[str]:
        """Delete rows from p_old, in chunks, that have been stored for the whole retention; return what was done."""
        before = datetime.datetime.combine(today, datetime.time()) - datetime.timedelta(days=self._retention_days)
        total = 0
        for _ in range(_CHUNKS_A_RUN):
            with self._session.patience(_CHANGE_S):  # there is no index for them: it may read all of a large p_old
                deleted = self._session.run(
                    f"DELETE FROM {table} PARTITION ({day_partitions.OLD})"
                    f" WHERE stored_at<'{before}' LIMIT {_CHUNK_ROWS}",
                    commit=True,
                )
            total += deleted
            if deleted < _CHUNK_ROWS:
                break
        return [f"{table}: deleted {total} old rows"] if total else []

    def _count_beyond(self, table: str) -> int:
        ((count,),) = self._session.select(
            "SELECT COUNT(*) FROM"
            f" (SELECT 1 FROM {table} PARTITION ({day_partitions.BEYOND}) LIMIT {_COUNT_LIMIT}) AS capped"
        )
        return int(count)
