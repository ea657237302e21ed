"""The consumer, asked from three sides: its processes over ssh, its tables, and the topics that it reads."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from obsctl.checks.ask import database
from obsctl.checks.consumer.snapshot import ConsumerSnapshot, QuarantinedReason, StoredSource, StoreProbe, TableDays
from obsctl.checks.health.collect import probe_host
from obsctl.checks.kafka.collect import collect_partitions
from obsctl.checks.kafka.snapshot import KafkaSnapshot
from obsctl.fleet.model import Fleet
from obsctl.store.mysql import questions

#: Between the two looks that make a rate (seconds).
_RATE_S = 1.0


def collect_consumer(fleet: Fleet) -> ConsumerSnapshot:
    """Ask all three; what one of them does not answer stands in its own part.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    consumers = fleet.group("consumer")
    with ThreadPoolExecutor(max_workers=len(consumers) + 1) as pool:
        hosts = [pool.submit(probe_host, fleet, host) for host in consumers]
        behind = pool.submit(_store_and_topics, fleet)
    store, kafka = behind.result()
    return ConsumerSnapshot(
        hosts=tuple(future.result() for future in hosts),
        store=store,
        kafka=kafka,
        errors=kafka.errors if kafka is not None else (),
    )


def _store_and_topics(fleet: Fleet) -> tuple[StoreProbe | None, KafkaSnapshot | None]:
    """Ask the tables first: a position that is read after an end may lie behind it without a fault."""
    store = _probe(fleet) if fleet.database.host else None
    return store, collect_partitions(fleet) if fleet.group("kafka") else None


def _probe(fleet: Fleet) -> StoreProbe:
    try:
        return database.ask(fleet, _ask)
    except database.NotAskedError as error:
        return StoreProbe(asked=False, failure=str(error))
    except database.SilentError as error:
        return StoreProbe(failure=str(error), hint=error.hint)


def _ask(cursor: Any) -> StoreProbe:
    before, began = _rows(cursor, questions.RECORDS)[0][0], time.monotonic()
    quarantine = _rows(cursor, questions.QUARANTINE_BY_REASON)
    days = _rows(cursor, questions.DAYS_AHEAD)
    time.sleep(max(_RATE_S - (time.monotonic() - began), 0))
    after, seconds = _rows(cursor, questions.RECORDS)[0][0], time.monotonic() - began
    return StoreProbe(
        sources=tuple(_source(row) for row in _rows(cursor, questions.SOURCES)),
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
