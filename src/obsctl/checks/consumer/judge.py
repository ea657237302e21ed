"""The consumer judged: its processes and tables by the checks of ``health``, its positions against the topics here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from obsctl.checks.consumer.snapshot import ConsumerSnapshot, StoredSource, StoreProbe
from obsctl.checks.health.judge import judge_database, judge_host
from obsctl.checks.health.snapshot import DatabaseProbe, HostProbe
from obsctl.checks.kafka.snapshot import Partition
from obsctl.core.consumer_page import ConsumerPage
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet
from obsctl.kafka.partition import TopicPartition

#: A partition with records to read moves many times a second; this much is no batch that takes long.
_STILL_S = 300
#: Days are made a week ahead; with fewer than this the upkeep has failed for days.
_DAYS_AHEAD = 2
_UNIT = "obsctl-consumer"
_SERVICE = "consumer"
#: What a person asks about lines that a replay left: the newest of them, and where Kafka had those that were cut.
_NEWEST_QUARANTINED = "SELECT reason, detail, value FROM quarantine ORDER BY stored_at DESC LIMIT 10"
_CUT_IN_KAFKA = (
    "SELECT s.topic, s.partition_id, q.kafka_offset FROM quarantine q JOIN log_source s USING (source_id) "
    "WHERE LENGTH(q.value) < q.value_bytes"
)


class _Place(NamedTuple):
    """A partition that the store knows, and the same one of the cluster, if it answered."""

    source: StoredSource
    partition: Partition | None

    @property
    def name(self) -> str:
        return str(TopicPartition(self.source.topic, self.source.partition))

    @property
    def end(self) -> int | None:
        return self.partition.hw if self.partition else None

    @property
    def lag(self) -> int | None:
        return None if self.end is None else max(self.end - self.source.next_offset, 0)


def judge_consumer(fleet: Fleet, snapshot: ConsumerSnapshot) -> list[Finding]:
    """Return what is wrong with the consumer, its tables and its positions."""
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
                    hint=f"{fleet.playbook('preflight')} names what is missing; "
                    "docs/reference/fleet.md lists the settings and groups",
                )
            )
    for probe in snapshot.hosts:
        findings += judge_host(fleet, _of_the_consumer(probe))
        findings += _notices(probe)
    if snapshot.store is not None:
        findings += judge_database(fleet, _as_database(snapshot.store))
        findings += _days(snapshot.store)
    for place in _places(snapshot):
        findings += _position(place)
    return findings


def _of_the_consumer(probe: HostProbe) -> HostProbe:
    """Leave out what the host has beside the consumer: `obsctl health` is about that."""
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
        quarantined_last_day=store.quarantined_last_day,
        catch_all_rows=sum(table.beyond_rows for table in store.tables),
    )


def _notices(probe: HostProbe) -> Iterator[Finding]:
    for subject, notice in _page(probe).notices.items():
        yield Finding(
            code="CONSUMER_NOTICE",
            severity=Severity.INFO,
            object=f"{_UNIT}/{probe.name}",
            summary=f"{subject}: {notice.message} (noticed {notice.since or 'at an unknown time'})",
            hint=notice.hint,
        )


def _page(probe: HostProbe) -> ConsumerPage:
    """Return what the host's consumer reports; all of it is unknown where it does not."""
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
        return "no day has a partition of its own: all rows go to the catch-all partition p_max"
    if days_ahead < 0:
        return f"the newest day partition is {-days_ahead} days old: today's rows go to the catch-all partition p_max"
    if days_ahead == 0:
        return "today's partition is the last one, a week ahead is usual"
    return f"day partitions exist for the next {days_ahead} days only, a week ahead is usual"


def _position(place: _Place) -> Iterator[Finding]:
    source, partition = place.source, place.partition
    if partition is None:
        return
    reset = f"obsctl consumer reset --topic {source.topic} --partition {source.partition} --to earliest"
    evidence = {"position": source.next_offset, "start": partition.start, "end": place.end}
    if place.end is not None and source.next_offset > place.end:
        yield Finding(
            code="CONSUMER_POSITION_BEYOND_END",
            severity=Severity.CRITICAL,
            object=f"partition/{place.name}",
            summary=f"the database is at offset {source.next_offset}, the broker ends at {place.end}",
            evidence=evidence,
            hint=f"was the cluster restored from a snapshot? {reset} --dry-run shows what would be read again",
        )
    elif partition.start is not None and 0 < source.next_offset < partition.start:
        yield Finding(
            code="CONSUMER_POSITION_GONE",
            severity=Severity.WARNING,
            object=f"partition/{place.name}",
            summary=f"the broker has deleted offsets {source.next_offset} to {partition.start - 1} before they were "
            "stored",
            evidence=evidence,
            hint="the consumer continues after them by itself; were it or the database down for longer than the "
            "topic's retention? The lines may still be in the log files of their hosts",
        )
    if place.lag and source.moved_s > _STILL_S:
        yield Finding(
            code="CONSUMER_BEHIND",
            severity=Severity.WARNING,
            object=f"partition/{place.name}",
            summary=f"{place.lag} records wait, and nothing of them was stored for {source.moved_s} s",
            evidence={**evidence, "lag": place.lag, "moved_s": source.moved_s},
            hint=f"obsctl health; on the consumer's host: journalctl -u {_UNIT} -n 50",
        )


def judge_replay(lines: Mapping[str, Any], database: str) -> list[Finding]:
    """Return what a replay could not move.

    Args:
        lines: the counts of its report.
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
                summary=f"{lines['cut']} lines stay: they were too large to be kept whole in the quarantine",
                evidence={"lines": lines["cut"]},
                hint=f"Kafka may still have them; where, on the database's host: mysql {database} -e '{_CUT_IN_KAFKA}'",
            )
        )
    return findings


def describe_consumer(_fleet: Fleet, snapshot: ConsumerSnapshot) -> dict[str, Any]:
    """Return processes, positions, quarantine and tables, each as rows."""
    store = snapshot.store or StoreProbe(asked=False)
    places = _places(snapshot)
    lags = [place.lag for place in places if place.lag is not None]
    events = [source.newest_event for source in store.sources if source.newest_event]
    return {
        "summary": {
            "lag": sum(lags) if lags else None,
            "rate": store.rate,
            "behind_s": max((_behind_s(place) for place in places), default=None),
            "last_stored_s": min((source.moved_s for source in store.sources if source.next_offset), default=None),
            "newest_event": max(events, default=None),
            "dead_letters": _dead_letters(snapshot),
            "letters_due": store.letters_due,
            "former_sources": len(store.sources) - len(places),
        },
        "hosts": [_process(probe) for probe in snapshot.hosts],
        "positions": [
            {
                "topic": place.source.topic,
                "partition": place.source.partition,
                "start": place.partition.start if place.partition else None,
                "position": place.source.next_offset,
                "end": place.end,
                "lag": place.lag,
                "behind_s": _behind_s(place),
                "moved_s": place.source.moved_s,
                "newest_event": place.source.newest_event,
                "source_id": place.source.source_id,
                "topic_id": place.source.topic_id,
                "cluster_id": place.source.cluster_id,
            }
            for place in places
        ],
        "quarantine": [msgspec.to_builtins(reason) for reason in store.quarantine],
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
        "last_commit_at": page.last_commit_at,
        "started_at": page.started_at,
    }


def _places(snapshot: ConsumerSnapshot) -> list[_Place]:
    """Return the present source of each partition: of this cluster, and the youngest of that name."""
    sources = snapshot.store.sources if snapshot.store else ()
    kafka = snapshot.kafka
    named = Counter(broker.cluster_id for broker in kafka.brokers if broker.cluster_id) if kafka else Counter[str]()
    cluster_id = named.most_common(1)[0][0] if named else None
    here = [source for source in sources if cluster_id is None or source.cluster_id == cluster_id]
    youngest = {(s.topic, s.partition): s for s in sorted(here, key=lambda s: s.source_id)}
    partitions = {(p.topic, p.partition): p for p in kafka.partitions} if kafka else {}
    return [_Place(source, partitions.get(key)) for key, source in sorted(youngest.items())]


def _behind_s(place: _Place) -> int:
    """Seconds between the newest stored event and now, where something waits; else 0."""
    return (place.source.event_age_s or 0) if place.lag else 0


def _dead_letters(snapshot: ConsumerSnapshot) -> int | None:
    """Return how many messages the dead letter topics hold, which the consumers' pages name."""
    names = {_page(probe).dead_letter_topic for probe in snapshot.hosts}
    held = [p for p in snapshot.kafka.partitions if p.topic in names] if snapshot.kafka else []
    sizes = [p.hw - p.start for p in held if p.hw is not None and p.start is not None]
    return sum(sizes) if sizes else None
