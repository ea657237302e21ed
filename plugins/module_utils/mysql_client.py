# Copyright: The ObsCraft authors
# Apache License 2.0 (see LICENSE)
"""Talk to the local MySQL or MariaDB server through its own client, over the socket.

No driver is needed on the host, and no secret stands in an argument: statements go in by standard input.
Runs on every Python that a target may have (2.7 and newer).
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

_ERROR = re.compile(r"ERROR (\d+) \(([0-9A-Z]+)\)(?: at line (\d+))?: (.*)", re.S)
#: Client error numbers of "no server there": socket absent, nothing listens, server goes away while it starts or stops.
_NO_SERVER = frozenset((2002, 2003, 2006, 2013, 2026))
#: Server error numbers for "root may not log in like this": a password is required, or must be changed first.
ROOT_REFUSED = frozenset((1045, 1698, 1820, 1862))


class ClientError(Exception):
    """The server or the client refused; carries the error's number and the line of the script, 0 where unknown."""

    def __init__(self, message, number=0, line=0):
        super(ClientError, self).__init__(message)
        self.message = message
        self.number = number
        self.line = line

    @property
    def not_ready(self):
        """Say whether a real run, instead of check mode, would first start this server or open it to root."""
        return self.number in _NO_SERVER or self.number in ROOT_REFUSED


class Client(object):
    """A way to run scripts as the operating system's user, over the socket."""

    def __init__(self, module, program, socket=None, option_file=None):
        self._module = module
        self._argv = [program]
        if option_file:
            # Must be the first argument. Holds a password, mode 0600, deleted by who made it.
            self._argv += ["--defaults-extra-file=" + option_file, "--connect-expired-password"]
        self._argv += ["--batch", "--skip-column-names", "--raw", "--default-character-set=utf8mb4"]
        self._argv += ["--protocol=socket", "--user=root"]
        if socket:
            self._argv.append("--socket=" + socket)

    @property
    def argv(self):
        """The client's arguments, for a caller that keeps a session open by itself."""
        return list(self._argv)

    def run(self, script, database=None):
        """Run statements; the first that fails ends the run. Returns the output's lines.

        Raises:
            ClientError: with the server's number and words.
        """
        argv = self._argv + (["--database=" + database] if database else [])
        code, out, err = self._module.run_command(argv, data=script, errors="surrogate_or_strict")
        if code != 0:
            raise _as_error(err or out)
        return out.splitlines()

    def rows(self, query):
        """Run a query; return its rows as lists of strings (NULL is the string ``NULL``)."""
        return [line.split("\t") for line in self.run(query)]


def find_program(module):
    """Return the path of the client, or None. MariaDB's own name first: its ``mysql`` is deprecated."""
    return module.get_bin_path("mariadb") or module.get_bin_path("mysql")


def quote(text):
    """Return the text as an SQL string literal (backslash escapes on, as in the default sql_mode)."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"


def identifier(name):
    """Return the name as a quoted SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def _as_error(text):
    found = _ERROR.search(text)
    if not found:
        return ClientError(text.strip() or "the client ended without a message")
    number, _state, line, message = found.groups()
    return ClientError(message.strip(), int(number), int(line or 0))
