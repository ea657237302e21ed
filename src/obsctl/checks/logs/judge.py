"""Judges whether each host's lines get through, and otherwise where they get stuck and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from obsctl.checks.logs.hops import describe_hops, describe_lines, judge_lines
from obsctl.checks.logs.progress import Delivery, deliveries, inputs_of, late
from obsctl.checks.logs.snapshot import HostLogs, Input, LogsSnapshot, Sample
from obsctl.core.listed import listed
from obsctl.core.report import Finding, Severity, Status, worst
from obsctl.core.utc import iso
from obsctl.fleet.model import Fleet

#: A line that waits longer than the first time is late, seconds; more than the second is not just a short fault of a
#: broker.
LATE_S = 10
LATE_CRITICAL_S = 60
#: Time within which the shipper finds a new file, seconds: many times its scan interval.
_UNSEEN_S = 10
#: From this size on, removed files that are still open are reported, bytes.
REMOVED_BYTES = 1024**3
#: Rows are kept for at least this time, seconds: the shortest retention is a day.
_ROW_KEPT_S = 12 * 3600
_NAMED = 5


def judge_logs(fleet: Fleet, seen: LogsSnapshot) -> list[Finding]:
    """Return where followed lines got stuck, and the findings about examined hosts: units, shippers, files."""
    return [*judge_lines(fleet, seen), *_of_hosts(fleet, seen)]


def judge_traced(fleet: Fleet, seen: LogsSnapshot) -> list[Finding]:
    """Return the same if lines were only followed to their rows."""
    return [*judge_lines(fleet, seen, traced=True), *_of_hosts(fleet, seen)]


def _of_hosts(fleet: Fleet, seen: LogsSnapshot) -> list[Finding]:
    if seen.lines and not seen.hosts:
        # No line got stuck on its host, so no host was examined.
        return []
    return [*_units(seen), *judge_shipping(fleet, seen)]


def judge_shipping(fleet: Fleet, seen: LogsSnapshot) -> list[Finding]:
    """Return the findings about running shippers, for ``health``, which itself judges units and hosts."""
    findings: list[Finding] = []
    for host in seen.hosts:
        if host.refused:
            findings.append(_not_asked(host))
        elif not host.failure and host.last.filebeat.pid:
            findings += _host(fleet, host)
    return findings


def _units(seen: LogsSnapshot) -> Iterator[Finding]:
    if not seen.hosts:
        yield Finding(
            code="LOGS_NOT_ASKED",
            severity=Severity.UNKNOWN,
            object="fleet",
            summary="the inventory has no host in the group filebeat, so nothing was checked",
            hint="put the hosts with logs into the group filebeat, or choose another inventory with --inventory",
        )
    for host in seen.hosts:
        if host.failure and not host.refused:
            yield _not_asked(host)
        elif not host.failure and not host.last.filebeat.pid:
            yield Finding(
                code="HEALTH_SERVICE_DOWN",
                severity=Severity.CRITICAL,
                object=f"filebeat/{host.name}",
                summary="the unit is not running",
                evidence=_behind(host),
                hint=f"on {host.name}: systemctl status filebeat; journalctl -u filebeat -n 50",
            )


def _not_asked(host: HostLogs) -> Finding:
    return Finding(
        code="LOGS_NOT_ASKED",
        severity=Severity.UNKNOWN,
        object=f"host/{host.name}",
        summary=f"its logs could not be checked: {host.failure}",
        hint="obsctl health shows whether the host answers; the inventory's login must be root, or be allowed to sudo "
        "there without a password",
    )


def _host(fleet: Fleet, host: HostLogs) -> Iterator[Finding]:
    sample = host.last
    if sample.filebeat.frozen or sample.events is None:
        yield _silent(host)
        return
    yield from _dropped(host)
    unseen = {one.file.key for one in late(host) if one.file.read is None and one.waits_s >= _UNSEEN_S}
    blind = [file for file in deliveries(sample) if not file.removed and _blind(sample, file, unseen)]
    yield from _unread(fleet, host, [file for file in blind if file.written])
    yield from _rotated(host, [file for file in blind if not file.written and file.undelivered])
    yield from _writes_removed(host)
    yield from _late(fleet, host)
    yield from _removed(host)
    yield from _row(host)


def _silent(host: HostLogs) -> Finding:
    unit = host.last.filebeat
    what = (
        "the process is stopped by a signal (SIGSTOP) or a debugger"
        if unit.frozen
        else "the unit is active, but its stats page does not answer"
    )
    return Finding(
        code="LOGS_SHIPPER_SILENT",
        severity=Severity.CRITICAL,
        object=f"filebeat/{host.name}",
        summary=f"{what}: no lines leave the host",
        evidence={"pid": unit.pid, "process_state": unit.state, **_behind(host)},
        hint=f"on {host.name}: kill -CONT {unit.pid} resumes it"
        if unit.frozen
        else f"on {host.name}: journalctl -u filebeat -n 50; systemctl restart filebeat, which loses nothing",
    )


def _behind(host: HostLogs) -> dict[str, Any]:
    return {"undelivered_bytes": sum(file.undelivered for file in deliveries(host.last))}


def _dropped(host: HostLogs) -> Iterator[Finding]:
    events = host.last.events
    if events is not None and events.dropped:
        yield Finding(
            code="LOGS_DROPPED",
            severity=Severity.WARNING,
            object=f"filebeat/{host.name}",
            summary=f"it has dropped {events.dropped} lines since its start: they are lost",
            evidence={"dropped": events.dropped, "acked": events.acked},
            hint=f"on {host.name}: journalctl -u filebeat | grep -i drop; its next restart resets the counter",
        )


def _blind(sample: Sample, file: Delivery, unseen: Collection[tuple[int, int]]) -> bool:
    """Whether something keeps the shipper from opening the file, now or after its next start.

    Args:
        unseen: files that it has not opened although they have undelivered lines.
    """
    inputs = inputs_of(sample, file)
    if sample.inputs is not None and not inputs:
        return file.written
    if any(one.ignores_old for one in inputs) and not file.written:
        return False
    old = sample.at - file.modified > _UNSEEN_S
    not_opened = file.read is None and file.undelivered > 0 and (old or file.key in unseen)
    return _link_ignored(inputs, file) or _unreadable(file) or not_opened


def _link_ignored(inputs: Sequence[Input], file: Delivery) -> bool:
    links = bool(file.found) and all(found.link for found in file.found)
    return links and bool(inputs) and not any(one.links for one in inputs)


def _unreadable(file: Delivery) -> bool:
    return bool(file.found) and all(found.readable is False for found in file.found)


def _unread(fleet: Fleet, host: HostLogs, blind: Sequence[Delivery]) -> Iterator[Finding]:
    """Yield findings about files that nginx writes and the shipper does not find, or will not after its next start.

    Files with the same reason share a finding, such as those in a directory that it may not enter.
    """
    sample = host.last
    shipped = {_kind(file.path) for file in deliveries(sample) if file.written and file not in blind}
    reasons: dict[tuple[str, bool, bool], list[Delivery]] = {}
    for file in blind:
        code = _reason(sample, file)
        # If another log of this kind is shipped, a log without an input may be left out on purpose.
        spare = code == "LOGS_NO_INPUT" and _kind(file.path) in shipped
        reasons.setdefault((code, file.read is not None, spare), []).append(file)
    for (code, is_open, spare), files in reasons.items():
        names = [found.path for file in files for found in file.found] or [file.path for file in files]
        summary, hint = {
            "LOGS_NO_INPUT": (
                f"nginx writes {listed(names, _NAMED)}, and no Filebeat input covers it",
                f"{fleet.playbook('filebeat')} --limit {host.name} --diff shows the difference and applies the "
                "inventory; filebeat_nginx_log_dir must be nginx_log_dir",
            ),
            "LOGS_LINK_IGNORED": (
                f"{listed(names, _NAMED)}: a symbolic link, which Filebeat is configured not to follow",
                f"{fleet.playbook('filebeat')} --limit {host.name} sets prospector.scanner.symlinks: true",
            ),
            "LOGS_UNREADABLE": (
                f"Filebeat's account may not read {listed(names, _NAMED)}",
                f"on {host.name}: namei -l {names[0]} shows which directory or file denies access; "
                f"{fleet.playbook('nginx')} --limit {host.name} sets them",
            ),
            "LOGS_NOT_OPENED": (
                f"nginx writes {listed(names, _NAMED)}, and Filebeat has not opened it, although its "
                "configuration covers it",
                f"on {host.name}: journalctl -u filebeat -n 50; systemctl restart filebeat loads the "
                "configuration on the disk",
            ),
        }[code]
        until = "; it still reads what it has open, until a rotation or its next start" if is_open else ""
        yield Finding(
            code=code,
            severity=Severity.WARNING if is_open or spare else Severity.CRITICAL,
            object=f"filebeat/{host.name}",
            summary=summary + until,
            evidence={
                "files": {file.path: {"size": file.size, "delivered": file.delivered} for file in files},
                "open": is_open,
                "paths": sorted({path for one in sample.inputs or () for path in one.paths}),
            },
            hint=hint,
        )


def _reason(sample: Sample, file: Delivery) -> str:
    """Return the code for why the shipper does not read a file."""
    inputs = inputs_of(sample, file)
    if not inputs and sample.inputs is not None:
        return "LOGS_NO_INPUT"
    if _link_ignored(inputs, file):
        return "LOGS_LINK_IGNORED"
    return "LOGS_UNREADABLE" if _unreadable(file) else "LOGS_NOT_OPENED"


def _kind(path: str) -> str:
    """Return the kind of a log by its file name; the directory does not matter."""
    name = path.rpartition("/")[2]
    return next((kind for kind in ("access", "error") if kind in name), "")


def _rotated(host: HostLogs, files: Sequence[Delivery]) -> Iterator[Finding]:
    files = [file for file in files if file.read is None]
    if not files:
        return
    unreadable = [file.path for file in files if _unreadable(file)]
    total = sum(file.undelivered for file in files)
    yield Finding(
        code="LOGS_ROTATION_UNREAD",
        severity=Severity.CRITICAL,
        object=f"filebeat/{host.name}",
        summary=f"{total} bytes of {listed([file.path for file in files], _NAMED)} were not delivered, and Filebeat "
        "does not read them" + (f": its account may not read {listed(unreadable, _NAMED)}" if unreadable else ""),
        evidence={"bytes": total, "files": {file.path: file.undelivered for file in files[:_NAMED]}},
        hint=f"on {host.name}: "
        + (
            f"namei -l {unreadable[0]} shows which directory or file denies access; once that is fixed: "
            "systemctl restart filebeat, because Filebeat does not retry a file that it failed to open"
            if unreadable
            else "systemctl restart filebeat makes it read them; do this before logrotate compresses or removes them"
        ),
    )


def _writes_removed(host: HostLogs) -> Iterator[Finding]:
    for file in deliveries(host.last):
        if file.written and file.removed:
            read = file.read is not None
            yield Finding(
                code="LOGS_WRITTEN_TO_REMOVED",
                severity=Severity.WARNING if read else Severity.CRITICAL,
                object=f"nginx/{host.name}",
                summary=f"nginx writes to {file.path}, which was removed: "
                + (
                    "its lines are lost when Filebeat is restarted"
                    if read
                    else "Filebeat does not have it open, so its lines are lost"
                ),
                evidence={"file": file.path, "size": file.size, "delivered": file.delivered},
                hint=f"on {host.name}: nginx -s reopen makes it write to a new file",
            )


def _late(fleet: Fleet, host: HostLogs) -> Iterator[Finding]:
    """Yield findings that lines of files which the shipper has open do not get through."""
    waiting = [one for one in late(host) if one.file.read is not None and one.waits_s >= LATE_S]
    if not waiting:
        return
    longest = max(one.waits_s for one in waiting)
    total = sum(one.bytes for one in waiting)
    unacknowledged = all((one.file.read or 0) >= one.file.delivered + one.bytes for one in waiting)
    moves = any(one.moves for one in waiting)
    critical = longest >= LATE_CRITICAL_S and not moves
    behind = _acknowledged_behind(host) if unacknowledged and not moves else 0
    where = "read by Filebeat but not acknowledged by Kafka" if unacknowledged else "not read by Filebeat"
    if behind:
        where += f", which has acknowledged {behind} lines behind them"
    events = host.last.events
    cures = []
    if unacknowledged and fleet.kafka.client.sasl:
        # A shipper does not report a missing login or right.
        cures.append(f"{fleet.playbook('kafka')} gives Filebeat's user its password and rights again")
    if unacknowledged and (critical or behind):
        # The shipper's Kafka client may have lost a batch.
        cures.append(f"on {host.name}: systemctl restart filebeat sends the lines again, and none is stored twice")
    yield Finding(
        code="LOGS_LATE",
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        object=f"filebeat/{host.name}",
        summary=f"{total} bytes of {listed([one.file.path for one in waiting], _NAMED)} wait, the oldest line for "
        f"{longest:.0f} s" + (": some get through" if moves else f": {where}"),
        evidence={
            "bytes": total,
            "waits_s": round(longest, 1),
            "moves": moves,
            "read": unacknowledged,
            "failed": events.failed if events else None,
            "acked_behind": behind,
        },
        hint=f"obsctl kafka status shows whether the topic accepts records; on {host.name}: journalctl -u "
        f"filebeat -n 50" + (f"; if it accepts them, {'; '.join(cures)}" if cures else ""),
    )


def _acknowledged_behind(host: HostLogs) -> int:
    """Return how many lines Kafka acknowledged between the samples; 0 if it refused some."""
    before, after = host.first.events, host.last.events
    if before is None or after is None or after.failed != before.failed:
        return 0
    return max(0, after.acked - before.acked)


def _removed(host: HostLogs) -> Iterator[Finding]:
    removed = [file for file in deliveries(host.last) if file.removed and file.read is not None]
    total = sum(file.size for file in removed)
    if total < REMOVED_BYTES:
        return
    unread = sum(file.undelivered for file in removed)
    yield Finding(
        code="LOGS_REMOVED_KEPT_OPEN",
        severity=Severity.WARNING,
        object=f"filebeat/{host.name}",
        summary=f"{len(removed)} removed files use {total / 1024**3:.1f} GiB because Filebeat still has them open"
        + (f"; {unread} bytes of them are not delivered" if unread else ""),
        evidence={"bytes": total, "files": len(removed), "undelivered_bytes": unread},
        hint=(
            "obsctl kafka status: Filebeat closes them once Kafka has accepted their lines; a restart would lose those"
            if unread
            else f"on {host.name}: systemctl restart filebeat frees the space and loses nothing"
        ),
    )


def _row(host: HostLogs) -> Iterator[Finding]:
    sample = host.last
    if host.newest_stored is not False or sample.newest_line is None:
        return
    waits_s = sample.at - sample.newest_line
    # An old row may have been deleted by the retention; a line that has not left the host has its own finding.
    if not LATE_S <= waits_s <= _ROW_KEPT_S or any(file.undelivered for file in deliveries(sample)):
        return
    yield Finding(
        code="LOGS_ROW_MISSING",
        severity=Severity.WARNING if waits_s < LATE_CRITICAL_S else Severity.CRITICAL,
        object=f"host/{host.name}",
        summary=f"its newest access line of {iso(sample.newest_line)} has no row after {waits_s:.0f} s, although Kafka "
        "has all lines of the host",
        evidence={"line_at": sample.newest_line, "waits_s": round(waits_s, 1)},
        hint="obsctl consumer status shows whether the consumer is behind",
    )


def shipping_detail(fleet: Fleet, seen: LogsSnapshot) -> str:
    """Return the shippers' state in a few words: ``3 of 3 ship, most behind 12 s, newest line 4 s old (node1)``."""
    total = len(fleet.group("filebeat"))
    rows = [_shipper(fleet, host) for host in seen.hosts]
    ships = sum(row["ships"] is True for row in rows)
    parts = [f"{ships} of {total} ship"]
    if unknown := sum(row["ships"] is None for row in rows):
        parts.append(f"{unknown} not asked")
    if waits := [row["waits_s"] for row in rows if row["waits_s"] is not None and row["waits_s"] >= 1]:
        parts.append(f"most behind {max(waits):.0f} s")
    if ages := [(row["newest_line_age_s"], row["host"]) for row in rows if row["newest_line_age_s"] is not None]:
        age, name = min(ages)
        parts.append(f"newest line {age:.0f} s old ({name})")
    elif ships:
        parts.append("no traffic")
    return ", ".join(parts)


def _shipper(fleet: Fleet, host: HostLogs) -> dict[str, Any]:
    sample = host.last
    files = list(deliveries(sample))
    # For a file that it does not open, it has forgotten the position: the first undelivered line may be very old.
    behind = [one for one in late(host) if one.file.read is not None]
    bad = [f for f in judge_shipping(fleet, LogsSnapshot(hosts=(host,))) if f.severity is not Severity.INFO]
    known = not host.failure
    return {
        "host": host.name,
        "ships": None
        if not known
        else bool(sample.filebeat.pid) and worst(f.severity.status for f in bad) is not Status.CRITICAL,
        "state": _state(host),
        "files": len(files) if known else None,
        "undelivered_bytes": sum(file.undelivered for file in files) if known else None,
        "waits_s": max((one.waits_s for one in behind), default=0.0) if known else None,
        "newest_line": iso(sample.newest_line) if sample.newest_line is not None else None,
        "newest_line_age_s": None if sample.newest_line is None else round(max(0.0, sample.at - sample.newest_line), 1),
        "stored": host.newest_stored,
        "acked": sample.events.acked if sample.events else None,
        "failed": sample.events.failed if sample.events else None,
        "removed_open_bytes": sum(file.size for file in files if file.removed and file.read is not None)
        if known
        else None,
        "clock_s": round(host.clock_s, 3) if known else None,
        "clock_error_s": round(host.clock_error_s, 3) if known else None,
    }


def _state(host: HostLogs) -> str:
    if host.failure:
        return host.failure
    if not host.last.filebeat.pid:
        return "not running"
    if host.last.filebeat.frozen:
        return "stopped by a signal"
    return "running" if host.last.events is not None else "silent"


def describe_logs(fleet: Fleet, seen: LogsSnapshot) -> dict[str, Any]:
    """Return the report's data: a row for each followed line, each shipper, and each file."""
    lines = describe_lines(fleet, seen)
    shippers = [_shipper(fleet, host) for host in seen.hosts]
    metrics: dict[str, Any] = {}
    if lines:
        metrics |= {"lines": len(lines), "missing": sum(row["state"] == "missing" for row in lines)}
    if shippers:
        metrics |= {
            "ships": sum(row["ships"] is True for row in shippers),
            "undelivered_bytes": sum(row["undelivered_bytes"] or 0 for row in shippers),
            "waits_s": max((row["waits_s"] or 0.0 for row in shippers), default=0.0),
        }
    return {
        "metrics": metrics,
        "lines": lines,
        "shippers": shippers,
        "files": [_file(host, file) for host in seen.hosts if not host.failure for file in deliveries(host.last)],
    }


def describe_traced(fleet: Fleet, seen: LogsSnapshot) -> dict[str, Any]:
    """Return the report's data: a row for each hop, and a row for each line."""
    hops = describe_hops(seen)
    metrics = {f"{hop['hop']}_p95_ms": hop["p95_ms"] for hop in hops if hop["p95_ms"] is not None}
    return {"metrics": metrics, "hops": hops, "lines": describe_lines(fleet, seen, traced=True)}


def _file(host: HostLogs, file: Delivery) -> dict[str, Any]:
    return {
        "host": host.name,
        "file": file.path + (" (removed)" if file.removed else ""),
        "inputs": [one.id for one in inputs_of(host.last, file)],
        "size": file.size,
        "read": file.read,
        "delivered": file.delivered,
        "undelivered": file.undelivered,
        "nginx_writes": file.written,
        "links": [found.path for found in file.found if found.link],
    }
