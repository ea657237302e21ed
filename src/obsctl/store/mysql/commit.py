"""The transaction that stores a batch.

Its steps, in one transaction:

1. **Fence.** Every source's next offset is moved by compare-and-set. A consumer that has lost its partitions meanwhile
   fails here and stores nothing; a concurrent writer waits here, and not at a row.
2. **Known in the quarantine.** Lines that are in the quarantine are left out, because they are stored there.
3. **Access lines**, by LOAD DATA LOCAL if the server allows it, otherwise by INSERT.
4. **Error lines**, by INSERT.
5. **Quarantine**: the batch's own, and the lines that the database refused in steps 3 and 4.
6. **Roll-ups** of the access lines that this transaction inserted, and no others: their minutes, then their hours.

If fewer rows were inserted than sent, some are stored already: the transaction is rolled back, the known identities
are read, and it is retried without them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import pymysql

from obsctl.lines.formats.line import AccessLine, ErrorLine, Line
from obsctl.lines.formats.registry import revision
from obsctl.store import rollup
from obsctl.store.batch import Batch
from obsctl.store.encoded import EncodedLines, identities
from obsctl.store.interface import FencedError, Outcome, StoreUnavailableError
from obsctl.store.mysql import rows
from obsctl.store.mysql.session import Session, retry_conflicts
from obsctl.store.quarantine import DETAIL_LENGTH, REFUSED, Quarantined

#: A server's errors for a row that it refuses: NULL, range, truncation, wrong value, too long, a check, a trigger.
_REFUSALS = frozenset({1048, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1441, 1644, 1690, 3819, 4025})
_PACKET_TOO_LARGE = 1153
#: LOAD DATA LOCAL is switched off: MySQL and MariaDB in their releases.
_LOADING_FORBIDDEN = frozenset({1148, 3948, 4166})
#: The most retries without known lines; each needs another writer that was faster, so few are needed.
_ROUNDS = 50
_KEYS_PER_QUERY = 1000
_QUARANTINE_CHECK_S = 60


class KnownRowsError(Exception):
    """Fewer rows were inserted than sent: some identities are stored already."""


class Refusal(NamedTuple):
    """A line that the server refuses, and its error."""

    line: Line
    code: int
    message: str

    def quarantined(self, value: bytes | None) -> Quarantined:
        """Return the line's row for the quarantine; ``value`` is its record as in Kafka."""
        line = self.line
        return Quarantined(
            line_id=line.line_id,
            source_id=line.source_id,
            offset=line.kafka_offset,
            log_format=line.log_format,
            host=line.host,
            reason=f"{REFUSED}{self.code}",
            detail=self.message[:DETAIL_LENGTH],
            value=value,
            dead_letter=True,
        )


class Committer:
    """Stores batches over a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._look_into_quarantine = True
        self._looked_at = float("-inf")
        self._looked_over = 0

    def commit(self, batch: Batch) -> Outcome:
        """Store a batch; see the module.

        Raises:
            FencedError: a step's expected position differs from the database's.
            StoreUnavailableError: the batch is not stored, or it is unknown whether it is.
        """
        known: set[bytes] = set()
        attempts = 0
        loads = True

        def attempt() -> tuple[int, int, int]:
            nonlocal attempts
            attempts += 1
            return self._session.guard(functools.partial(self._transaction, batch, known, loads=loads))

        for _ in range(_ROUNDS):
            try:
                stored, quarantined, refused = retry_conflicts(attempt)
            except KnownRowsError:
                found = self._session.guard(functools.partial(self._read_known, batch))
                # LOAD DATA left out rows that are not stored, so the server refuses them; INSERT names the row and the
                # reason.
                loads = not found <= known
                known |= found
            else:
                repeated = batch.records - stored - quarantined - batch.tests
                return Outcome(
                    stored=stored, quarantined=quarantined, known=repeated, refused=refused, attempts=attempts
                )
        raise StoreUnavailableError("other writers kept storing the same lines")

    def _transaction(self, batch: Batch, known: set[bytes], *, loads: bool) -> tuple[int, int, int]:
        """Run the transaction; return the numbers of stored rows, quarantined rows, and refused ones among the latter.

        Args:
            known: identities that are stored already.
            loads: whether LOAD DATA may be used if the server allows it.
        """
        session = self._session
        # 1. Fence
        if session.run(rows.advance(batch.steps, batch.newest_event)) != len(batch.steps):
            raise FencedError
        # 2. Known in the quarantine
        settled = known | self._in_quarantine(batch)
        access = [line for line in batch.access if line.line_id not in settled] if settled else batch.access
        errors = [line for line in batch.errors if line.line_id not in settled] if settled else batch.errors
        # 3. and 4. Lines
        refusals: list[Refusal] = []
        if not (loads and self._load(access)):
            refusals += insert_lines(session, rows.INSERT_ACCESS, access)
        refusals += insert_lines(session, rows.INSERT_ERROR, errors)
        # 5. Quarantine
        quarantined = batch.quarantined
        if refusals:
            # A refused line may already have been stored when the server was less strict; it must not be in both
            # tables.
            if known_lines(session, [refusal.line for refusal in refusals]):
                raise KnownRowsError
            refused = {r.line.line_id: r.quarantined(batch.value(r.line)) for r in refusals}
            access = [line for line in access if line.line_id not in refused]
            quarantined = sorted([*quarantined, *refused.values()], key=lambda q: q.line_id)
            self._look_into_quarantine = True
        added = self._insert_quarantined(quarantined)
        # 6. Roll-ups
        add_rollups(session, access)
        session.commit()
        return len(access) + len(errors) - sum(type(r.line) is ErrorLine for r in refusals), added, len(refusals)

    def _load(self, lines: Sequence[AccessLine]) -> bool:
        """Store lines by LOAD DATA LOCAL, which takes half the time of INSERT; return whether they are stored.

        They are not if the server does not allow it, or if it warned about any row: LOCAL turns errors into warnings,
        which may mean changed values. INSERT then shows which row it is.

        Raises:
            KnownRowsError: rows were left out, and no value was changed; most likely these rows are already stored.
        """
        session = self._session
        if not session.loads or not lines:
            return False
        session.run("SAVEPOINT before_rows")
        try:
            loaded = session.load(rows.LOAD_ACCESS, rows.arrays(lines))
        except pymysql.MySQLError as error:
            code = error.args[0] if error.args else 0
            if code in _LOADING_FORBIDDEN:
                session.loads = False
            elif code not in _REFUSALS:
                raise
        else:
            known = len(lines) - loaded.rows
            if loaded.warnings == known == 0:
                return True
            if loaded.warnings == known:
                raise KnownRowsError
        session.run("ROLLBACK TO SAVEPOINT before_rows")
        return False

    def _insert_quarantined(self, quarantined: Sequence[Quarantined]) -> int:
        limit = self._session.row_bytes // 2  # escaping at most doubles the size
        literals = (rows.quarantine_row(row, revision(), limit) for row in quarantined)
        return _insert(self._session, rows.INSERT_QUARANTINE, literals)

    def _read_known(self, batch: Batch) -> set[bytes]:
        """Return the batch's identities that are in the log tables."""
        found = known_lines(self._session, (*batch.access, *batch.errors))
        self._session.commit()
        return found

    def _in_quarantine(self, batch: Batch) -> set[bytes]:
        """Return the identities of the batch's rows that are in the quarantine, where they stay.

        The same parsers and tables treat a line the same way each time. So this is only queried while the quarantine
        has lines from *other* parsers' versions, or lines that the server refused, which it may accept later.
        """
        session, now = self._session, time.monotonic()
        if now - self._looked_at > _QUARANTINE_CHECK_S or session.opened != self._looked_over:
            mine = revision()
            found = session.select(
                f"(SELECT 1 FROM quarantine WHERE revision<'{mine}' LIMIT 1)"
                f" UNION ALL (SELECT 1 FROM quarantine WHERE revision>'{mine}' LIMIT 1)"
                " UNION ALL (SELECT 1 FROM quarantine WHERE dead_letter>=0 LIMIT 1)"
            )
            self._look_into_quarantine, self._looked_at, self._looked_over = bool(found), now, session.opened
        if not self._look_into_quarantine:
            return set()
        line_ids = [*identities(batch.access), *identities(batch.errors)]
        return {
            bytes(line_id)
            for start in range(0, len(line_ids), _KEYS_PER_QUERY)
            for (line_id,) in session.select(rows.known_in_quarantine(line_ids[start : start + _KEYS_PER_QUERY]))
        }


def insert_lines(session: Session, statement: tuple[bytes, bytes], lines: Sequence[Line]) -> list[Refusal]:
    """Insert lines into their table; return those that the server refuses.

    Raises:
        KnownRowsError: a line is already stored, so the roll-ups must not count it.
    """
    inserted = start = 0
    refusals: list[Refusal] = []
    for piece in rows.chunks(rows.line_rows(lines), session.statement_bytes):
        inserted += _insert_piece(session, statement, lines, start, piece, refusals=refusals)
        start += len(piece)
    if inserted != len(lines) - len(refusals):
        raise KnownRowsError
    return refusals


def _insert_piece(
    session: Session,
    statement: tuple[bytes, bytes],
    lines: Sequence[Line],
    start: int,
    literals: list[bytes],
    *,
    refusals: list[Refusal],
) -> int:
    """Insert lines by one statement; if one is refused, insert each half separately. Return how many were new.

    A failed statement has no effect, and its transaction continues.

    Args:
        start: index of the first line; the literals are for it and the following ones.
    """
    if len(literals) == 1 and len(literals[0]) > session.row_bytes:
        refusals.append(Refusal(lines[start], _PACKET_TOO_LARGE, "the row is larger than max_allowed_packet"))
        return 0
    try:
        return session.insert(statement, literals)
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args else 0
        if code not in _REFUSALS:
            raise
        if len(literals) == 1:
            refusals.append(Refusal(lines[start], code, str(error.args[1])))
            return 0
    half = len(literals) // 2
    return _insert_piece(session, statement, lines, start, literals[:half], refusals=refusals) + _insert_piece(
        session, statement, lines, start + half, literals[half:], refusals=refusals
    )


def _insert(session: Session, statement: tuple[bytes, bytes], literals: Iterable[bytes]) -> int:
    """Insert rows in statements of a suitable size; return the number of affected rows."""
    return sum(session.insert(statement, piece) for piece in rows.chunks(literals, session.statement_bytes))


def add_rollups(session: Session, lines: Iterable[AccessLine]) -> None:
    """Add lines to the roll-ups of their minutes and hours.

    Every writer locks first the minutes, then the hours, both sorted by key: so no two writers wait for each other.
    """
    minutes = lines.minutes if isinstance(lines, EncodedLines) else rollup.count(lines)
    _insert(session, rows.INSERT_MINUTES, rows.rollup_rows(minutes))
    _insert(session, rows.INSERT_HOURS, rows.rollup_rows(rollup.hours(minutes)))


def known_lines(session: Session, lines: Collection[Line]) -> set[bytes]:
    """Return the identities of the lines that are in their table."""
    found: set[bytes] = set()
    for table, kind in (("access_log", AccessLine), ("error_log", ErrorLine)):
        of_table = [line for line in lines if type(line) is kind]
        for start in range(0, len(of_table), _KEYS_PER_QUERY):
            query = rows.known_in(table, of_table[start : start + _KEYS_PER_QUERY])
            found |= {bytes(line_id) for (line_id,) in session.select(query)}
    return found
