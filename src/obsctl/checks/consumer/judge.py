"""Judges the consumer: processes and tables by the rules of ``health``, positions against the topics here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from obsctl.checks.consumer.loss import judge_losses
from obsctl.checks.consumer.snapshot import ConsumerSnapshot, LastKnown, StoredSource, StoreProbe
from obsctl.checks.consumer.sources import present
from obsctl.checks.health.judge import judge_database, judge_host
from obsctl.checks.health.snapshot import DatabaseProbe, HostProbe
from obsctl.checks.kafka.snapshot import Partition
from obsctl.checks.lag.judge import held
from obsctl.core.acknowledgement import applied
from obsctl.core.consumer_page import ConsumerPage
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet
from obsctl.kafka.partition import TopicPartition

#: The position of a partition with records to read moves many times a second; no batch takes this long (seconds).
_STILL_S = 300
#: Day partitions are created a week ahead; with fewer than this the upkeep has failed for days.
_DAYS_AHEAD = 2
_UNIT = "obsctl-consumer"
_SERVICE = "consumer"
#: Statements for lines that a replay left: the newest ones, and the places in Kafka of those that were cut.
_NEWEST_QUARANTINED = "SELECT reason, detail, value FROM quarantine ORDER BY stored_at DESC LIMIT 10"
_CUT_IN_KAFKA = (
    "SELECT s.topic, s.partition_id, q.kafka_offset FROM quarantine q JOIN log_source s USING (source_id) "
    "WHERE LENGTH(q.value) < q.value_bytes"
)


class _Place(NamedTuple):
    """A partition in the store, and the same one in the cluster, if that answered."""

    source: StoredSource
    partition: Partition | None

    @property
    def name(self) -> str:
        return str(TopicPartition(self.source.topic, self.source.partition))

    @property
    def remade(self) -> bool:
        """Whether the topic was deleted and created again since the position was stored."""
        there = self.partition.topic_id if self.partition else ""
        return bool(there and self.source.topic_id and there != self.source.topic_id)

    @property
    def end(self) -> int | None:
        return log_end(self.partition)

    @property
    def lag(self) -> int | None:
        return lag(self.partition, 0 if self.remade else self.source.next_offset)


def log_end(partition: Partition | None) -> int | None:
    """Return the end of a partition's log: records that cannot be read yet count as waiting, too."""
    if partition is None:
        return None
    head = partition.leo.get(partition.leader) if partition.leader is not None else None
    known = [end for end in (partition.hw, head) if end is not None]
    return max(known, default=None)


def lag(partition: Partition | None, position: int) -> int | None:
    """Return the number of records after a position, without those that the retention has deleted."""
    end = log_end(partition)
    if partition is None or end is None:
        return None
    return max(end - max(position, partition.start or 0), 0)


def judge_consumer(fleet: Fleet, snapshot: ConsumerSnapshot) -> list[Finding]:
    """Return the findings about the consumer, its tables and its positions."""
    findings: list[Finding] = []
    if not fleet.group("consumer"):
        findings.append(
            Finding(
                code="HEALTH_LAYER_NOT_ASKED",
                severity=Severity.UNKNOWN,
                object="layer/consumer",
                summary="the inventory has no host in the group consumer",
                hint="choose another inventory with --inventory",
            )
        )
    for layer, seen in (("database", snapshot.store), ("kafka", snapshot.kafka)):
        if seen is None:
            findings.append(
                Finding(
                    code="HEALTH_LAYER_NOT_ASKED",
                    severity=Severity.UNKNOWN,
                    object=f"layer/{layer}",
                    summary=f"not checked: the inventory lacks the settings needed to reach {layer}",
                    hint=f"{fleet.playbook('preflight')} shows what is missing; "
                    "docs/reference/fleet.md lists the settings and groups",
                )
            )
    for probe in snapshot.hosts:
        findings += judge_host(fleet, _of_the_consumer(probe))
        findings += _notices(probe)
    if snapshot.store is not None:
        findings += judge_database(fleet, _as_database(snapshot.store))
        findings += _days(snapshot.store)
        findings += judge_losses(snapshot.store.losses or ())
    for place in _places(snapshot):
        findings += _position(place)
    findings += held(_standing(snapshot))
    return applied(findings, snapshot.acknowledged)


def _standing(snapshot: ConsumerSnapshot) -> Iterator[tuple[str, int]]:
    """Yield the consumer's partitions whose high watermark stays below the log's end for a second, and by how much."""
    earlier = {(p.topic, p.partition): p for p in snapshot.before.partitions} if snapshot.before else {}
    ours = {(source.topic, source.partition) for source in snapshot.store.sources} if snapshot.store else set()
    ours |= {(known.topic, known.partition) for known in snapshot.last_known}
    for now in snapshot.kafka.partitions if snapshot.kafka else ():
        before = earlier.get((now.topic, now.partition))
        if before is None or before.hw is None or before.hw != now.hw or (now.topic, now.partition) not in ours:
            continue
        waits = [(log_end(look) or 0) - before.hw for look in (before, now)]
        if min(waits) > 0:
            yield str(TopicPartition(now.topic, now.partition)), waits[1]


def _of_the_consumer(probe: HostProbe) -> HostProbe:
    """Leave out everything else on the host: `obsctl health` reports that."""
    return msgspec.structs.replace(
        probe,
        units={unit: state for unit, state in probe.units.items() if unit == _UNIT},
        disks=(),
        alerter=None,
        no_page={service: why for service, why in probe.no_page.items() if service == _SERVICE},
    )


def _as_database(store: StoreProbe) -> DatabaseProbe:
    return DatabaseProbe(
        asked=store.asked,
        failure=store.failure,
        hint=store.hint,
        untrusted=store.untrusted,
        quarantined_last_day=store.quarantined_last_day,
        catch_all_rows=sum(table.beyond_rows for table in store.tables),
    )


def _notices(probe: HostProbe) -> Iterator[Finding]:
    for subject, notice in _page(probe).notices.items():
        yield Finding(
            code="CONSUMER_NOTICE",
            severity=Severity.INFO,
            object=f"notice/{subject.replace(' ', '/')}",
            summary=f"{notice.message} (noticed {notice.since or 'at an unknown time'} on {probe.name})",
            evidence={"since": notice.since, "since_ms": _milliseconds(notice.since)},
            hint=notice.hint,
        )


def _milliseconds(moment: str) -> int:
    """Return a time as milliseconds since the epoch; 0 if unknown."""
    try:
        return round(datetime.fromisoformat(moment).timestamp() * 1000)
    except ValueError:
        return 0


def _page(probe: HostProbe) -> ConsumerPage:
    """Return the health page of the host's consumer; all fields are unknown if there is none."""
    return probe.consumer or ConsumerPage()


def _days(store: StoreProbe) -> Iterator[Finding]:
    for table in store.tables:
        if table.days_ahead is None or table.days_ahead < _DAYS_AHEAD:
            yield Finding(
                code="CONSUMER_DAYS_MISSING",
                severity=Severity.WARNING,
                object=f"table/{table.table}",
                summary=_days_left(table.days_ahead),
                evidence={"days_ahead": table.days_ahead},
                hint="the consumer adds them every hour: on its host, journalctl -u obsctl-consumer | grep upkeep",
            )


def _days_left(days_ahead: int | None) -> str:
    if days_ahead is None:
        return "there are no day partitions: all rows go to the catch-all partition p_max"
    if days_ahead < 0:
        return f"the newest day partition is {-days_ahead} days old: today's rows go to the catch-all partition p_max"
    if days_ahead == 0:
        return "today's partition is the last one; usually they exist a week ahead"
    return f"day partitions exist for the next {days_ahead} days only; usually they exist a week ahead"


def _position(place: _Place) -> Iterator[Finding]:
    source, partition = place.source, place.partition
    if partition is None:
        return
    reset = f"obsctl consumer reset --topic {source.topic} --partition {source.partition} --to earliest"
    evidence = {"position": source.next_offset, "start": partition.start, "end": place.end}
    if place.remade:
        yield Finding(
            code="CONSUMER_TOPIC_REMADE",
            severity=Severity.WARNING,
            object=f"partition/{place.name}",
            summary=f"the topic was deleted and created again: its id is {partition.topic_id}, and offset "
            f"{source.next_offset} belongs to {source.topic_id}",
            evidence={**evidence, "topic_id": partition.topic_id, "stored_topic_id": source.topic_id},
            hint="nothing to do: the consumer starts reading the new topic from its beginning within half a minute; "
            "obsctl consumer status --watch 2 --until ok",
        )
        return
    if place.end is not None and source.next_offset > place.end:
        yield Finding(
            code="CONSUMER_POSITION_BEYOND_END",
            severity=Severity.CRITICAL,
            object=f"partition/{place.name}",
            summary=f"the database is at offset {source.next_offset}, but the partition ends at {place.end}",
            evidence=evidence,
            hint=f"the cluster may have been restored from a snapshot: {reset} --dry-run shows what would be read "
            "again",
        )
    elif partition.start is not None and 0 < source.next_offset < partition.start:
        yield Finding(
            code="CONSUMER_POSITION_GONE",
            severity=Severity.WARNING,
            object=f"partition/{place.name}",
            summary=f"the broker has deleted offsets {source.next_offset} to {partition.start - 1} before they were "
            "stored",
            evidence=evidence,
            hint="the consumer continues after them by itself; probably it or the database was down for longer "
            "than the topic's retention. The lines may still be in their hosts' log files",
        )
    if place.lag and source.moved_s > _STILL_S:
        yield Finding(
            code="CONSUMER_BEHIND",
            severity=Severity.WARNING,
            object=f"partition/{place.name}",
            summary=f"{place.lag} records are waiting, and none has been stored for {source.moved_s} s",
            evidence={**evidence, "lag": place.lag, "moved_s": source.moved_s},
            hint=f"obsctl health; on the consumer's host: journalctl -u {_UNIT} -n 50",
        )


def judge_replay(lines: Mapping[str, Any], database: str) -> list[Finding]:
    """Return findings about lines that a replay could not move.

    Args:
        lines: the counts in its report.
        database: name of the consumer's database.
    """
    findings = []
    if lines["stays"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(lines["stays"].items()))
        findings.append(
            Finding(
                code="CONSUMER_REPLAY_STAYS",
                severity=Severity.WARNING,
                object="table/quarantine",
                summary=f"{sum(lines['stays'].values())} lines stay: {reasons}",
                evidence={"stays": dict(lines["stays"])},
                hint=f"on the database's host: mysql {database} -e '{_NEWEST_QUARANTINED}'",
            )
        )
    if lines["cut"]:
        findings.append(
            Finding(
                code="CONSUMER_REPLAY_CUT",
                severity=Severity.WARNING,
                object="table/quarantine",
                summary=f"{lines['cut']} lines stay: they were too large to be kept in full in the quarantine",
                evidence={"lines": lines["cut"]},
                hint=f"Kafka may still have them; to see where, on the database's host: mysql {database} -e "
                f"'{_CUT_IN_KAFKA}'",
            )
        )
    return findings


def describe_consumer(_fleet: Fleet, snapshot: ConsumerSnapshot) -> dict[str, Any]:
    """Return processes, positions, quarantine and tables, each as rows."""
    store = snapshot.store or StoreProbe(asked=False)
    places = _places(snapshot)
    last_known = sorted(snapshot.last_known, key=lambda known: (known.topic, known.partition))
    known = [_known_row(snapshot, position) for position in last_known]
    lags = [place.lag for place in places if place.lag is not None]
    lags += [row["lag"] for row in known if row["lag"] is not None]
    events = [source.newest_event for source in store.sources if source.newest_event]
    numbers = {
        "lag": sum(lags) if lags else None,
        "rate": store.rate,
        "behind_s": max((_behind_s(place) for place in places), default=None),
        "last_stored_s": min((source.moved_s for source in store.sources if source.next_offset), default=None),
        "dead_letters": _dead_letters(snapshot),
        "letters_due": store.letters_due,
    }
    return {
        "metrics": numbers,
        "summary": {
            **numbers,
            "newest_event": _to_the_second(max(events, default=None)),
            "former_sources": len(store.sources) - len(places),
            "positions_from": "database" if places else "last known" if snapshot.last_known else None,
        },
        "hosts": [_process(probe) for probe in snapshot.hosts],
        "positions": [
            {
                "name": place.name,
                "topic": place.source.topic,
                "partition": place.source.partition,
                "start": place.partition.start if place.partition else None,
                "position": place.source.next_offset,
                "end": place.end,
                "lag": place.lag,
                "behind_s": _behind_s(place),
                "moved_s": place.source.moved_s,
                "newest_event": _to_the_second(place.source.newest_event),
                "source_id": place.source.source_id,
                "topic_id": place.source.topic_id,
                "cluster_id": place.source.cluster_id,
            }
            for place in places
        ],
        "last_positions": known,
        "quarantine": [
            {
                **msgspec.to_builtins(reason),
                "first": _to_the_second(reason.first),
                "last": _to_the_second(reason.last),
            }
            for reason in store.quarantine
        ],
        "tables": [msgspec.to_builtins(table) for table in store.tables],
    }


def _process(probe: HostProbe) -> dict[str, Any]:
    page = _page(probe)
    return {
        "host": probe.name,
        "unit": probe.units.get(_UNIT) or probe.failure or "unknown",
        "status": page.status or None,
        "stored": page.lines.stored,
        "known": page.lines.known,
        "quarantined": page.lines.quarantined,
        "fenced": page.fenced,
        "missing_offsets": page.missing_offsets,
        "read_by": ", ".join(sorted({worker.read_by for worker in page.workers if worker.read_by})) or None,
        "native": page.native,
        "native_faults": page.native_faults,
        "last_commit_at": page.last_commit_at,
        "started_at": page.started_at,
    }


def _places(snapshot: ConsumerSnapshot) -> list[_Place]:
    """Return the current source of each partition: of this cluster, and the newest one with that name."""
    sources = snapshot.store.sources if snapshot.store else ()
    kafka = snapshot.kafka
    named = Counter(broker.cluster_id for broker in kafka.brokers if broker.cluster_id) if kafka else Counter[str]()
    cluster_id = named.most_common(1)[0][0] if named else None
    partitions = {(p.topic, p.partition): p for p in kafka.partitions} if kafka else {}
    return [_Place(s, partitions.get((s.topic, s.partition))) for s in present(sources, cluster_id)]


def _known_row(snapshot: ConsumerSnapshot, known: LastKnown) -> dict[str, Any]:
    """Return a position that is not from the database, and the present end of its partition."""
    places = snapshot.kafka.partitions if snapshot.kafka else ()
    partition = next((p for p in places if (p.topic, p.partition) == (known.topic, known.partition)), None)
    return {
        "name": str(TopicPartition(known.topic, known.partition)),
        "topic": known.topic,
        "partition": known.partition,
        "position": known.next_offset,
        "end": log_end(partition),
        "lag": lag(partition, known.next_offset),
        "known_by": known.known_by,
        "age_s": known.age_s,
    }


def _to_the_second(moment: str | None) -> str | None:
    """Return a time from the database without fractions of a second."""
    return moment.partition(".")[0] if moment else moment


def _behind_s(place: _Place) -> int:
    """Seconds between the newest stored event and now, if records are waiting; otherwise 0."""
    return (place.source.event_age_s or 0) if place.lag else 0


def _dead_letters(snapshot: ConsumerSnapshot) -> int | None:
    """Return how many records the dead letter topics hold; the consumers' pages name these topics."""
    names = {_page(probe).dead_letter_topic for probe in snapshot.hosts}
    held = [p for p in snapshot.kafka.partitions if p.topic in names] if snapshot.kafka else []
    sizes = [p.hw - p.start for p in held if p.hw is not None and p.start is not None]
    return sum(sizes) if sizes else None
