"""Turns Kafka records into lines, with the same parsers, client and identity as the stored rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from obsctl.lines import identity, record
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.event import Event
from obsctl.lines.formats.line import PROBE, AccessLine, Line, MarkedLine
from obsctl.lines.formats.registry import formats
from obsctl.lines.native import NativeReader, chosen

LOG = logging.getLogger(__name__)

_CACHE_SIZE = 10_000


class LineReader:
    """Reads records; unreadable ones are only counted here, as the consumer quarantines them.

    Probes of the fleet are not people's requests, and no rule sees them.

    Args:
        proxies: those whose ``X-Forwarded-For`` is believed.
        error_log_timezone: IANA zone of the error logs' times, which do not name it.
        native: whether :meth:`events` uses the native module if it is installed.

    Attributes:
        unreadable: number of records that could not be read.
        read_by: what reads them, for people: the native module, or Python and why.
    """

    def __init__(self, proxies: TrustedProxies, error_log_timezone: str = "UTC", *, native: bool = False) -> None:
        self._proxies = proxies if proxies else None
        self.unreadable = 0
        self._formats = formats(error_log_timezone=error_log_timezone)
        self._native, self.read_by = chosen(partial(NativeReader, self._formats, proxies), wanted=native)

    def line(self, value: bytes) -> Line | None:
        """Return the line of a record; None if it cannot be read, or is a probe's or a test's."""
        try:
            line, mark = self._parsed(record.decode(value))
        except (*record.UNREADABLE, KeyError):  # as in :meth:`event`
            self.unreadable += 1
            return None
        return None if mark else line

    def event(self, value: bytes) -> Event | None:
        """Return the event of a record; None if it cannot be read or is a probe's."""
        try:
            return self.read(value)
        except (*record.UNREADABLE, KeyError):  # a record, a line or a format that cannot be read
            self.unreadable += 1
            return None

    def events(self, values: Sequence[bytes]) -> list[Event | None]:
        """Return the event of each record, or None if :meth:`event` returns None."""
        if self._native is not None:
            try:
                found = self._native.read(values)
            except self._native.failures as error:
                # It would fail again, so it is not used until the next start of the process.
                self._native, self.read_by = None, f"Python (the native module failed: {error!r})"
                LOG.exception("the native module failed; from now on records are read in Python")
            else:
                pairs = zip(values, found, strict=True)
                return [self.event(value) if event is None else event for value, event in pairs]
        return [self.event(value) for value in values]

    def read(self, value: bytes) -> Event | None:
        """Return the event of a record; None for a probe's.

        Raises:
            ValueError, RecursionError: the record or its line cannot be read.
            KeyError: the record's format is unknown.
        """
        envelope = record.decode(value)
        line, mark = self._parsed(envelope)
        if mark.startswith(PROBE):
            return None
        fields = envelope.fields
        begun = identity.of_origin(envelope.host.name, fields.log_input, record.log_file(fields, envelope.log))
        return event_of(line, identity.of_line(begun, envelope.log.offset, envelope.message), mark)

    def _parsed(self, envelope: record.Envelope) -> tuple[Line, str]:
        """Return a record's line, and its mark."""
        log_format = envelope.fields.log_format
        line = self._formats[log_format](envelope.message)
        mark = ""
        if isinstance(line, MarkedLine):
            mark, line = line.mark, line.line
        line.host, line.log_format = envelope.host.name, log_format
        if self._proxies and type(line) is AccessLine:
            self._proxies.see_through(line)
        return line, mark


def event_of(line: Line, full: bytes, mark: str = "") -> Event:
    """Return the event of a line, its identity and its mark."""
    # Half of the identity is enough for the lines of some minutes.
    return Event(int.from_bytes(full[:8], "big"), SECONDS[line.ts[:19]] + float(line.ts[19:]), line, mark)


class _Seconds(dict[str, int]):
    """Maps ``YYYY-MM-DD HH:MM:SS`` in UTC to seconds since the epoch; many lines have the same second."""

    def __missing__(self, text: str) -> int:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[text] = value = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
        return value


#: A table, not a function, for speed.
SECONDS: dict[str, int] = _Seconds()
