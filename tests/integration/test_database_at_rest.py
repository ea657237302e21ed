"""What the role's option for encryption on the disk comes to on a real MariaDB server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rig.database import SMALL_MARIADB, MariaDB, make_schema
from rig.tools import MYSQLD, missing_tools
from rig.waiting import wait_for
from tests.contract.roles.test_mysql_tls import node

_MARK = "4711-on-the-disk"
_OPTIONS = ("plugin_load_add", "file_key_management", "innodb_encrypt", "aria_encrypt", "encrypt_")


def options(folder: Path, *, encryption: bool) -> list[str]:
    """Return the server's options as the role writes them, where its key exists."""
    variables = {"mysql_flavor": "mariadb", "mysql_encryption": encryption, "mysql_keyring_dir": str(folder)}
    text = node(folder, "mysql", "db1", __mysql_keys={"stat": {"exists": True}}, **variables).file("obscraft.cnf.j2")
    return ["--" + line.replace(" = ", "=") for line in text.splitlines() if line.startswith(_OPTIONS)]


def files_with_the_mark(folder: Path) -> set[str]:
    return {
        path.name for path in (folder / "data").rglob("*") if path.is_file() and _MARK.encode() in path.read_bytes()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if MYSQLD or (reason := missing_tools()):
        pytest.skip("the option's other half is MySQL's own" if MYSQLD else reason)
    (tmp_path / "mariadb.keys").write_text(f"1;{os.urandom(32).hex()}\n")
    return tmp_path


def test_rows_cannot_be_read_on_the_disk_and_the_way_back_is_open(folder: Path) -> None:
    server = MariaDB(folder)
    server.start()
    try:
        with server.root() as cursor:
            make_schema(cursor, "obs")
            cursor.execute(
                "INSERT INTO obs.quarantine (line_id, source_id, kafka_offset, reason, revision, detail)"
                f" VALUES (REPEAT('x', 16), 1, 1, 'r', 'r', '{_MARK}')"
            )
        server.stop()
        assert "quarantine.ibd" in files_with_the_mark(folder), "what follows could not fail otherwise"

        server._options = (*SMALL_MARIADB, *options(folder, encryption=True))
        server.start()

        def encrypted() -> bool:
            with server.root() as cursor:
                cursor.execute(
                    "SELECT MIN(encryption_scheme), MAX(rotating_or_flushing)"
                    " FROM information_schema.innodb_tablespaces_encryption"
                )
                return cursor.fetchone() == (1, 0)

        wait_for("all tablespaces are encrypted", encrypted, seconds=60)
        server.stop()
        assert files_with_the_mark(folder) == set()

        server._options = (*SMALL_MARIADB, *options(folder, encryption=False))
        server.start()
        with server.root() as cursor:
            cursor.execute("SELECT detail FROM obs.quarantine")
            assert cursor.fetchall() == ((_MARK,),)
    finally:
        server.stop()
