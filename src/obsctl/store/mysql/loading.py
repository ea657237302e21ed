"""A connection that can load rows from memory: ``LOAD DATA LOCAL INFILE`` without a file.

The statement has the server ask its client for a file, and PyMySQL would open whichever the server names. Here it is
given the rows that the statement was made for, and every other request of that kind is refused, as PyMySQL does
without ``local_infile``. The protocol: https://mariadb.com/kb/en/packet_local_infile/.

This alone uses what PyMySQL does not promise to keep; ``pyproject.toml`` holds its version, an integration test the
behaviour.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import OKPacketWrapper

#: Bytes of a packet, at most. Each one waits for the interpreter's lock, which the reading thread is slow to release.
_PIECE_BYTES = 2**20


class Loaded(NamedTuple):
    """What the server says of a load.

    Attributes:
        rows: new rows.
        warnings: one for each row that was there before, and for each value that was changed to fit.
    """

    rows: int
    warnings: int


class LoadingConnection(Connection):
    """A connection of PyMySQL; the arguments are its own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(client_flag=CLIENT.LOCAL_FILES, **settings)

    def load(self, statement: bytes, rows: bytes, packet_bytes: int) -> Loaded:
        """Run a ``LOAD DATA LOCAL`` and give it the rows in place of the file that it names.

        Args:
            packet_bytes: what a packet may hold: the server hangs up on one above its ``max_allowed_packet``.

        Raises:
            pymysql.MySQLError: the server refuses the statement or a row, or is lost.
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
