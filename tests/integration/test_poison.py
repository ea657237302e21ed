"""The poison set in every place of a batch, and all of it through the consumer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from rig.consumer import Pipeline, assert_conserved
from rig.database import MariaDB
from tests.integration.poison import POISON, REFUSALS, Poison, good, name_of
from tests.integration.test_store import Database, batch_of

BATCH = 7
#: Which records of the batch are bad.
SHAPES = {"first": {0}, "middle": {3}, "last": {BATCH - 1}, "all": set(range(BATCH))}
_sources = itertools.count(10)


@pytest.fixture(scope="module")
def tables(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for the whole set, which refuses what the set wants refused; each test has a source of its own."""
    database = Database(mariadb, tmp_path_factory.mktemp("poison"))
    for statement in REFUSALS:
        database.query(statement)
    yield database
    database.close()


def stored(db: Database, poison: Poison, source: int, offset: int) -> None:
    """Assert that the record of this place is a row of its table, as it was."""
    place = f"FROM {poison.table} WHERE source_id={source} AND kafka_offset={offset}"
    assert db.query(f"SELECT {poison.column} {place}") == ((poison.expected,),)


def quarantined(db: Database, poison: Poison, source: int, offset: int, value: bytes | None) -> None:
    """Assert that the record of this place is in the quarantine with its reason, as Kafka held it."""
    ((reason, kept, size, letter),) = db.query(
        "SELECT reason,value,value_bytes,dead_letter FROM quarantine"
        f" WHERE source_id={source} AND kafka_offset={offset}"
    )
    assert reason in poison.reason
    assert letter == (0 if str(reason).startswith("refused_") else None)
    assert size == (None if value is None else len(value))
    if poison.whole:
        assert kept == value
    else:
        assert isinstance(kept, bytes)
        assert value is not None
        assert len(kept) > 10_000
        assert value.startswith(kept)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison.name)
def test_a_batch_with_poison(tables: Database, poison: Poison, shape: str) -> None:
    """Each good line is a row once, each bad one in one place; the roll-ups are a recount, and the stream goes on."""
    partition = next(_sources)
    numbers = [partition * 1000 + i for i in range(BATCH)]
    values = [poison.make(n) if i in SHAPES[shape] else good(n) for i, n in enumerate(numbers)]
    packet = tables.query("SELECT @@global.max_allowed_packet")[0][0]
    if poison.packet_bytes is not None:
        tables.query(f"SET GLOBAL max_allowed_packet={poison.packet_bytes}")
    try:
        store = tables.stores[0] if tables.stores and poison.packet_bytes is None else tables.store()
        batch = batch_of(store, values, partition=partition)
        ((source, step),) = batch.steps.items()
        outcome = store.commit(batch)
    finally:
        tables.query(f"SET GLOBAL max_allowed_packet={packet}")
    bad = len(SHAPES[shape])
    into_quarantine = bad if poison.table == "quarantine" else 0
    assert (outcome.stored, outcome.quarantined, outcome.known) == (BATCH - into_quarantine, into_quarantine, 0)

    rows = {
        table: tables.query(f"SELECT kafka_offset FROM {table} WHERE source_id={source} ORDER BY 1")
        for table in ("access_log", "error_log", "quarantine")
    }
    assert sorted(itertools.chain(*rows.values())) == [(offset,) for offset in range(BATCH)]
    names = tables.query(f"SELECT client_request_id FROM access_log WHERE source_id={source} AND request_length=120")
    good_names = {name_of(v) for i, v in enumerate(values) if i not in SHAPES[shape] and v}
    assert good_names <= {str(name) for (name,) in names}
    for offset in SHAPES[shape]:
        if poison.table == "quarantine":
            quarantined(tables, poison, source, offset, values[offset])
        else:
            stored(tables, poison, source, offset)

    # The stream goes on; and what the shipper sends again changes nothing, where a record says of which line it is.
    again = store.commit(
        batch_of(store, [good(partition * 1000 + i) for i in range(BATCH, BATCH + 3)], partition=partition)
    )
    assert (again.stored, again.quarantined) == (3, 0)
    assert tables.query(f"SELECT next_offset FROM log_source WHERE source_id={source}") == ((step.next + 3,),)
    resent = [value for i, value in enumerate(values) if poison.origin or i not in SHAPES[shape]]
    if resent:
        outcome = store.commit(batch_of(store, resent, partition=next(_sources)))
        assert (outcome.stored, outcome.quarantined) == (0, 0)
    assert_conserved(tables.query)


def test_all_of_it_through_the_consumer(pipeline: Pipeline) -> None:
    """Each kind between good lines, twice over, and a partition that begins and ends with poison."""
    for statement in REFUSALS:
        pipeline.query(statement)
    consumer = pipeline.start()
    kinds = [poison for poison in POISON if poison.packet_bytes is None]
    odd = [poison.make(n) for n, poison in enumerate(kinds)]
    usual = [good(n) for n in range(1000, 1000 + len(kinds))]
    pipeline.send([value for pair in zip(odd, usual, strict=True) for value in pair])
    pipeline.send(odd, partition=0)
    # Of those sent twice, only they that do not say where they come from are kept twice.
    twice = [poison for poison in kinds if not poison.origin]
    pipeline.wait_positions(3 * len(kinds))
    assert pipeline.kept() == 2 * len(kinds) + len(twice)
    expected = [
        v for v, p in zip(odd, kinds, strict=True) for _ in range(1 if p.origin else 2) if p.table == "quarantine"
    ]
    held = [value for (value,) in pipeline.query("SELECT value FROM quarantine")]
    assert sorted(map(repr, held)) == sorted(map(repr, expected))
    reasons = {str(reason) for (reason,) in pipeline.query("SELECT DISTINCT reason FROM quarantine")}
    assert reasons <= {reason for poison in kinds for reason in poison.reason}
    pipeline.send([good(5000)])
    pipeline.wait_kept(2 * len(kinds) + len(twice) + 1)
    assert consumer.terminate() == 0
    assert_conserved(pipeline.query)
