"""One browser, one database and one console for a whole run; each test begins without a login and with a clean log."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from obsctl.fleet.model import Database, Fleet
from rig import axe
from rig.browser import Browser, browser, missing_browser
from rig.console import DATABASE, Console, console, make_database, store_lines
from rig.database import MariaDB, database_server
from rig.tools import missing_database
from tests.browser.lines import ACCESS, ERROR, HOSTILE, RULES


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A running database server; skips where one of the programs is absent."""
    if reason := missing_browser() or missing_database():
        pytest.skip(reason)
    server = database_server(tmp_path_factory.mktemp("database"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def site(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A running console over some thousand lines, without Kafka."""
    make_database(mariadb)
    store_lines(mariadb, ACCESS, ERROR)
    with mariadb.root(DATABASE) as cursor:
        cursor.execute(
            "INSERT INTO log_source (source_id, cluster_id, topic, partition_id, topic_id, next_offset)"
            " VALUES (1, 'cluster', 'nginxlog', 0, 'id', 100)"
        )
        for number, value in enumerate((b'{"status": "five hundred"}', f"{HOSTILE}\xff".encode())):
            cursor.execute(
                "INSERT INTO quarantine (line_id, source_id, kafka_offset, log_format, host, reason, detail, value,"
                " value_bytes, revision, stored_at) VALUES (%s, 1, %s, 'json', 'node1', 'parse', 'status is no number',"
                " %s, %s, '0000000000000000', UTC_TIMESTAMP(3) - INTERVAL %s MINUTE)",
                (number.to_bytes(16, "big"), number, value, len(value), number),
            )
        cursor.execute(
            "INSERT INTO console_project (name, access_filter, error_filter) VALUES ('shop', 'vhost:shop.example', '')"
        )
    folder = tmp_path_factory.mktemp("console")
    fleet = folder / "fleet.json"
    database = Database(host="127.0.0.1", port=mariadb.port, name=DATABASE)
    fleet.write_bytes(msgspec.json.encode(Fleet(database=database, alert_rules=RULES)))
    with console(mariadb, folder, fleet={"document": str(fleet)}) as running:
        yield running


@pytest.fixture(scope="session")
def _chromium(site: Console, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture
def page(_chromium: Browser, site: Console) -> Iterator[Browser]:
    """The browser, on no page yet; whatever a test does, no script may fail and no policy be broken in it."""
    with site.rows() as cursor:
        for table in ("console_login_failure", "console_session", "console_query"):
            cursor.execute(f"DELETE FROM {table}")
    _chromium.fresh(site)
    yield _chromium
    # What the console refuses, the browser notes as an error of the network.
    wrong = [one for one in _chromium.messages() if one["level"] != "INFO" and one["source"] != "network"]
    assert not wrong


@pytest.fixture(scope="session")
def axe_script() -> str:
    """axe-core; skips where it is not in the cache and cannot be fetched."""
    return axe.script() or pytest.skip("axe-core is not in the cache, and the registry of npm cannot be reached")
