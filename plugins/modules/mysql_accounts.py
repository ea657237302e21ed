#!/usr/bin/python
# Copyright: The ObsCraft authors
# Apache License 2.0 (see LICENSE)
from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r"""
---
module: mysql_accounts
short_description: Keep application accounts of MySQL or MariaDB exactly as listed
description:
  - Makes accounts, their passwords and their privileges equal to a list. A privilege that is not listed is revoked,
    an account of a listed name at a host that is not listed is dropped. Accounts of other names are left alone.
  - Makes root log in over the socket (C(unix_socket) or C(auth_socket)), and drops anonymous accounts and root from
    other hosts. For that it uses once the temporary password that the community packages write to the error log.
  - A password is compared with the stored hash, so an unchanged one is no change; it is never in an argument.
  - Works through the server's own client over the socket, as root. No driver is needed on the host.
version_added: 0.1.0
author: The ObsCraft authors
options:
  database:
    description: The database that the privileges are for. Privileges elsewhere are revoked.
    type: str
    required: true
  accounts:
    description: The accounts. With an empty list only root is changed.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      hosts:
        description: Where it may come from, as an address, a CIDR network (IPv4) or a pattern of the server.
        type: list
        elements: str
        required: true
      password:
        description: Its password.
        type: str
        required: true
      privileges:
        description:
          - Lists of privileges by table of the database. The key C(*) stands for all of its tables.
        type: dict
        required: true
      require_ssl:
        description:
          - Whether the account may log in over TLS only (C(REQUIRE SSL)). Where it is not given, the account's requirement
            is left as it is. A stricter one, such as C(REQUIRE X509), is never taken away.
        type: bool
  keep_old_passwords:
    description:
      - Whether a password that is replaced stays valid beside the new one, so that clients can change over while the
        server goes on (MySQL's C(RETAIN CURRENT PASSWORD), on MariaDB a second way to log in).
      - If false, old passwords that a former run has kept are discarded.
    type: bool
    default: false
  temporary_password_log:
    description: The error log that may hold root's temporary password.
    type: path
  socket:
    description: The server's socket; the client's own default where it is not given.
    type: path
attributes:
  check_mode:
    description: Compares only; where no server answers yet, everything is a change.
    support: full
"""

EXAMPLES = r"""
- name: Keep the reader's account as listed
  obscraft.fleet.mysql_accounts:
    database: obs
    accounts:
      - name: obs_reader
        hosts: [192.168.100.161, 192.168.100.0/28]
        password: "{{ lookup('obscraft.fleet.secret', 'vault:vault_mysql_reader') }}"
        privileges:
          "*": [SELECT]
  no_log: true
"""

RETURN = r"""
changes:
  description: What was changed (in check mode, would be), in words without secrets.
  returned: success
  type: list
  elements: str
  sample: ["obs_reader@192.168.100.161: new password"]
"""

import binascii
import collections
import os
import re
import socket
import struct
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.obscraft.fleet.plugins.module_utils.mysql_client import (
    ROOT_REFUSED,
    Client,
    ClientError,
    find_program,
    identifier,
    quote,
)
from ansible_collections.obscraft.fleet.plugins.module_utils.mysql_password import matches, native

#: What an account's row says: the plugin's name, the stored string (bytes), and what kind of TLS it requires.
Stored = collections.namedtuple("Stored", ("plugin", "string", "ssl_type"))

_SOCKET_PLUGINS = frozenset(("unix_socket", "auth_socket"))
_BY_SOCKET = "ALTER USER root@localhost IDENTIFIED WITH auth_socket"
_TEMPORARY = re.compile(r"A temporary password is generated for root@localhost: (\S+)")
_GRANT = re.compile(r"^GRANT (.+) ON (\S+) TO ")
#: A comma between privileges, not one between the columns of a privilege.
_COMMA = re.compile(r",\s*(?![^(]*\))")


def main():
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True},
            "accounts": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "hosts": {"type": "list", "elements": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "privileges": {"type": "dict", "required": True},
                    "require_ssl": {"type": "bool"},
                },
            },
            "keep_old_passwords": {"type": "bool", "default": False, "no_log": False},
            "temporary_password_log": {"type": "path", "no_log": False},
            "socket": {"type": "path"},
        },
        supports_check_mode=True,
    )
    program = find_program(module)
    if program is None:
        if module.check_mode:
            module.exit_json(changed=True, changes=["all, once this host has a mysql or mariadb client"])
        module.fail_json(msg="no mysql or mariadb client on this host")
    try:
        changes = hold(module, program)
    except ClientError as error:
        if module.check_mode and error.not_ready:
            module.exit_json(changed=True, changes=["all, once a server answers root"])
        module.fail_json(msg=error.message)
    module.exit_json(changed=bool(changes), changes=changes)


def hold(module, program):
    """Make the server's accounts equal to the list; return what was changed, in words."""
    client = Client(module, program, module.params["socket"])
    changes = claim_root(module, client, program)
    if changes and module.check_mode:
        return changes
    server = Server(client)
    plan = root_plan(server)
    plan += accounts_plan(
        server, module.params["database"], module.params["accounts"], module.params["keep_old_passwords"]
    )
    if plan and not module.check_mode:
        client.run(_SESSION + "".join(statement + ";\n" for _words, statement in plan))
    return changes + [words for words, _statement in plan if words]


#: quote() relies on backslash escapes; the accounts' statements rely on nothing else.
_SESSION = "SET SESSION sql_mode='';\n"


class Server(object):
    """What the server says about itself and its accounts."""

    def __init__(self, client):
        self._client = client
        self.is_mariadb = "mariadb" in client.rows("SELECT VERSION()")[0][0].lower()

    def accounts(self, names):
        """Return (user, host) -> :data:`Stored` for these user names."""
        rows = self._client.rows(
            "SELECT User, Host, plugin, HEX(authentication_string), ssl_type FROM mysql.user WHERE User IN (%s)"
            % listed(names)
        )
        return dict(
            ((row[0], row[1]), Stored(row[2], b"" if row[3] == "NULL" else binascii.unhexlify(row[3]), row[4]))
            for row in rows
        )

    def with_old_passwords(self, names):
        """Return (user, host) of the accounts of these names for which a second password is valid."""
        if self.is_mariadb:
            table, found = "mysql.global_priv", "JSON_LENGTH(Priv, '$.auth_or') > 1"
        else:
            table, found = "mysql.user", "JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password')"
        query = "SELECT User, Host FROM %s WHERE User IN (%s) AND %s" % (table, listed(names), found)
        return set((row[0], row[1]) for row in self._client.rows(query))

    def privileges(self, account):
        """Return object -> set of privileges of an account."""
        found = {}
        for row in self._client.rows("SHOW GRANTS FOR %s" % account):
            match = _GRANT.match(row[0])
            if not match:
                continue
            names = set(name.strip().upper() for name in _COMMA.split(match.group(1))) - set(["USAGE"])
            if row[0].endswith("WITH GRANT OPTION"):
                names.add("GRANT OPTION")
            if names:
                found.setdefault(match.group(2), set()).update(names)
        return found


def claim_root(module, client, program):
    """Log in as root over the socket; if a password prevents that, replace the temporary one by the socket."""
    try:
        client.rows("SELECT VERSION()")
        return []
    except ClientError as error:
        if error.number not in ROOT_REFUSED:
            raise
        log = module.params["temporary_password_log"]
        password = temporary_password(log)
        if password is None:
            found = "%s contains no temporary password (was the log rotated? look in %s*)" % (log, log)
            raise refused(error, found if log else "no log with a temporary password was given")
    module.no_log_values.add(password)
    if not module.check_mode:
        # Only MySQL makes temporary passwords. Nothing but ALTER USER is allowed until it is changed, therefore the
        # plugin must have been loaded by the configuration.
        try:
            with_password(module, program, password, "%s;" % _BY_SOCKET)
        except ClientError as error:
            if error.number not in ROOT_REFUSED:
                raise
            raise refused(error, "the last temporary password in %s is not root's any more" % log)
    return ["root@localhost: by socket"]


def refused(error, found):
    """Return the error that shows how to give root access again."""
    return ClientError(
        "root cannot log in over the socket (%s), and %s. Log in with root's password once (mysql -u root -p) and run: %s;"
        % (error.message, found, _BY_SOCKET),
        error.number,
    )


def temporary_password(path):
    """Return the last temporary password in the log, or None."""
    if not path or not os.path.isfile(path):
        return None
    with open(path, "rb") as log:
        found = _TEMPORARY.findall(log.read().decode("utf-8", "replace"))
    return found[-1] if found else None


def with_password(module, program, password, script):
    """Run a script as root with a password that only an option file of mode 0600 holds."""
    handle, path = tempfile.mkstemp(dir=module.tmpdir)
    try:
        with os.fdopen(handle, "wb") as options:
            options.write(to_bytes('[client]\npassword="%s"\n' % password.replace("\\", "\\\\").replace('"', '\\"')))
        Client(module, program, module.params["socket"], option_file=path).run(script)
    finally:
        os.unlink(path)


def root_plan(server):
    """Return (words, statement) for root on the socket only, and for removing accounts without a name."""
    plan = []
    found = server.accounts(["root", ""])
    for user, host in sorted(found):
        stored = found[(user, host)]
        account = account_name(user, host)
        if user != "root" or host != "localhost":
            plan.append(("%s@%s: dropped" % (user or "(anonymous)", host), "DROP USER " + account))
        elif stored.plugin not in _SOCKET_PLUGINS and stored.string != b"invalid":
            # "invalid" is how MariaDB writes "no password, the socket only".
            how = "VIA unix_socket" if server.is_mariadb else "WITH auth_socket"
            plan.append(("root@localhost: by socket", "ALTER USER %s IDENTIFIED %s" % (account, how)))
    return plan


def accounts_plan(server, database, accounts, keep_old_passwords):
    """Return (words, statement) that make the listed accounts exact."""
    plan = []
    names = [account["name"] for account in accounts]
    existing = server.accounts(names) if names else {}
    with_old = server.with_old_passwords(names) if names and not keep_old_passwords else set()
    wanted = set()
    for account in accounts:
        for host in sorted(set(server_host(host) for host in account["hosts"])):
            key = (account["name"], host)
            wanted.add(key)
            want = dict(
                (object_name(database, table), set(name.upper() for name in names))
                for table, names in account["privileges"].items()
            )
            plan += login_plan(server, account, host, existing.get(key), keep_old_passwords, key in with_old)
            plan += privileges_plan(server, account, host, key in existing, want)
    for user, host in sorted(set(existing) - wanted):
        plan.append(("%s@%s: dropped" % (user, host), "DROP USER " + account_name(user, host)))
    return plan


def login_plan(server, account, host, stored, keep_old_password, has_old_password):
    """Return (words, statement) for how one account at one host logs in: it exists, by which password, over TLS or not."""
    label, name = label_of(account, host), account_name(account["name"], host)
    password = account["password"]
    if stored is None:
        require = " REQUIRE SSL" if account["require_ssl"] else ""
        return [(label + ": created", "CREATE USER %s %s%s" % (name, identified(server, password), require))]
    plan = []
    if not matches(stored.plugin, stored.string, to_bytes(password)):
        words = label + (": new password beside the old one" if keep_old_password else ": new password")
        clause = beside(server, password, stored) if keep_old_password else identified(server, password)
        plan.append((words, "ALTER USER %s %s" % (name, clause)))
    if has_old_password:
        # Only now: MySQL keeps it beside whichever password comes.
        clause = identified(server, password) if server.is_mariadb else "DISCARD OLD PASSWORD"
        plan.append((label + ": old password discarded", "ALTER USER %s %s" % (name, clause)))
    if account["require_ssl"] and not stored.ssl_type:
        plan.append((label + ": over TLS only", "ALTER USER %s REQUIRE SSL" % name))
    if account["require_ssl"] is False and stored.ssl_type == "ANY":
        plan.append((label + ": no longer over TLS only", "ALTER USER %s REQUIRE NONE" % name))
    return plan


def privileges_plan(server, account, host, exists, want):
    """Return (words, statement) for what one account at one host may do."""
    plan = []
    label, name = label_of(account, host), account_name(account["name"], host)
    have = server.privileges(name) if exists else {}
    for target in sorted(set(want) | set(have)):
        extra = sorted(have.get(target, set()) - want.get(target, set()))
        missing = sorted(want.get(target, set()) - have.get(target, set()))
        if extra:
            words = "%s: may no longer %s on %s" % (label, ", ".join(extra), target)
            plan.append((words, "REVOKE %s ON %s FROM %s" % (", ".join(extra), target, name)))
        if missing:
            words = "%s: may %s on %s" % (label, ", ".join(missing), target)
            plan.append((words, "GRANT %s ON %s TO %s" % (", ".join(missing), target, name)))
    return plan


def listed(names):
    """Return names as the inside of an SQL list."""
    return ", ".join(quote(name) for name in names)


def label_of(account, host):
    """Return how an account at a host is called in the list of changes."""
    return "%s@%s" % (account["name"], host)


def beside(server, password, stored):
    """Return the clause that makes a password valid and leaves the present one valid."""
    if not server.is_mariadb:
        return identified(server, password) + " RETAIN CURRENT PASSWORD"
    ways = (("mysql_native_password", native(to_bytes(password))), (stored.plugin, stored.string))
    return "IDENTIFIED VIA " + " OR ".join(
        "%s USING %s" % (plugin, quote(string.decode("ascii"))) for plugin, string in ways
    )


def identified(server, password):
    """Return the IDENTIFIED clause. MariaDB gets the hash, because it writes the clause as it is to its logs."""
    if server.is_mariadb:
        return "IDENTIFIED BY PASSWORD " + quote(native(to_bytes(password)).decode("ascii"))
    return "IDENTIFIED WITH caching_sha2_password BY " + quote(password)


def account_name(user, host):
    """Return 'user'@'host' as SQL."""
    return "%s@%s" % (quote(user), quote(host))


def object_name(database, table):
    """Return a table, or ``*``, as the server writes it in SHOW GRANTS."""
    return "%s.%s" % (identifier(database), table if table == "*" else identifier(table))


def server_host(host):
    """Return a CIDR network as address/netmask, the one form that both servers know; other texts as they are."""
    address, slash, bits = host.partition("/")
    if not slash or not bits.isdigit():
        return host
    if int(bits) == 32:
        return address
    mask = (0xFFFFFFFF << (32 - int(bits))) & 0xFFFFFFFF
    network = struct.unpack("!I", socket.inet_aton(address))[0] & mask
    return "%s/%s" % (socket.inet_ntoa(struct.pack("!I", network)), socket.inet_ntoa(struct.pack("!I", mask)))


if __name__ == "__main__":
    main()
