"""Servers for the integration tests: one broker and one database for a whole run, names of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.consumer import Pipeline
from rig.database import MariaDB, database_server
from rig.kafka import KafkaNode
from rig.tools import missing_tools

_numbers = itertools.count(1)


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
