"""Queries the consumer's processes over ssh, its tables, and the topics that it reads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from obsctl.checks.ask import database
from obsctl.checks.ask.acknowledged import ask_acknowledged
from obsctl.checks.ask.at_once import AtOnce
from obsctl.checks.consumer.snapshot import (
    ConsumerSnapshot,
    LastKnown,
    QuarantinedReason,
    StoredSource,
    StoreProbe,
    TableDays,
)
from obsctl.checks.health.collect import probe_host
from obsctl.checks.health.snapshot import HostProbe
from obsctl.checks.kafka.collect import collect_cluster, collect_partitions
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.fleet.model import Fleet
from obsctl.store.mysql import questions

#: Time between the two measurements of a rate (seconds).
_RATE_S = 1.0


def collect_consumer(fleet: Fleet) -> ConsumerSnapshot:
    """Query all three; a failure of one is recorded in its own part.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    consumers = fleet.group("consumer")
    with AtOnce(len(consumers) + 2) as pool:
        probes = [pool.submit(probe_host, fleet, host) for host in consumers]
        earlier = pool.submit(collect_partitions, fleet) if fleet.group("kafka") else None
        behind = pool.submit(_store_and_topics, fleet)
    store, kafka = behind.result()
    hosts = tuple(probe.result() for probe in probes)
    notices = any(probe.consumer and probe.consumer.notices for probe in hosts)
    return ConsumerSnapshot(
        hosts=hosts,
        store=store,
        kafka=kafka,
        before=earlier.result() if earlier else None,
        last_known=tuple(_last_known(fleet, hosts, kafka)) if store is not None and store.failure else (),
        acknowledged=ask_acknowledged(fleet) if notices or (store is not None and store.losses) else (),
        errors=kafka.errors if kafka is not None else (),
    )


def _last_known(fleet: Fleet, hosts: Iterable[HostProbe], kafka: KafkaSnapshot | None) -> Iterator[LastKnown]:
    """Yield the positions from the consumer's health pages, or if these do not answer the committed ones."""
    now = datetime.now(UTC)
    found: set[tuple[str, int]] = set()
    for probe in hosts:
        page = probe.consumer
        for part in page.partitions if page else ():
            if part.next_offset is not None:
                found.add((part.topic, part.partition))
                yield LastKnown(
                    topic=part.topic,
                    partition=part.partition,
                    next_offset=part.next_offset,
                    known_by="consumer",
                    age_s=_age_s(page.last_commit_at if page else None, now),
                )
    for group in kafka.groups if kafka else ():
        if group.name == fleet.consumer.group:
            for place in group.committed:
                if (place.topic, place.partition) not in found:
                    yield LastKnown(
                        topic=place.topic, partition=place.partition, next_offset=place.offset, known_by="group"
                    )


def _age_s(moment: str | None, now: datetime) -> int | None:
    """Return the age of a time on a health page (seconds)."""
    try:
        return max(0, round((now - datetime.fromisoformat(moment)).total_seconds())) if moment else None
    except (ValueError, TypeError):
        return None


def _store_and_topics(fleet: Fleet) -> tuple[StoreProbe | None, KafkaSnapshot | None]:
    """Query the tables first: a position that is read after an end offset may be beyond it without a fault."""
    store = _probe(fleet) if fleet.database.host else None
    if not fleet.group("kafka"):
        return store, None
    # The group's committed offsets are all that Kafka knows of the positions; they count if the tables do not answer.
    return store, collect_cluster(fleet) if store is not None and store.failure else collect_partitions(fleet)


def _probe(fleet: Fleet) -> StoreProbe:
    try:
        return database.ask(fleet, _ask)
    except database.NotAskedError as error:
        return StoreProbe(asked=False, failure=str(error))
    except database.SilentError as error:
        return StoreProbe(failure=str(error), hint=error.hint, untrusted=error.untrusted)


def _ask(cursor: Any) -> StoreProbe:
    before, began = _rows(cursor, questions.RECORDS)[0][0], time.monotonic()
    quarantine = _rows(cursor, questions.QUARANTINE_BY_REASON)
    days = _rows(cursor, questions.DAYS_AHEAD)
    time.sleep(max(_RATE_S - (time.monotonic() - began), 0))
    after, seconds = _rows(cursor, questions.RECORDS)[0][0], time.monotonic() - began
    return StoreProbe(
        sources=ask_sources(cursor),
        losses=database.losses(cursor),
        rate=round((int(after) - int(before)) / seconds, 1),
        quarantine=tuple(
            QuarantinedReason(reason=reason, lines=int(lines), first=str(first), last=str(last))
            for reason, lines, first, last, _, _ in quarantine
        ),
        quarantined_last_day=sum(int(row[4]) for row in quarantine),
        letters_due=sum(int(row[5]) for row in quarantine),
        tables=tuple(
            TableDays(table=table, days_ahead=None if ahead is None else int(ahead), beyond_rows=int(beyond))
            for table, ahead, beyond in days
        ),
    )


def ask_sources(cursor: Any) -> tuple[StoredSource, ...]:
    """Query the position of each partition in the database."""
    return tuple(_source(row) for row in _rows(cursor, questions.SOURCES))


def _source(row: tuple[Any, ...]) -> StoredSource:
    source_id, cluster_id, topic, partition, topic_id, next_offset, newest, age, moved = row
    return StoredSource(
        source_id=int(source_id),
        cluster_id=cluster_id,
        topic=topic,
        partition=int(partition),
        topic_id=topic_id,
        next_offset=int(next_offset),
        newest_event=None if newest is None else str(newest),
        event_age_s=None if age is None else int(age),
        moved_s=int(moved),
    )


def _rows(cursor: Any, question: str) -> tuple[tuple[Any, ...], ...]:
    cursor.execute(question)
    rows: tuple[tuple[Any, ...], ...] = cursor.fetchall()
    return rows
