#!/usr/bin/python
# Copyright: The ObsCraft authors
# Apache License 2.0 (see LICENSE)
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: mysql_migrate
short_description: Apply versioned SQL migrations once, in order
description:
  - Creates the database where it is absent and applies the migrations that it does not have yet, in the order of
    their numbers, each one once.
  - What was applied is recorded in the table C(schema_migrations) with the SHA-256 of the file. An applied file that
    was changed afterwards, that vanished, or a new file that is numbered below an applied one, is a failure that
    names the file; nothing is applied then.
  - Only one run at a time applies migrations. A separate session holds a named lock (C(GET_LOCK)) until the last
    migration is recorded.
  - Works through the server's own client over the socket, as the user that runs the module (root by socket). No
    driver is needed on the host.
version_added: 0.1.0
author: The ObsCraft authors
options:
  database:
    description: The database to create and to migrate.
    type: str
    required: true
  migrations:
    description:
      - File names and their contents. A name is four digits, an underscore, words, C(.sql).
      - DDL cannot be rolled back. Write a migration so that it may be run again after it failed half way
        (C(CREATE TABLE IF NOT EXISTS)).
    type: dict
    required: true
  socket:
    description: The server's socket; the client's own default where it is not given.
    type: path
  lock_timeout:
    description: How long to wait for another run, in seconds.
    type: int
    default: 60
attributes:
  check_mode:
    description: Lists what is pending, which is everything where no server answers yet.
    support: full
  diff_mode:
    description: Shows the names of the migrations before and after.
    support: full
"""

EXAMPLES = r"""
- name: Bring the schema up to date
  obscraft.fleet.mysql_migrate:
    database: obs
    migrations: "{{ dict(names | zip(contents)) }}"
"""

RETURN = r"""
pending:
  description: The migrations that were not applied when the module began, in their order.
  returned: success
  type: list
  elements: str
  sample: [0002_rollup.sql]
applied:
  description: The migrations that this run applied.
  returned: success
  type: list
  elements: str
version:
  description: The highest version that the database has now (0 for none).
  returned: success
  type: int
"""

import hashlib
import re
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.obscraft.fleet.plugins.module_utils.mysql_client import (
    Client,
    ClientError,
    find_program,
    identifier,
    quote,
)

_NAME = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_NO_DATABASE, _NO_TABLE = 1049, 1146
_LEDGER = """CREATE TABLE IF NOT EXISTS schema_migrations (
  version INT UNSIGNED NOT NULL,
  name VARCHAR(190) NOT NULL,
  checksum CHAR(64) NOT NULL,
  applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
"""
#: The same meaning on every server, whatever its configuration says.
_SESSION = (
    "SET SESSION sql_mode='STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',"
    " time_zone='+00:00';\n"
)


class Refused(Exception):
    """The files and the database contradict each other."""


class Migration(object):
    """One file: its number, name, text and checksum."""

    def __init__(self, filename, text):
        match = _NAME.match(filename)
        if not match:
            raise Refused("%s: a migration is named like 0001_words.sql" % filename)
        self.filename = filename
        self.version = int(match.group(1))
        self.text = text
        self.checksum = hashlib.sha256(to_bytes(text)).hexdigest()


def read(migrations):
    """Return the migrations in their order."""
    found = sorted((Migration(name, text) for name, text in migrations.items()), key=lambda m: m.version)
    for one, other in zip(found, found[1:]):
        if one.version == other.version:
            raise Refused("%s and %s have the same number" % (one.filename, other.filename))
    return found


def pending(migrations, applied):
    """Return the migrations that are not applied yet.

    Args:
        migrations: all files, in order.
        applied: version -> (file name, checksum), as the database has them.

    Raises:
        Refused: a file was changed, is missing, or comes too late.
    """
    known = dict((m.version, m) for m in migrations)
    for version in sorted(applied):
        name, checksum = applied[version]
        if version not in known:
            raise Refused("%s was applied to this database, but is not among the files: these files are older" % name)
        if known[version].checksum != checksum:
            raise Refused(
                "%s was changed after it had been applied: restore it and put the change into a new migration"
                % known[version].filename
            )
    newest = max(applied) if applied else 0
    missing = [m for m in migrations if m.version not in applied]
    for migration in missing:
        if migration.version < newest:
            raise Refused("%s is numbered below %04d, which is applied: renumber it" % (migration.filename, newest))
    return missing


class Lock(object):
    """A named lock that lives as long as its session: a client of its own that does nothing else."""

    def __init__(self, argv, name, timeout):
        self._session = subprocess.Popen(  # pylint: disable=consider-using-with
            argv + ["--unbuffered"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._session.stdin.write(to_bytes("SELECT GET_LOCK(%s, %d);\n" % (quote(name), timeout)))
        self._session.stdin.flush()
        self.held = self._session.stdout.readline().strip() == b"1"

    def release(self):
        """End the session, and with it the lock."""
        self._session.communicate()


def applied_migrations(client, database):
    """Return version -> (name, checksum); empty where the database or its ledger is absent."""
    query = "SELECT version, name, checksum FROM %s.schema_migrations" % identifier(database)
    try:
        return dict((int(version), (name, checksum)) for version, name, checksum in client.rows(query))
    except ClientError as error:
        if error.number in (_NO_DATABASE, _NO_TABLE):
            return {}
        raise


def apply(client, database, migration):
    """Run one migration and record it."""
    record = "INSERT INTO schema_migrations (version, name, checksum) VALUES (%d, %s, %s);\n" % (
        migration.version,
        quote(migration.filename),
        quote(migration.checksum),
    )
    try:
        client.run(_SESSION + migration.text, database)
    except ClientError as error:
        # The session's own line comes before the file's first.
        raise Refused("%s, line %d: %s" % (migration.filename, max(error.line - 1, 1), error.message))
    client.run(record, database)


def migrate(module, client, database, migrations):
    """Apply what is pending under the lock; return the names."""
    # Locks are the server's, not the database's: the name carries the database.
    lock = Lock(client.argv, database + ".schema_migrations", module.params["lock_timeout"])
    try:
        if not lock.held:
            raise Refused("another run holds the lock for more than %d s" % module.params["lock_timeout"])
        client.run("CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;" % identifier(database))
        client.run(_LEDGER, database)
        done = []
        # Read again: another run may have finished between the first look and the lock.
        for migration in pending(migrations, applied_migrations(client, database)):
            apply(client, database, migration)
            done.append(migration.filename)
        return done
    finally:
        lock.release()


def out_of_sight(module, migrations, reason):
    """End a check mode run on a host that a real run would first have made ready."""
    names = [m.filename for m in migrations]
    module.exit_json(changed=True, pending=names, applied=[], version=0, msg=reason + ": all migrations are pending")


def main():
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True},
            "migrations": {"type": "dict", "required": True},
            "socket": {"type": "path"},
            "lock_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    database = module.params["database"]
    program = find_program(module)
    if program is None and not module.check_mode:
        module.fail_json(msg="no mysql or mariadb client on this host")
    try:
        migrations = read(module.params["migrations"])
        if program is None:
            out_of_sight(module, migrations, "this host has no mysql or mariadb client yet")
        client = Client(module, program, module.params["socket"])
        before = applied_migrations(client, database)
        missing = [m.filename for m in pending(migrations, before)]
        done = []
        if missing and not module.check_mode:
            done = migrate(module, client, database, migrations)
    except Refused as refusal:
        module.fail_json(msg=str(refusal))
    except ClientError as error:
        if module.check_mode and error.not_ready:
            out_of_sight(module, migrations, "no server answers root yet")
        module.fail_json(msg=error.message)
    names = [before[version][0] for version in sorted(before)]
    module.exit_json(
        changed=bool(missing if module.check_mode else done),
        pending=missing,
        applied=done,
        version=max([m.version for m in migrations if m.filename in done or m.version in before] or [0]),
        diff={
            "before": "".join(name + "\n" for name in names),
            "after": "".join(name + "\n" for name in names + missing),
        },
    )


if __name__ == "__main__":
    main()
