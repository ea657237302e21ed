"""Moves lines out of the quarantine once the current parsers can read them, each to its table exactly once."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import msgspec

from obsctl.consumer.assembler import Assembler
from obsctl.core.settings import Network
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats import registry
from obsctl.lines.formats.line import Line
from obsctl.store.batch import Run
from obsctl.store.mysql.operations import Candidate, Judge, Kept, MySQLOperations, Released, Selection
from obsctl.store.quarantine import Quarantined
from obsctl.store.settings import Database

#: The most lines of a transaction, and the most bytes of their records: so transactions are short and do not block
#: consumers.
_LINES = 500
_BYTES = 8 * 2**20


class Result(msgspec.Struct):
    """The result of a replay.

    Attributes:
        until: the time (UTC) before which lines were examined.
        examined: number of examined lines.
        released: what happened to them, or would happen.
        left: selected lines that were not examined, because of the limit.
    """

    until: datetime.datetime
    examined: int = 0
    released: Released = msgspec.field(default_factory=Released)
    left: int = 0


def judge(error_log_timezone: str, trusted_proxies: Sequence[Network]) -> Judge:
    """Return the function that parses quarantined lines with the present parsers.

    Args:
        error_log_timezone: the zone of nginx's error lines (an IANA name).
        trusted_proxies: networks whose ``X-Forwarded-For`` is believed.
    """
    assembler = Assembler(
        registry.formats(error_log_timezone=error_log_timezone), TrustedProxies(tuple(trusted_proxies))
    )
    return lambda kept: _read(assembler, kept)


def replay(
    database: Database,
    read: Judge,
    reason: str,
    since: datetime.datetime,
    until: datetime.datetime | None = None,
    *,
    limit: int | None = None,
    dry_run: bool = False,
) -> Result:
    """Move the selected lines.

    Args:
        database: the connection, with an account that may write lines.
        read: from :func:`judge`.
        reason: of the quarantine; ``refused`` for all that the database refused.
        since, until: when the lines were put into quarantine (UTC, without a zone); ``until`` is at most now, the
            default.
        limit: the most lines to examine.
        dry_run: only return what would happen to them.

    Raises:
        StoreUnavailableError: the database does not answer; lines that were already moved stay moved. Can be
        repeated.
    """
    store = MySQLOperations(database)
    try:
        # Not later than now, so that new lines in the quarantine cannot make it run for ever.
        now = store.now()
        selection = Selection(reason, since, min(until, now) if until else now)
        result = Result(selection.until)
        after: Candidate | None = None
        while limit is None or result.examined < limit:
            room = _LINES if limit is None else min(_LINES, limit - result.examined)
            piece = _piece(store.candidates(selection, after, room))
            if not piece:
                break
            line_ids = [candidate.line_id for candidate in piece]
            act = store.weigh if dry_run else store.release
            result.released.add(act(line_ids, read))
            result.examined += len(piece)
            after = piece[-1]
        if after is not None:
            result.left = store.count(selection, after)
    finally:
        store.close()
    return result


def replay_lines(database: Database, read: Judge, line_ids: Sequence[bytes], *, dry_run: bool) -> Released:
    """Move lines by their identities, all in one transaction; those that are no longer in the quarantine are ignored.

    Args:
        database, read, dry_run: as for :func:`replay`.
        line_ids: only as many as fit into one transaction.

    Raises:
        StoreUnavailableError: the database does not answer; either nothing or everything was moved.
    """
    store = MySQLOperations(database)
    try:
        return (store.weigh if dry_run else store.release)(line_ids, read)
    finally:
        store.close()


def _piece(candidates: list[Candidate]) -> list[Candidate]:
    """Return the first candidates whose values fit into a transaction; at least one, if there is any."""
    size = 0
    for index, candidate in enumerate(candidates):
        size += candidate.size
        if size > _BYTES and index:
            return candidates[:index]
    return candidates


def _read(assembler: Assembler, kept: Kept) -> Line | Quarantined:
    run = Run(kept.part, kept.offset, [kept.value])
    batch = assembler.assemble([run], {kept.part: kept.source}, {kept.part: kept.offset})
    lines: list[Line | Quarantined] = [*batch.access, *batch.errors, *batch.quarantined]
    # A record gives exactly one line, except a rule test, which must not become a row and stays in quarantine.
    return (
        lines[0]
        if lines
        else Quarantined(kept.line_id, kept.source.source_id, kept.offset, "", "", kept.reason, kept.detail, kept.value)
    )
