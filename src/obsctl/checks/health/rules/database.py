"""The database, as the reading user sees it."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.health.rules.units import thaw
from obsctl.checks.health.snapshot import DatabaseProbe
from obsctl.checks.silence import is_silence
from obsctl.core.report import Finding, Severity
from obsctl.fleet.login import connect_command
from obsctl.fleet.model import Fleet

_QUARANTINE_QUESTION = "SELECT reason, COUNT(*), MIN(detail) FROM quarantine GROUP BY reason"


def not_asked(database: DatabaseProbe) -> Iterator[Finding]:
    """It could not be queried from here, for a reason on this machine."""
    if not database.asked:
        yield Finding(
            code="HEALTH_LAYER_NOT_ASKED",
            severity=Severity.UNKNOWN,
            object="layer/database",
            summary=f"not checked: {database.failure}",
            hint=database.hint
            or "mysql_reader_password in the inventory points to the reading user's password: check that what it names "
            "exists and that you may read it",
        )


def down(fleet: Fleet, database: DatabaseProbe) -> Iterator[Finding]:
    """It does not answer, or not over a trusted connection."""
    if database.asked and database.failure:
        yield Finding(
            code="HEALTH_DATABASE_TLS" if database.untrusted else "HEALTH_DATABASE_DOWN",
            severity=Severity.CRITICAL,
            object=_named(fleet),
            summary=database.failure,
            hint=database.hint or _hint(fleet, silent=is_silence(database.failure)),
        )


def quarantine(fleet: Fleet, database: DatabaseProbe) -> Iterator[Finding]:
    """Lines that recently could not be parsed."""
    if database.quarantined_last_day:
        yield Finding(
            code="HEALTH_QUARANTINE",
            severity=Severity.INFO,
            object=_named(fleet),
            summary=f"{database.quarantined_last_day} lines went to quarantine in the last 24 hours",
            evidence={"lines": database.quarantined_last_day},
            hint=f"on the database's host: mysql {fleet.database.name} -e '{_QUARANTINE_QUESTION}'",
        )


def catch_all(fleet: Fleet, database: DatabaseProbe) -> Iterator[Finding]:
    """Rows of days without a day partition."""
    if database.catch_all_rows:
        yield Finding(
            code="HEALTH_CATCH_ALL_PARTITION",
            severity=Severity.WARNING,
            object=_named(fleet),
            summary=f"about {database.catch_all_rows} rows are in p_max, the catch-all partition for days that have no "
            "partition of their own",
            evidence={"rows": database.catch_all_rows},
            hint="a host's clock is ahead, or the consumer could not add partitions; on the consumer's host: "
            "journalctl -u obsctl-consumer | grep upkeep",
        )


def _named(fleet: Fleet) -> str:
    return f"database/{fleet.database.host}"


def _hint(fleet: Fleet, *, silent: bool) -> str:
    unit, address = fleet.database.service or "mysqld", fleet.database.host
    names = [host.name for host in fleet.group("mysql") if address in (host.address, host.name)]
    where = names[0] if names else "the database's host"
    if silent:
        # For a frozen process the unit is active and the kernel accepts connections: both would mislead.
        return thaw(where, unit)
    return f"on {where}: systemctl status {unit}; from here: {connect_command(address, fleet.database.port)}"
