"""The collection's database modules on a real MariaDB server, run by Ansible as the role runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from rig.database import Certificates, MariaDB, database_server

BIN = Path(sys.executable).parent
MIGRATIONS = {
    "0001_one.sql": "CREATE TABLE IF NOT EXISTS one (id INT PRIMARY KEY);\nINSERT INTO one VALUES (1);\n",
    "0002_two.sql": "-- äöü; 'quoted'\nALTER TABLE one ADD COLUMN name VARCHAR(20) NOT NULL DEFAULT 'ä';\n",
}


class Modules:
    """Runs a module on this machine against one server."""

    def __init__(self, project: Path, server: MariaDB) -> None:
        self._project = project
        self.server = server

    def run(self, module: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Return the module's result."""
        done = subprocess.run(
            [
                BIN / "ansible", "localhost", "-i", "localhost,", "-c", "local",
                "-e", f"ansible_python_interpreter={sys.executable}",
                "-m", f"obscraft.fleet.{module}", "-a", json.dumps({"socket": self.server.socket, **arguments}),
                *(["--check"] if check else []),
            ],
            cwd=self._project,
            env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(self._project / "collections"), "ANSIBLE_NOCOLOR": "1",
                 "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        head, _, body = done.stdout.partition(" => ")
        assert body, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(body)
        result["state"] = head.partition("| ")[2].strip()
        result["output"] = done.stdout + done.stderr
        return result

    def migrate(self, migrations: dict[str, str], *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        return self.run("mysql_migrate", check=check, database="app", migrations=migrations, **arguments)

    def hold(self, *accounts: dict[str, Any], check: bool = False, **arguments: Any) -> dict[str, Any]:
        return self.run("mysql_accounts", check=check, database="app", accounts=list(accounts), **arguments)


@pytest.fixture
def modules(project: Path, mariadb: MariaDB) -> Iterator[Modules]:
    if not (BIN / "ansible").exists():
        pytest.skip("Ansible is not installed here: pip install -e '.[control]'")
    if os.geteuid() != 0 or shutil.which("mariadb") is None:
        pytest.skip("root and MariaDB's client are needed: the modules log in over the socket")
    yield Modules(project, mariadb)
    with mariadb.root() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS app")
        for host in ("127.0.0.1", "127.0.0.0/255.0.0.0", "10.0.0.1"):
            cursor.execute(f"DROP USER IF EXISTS 'app_user'@'{host}'")


def test_migrations_are_applied_once(modules: Modules) -> None:
    listed = modules.migrate(MIGRATIONS, check=True)
    assert (listed["changed"], listed["pending"], listed["applied"]) == (True, sorted(MIGRATIONS), [])
    first = modules.migrate(MIGRATIONS)
    assert (first["changed"], first["applied"], first["version"]) == (True, sorted(MIGRATIONS), 2)
    again = modules.migrate(MIGRATIONS)
    assert (again["changed"], again["pending"]) == (False, [])
    with modules.server.root("app") as cursor:
        cursor.execute("SELECT id, name FROM one")
        assert cursor.fetchall() == ((1, "ä"),)


def test_a_changed_migration_stops_before_anything_is_applied(modules: Modules) -> None:
    modules.migrate({"0001_one.sql": MIGRATIONS["0001_one.sql"]})
    result = modules.migrate({**MIGRATIONS, "0001_one.sql": "CREATE TABLE other (id INT);\n"})
    assert result["state"] == "FAILED!"
    assert "0001_one.sql was changed after it had been applied" in result["msg"]
    with modules.server.root("app") as cursor:
        cursor.execute("SELECT version FROM schema_migrations")
        assert cursor.fetchall() == ((1,),)


def test_a_failing_migration_is_named_with_its_line_and_not_recorded(modules: Modules) -> None:
    broken = {**MIGRATIONS, "0002_two.sql": "SELECT 1;\nALTER TABLE absent ADD COLUMN a INT;\n"}
    result = modules.migrate(broken)
    assert result["state"] == "FAILED!"
    assert "0002_two.sql, line 2: Table 'app.absent' doesn't exist" in result["msg"]
    fixed = modules.migrate(MIGRATIONS)
    assert fixed["applied"] == ["0002_two.sql"]


def test_two_runs_do_not_meet(modules: Modules) -> None:
    slow = {"0001_one.sql": "DO SLEEP(3);\n" + MIGRATIONS["0001_one.sql"]}
    results: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: results.append(modules.migrate(slow))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["applied"] for result in results) == [[], ["0001_one.sql"]]


def test_a_lock_that_is_held_too_long_is_told(modules: Modules) -> None:
    with modules.server.root() as cursor:
        cursor.execute("SELECT GET_LOCK('app.schema_migrations', 0)")
        result = modules.migrate(MIGRATIONS, lock_timeout=1)
    assert "another run holds the lock for more than 1 s" in result["msg"]


def test_check_mode_without_a_server_lists_everything(modules: Modules) -> None:
    nowhere = {"socket": "/nonexistent/server.sock"}
    result = modules.migrate(MIGRATIONS, check=True, **nowhere)
    assert (result["changed"], result["pending"]) == (True, sorted(MIGRATIONS))
    assert "no server answers root yet" in result["msg"]
    assert modules.run("mysql_accounts", check=True, database="app", accounts=[], **nowhere)["changed"] is True
    assert modules.migrate(MIGRATIONS, **nowhere)["state"] == "FAILED!"


def _account(**changes: Any) -> dict[str, Any]:
    account = {
        "name": "app_user",
        "hosts": ["127.0.0.1"],
        "password": "first'pass\\word",
        "privileges": {"one": ["SELECT", "INSERT"]},
    }
    return {**account, **changes}


def _log_in(modules: Modules, password: str) -> str:
    """Return the account that the server chose."""
    connection = pymysql.connect(host="127.0.0.1", port=modules.server.port, user="app_user", password=password)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER()")
        return str(cursor.fetchone()[0])  # type: ignore[index]


def test_an_account_is_made_once_and_followed_in_every_change(modules: Modules) -> None:
    modules.migrate(MIGRATIONS)
    assert "app_user@127.0.0.1: created" in modules.hold(_account(), check=True)["changes"]
    made = modules.hold(_account())
    assert made["changes"][-2:] == [
        "app_user@127.0.0.1: created",
        "app_user@127.0.0.1: may INSERT, SELECT on `app`.`one`",
    ]
    assert _log_in(modules, "first'pass\\word") == "app_user@127.0.0.1"
    assert modules.hold(_account())["changes"] == []

    changed = modules.hold(_account(password="second-password"))
    assert changed["changes"] == ["app_user@127.0.0.1: new password"]
    assert "second-password" not in changed["output"]
    assert _log_in(modules, "second-password")

    narrowed = _account(password="second-password", privileges={"*": ["SELECT"]})
    assert modules.hold(narrowed)["changes"] == [
        "app_user@127.0.0.1: may SELECT on `app`.*",
        "app_user@127.0.0.1: may no longer INSERT, SELECT on `app`.`one`",
    ]
    assert modules.hold(narrowed)["changes"] == []

    moved = _account(password="second-password", hosts=["127.0.0.7/8"], privileges={"*": ["SELECT"]})
    assert "app_user@127.0.0.1: dropped" in modules.hold(moved)["changes"]
    assert _log_in(modules, "second-password") == "app_user@127.0.0.0/255.0.0.0"
    assert modules.hold(moved)["changes"] == []


def test_an_account_is_held_to_tls_and_back(modules: Modules) -> None:
    modules.migrate(MIGRATIONS)
    password = "first'pass\\word"
    modules.hold(_account(require_ssl=True))
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        _log_in(modules, password)
    assert modules.hold(_account(require_ssl=True))["changes"] == []
    assert modules.hold(_account())["changes"] == [], "not asked for, left as it is"

    opened = modules.hold(_account(require_ssl=False), check=True)
    assert opened["changes"] == ["app_user@127.0.0.1: no longer over TLS only"]
    assert modules.hold(_account(require_ssl=False))["changes"] == opened["changes"]
    assert _log_in(modules, password)
    assert modules.hold(_account(require_ssl=False))["changes"] == []

    assert modules.hold(_account(require_ssl=True))["changes"] == ["app_user@127.0.0.1: over TLS only"]
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        _log_in(modules, password)


@pytest.mark.parametrize("require_ssl", [True, False])
def test_a_stricter_requirement_is_left(modules: Modules, require_ssl: bool) -> None:
    modules.migrate(MIGRATIONS)
    modules.hold(_account())
    with modules.server.root() as cursor:
        cursor.execute("ALTER USER 'app_user'@'127.0.0.1' REQUIRE X509")
    assert modules.hold(_account(require_ssl=require_ssl))["changes"] == []


def test_two_passwords_are_valid_while_clients_change_over(modules: Modules) -> None:
    modules.migrate(MIGRATIONS)
    old, new = "first'pass\\word", "second-password"
    modules.hold(_account())
    kept = modules.hold(_account(password=new), keep_old_passwords=True)
    assert kept["changes"] == ["app_user@127.0.0.1: new password beside the old one"]
    assert new not in kept["output"]
    assert _log_in(modules, old)
    assert _log_in(modules, new)
    assert modules.hold(_account(password=new), keep_old_passwords=True)["changes"] == []

    ended = modules.hold(_account(password=new))
    assert ended["changes"] == ["app_user@127.0.0.1: old password discarded"]
    assert _log_in(modules, new)
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        _log_in(modules, old)
    assert modules.hold(_account(password=new))["changes"] == []


def test_the_second_of_two_passwords_can_be_taken_back(modules: Modules) -> None:
    """A rotation that went wrong in between: the former secret is put back, and the new one is gone."""
    modules.migrate(MIGRATIONS)
    old, new = "first'pass\\word", "second-password"
    modules.hold(_account())
    modules.hold(_account(password=new), keep_old_passwords=True)
    modules.hold(_account())
    assert _log_in(modules, old)
    with pytest.raises(pymysql.OperationalError, match="Access denied"):
        _log_in(modules, new)


@pytest.fixture
def encrypted(project: Path, tmp_path: Path, modules: Modules) -> Iterator[tuple[Modules, Certificates]]:
    """A server with TLS, and what it presents; skips where the other modules cannot run."""
    certificates = Certificates(tmp_path / "certificates")
    server = database_server(tmp_path, options=certificates.options)
    server.start()
    yield Modules(project, server), certificates
    server.stop()


def test_a_certificate_is_loaded_while_the_server_runs(encrypted: tuple[Modules, Certificates]) -> None:
    modules, certificates = encrypted
    with modules.server.root() as cursor:
        # As after the role: the server turns a host away of which it has no account.
        cursor.execute("DELETE FROM mysql.global_priv WHERE Host <> 'localhost'")
        cursor.execute("FLUSH PRIVILEGES")

    def run(**more: Any) -> dict[str, Any]:
        return modules.run("mysql_certificate", certificate=str(certificates.file), **more)

    assert run()["changed"] is False
    certificates.file.write_bytes(certificates.authority.issue("renewed").read_bytes())
    assert run(check=True)["changed"] is True
    assert run(check=True)["changed"] is True, "looking has loaded nothing"
    assert run()["changed"] is True
    assert run()["changed"] is False
    assert run(reload=True)["changed"] is True


def test_a_certificate_that_the_server_does_not_use_is_named(encrypted: tuple[Modules, Certificates]) -> None:
    modules, certificates = encrypted
    other = str(certificates.authority.issue("other"))
    failed = modules.run("mysql_certificate", certificate=other)
    assert failed["state"] == "FAILED!"
    assert f"presents another certificate than {other}" in failed["msg"]


def test_a_server_without_tls_has_no_certificate_to_load(modules: Modules, tmp_path: Path) -> None:
    certificate = str(Certificates(tmp_path).file)
    failed = modules.run("mysql_certificate", certificate=certificate)
    assert failed["state"] == "FAILED!"
    assert "offers no TLS" in failed["msg"]
    assert modules.run("mysql_certificate", check=True, certificate=certificate)["changed"] is True


def test_root_is_put_on_the_socket(project: Path, tmp_path: Path) -> None:
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("mariadb-server is not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root")
    server = MariaDB(tmp_path)
    server.start()
    try:
        with server.root() as cursor:
            cursor.execute("CREATE USER ''@'localhost', root@'%' IDENTIFIED BY 'x'")
        modules = Modules(project, server)
        # The server's own installation adds root at the machine's names.
        assert set(modules.hold()["changes"]) >= {
            "(anonymous)@localhost: dropped",
            "root@%: dropped",
            "root@localhost: by socket",
        }
        assert modules.hold()["changes"] == []
    finally:
        server.stop()
