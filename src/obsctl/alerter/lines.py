"""From a Kafka record to what rules look at, by the same parsers and identity as the stored rows."""

from __future__ import annotations

from datetime import UTC, datetime

from obsctl.alerter.events import Event
from obsctl.lines import identity, record
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats.line import AccessLine, Line
from obsctl.lines.formats.registry import formats

_CACHE_SIZE = 10_000


class LineReader:
    """Reads records; what cannot be read is counted here; the consumer quarantines it.

    Args:
        proxies: those whose ``X-Forwarded-For`` is believed.
        error_log_timezone: IANA zone of the error logs' times, which do not name it.
    """

    def __init__(self, proxies: TrustedProxies, error_log_timezone: str = "UTC") -> None:
        self._proxies = proxies if proxies else None
        self.unreadable = 0
        self._formats = formats(error_log_timezone=error_log_timezone)

    def event(self, value: bytes) -> Event | None:
        """Return the line of a record, or None where it cannot be read."""
        try:
            envelope = record.decode(value)
            host, fields = envelope.host.name, envelope.fields
            begun = identity.of_origin(host, fields.log_input, record.log_file(fields, envelope.log))
            line = self._formats[fields.log_format](envelope.message)
        except (*record.UNREADABLE, KeyError):  # a record, a line or a format that cannot be read
            self.unreadable += 1
            return None
        line.host = host
        if self._proxies and type(line) is AccessLine:
            line.client_addr = self._proxies.client(line.client_addr, line.x_forwarded_for)
        return event_of(line, identity.of_line(begun, envelope.log.offset, envelope.message))


def event_of(line: Line, full: bytes) -> Event:
    """Return what rules look at, of a line and its identity."""
    # Half of the identity is plenty for the lines of some minutes.
    return Event(int.from_bytes(full[:8], "big"), SECONDS[line.ts[:19]] + float(line.ts[19:]), line)


class _Seconds(dict[str, int]):
    """``YYYY-MM-DD HH:MM:SS`` in UTC → seconds since the epoch; lines name each second many times."""

    def __missing__(self, text: str) -> int:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[text] = value = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
        return value


#: A look-up, not a function.
SECONDS: dict[str, int] = _Seconds()
