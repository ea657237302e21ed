"""A connection that can load rows from memory: ``LOAD DATA LOCAL INFILE`` without a file.

With this statement the server asks its client for a file, and PyMySQL would open whichever file the server names. Here
the server is given the rows instead, and every other request of that kind is refused, as PyMySQL does without
``local_infile``. The protocol: https://mariadb.com/kb/en/packet_local_infile/.

Only this module uses PyMySQL's internals; ``pyproject.toml`` pins its version, and an integration test verifies the
behaviour.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import OKPacketWrapper

#: Largest packet, bytes. Each packet waits for the interpreter's lock, which the reading thread is slow to release.
_PIECE_BYTES = 2**20


class Loaded(NamedTuple):
    """The server's result of a load.

    Attributes:
        rows: new rows.
        warnings: one for each row that was already stored, and for each value that was changed to fit.
    """

    rows: int
    warnings: int


class LoadingConnection(Connection):
    """A PyMySQL connection, with the same arguments."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(client_flag=CLIENT.LOCAL_FILES, **settings)

    @contextlib.contextmanager
    def patience(self, seconds: int) -> Iterator[None]:
        """Inside the block, wait up to this many seconds for each answer."""
        driver: Any = self
        usual, driver._read_timeout = driver._read_timeout, seconds
        try:
            yield
        finally:
            driver._read_timeout = usual

    def load(self, statement: bytes, rows: bytes, packet_bytes: int) -> Loaded:
        """Run a ``LOAD DATA LOCAL`` with the given rows in place of the file that it names.

        Args:
            packet_bytes: largest packet: the server closes the connection on one above its ``max_allowed_packet``.

        Raises:
            pymysql.MySQLError: the server refuses the statement or a row, or the connection is lost.
        """
        driver: Any = self
        driver._execute_command(COMMAND.COM_QUERY, statement)
        if not driver._read_packet().is_load_local_packet():
            raise pymysql.InternalError(0, "the server did not ask for the rows of a LOAD DATA LOCAL")
        view = memoryview(rows)
        piece = min(packet_bytes, _PIECE_BYTES)
        for start in range(0, len(rows), piece):
            driver.write_packet(view[start : start + piece])
        driver.write_packet(b"")  # the end of the file
        answer = OKPacketWrapper(driver._read_packet())
        self.server_status = answer.server_status
        return Loaded(answer.affected_rows, answer.warning_count)
