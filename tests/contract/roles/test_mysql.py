"""The database's modules, without a database: which migrations are due, whose password a stored hash is."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from obsctl.store.mysql.schema import PRIVILEGES
from rig import collection  # noqa: F401  # lets Ansible and Python find obscraft.fleet in this tree

ROLE = Path(__file__).resolve().parents[3] / "roles/mysql"
#: SHA-256 of the migrations that databases have, as the module records them: the first 16 digits.
APPLIED = {
    "0001_initial.sql": "8618e6cbf087bc93",
    "0002_topic_id.sql": "a5d4f0c4f77060e3",
    "0003_cut_fields.sql": "ad710fa41e2a5025",
}


@pytest.mark.parametrize("name", APPLIED)
def test_a_migration_that_databases_have_is_never_changed(name: str) -> None:
    """Not even in a comment: the role refuses a database whose checksum is another one."""
    text = (ROLE / "files/migrations" / name).read_bytes()
    assert hashlib.sha256(text).hexdigest().startswith(APPLIED[name]), f"{name}: put the change into a new migration"


@pytest.fixture(scope="module")
def migrate() -> ModuleType:
    from ansible_collections.obscraft.fleet.plugins.modules import mysql_migrate

    return mysql_migrate


@pytest.fixture(scope="module")
def accounts() -> ModuleType:
    from ansible_collections.obscraft.fleet.plugins.modules import mysql_accounts

    return mysql_accounts


@pytest.fixture(scope="module")
def password() -> ModuleType:
    from ansible_collections.obscraft.fleet.plugins.module_utils import mysql_password

    return mysql_password


FILES = {"0002_rollup.sql": "two", "0001_initial.sql": "one", "0010_later.sql": "ten"}


def _applied(*names: str) -> dict[int, tuple[str, str]]:
    return {int(name[:4]): (name, hashlib.sha256(FILES[name].encode()).hexdigest()) for name in names}


def test_migrations_are_due_in_the_order_of_their_numbers(migrate: ModuleType) -> None:
    due = migrate.pending(migrate.read(FILES), {})
    assert [m.filename for m in due] == ["0001_initial.sql", "0002_rollup.sql", "0010_later.sql"]


def test_an_applied_migration_is_not_due_again(migrate: ModuleType) -> None:
    due = migrate.pending(migrate.read(FILES), _applied("0001_initial.sql", "0002_rollup.sql"))
    assert [m.filename for m in due] == ["0010_later.sql"]


def test_a_changed_file_is_named(migrate: ModuleType) -> None:
    with pytest.raises(migrate.Refused, match=r"0001_initial\.sql was changed"):
        migrate.pending(migrate.read({**FILES, "0001_initial.sql": "one!"}), _applied("0001_initial.sql"))


def test_files_older_than_the_database_are_refused(migrate: ModuleType) -> None:
    files = {name: text for name, text in FILES.items() if name != "0010_later.sql"}
    with pytest.raises(migrate.Refused, match=r"0010_later\.sql .* not among the files"):
        migrate.pending(migrate.read(files), _applied(*FILES))


def test_a_file_that_comes_too_late_is_refused(migrate: ModuleType) -> None:
    with pytest.raises(migrate.Refused, match=r"0002_rollup\.sql is numbered below 0010"):
        migrate.pending(migrate.read(FILES), _applied("0001_initial.sql", "0010_later.sql"))


@pytest.mark.parametrize("name", ["1_x.sql", "0001-x.sql", "0001_x.txt", "0001_X.sql"])
def test_a_misnamed_file_is_refused(migrate: ModuleType, name: str) -> None:
    with pytest.raises(migrate.Refused, match="named like"):
        migrate.read({name: ""})


def test_a_number_given_twice_is_refused(migrate: ModuleType) -> None:
    with pytest.raises(migrate.Refused, match="same number"):
        migrate.read({"0001_one.sql": "", "0001_other.sql": ""})


def test_the_roles_own_migrations_are_well_named(migrate: ModuleType) -> None:
    files = {path.name: path.read_text() for path in (ROLE / "files/migrations").iterdir()}
    assert [m.version for m in migrate.read(files)] == list(range(1, len(files) + 1))


def test_the_consumer_may_do_what_it_says_it_does() -> None:
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    granted = {table: set(names) for table, names in defaults["mysql_consumer_privileges"].items()}
    assert granted == {table: set(names) for table, names in PRIVILEGES.items()}


# What a real MySQL server stored for the password "hashcat" (the published example of hashcat's mode 7401).
SALT = bytes.fromhex("F9CC98CE08892924F50A213B6BC571A2C11778C5")
DIGEST = bytes.fromhex("625479393559393965414D45316477456B484F41316E64484742577A2E3162785353526B7554584647562F")


def test_a_password_is_known_by_its_stored_hash(password: ModuleType) -> None:
    caching = b"$A$005$" + SALT + DIGEST
    assert password.matches("caching_sha2_password", caching, b"hashcat") is True
    assert password.matches("caching_sha2_password", caching, b"hashcat2") is False
    assert password.matches("caching_sha2_password", b"", b"hashcat") is False
    native = b"*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"
    assert password.matches("mysql_native_password", native, b"password") is True
    assert password.matches("mysql_native_password", native, b"Password") is False
    assert password.matches("ed25519", b"", b"password") is None


# As crypt(3) of the C library answers.
@pytest.mark.parametrize(
    ("text", "salt", "rounds", "expected"),
    [
        (b"Hello world!", b"saltstring", 5000, b"5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
        (b"Hello world!", b"saltstringsaltst", 10000, b"3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
        (
            b"a very much longer text to encrypt.  This one even stretches over morethan one line.",
            b"anotherlongsalts",
            1400,
            b"Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1",
        ),
    ],
)
def test_sha_crypt(password: ModuleType, text: bytes, salt: bytes, rounds: int, expected: bytes) -> None:
    assert password.sha256_crypt(text, salt, rounds) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("198.18.0.31", "198.18.0.31"),
        ("198.18.0.31/32", "198.18.0.31"),
        ("198.18.0.7/24", "198.18.0.0/255.255.255.0"),
        ("10.0.0.0/8", "10.0.0.0/255.0.0.0"),
        ("0.0.0.0/0", "0.0.0.0/0.0.0.0"),
        ("%", "%"),
        ("198.18.0.0/255.255.255.0", "198.18.0.0/255.255.255.0"),
    ],
)
def test_networks_are_written_as_both_servers_know_them(accounts: ModuleType, given: str, expected: str) -> None:
    assert accounts.server_host(given) == expected


def test_the_last_temporary_password_counts(accounts: ModuleType, tmp_path: Path) -> None:
    """The log of a real server (MySQL 9.7) that was initialized twice; the first password is another's since then."""
    recorded = Path(__file__).with_name("recorded") / "mysqld.log"
    lines = [line for line in recorded.read_text().splitlines() if "temporary password" in line]
    assert accounts.temporary_password(str(recorded)) == lines[-1].split()[-1]
    assert len(lines) == 2
    # 5.7 has no code and no subsystem in the line.
    old = tmp_path / "mysqld.log"
    old.write_text("2019-01-01T00:00:00.1Z 1 [Note] A temporary password is generated for root@localhost: n;w>2\n")
    assert accounts.temporary_password(str(old)) == "n;w>2"
    assert accounts.temporary_password(str(tmp_path / "absent")) is None


class _Module:
    """What the module asks of Ansible, with a client that is refused."""

    check_mode = False

    def __init__(self, log: Path, tmpdir: Path) -> None:
        self.params = {"temporary_password_log": str(log), "socket": None}
        self.no_log_values: set[str] = set()
        self.tmpdir = str(tmpdir)
        self.commands: list[list[str]] = []

    def run_command(self, argv: list[str], **_options: object) -> tuple[int, str, str]:
        self.commands.append(argv)
        return 1, "", "ERROR 1045 (28000): Access denied for user 'root'@'localhost' (using password: NO)"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ready for connections.\n", "contains no temporary password (was the log rotated? look in"),
        ("A temporary password is generated for root@localhost: n;w>2\n", "is not root's any more"),
    ],
)
def test_without_a_way_in_the_person_is_told_one(accounts: ModuleType, tmp_path: Path, text: str, found: str) -> None:
    log = tmp_path / "mysqld.log"
    log.write_text(text)
    module = _Module(log, tmp_path)
    client = accounts.Client(module, "mysql")
    with pytest.raises(accounts.ClientError) as refusal:
        accounts.claim_root(module, client, "mysql")
    assert found in refusal.value.message
    assert str(log) in refusal.value.message
    assert "run: ALTER USER root@localhost IDENTIFIED WITH auth_socket;" in refusal.value.message
    assert "n;w>2" not in refusal.value.message + str(module.commands)
    assert list(tmp_path.iterdir()) == [log], "the option file with the password is gone"


class _Server:
    """A server of a flavor, whose accounts have no privileges."""

    def __init__(self, flavor: str) -> None:
        self.is_mariadb = flavor == "mariadb"


#: What a server stores for the password "password", by flavor.
_STORED = {
    "mariadb": ("mysql_native_password", b"*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"),
    "mysql": ("caching_sha2_password", b"$A$005$" + SALT + DIGEST),
}
_RIGHT = {"mariadb": "password", "mysql": "hashcat"}


def _plan(
    accounts: ModuleType,
    flavor: str,
    *,
    password: str = "",
    require: bool | None = None,
    ssl_type: str = "",
    **how: bool,
) -> list[str]:
    account = {"name": "app", "password": password or _RIGHT[flavor], "require_ssl": require}
    stored = accounts.Stored(*_STORED[flavor], ssl_type)
    options = {"keep_old_password": False, "has_old_password": False} | how
    return [sql for _, sql in accounts.login_plan(_Server(flavor), account, "10.0.0.1", stored, **options)]


@pytest.mark.parametrize("flavor", ["mariadb", "mysql"])
@pytest.mark.parametrize(
    ("require", "ssl_type", "expected"),
    [
        (None, "", []),
        (None, "ANY", []),
        (True, "", ["ALTER USER 'app'@'10.0.0.1' REQUIRE SSL"]),
        (True, "ANY", []),
        (True, "X509", []),
        (False, "", []),
        (False, "ANY", ["ALTER USER 'app'@'10.0.0.1' REQUIRE NONE"]),
        (False, "SPECIFIED", []),
    ],
)
def test_an_account_that_is_held_to_tls(
    accounts: ModuleType, flavor: str, require: bool | None, ssl_type: str, expected: list[str]
) -> None:
    assert _plan(accounts, flavor, require=require, ssl_type=ssl_type) == expected


def test_a_new_account_is_never_without_its_requirement(accounts: ModuleType) -> None:
    account = {"name": "app", "password": "p", "require_ssl": True}
    ((_, sql),) = accounts.login_plan(_Server("mysql"), account, "10.0.0.1", None, False, False)
    assert sql == "CREATE USER 'app'@'10.0.0.1' IDENTIFIED WITH caching_sha2_password BY 'p' REQUIRE SSL"


def test_a_new_password_beside_the_old_one(accounts: ModuleType) -> None:
    (mysql,) = _plan(accounts, "mysql", password="new", keep_old_password=True)
    assert mysql.endswith(" BY 'new' RETAIN CURRENT PASSWORD")
    (mariadb,) = _plan(accounts, "mariadb", password="new", keep_old_password=True)
    new, old = accounts.native(b"new").decode(), _STORED["mariadb"][1].decode()
    assert mariadb.endswith(f"VIA mysql_native_password USING '{new}' OR mysql_native_password USING '{old}'"), (
        "the first is the one that the next run compares"
    )


def test_an_old_password_that_was_kept_is_discarded(accounts: ModuleType) -> None:
    assert _plan(accounts, "mysql", has_old_password=True) == ["ALTER USER 'app'@'10.0.0.1' DISCARD OLD PASSWORD"]
    (mariadb,) = _plan(accounts, "mariadb", has_old_password=True)
    assert " OR " not in mariadb
    assert "IDENTIFIED BY PASSWORD" in mariadb
