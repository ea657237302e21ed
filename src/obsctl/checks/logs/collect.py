"""Asks each host that ships logs what nginx has written and how far Filebeat has read; twice if these differ."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from obsctl.checks.ask import database, ssh
from obsctl.checks.ask.at_once import AtOnce
from obsctl.checks.logs.host_script import NotSeenError, Wanted, command, read_answer
from obsctl.checks.logs.progress import deliveries
from obsctl.checks.logs.snapshot import HostLogs, LogsSnapshot
from obsctl.core.errors import MissingDependencyError
from obsctl.core.report import Fault
from obsctl.core.utc import calendar
from obsctl.fleet.model import Fleet, Host
from obsctl.store.mysql import questions

#: Time limit for one look at a host, seconds: Filebeat's own page alone has two seconds.
HOST_DEADLINE_S = 6.0
#: Time between two looks at undelivered lines, seconds: longer than all pauses of the shipper together.
BETWEEN_S = 1.5


def collect_passive(fleet: Fleet) -> LogsSnapshot:
    """Ask all hosts of the group filebeat at the same time, and the database for each one's newest line.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    hosts = fleet.group("filebeat")
    if not hosts:
        return LogsSnapshot()
    with AtOnce(len(hosts)) as pool:
        seen = list(pool.map(look, hosts))
    return with_rows(fleet, seen)


def look(host: Host, marks: Sequence[str] = ()) -> HostLogs:
    """Look at a host's logs, and a second time if not everything was delivered.

    Args:
        marks: plain words to look for in the access logs that nginx writes.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    began = time.monotonic()
    seen = _ask(host, (), marks)
    if seen.failure:
        return seen
    sample = seen.first
    waiting = [file for file in deliveries(sample) if file.undelivered]
    if not waiting or not sample.filebeat.pid or sample.events is None:
        return seen
    time.sleep(max(0.0, began + BETWEEN_S - time.monotonic()))
    again = _ask(host, [Wanted(f"{f.key[0]}-{f.key[1]}", f.handle, f.delivered) for f in waiting], marks)
    return seen if again.failure else msgspec.structs.replace(seen, second=again.first)


def _ask(host: Host, wanted: Sequence[Wanted], marks: Sequence[str]) -> HostLogs:
    asked = time.time()
    try:
        answer = ssh.run(host, command(wanted, marks), deadline_s=HOST_DEADLINE_S)
        if answer.failure:
            return HostLogs(name=host.name, failure=answer.failure)
        said = read_answer(answer.output)
    except MissingDependencyError:
        raise
    except NotSeenError as error:
        return HostLogs(name=host.name, failure=str(error), refused=True)
    except (ValueError, KeyError) as error:
        return HostLogs(name=host.name, failure=f"its answer cannot be read ({type(error).__name__})", refused=True)
    # It began after the request was sent, and ended before the answer arrived.
    most, least = said.began - asked, said.ended - time.time()
    return HostLogs(
        name=host.name, first=said.sample, clock_s=(most + least) / 2, clock_error_s=max(0.0, (most - least) / 2)
    )


def with_rows(fleet: Fleet, hosts: Sequence[HostLogs]) -> LogsSnapshot:
    """Return the hosts' logs, each with whether its newest line was stored."""
    if not fleet.database.host or all(host.last.newest_line is None for host in hosts):
        return LogsSnapshot(hosts=tuple(hosts))
    try:
        stored = database.ask(fleet, lambda cursor: _stored(cursor, hosts))
    except (database.NotAskedError, database.SilentError) as error:
        fault = Fault(code="LOGS_HOP_NOT_ASKED", object="database", summary=str(error))
        return LogsSnapshot(hosts=tuple(hosts), errors=(fault,))
    return LogsSnapshot(
        hosts=tuple(
            msgspec.structs.replace(host, newest_stored=known) for host, known in zip(hosts, stored, strict=True)
        )
    )


def _stored(cursor: Any, hosts: Sequence[HostLogs]) -> list[bool | None]:
    """Return for each host whether its newest line was stored; unknown for a line that may be among lost ones."""
    stored = [_has_row(cursor, host) for host in hosts]
    lost = max((loss.at for loss in database.losses(cursor) or () if loss.lost), default="") if False in stored else ""
    return [
        None if known is False and f"{calendar(host.last.newest_line or 0):%Y-%m-%dT%H:%M:%SZ}" <= lost else known
        for host, known in zip(hosts, stored, strict=True)
    ]


def _has_row(cursor: Any, host: HostLogs) -> bool | None:
    sample = host.last
    if host.failure or sample.newest_line is None:
        return None
    moment = calendar(round(sample.newest_line, 3)).replace(tzinfo=None)
    cursor.execute(questions.LINE_STORED, (moment, sample.name or host.name) * 2)
    return bool(cursor.fetchone()[0])
