"""The quarantine: a page of its lines, their number by reason, and their replay."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from obsctl.console.alerts import document
from obsctl.console.config import ConsoleConfig
from obsctl.consumer.tools.replay import judge, replay, replay_lines
from obsctl.core.settings import networks_of
from obsctl.core.utc import timestamp
from obsctl.query import values
from obsctl.query.sql import Parameter, Sql
from obsctl.search.question import Place
from obsctl.store.mysql.operations import Released
from obsctl.store.settings import Database

#: How many bytes of a value a page shows.
SHOWN_BYTES = 4096
#: The reason for all error numbers of the database, as in ``obsctl consumer replay``.
REFUSED = "refused"

TOPICS = "SELECT DISTINCT topic FROM log_source ORDER BY topic"


class Wanted(NamedTuple):
    """Which lines.

    Attributes:
        begin: quarantined at this moment or later (UTC).
        end: quarantined before this moment; None for now.
        reason: of the quarantine; empty for all.
        topic: empty for all.
        host: whose shipper sent the line; empty for all.
    """

    begin: datetime.datetime
    end: datetime.datetime | None
    reason: str = ""
    topic: str = ""
    host: str = ""


def page_of(wanted: Wanted, limit: int, before: Place | None) -> Sql:
    """Return the statement whose rows :func:`line` reads, the newest first.

    Args:
        wanted: which lines.
        limit: the most lines.
        before: only lines after this one in the page's order.
    """
    where, parameters = _where(wanted)
    if before is not None:
        where += " AND (stored_at < %s OR (stored_at = %s AND line_id < %s))"
        parameters += [values.stored(before.ts), values.stored(before.ts), before.line_id]
    # First only the keys, which are in an index, because the values are large.
    return Sql(
        f"SELECT q.line_id, q.stored_at, q.reason, q.detail, q.host, q.log_format, s.topic, s.partition_id,"
        f" q.kafka_offset, LEFT(q.value, {SHOWN_BYTES:d}), COALESCE(LENGTH(q.value), 0), q.value_bytes, q.dead_letter"
        f" FROM (SELECT line_id FROM quarantine WHERE {where} ORDER BY stored_at DESC, line_id DESC LIMIT {limit:d}) k"
        " JOIN quarantine q ON q.line_id = k.line_id JOIN log_source s ON s.source_id = q.source_id"
        " ORDER BY q.stored_at DESC, q.line_id DESC",
        tuple(parameters),
    )


def reasons_of(wanted: Wanted) -> Sql:
    """Return the statement that counts the lines in a time range by reason: reason, lines."""
    where, parameters = _where(Wanted(wanted.begin, wanted.end))
    return Sql(
        f"SELECT reason, COUNT(*) FROM quarantine WHERE {where} GROUP BY reason ORDER BY COUNT(*) DESC, reason",
        tuple(parameters),
    )


def line(row: Sequence[Any]) -> dict[str, Any]:
    """Return a line as data."""
    line_id, stored_at, reason, detail, host, log_format, topic, part, offset, value, kept, whole, letter = row
    return {
        "id": bytes(line_id).hex(),
        "stored_at": timestamp(stored_at.replace(tzinfo=datetime.UTC)),
        "reason": reason,
        "detail": detail,
        "host": host,
        "log_format": log_format,
        "topic": topic,
        "partition": int(part),
        "offset": int(offset),
        "value": None if value is None else shown(bytes(value)),
        "value_bytes": None if whole is None else int(whole),
        # A record that was too large for the quarantine cannot be replayed.
        "cut": whole is not None and int(kept) < int(whole),
        "dead_letter": letter is not None,
    }


def shown(value: bytes) -> str:
    r"""Return the bytes of a record as text, with invisible characters escaped, such as ``\x1b`` or ``\u202e``."""
    text = value.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Replay:
    """Moves lines out of the quarantine with the consumer's own code.

    Args:
        config: of the console, with the accounts, and the fleet's document, which says how lines are parsed.
    """

    def __init__(self, config: ConsoleConfig) -> None:
        self._config = config

    @property
    def allowed(self) -> bool:
        """Whether the console has an account that may write lines; a dry run is always possible."""
        return self._config.replay is not None

    def lines(self, line_ids: Sequence[bytes], *, dry_run: bool) -> dict[str, Any]:
        """Move lines by their identities.

        Raises:
            ConfigError: the fleet's document cannot be read.
            StoreUnavailableError: the database does not answer.
        """
        released = replay_lines(self._database(), self._judge(), line_ids, dry_run=dry_run)
        return _counts(released) | {"examined": len(line_ids), "left": 0}

    def selected(self, wanted: Wanted, limit: int, *, dry_run: bool) -> dict[str, Any]:
        """Move lines of one reason and time.

        Args:
            wanted: with a reason, and without a topic and a host.
            limit: how many lines are examined.
            dry_run: only return what would happen to them.

        Raises:
            ConfigError: the fleet's document cannot be read.
            StoreUnavailableError: the database does not answer; lines that were moved stay moved.
        """
        begin, end = (None if at is None else at.replace(tzinfo=None) for at in (wanted.begin, wanted.end))
        assert begin is not None  # noqa: S101 - for the type checker
        result = replay(self._database(), self._judge(), wanted.reason, begin, end, limit=limit, dry_run=dry_run)
        return _counts(result.released) | {"examined": result.examined, "left": result.left}

    def _judge(self) -> Any:
        alerter = document(self._config.fleet).alerter
        return judge(alerter.error_log_timezone, networks_of(alerter.trusted_proxies, "trusted_proxies"))

    def _database(self) -> Database:
        own, account = self._config.database, self._config.replay
        if account is None:
            return own
        return msgspec.structs.replace(own, user=account.user, password=account.password)


def _counts(released: Released) -> dict[str, Any]:
    return {"moved": released.moved, "known": released.known, "cut": released.cut, "stays": dict(released.stays)}


def _where(wanted: Wanted) -> tuple[str, list[Parameter]]:
    where = "stored_at >= %s"
    parameters: list[Parameter] = [values.stored(wanted.begin)]
    if wanted.end is not None:
        where += " AND stored_at < %s"
        parameters.append(values.stored(wanted.end))
    if wanted.reason == REFUSED:
        where += r" AND reason LIKE 'refused\\_%%'"
    elif wanted.reason:
        where += " AND reason = %s"
        parameters.append(wanted.reason)
    if wanted.topic:
        where += " AND source_id IN (SELECT source_id FROM log_source WHERE topic = %s)"
        parameters.append(wanted.topic)
    if wanted.host:
        where += " AND host = %s"
        parameters.append(wanted.host)
    return where, parameters
