"""MySQL as the community packages start it first: root has an expired random password that only the log holds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Answer, Fleet, play

#: Where the community packages' server writes.
LOG = "/var/log/mysqld.log"
ROTATED = f"{LOG}-20240101"
NOTE = "A temporary password is generated for root@localhost: "
#: What the log held before: a server that is initialized again leaves the older one there.
OLDER = f"2024-01-01T00:00:00.000000Z 6 [Note] [MY-010454] [Server] {NOTE}0lder;Passw0rd"
_INITIALIZE = f"""
set -e
systemctl stop mysqld
mv /var/lib/mysql /var/lib/mysql.kept
install -d -o mysql -g mysql -m 0755 /var/lib/mysql
echo '{OLDER}' > {LOG}
chown mysql:mysql {LOG}
/usr/libexec/mysqld --initialize --user=mysql --log-error={LOG}
systemctl start mysqld
"""
_RESTORE = f"""
systemctl stop mysqld
if [ -d /var/lib/mysql.kept ]; then rm -rf /var/lib/mysql; mv /var/lib/mysql.kept /var/lib/mysql; fi
rm -f {LOG}*
"""


@pytest.fixture
def first_start(healthy: Fleet) -> Iterator[Fleet]:
    """A server as after its first start; the lab's own data wait beside it, and so does the consumer."""
    if "db1" not in healthy.hosts_of("el9"):
        pytest.skip("db1 has no MySQL: obsctl lab up --os mixed (or el9), or ./test.sh lab")
    healthy.ssh("app1", "systemctl", "stop", "obsctl-consumer")
    try:
        healthy.ssh("db1", "sh", "-c", _INITIALIZE, timeout=120)
        yield healthy
    finally:
        healthy.ssh("db1", "sh", "-c", _RESTORE, timeout=120)
        restored = _apply()
        healthy.ssh("app1", "systemctl", "start", "obsctl-consumer")
    assert restored.code == 0, restored.said
    healthy.wait_healthy()


def _apply(**variables: object) -> Answer:
    """Run role mysql, which says the arguments of every module."""
    return play("playbooks/mysql.yml", "-vvv", "-e", json.dumps(variables))


@pytest.mark.long
def test_the_temporary_password_is_found_used_once_and_never_shown(first_start: Fleet) -> None:
    notes = [line for line in first_start.ssh("db1", "cat", LOG).splitlines() if NOTE in line]
    passwords = [line.partition(NOTE)[2] for line in notes]
    assert len(passwords) == 2, "the older one and that of this server"
    assert first_start.obsctl("lab", "ssh", "db1", "--", "mysql", "-e", "SELECT 1").code != 0
    settings = {"mysql_settings": {"log_error": LOG}}

    first_start.ssh("db1", "mv", LOG, ROTATED)
    missed = _apply(**settings)
    assert missed.code == 2, missed.said
    assert f"{LOG} contains no temporary password (was the log rotated? look in {LOG}*)" in missed.said
    assert "ALTER USER root@localhost IDENTIFIED WITH auth_socket" in missed.said

    first_start.ssh("db1", "sh", "-c", f"cat {ROTATED} >> {LOG}")
    found = _apply(**settings)
    assert found.code == 0, found.said
    rows = first_start.rows("SELECT Host, plugin FROM mysql.user WHERE User = 'root'")
    assert rows == [["localhost", "auth_socket"]]
    again = _apply(**settings)
    assert again.code == 0, again.said
    assert again.changes == {"db1": 0}
    journal = first_start.ssh("db1", "journalctl", "--no-pager", "--since", "-15min")
    for password in passwords:
        assert password not in missed.said + found.said + again.said + journal
