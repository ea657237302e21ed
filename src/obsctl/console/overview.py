"""The result of ``obsctl status``, as far as this host can check, and the newest lines that the shippers delivered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from obsctl.checks.health.here import here_check
from obsctl.console.alerts import document
from obsctl.console.config import ConsoleConfig
from obsctl.console.kept import Answer, Kept
from obsctl.core import runbooks
from obsctl.core.brokers import Security
from obsctl.core.report import Finding, in_order, verdict
from obsctl.fleet.model import Fleet

#: How long a check is reused, and how long an older result is shown while a newer check runs, seconds.
_FRESH_S = 10.0
_STALE_S = 300.0
#: How long a page waits for the first check, and how much of this the host and the database have, seconds.
_WAIT_S = 5.0
_DEADLINE_S = 4.0

#: Statement for the newest minute of each balancer within a day, and its age in seconds.
SHIPPERS = (
    "SELECT host, UNIX_TIMESTAMP(MAX(minute)), TIMESTAMPDIFF(SECOND, MAX(minute), UTC_TIMESTAMP()) FROM rollup_minute"
    " WHERE minute > UTC_TIMESTAMP() - INTERVAL 1 DAY GROUP BY host ORDER BY MAX(minute), host"
)


class Overview:
    """Checks the fleet when somebody wants to see it, one check at a time.

    Args:
        config: of the console, with the fleet's document and the console's own accounts.
    """

    def __init__(self, config: ConsoleConfig) -> None:
        self._config = config
        self._kept: Kept[dict[str, Any]] = Kept(self._look, _FRESH_S)

    def status(self) -> Answer[dict[str, Any]]:
        """Return the result of the latest check."""
        return self._kept.get(_WAIT_S, stale_s=_STALE_S)

    def _look(self) -> dict[str, Any]:
        fleet = _as_console(document(self._config.fleet), self._config)
        check = here_check(self._config.fleet.host, _DEADLINE_S)
        now = datetime.now(UTC)
        snapshot = check.collect(fleet)
        findings = in_order(check.findings(fleet, snapshot))
        return {
            "status": verdict(findings, snapshot.errors).value,
            "headline": check.headline(fleet, snapshot, findings, now),
            "findings": list(map(_row, findings)),
            "errors": [msgspec.to_builtins(error) for error in snapshot.errors],
            **check.describe(fleet, snapshot),
        }


def shippers(cursor: Any) -> list[dict[str, Any]]:
    """Return each balancer with its newest stored minute (seconds since the epoch) and its age, the oldest first."""
    cursor.execute(SHIPPERS)
    return [{"host": host, "newest": int(newest), "age_s": max(0, int(age))} for host, newest, age in cursor.fetchall()]


def _as_console(fleet: Fleet, config: ConsoleConfig) -> Fleet:
    """Return the fleet with the console's own accounts in place of those of ``obsctl``."""
    own, brokers = config.database, config.kafka
    database = msgspec.structs.replace(
        fleet.database, reader_user=own.user, reader_password=own.password, ca_file=own.ca_file
    )
    client = brokers.security.settings() if brokers is not None else Security()
    return msgspec.structs.replace(fleet, database=database, kafka=msgspec.structs.replace(fleet.kafka, client=client))


def _row(finding: Finding) -> dict[str, Any]:
    known = finding.code in runbooks.pages()
    return {**msgspec.to_builtins(finding), "page": f"/runbooks/{finding.code}" if known else None}
