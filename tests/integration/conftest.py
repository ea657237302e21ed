"""Servers for the integration tests: one broker and one database for a whole run, names of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.consumer import Pipeline
from rig.database import MariaDB, database_server
from rig.kafka import KafkaNode, unpack_kafka
from rig.tools import kafka_archive, missing_tools

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kafka_libs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive's libs; skips where it or java is absent."""
    if reason := missing_tools():
        pytest.skip(reason)
    archive = kafka_archive()
    assert archive is not None
    return unpack_kafka(archive, tmp_path_factory.mktemp("kafka-libs"))


@pytest.fixture(scope="session")
def kafka(kafka_libs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A running broker."""
    node = KafkaNode(kafka_libs, tmp_path_factory.mktemp("kafka"))
    node.start()
    yield node
    node.kill()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A running database server: MariaDB, or the MySQL that OBSCTL_TEST_MYSQLD names."""
    if reason := missing_tools():
        pytest.skip(reason)
    server = database_server(tmp_path_factory.mktemp("database"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pipeline(kafka: KafkaNode, mariadb: MariaDB, tmp_path: Path) -> Iterator[Pipeline]:
    """Topics, a database and a configuration of this test's own."""
    made = Pipeline(kafka, mariadb, tmp_path, f"t{next(_numbers)}")
    yield made
    made.close()
