"""Access lines as encoded rows, with their roll-ups; the line objects are only made when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import overload

from obsctl.lines import identity
from obsctl.lines.formats.line import AccessLine, Line
from obsctl.store.rollup import Key, Totals


class EncodedLines(Sequence[AccessLine]):
    """Access lines sorted by their keys, without duplicates.

    Nearly every batch is stored without using a single line object. If some of its lines are stored already, or the
    database refuses one, all lines are needed and parsed from their records.

    Attributes:
        arrays: the rows, as ``store.mysql.rows.arrays`` would write them for the same lines.
        minutes: the roll-ups, as ``rollup.count`` would make them for the same lines.
    """

    def __init__(
        self, arrays: bytes, line_ids: bytes, minutes: Mapping[Key, Totals], read: Callable[[], Sequence[AccessLine]]
    ) -> None:
        """Take the rows.

        Args:
            line_ids: the concatenated identities.
            read: makes the lines; may be called by another thread, and is called at most once.
        """
        self.arrays = arrays
        self.minutes = minutes
        self._line_ids = line_ids
        self._read = read
        self._lines: Sequence[AccessLine] | None = None

    @property
    def line_ids(self) -> list[bytes]:
        """The identities of the lines, in order."""
        size = identity.SIZE
        return [self._line_ids[at : at + size] for at in range(0, len(self._line_ids), size)]

    def __len__(self) -> int:
        return len(self._line_ids) // identity.SIZE

    @overload
    def __getitem__(self, index: int) -> AccessLine: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[AccessLine]: ...

    def __getitem__(self, index: int | slice) -> AccessLine | Sequence[AccessLine]:
        if self._lines is None:
            self._lines = self._read()
        return self._lines[index]


def identities(lines: Sequence[Line]) -> list[bytes]:
    """Return the identities of lines; for encoded rows this does not make the lines."""
    return lines.line_ids if isinstance(lines, EncodedLines) else [line.line_id for line in lines]
