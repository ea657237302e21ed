"""The consumer judged: its processes and tables by the checks of ``health``, its positions against the topics here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from obsctl.checks.consumer.snapshot import ConsumerSnapshot, StoredSource, StoreProbe
from obsctl.checks.health.judge import judge_database, judge_host
from obsctl.checks.health.snapshot import DatabaseProbe, HostProbe
from obsctl.checks.kafka.snapshot import KafkaSnapshot, Partition
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

#: A partition with records to read moves many times a second; this much is no batch that takes long.
_STILL_S = 300
#: Days are made a week ahead; with fewer than this the upkeep has failed for days.
_DAYS_AHEAD = 2
_UNIT = "obsctl-consumer"
_PAGE = "consumer"


class _Place(NamedTuple):
    """A partition that the store knows, and the same one of the cluster, if it told anything."""

    source: StoredSource
    partition: Partition | None

    @property
    def name(self) -> str:
        return f"{self.source.topic}/{self.source.partition}"

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
                    summary=f"nobody was asked: the inventory does not say what it takes to ask {layer}",
                    hint="docs/reference/fleet.md names the fields and the groups",
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
        services={name: page for name, page in probe.services.items() if name == _PAGE},
    )


def _as_database(store: StoreProbe) -> DatabaseProbe:
    return DatabaseProbe(
        asked=store.asked,
        failure=store.failure,
        quarantined_last_day=store.quarantined_last_day,
        catch_all_rows=sum(table.beyond_rows for table in store.tables),
    )


def _notices(probe: HostProbe) -> Iterator[Finding]:
    for subject, notice in _mapping((probe.services.get(_PAGE) or {}).get("notices")).items():
        told = _mapping(notice)
        yield Finding(
            code="CONSUMER_NOTICE",
            severity=Severity.INFO,
            object=f"{_UNIT}/{probe.name}",
            summary=f"{subject}: {told.get('message')} (since {told.get('since')})",
            hint=str(told.get("hint") or ""),
        )


def _days(store: StoreProbe) -> Iterator[Finding]:
    for table in store.tables:
        if table.days_ahead is None or table.days_ahead < _DAYS_AHEAD:
            yield Finding(
                code="CONSUMER_DAYS_MISSING",
                severity=Severity.WARNING,
                object=f"table/{table.table}",
                summary="no day has a partition of its own"
                if table.days_ahead is None
                else f"partitions are made for {table.days_ahead} days behind today, a week is usual",
                evidence={"days_ahead": table.days_ahead},
                hint="the consumer makes them every hour: `obsctl health`, and its journal for `upkeep`",
            )


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
            hint=f"was the cluster restored from a snapshot? {reset} --dry-run",
        )
    elif partition.start is not None and 0 < source.next_offset < partition.start:
        yield Finding(
            code="CONSUMER_POSITION_GONE",
            severity=Severity.WARNING,
            object=f"partition/{place.name}",
            summary=f"the broker has deleted offsets {source.next_offset} to {partition.start - 1} before they were "
            "stored",
            evidence=evidence,
            hint="the consumer goes on behind them by itself; was it, or the database, away for longer than the "
            "topic's retention?",
        )
    if place.lag and source.moved_s > _STILL_S:
        yield Finding(
            code="CONSUMER_BEHIND",
            severity=Severity.WARNING,
            object=f"partition/{place.name}",
            summary=f"{place.lag} records wait, and nothing was stored for {source.moved_s} s",
            evidence={**evidence, "lag": place.lag, "moved_s": source.moved_s},
            hint=f"journalctl -u {_UNIT} -n 50 on the consumer's host; obsctl kafka status",
        )


def judge_replay(lines: Mapping[str, Any]) -> list[Finding]:
    """Return what a replay could not move, from the counts of its report."""
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
                hint="SELECT reason, detail, value FROM obs.quarantine ORDER BY stored_at DESC LIMIT 10",
            )
        )
    if lines["cut"]:
        findings.append(
            Finding(
                code="CONSUMER_REPLAY_CUT",
                severity=Severity.WARNING,
                object="table/quarantine",
                summary=f"{lines['cut']} lines stay because they were too large to be kept whole",
                evidence={"lines": lines["cut"]},
                hint="Kafka may still have them: their topic, partition and offset stand in the quarantine",
            )
        )
    return findings


def describe_consumer(fleet: Fleet, snapshot: ConsumerSnapshot) -> dict[str, Any]:
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
            "dead_letters": _dead_letters(fleet, snapshot.kafka),
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
    page = probe.services.get(_PAGE) or {}
    lines = _mapping(page.get("lines"))
    return {
        "host": probe.name,
        "unit": probe.units.get(_UNIT) or probe.failure or "unknown",
        "status": page.get("status"),
        "stored": lines.get("stored"),
        "known": lines.get("known"),
        "quarantined": lines.get("quarantined"),
        "fenced": page.get("fenced"),
        "missing_offsets": page.get("missing_offsets"),
        "last_commit_at": page.get("last_commit_at"),
        "started_at": page.get("started_at"),
    }


def _places(snapshot: ConsumerSnapshot) -> list[_Place]:
    """Return the present source of each partition: of this cluster, and the youngest of that name."""
    sources = snapshot.store.sources if snapshot.store else ()
    kafka = snapshot.kafka
    told = Counter(broker.cluster_id for broker in kafka.brokers if broker.cluster_id) if kafka else Counter[str]()
    cluster_id = told.most_common(1)[0][0] if told else None
    here = [source for source in sources if cluster_id is None or source.cluster_id == cluster_id]
    youngest = {(s.topic, s.partition): s for s in sorted(here, key=lambda s: s.source_id)}
    partitions = {(p.topic, p.partition): p for p in kafka.partitions} if kafka else {}
    return [_Place(source, partitions.get(key)) for key, source in sorted(youngest.items())]


def _behind_s(place: _Place) -> int:
    """Seconds between the newest stored event and now, where something waits; else 0."""
    return (place.source.event_age_s or 0) if place.lag else 0


def _dead_letters(fleet: Fleet, kafka: KafkaSnapshot | None) -> int | None:
    """Return how many messages the dead letter topic holds; it is the one of that ending."""
    names = {topic.name for topic in fleet.kafka.topics if topic.name.endswith("-dlq")}
    held = [p for p in kafka.partitions if p.topic in names] if kafka else []
    sizes = [p.hw - p.start for p in held if p.hw is not None and p.start is not None]
    return sum(sizes) if sizes else None


def _mapping(value: Any) -> dict[str, Any]:
    """Return a part of a page that should be a mapping; another program's page may have any shape."""
    return value if isinstance(value, dict) else {}
