"""From a Kafka record to what rules look at, by the same parsers and identity as the stored rows."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from obsctl.alerter.events import Event
from obsctl.lines import identity, record
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats.line import AccessLine
from obsctl.lines.formats.registry import formats


class LineReader:
    """Reads records; what cannot be read is counted here; the consumer quarantines it.

    Args:
        proxies: those whose ``X-Forwarded-For`` is believed.
    """

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies
        self.unreadable = 0
        self._formats = formats()

    def event(self, value: bytes) -> Event | None:
        """Return the request that the record's line is about, or None when there is none or it cannot be read."""
        try:
            envelope = record.decode(value)
            file = record.log_file(envelope.fields, envelope.log)
            line = self._formats[envelope.fields.log_format](envelope.message)
        except (*record.UNREADABLE, KeyError):  # a record, a line or a format that cannot be read
            self.unreadable += 1
            return None
        if not isinstance(line, AccessLine):
            return None
        begun = identity.of_origin(envelope.host.name, envelope.fields.log_input, file)
        full = identity.of_line(begun, envelope.log.offset, envelope.message)
        return Event(
            # Half of it is plenty for the lines of some minutes, and fits SQLite's integer key.
            identity=int.from_bytes(full[:8], "big", signed=True),
            time=_second(line.ts[:19]) + float(line.ts[19:] or 0),
            client=self._proxies.client(line.client_addr, line.x_forwarded_for),
            status=line.status,
            host=envelope.host.name,
        )


@lru_cache(maxsize=10_000)
def _second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
