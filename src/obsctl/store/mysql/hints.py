"""What to do about an error of the database server, by its number."""

from __future__ import annotations

#: The command, on the control node, that brings accounts and schema to the inventory's state.
ROLE = "ansible-playbook playbooks/mysql.yml -i inventories/prod"
_AS_ROOT = "as root on the database's host"
_READ_ONLY = (
    f"the server is read-only: it is a replica, or was started that way. {_AS_ROOT}: "
    "mysql -e \"SHOW VARIABLES LIKE '%read_only%'\""
)
#: Limits of the account, not of the server: max_user_connections, or connections or statements per hour.
_ACCOUNT_LIMIT = (
    f"the user has reached a limit of its account; {_AS_ROOT}: mysql -e 'SELECT user, host, max_user_connections, "
    "max_connections, max_questions, max_updates FROM mysql.user; SELECT @@max_user_connections' shows it (0 means no "
    "limit), mysql -e 'SHOW PROCESSLIST' who uses up the limit; raise it there, or max_user_connections in "
    "mysql_settings and then {role}"
)
_EXPIRED = (
    "the user's password has expired. If the server expires all passwords: set "
    "default_password_lifetime: 0 in mysql_settings, then {role}. If somebody expired this one: "
    f"{_AS_ROOT}, mysql -e 'SELECT user, host, password_expired FROM mysql.user' shows the account; drop it there, and "
    "the same playbook creates it again with the inventory's password"
)
#: Error number to hint; ``{role}`` is the command that runs the role.
_HINTS = {
    1036: f"{_READ_ONLY} (innodb_read_only and innodb_force_recovery have this effect too)",
    1040: f"too many connections: {_AS_ROOT}, mysql -e 'SHOW PROCESSLIST' shows whose they are; raise "
    "mysql_max_connections if they are all needed",
    1044: "the user has no privileges on the database: {role} grants them",
    1045: "the user or its password is rejected, or server or account accept TLS only and the connection has none: "
    "{role} sets the inventory's password, and fleet_tls: true has clients use TLS",
    1049: "the database is missing: {role} creates it",
    1054: "a column is missing: {role} applies the migrations",
    1114: "the disk is full: free space on the database's host",
    1129: f"the server blocks this host after many aborted connections: {_AS_ROOT}, mysql -e 'FLUSH HOSTS' (on "
    "MySQL 8.4 and newer mysql -e 'TRUNCATE TABLE performance_schema.host_cache'), and find what connects there "
    "without logging in",
    1130: "the server has no account for connections from this host: it needs this host's address in the group "
    "consumer, in fleet_admin_sources or in mysql_client_sources, then {role} creates the account",
    1142: "a privilege is missing: {role} grants it",
    1146: "a table is missing: {role} applies the migrations",
    1203: _ACCOUNT_LIMIT,
    1226: _ACCOUNT_LIMIT,
    1290: _READ_ONLY,
    1526: "there is no partition for rows of this time; the consumer's upkeep creates them: on the consumer's host, "
    "journalctl -u obsctl-consumer -g upkeep -n 20",
    1792: _READ_ONLY,
    1820: _EXPIRED,
    1836: _READ_ONLY,
    1862: _EXPIRED,
    3159: "the server accepts TLS only, and the connection has none: with fleet_tls: true in the inventory, {role} "
    "sets the server up",
}
#: The client library's own numbers for a server that cannot be reached, or a lost connection.
_UNREACHED = frozenset({2002, 2003, 2006, 2013})
_CANNOT_CONNECT = "check that the database is up and that this host can reach its port"


def hint_for(code: int, role: str = ROLE) -> str:
    """Return what to do about an error from the server; empty if unknown.

    Args:
        code: the server's error number.
        role: the command that runs the database's role on the inventory in use.
    """
    return _HINTS.get(code, "").replace("{role}", role)


def hint_of_session(code: int) -> str:
    """Return :func:`hint_for`, and for a server that could not be reached what to check first."""
    return _CANNOT_CONNECT if code in _UNREACHED else hint_for(code)
