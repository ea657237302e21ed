"""People's operations on the store on MySQL: moving lines out of the quarantine, moving a position.

Each is a transaction of the same kind as the consumer's: a crash at any moment leaves a line in exactly one table, and
the consumers may run meanwhile.
"""

from __future__ import annotations

import datetime
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from obsctl.kafka.partition import TopicPartition
from obsctl.lines.formats.line import AccessLine, ErrorLine, Line
from obsctl.lines.formats.registry import revision
from obsctl.store.batch import Source, by_key
from obsctl.store.interface import Position, StoreUnavailableError
from obsctl.store.mysql import positions, rows
from obsctl.store.mysql.commit import KnownRowsError, add_rollups, insert_lines, known_lines
from obsctl.store.mysql.session import Session, retry_conflicts
from obsctl.store.quarantine import Quarantined
from obsctl.store.settings import Database

#: The most retries of a transaction because a consumer stored the same lines meanwhile.
_ROUNDS = 50


class Selection(NamedTuple):
    """Selects quarantined lines: those with the reason that came at ``since`` or later, and before ``until`` (UTC).

    The reason ``refused`` means every error number of the database.
    """

    reason: str
    since: datetime.datetime
    until: datetime.datetime


class Candidate(NamedTuple):
    """A selected line: when it came, its identity, and how many bytes of its value are kept."""

    stored_at: datetime.datetime
    line_id: bytes
    size: int


class Kept(NamedTuple):
    """A line in the quarantine.

    Attributes:
        value: the record's value, which may be cut.
        value_bytes: its original length; None if the record had no value.
    """

    line_id: bytes
    source: Source
    part: TopicPartition
    offset: int
    reason: str
    detail: str
    revision: str
    value: bytes | None
    value_bytes: int | None

    @property
    def cut(self) -> bool:
        """Whether the value was too large to be kept whole."""
        return self.value is not None and self.value_bytes is not None and len(self.value) < self.value_bytes


#: Parses a quarantined line with the present parsers.
Judge = Callable[[Kept], Line | Quarantined]


class Released(msgspec.Struct):
    """The results for lines of the quarantine (counts).

    Attributes:
        moved: now in their table, and counted in the roll-ups.
        known: already in their table; only removed from the quarantine.
        cut: stay, because their value was too large to be stored whole.
        stays: stay, by the reason from the present parsers or the database.
    """

    moved: int = 0
    known: int = 0
    cut: int = 0
    stays: Counter[str] = msgspec.field(default_factory=Counter)

    def add(self, other: Released) -> None:
        """Add other counts."""
        self.moved += other.moved
        self.known += other.known
        self.cut += other.cut
        self.stays += other.stays


class _Judged(NamedTuple):
    """Quarantined lines after parsing by the present parsers.

    Attributes:
        lines: the readable lines, each once, by its identity in the log table.
        readable: the quarantined lines with the line that each gives.
        staying: the unreadable lines, with what is wrong.
        cut: how many were not parsed, because they are cut.
    """

    lines: dict[bytes, Line]
    readable: list[tuple[Kept, Line]]
    staying: list[tuple[Kept, Quarantined]]
    cut: int


class MySQLOperations:
    """Operations that only people start. Every method may raise StoreUnavailableError."""

    def __init__(self, database: Database) -> None:
        self._session = Session(database)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    # -- the quarantine ----------------------------------------------------------------------------------------

    def now(self) -> datetime.datetime:
        """Return the server's time (UTC)."""
        ((now,),) = self._read("SELECT NOW(3)")
        assert isinstance(now, datetime.datetime)  # noqa: S101  a server's NOW
        return now

    def candidates(self, selection: Selection, after: Candidate | None, limit: int) -> list[Candidate]:
        """Return selected lines after the place ``after``, in the order in which they came."""
        found = self._read(
            f"SELECT stored_at,line_id,COALESCE(LENGTH(value),0) FROM quarantine WHERE {_where(selection, after)}"
            f" ORDER BY stored_at,line_id LIMIT {limit}"
        )
        return [Candidate(stored_at, bytes(line_id), int(size)) for stored_at, line_id, size in found]

    def count(self, selection: Selection, after: Candidate | None) -> int:
        """Return the number of selected lines after the place ``after``."""
        ((count,),) = self._read(f"SELECT COUNT(*) FROM quarantine WHERE {_where(selection, after)}")
        return int(count)

    def weigh(self, line_ids: Sequence[bytes], judge: Judge) -> Released:
        """Return the results that :meth:`release` would have, except for refusals by the database; change nothing."""
        return self._session.guard(lambda: self._weigh(line_ids, judge))

    def release(self, line_ids: Sequence[bytes], judge: Judge) -> Released:
        """Move lines from the quarantine to their tables in one transaction; those that cannot be read stay."""
        release = functools.partial(self._session.guard, functools.partial(self._release, line_ids, judge))
        for _ in range(_ROUNDS):
            try:
                return retry_conflicts(release)
            except KnownRowsError:
                continue
        raise StoreUnavailableError("the consumers keep storing the same lines", "try again")

    def _kept(self, line_ids: Sequence[bytes], *, lock: str) -> list[Kept]:
        # Without a join, which would lock the sources as well, and so block the consumers.
        sources = {
            source_id: (Source(source_id, cluster_id, topic_id), TopicPartition(topic, part))
            for source_id, cluster_id, topic_id, topic, part in self._session.select(
                "SELECT source_id,cluster_id,topic_id,topic,partition_id FROM log_source"
            )
        }
        found = self._session.select(
            "SELECT line_id,source_id,kafka_offset,reason,detail,revision,value,value_bytes FROM quarantine"
            f" WHERE line_id IN ({_ids(line_ids)}) ORDER BY line_id{lock}"
        )
        return [Kept(bytes(line_id), *sources[source_id], *rest) for line_id, source_id, *rest in found]

    def _weigh(self, line_ids: Sequence[bytes], judge: Judge) -> Released:
        judged = _judge(self._kept(line_ids, lock=""), judge)
        known = len(known_lines(self._session, judged.lines.values()))
        self._session.commit()
        moved = len(judged.lines) - known
        stays = Counter(now.reason for _, now in judged.staying)
        return Released(moved=moved, known=len(judged.readable) - moved, cut=judged.cut, stays=stays)

    def _release(self, line_ids: Sequence[bytes], judge: Judge) -> Released:
        session = self._session
        # Locked: another replay waits here, and then finds them gone. A consumer that gets one of these lines only
        # reads the quarantine: it finds the line here or, after the commit, in its table.
        judged = _judge(self._kept(line_ids, lock=" FOR UPDATE"), judge)
        known = known_lines(session, judged.lines.values())
        lines = sorted((line for i, line in judged.lines.items() if i not in known), key=by_key)
        access = [line for line in lines if isinstance(line, AccessLine)]
        errors = [line for line in lines if isinstance(line, ErrorLine)]
        # Both raise KnownRowsError if a consumer has stored one of the lines since the query above.
        refusals = insert_lines(session, rows.INSERT_ACCESS, access)
        refusals += insert_lines(session, rows.INSERT_ERROR, errors)
        refused = {refusal.line.line_id: refusal for refusal in refusals}
        add_rollups(session, (line for line in access if line.line_id not in refused))
        staying = list(judged.staying)
        leaving = []
        for kept, line in judged.readable:
            if line.line_id in refused:
                staying.append((kept, refused[line.line_id].quarantined(kept.value)))
            else:
                leaving.append(kept.line_id)
        if leaving:
            session.run(f"DELETE FROM quarantine WHERE line_id IN ({_ids(leaving)})")
        for kept, now in staying:
            self._note_judgement(kept, now)
        session.commit()
        moved = len(lines) - len(refused)
        stays = Counter(now.reason for _, now in staying)
        return Released(moved=moved, known=len(leaving) - moved, cut=judged.cut, stays=stays)

    def _note_judgement(self, kept: Kept, now: Quarantined) -> None:
        """Store the present parsers' reason for a line that stays; for a refused one a dead letter becomes due."""
        if (kept.reason, kept.detail, kept.revision) == (now.reason, now.detail, revision()):
            return
        letter = ",dead_letter=COALESCE(dead_letter,0)" if now.dead_letter else ""
        self._session.run(
            f"UPDATE quarantine SET reason='{rows.text(now.reason)}',detail='{rows.text(now.detail)}',"
            f"revision='{revision()}'{letter} WHERE line_id=0x{kept.line_id.hex()}".encode("utf-8", "replace")
        )

    # -- positions ---------------------------------------------------------------------------------------------

    def position(self, cluster_id: str, part: TopicPartition, topic_id: str) -> Position | None:
        """Return where reading of a partition resumes; None for one that the store has never seen."""
        return self._session.guard(lambda: positions.position(self._session, cluster_id, part, topic_id))

    def move(self, source_id: int, to: int, *, at_least: int) -> int | None:
        """Move a source's next offset to ``to``, unless it is below ``at_least``.

        Returns:
            The previous one; None if that is below ``at_least``, and nothing was moved.
        """
        move = functools.partial(positions.move, self._session, source_id, to, at_least=at_least)
        return retry_conflicts(lambda: self._session.guard(move))

    def _read(self, query: str) -> tuple[tuple[Any, ...], ...]:
        return self._session.guard(lambda: self._session.read(query))


def _judge(kept: Iterable[Kept], judge: Judge) -> _Judged:
    """Parse quarantined lines; of two that give the same line, the second one counts as known."""
    judged = _Judged({}, [], [], 0)
    cut = 0
    for line in kept:
        if line.cut:
            cut += 1
            continue
        now = judge(line)
        if isinstance(now, Quarantined):
            judged.staying.append((line, now))
        else:
            judged.readable.append((line, judged.lines.setdefault(now.line_id, now)))
    return judged._replace(cut=cut)


def _where(selection: Selection, after: Candidate | None) -> str:
    reason = "reason LIKE 'refused\\_%'" if selection.reason == "refused" else f"reason='{rows.text(selection.reason)}'"
    where = f"{reason} AND stored_at>='{selection.since}' AND stored_at<'{selection.until}'"
    if after is None:
        return where
    at = after.stored_at
    return f"{where} AND (stored_at>'{at}' OR (stored_at='{at}' AND line_id>0x{after.line_id.hex()}))"


def _ids(line_ids: Sequence[bytes]) -> str:
    return ",".join(f"0x{line_id.hex()}" for line_id in line_ids)
