"""Log records as JSON lines on standard error, for journald."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping

import msgspec

from obsctl.core.secrets import redact
from obsctl.core.utc import iso

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object; values in ``extra`` are added to the object.

    Args:
        always: additional values of each object, such as the worker's number.
    """

    def __init__(self, always: Mapping[str, object]) -> None:
        super().__init__()
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": iso(record.created, "milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        entry |= self._always
        entry |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return redact(msgspec.json.encode(entry, enc_hook=str).decode())


class Seldom:
    """Limits logging of repeated texts: the same one only once within a time.

    Args:
        every_s: the time, seconds.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._logged: dict[str, float] = {}

    def due(self, text: str = "") -> bool:
        """Return whether a text was not logged within the time; it then counts as logged.

        Args:
            text: empty if all texts count as the same one.
        """
        now = time.monotonic()
        if now - self._logged.get(text, float("-inf")) <= self._every_s:
            return False
        self._logged[text] = now
        return True


def start(level: int = logging.INFO, **always: object) -> None:
    """Send all log records of the process to standard error as JSON; ``always`` stands in each of them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(always))
    logging.basicConfig(level=level, handlers=[handler], force=True)
