"""Log records as JSON objects on standard error, one a line: the journal's food."""

from __future__ import annotations

import datetime
import logging
import sys
from collections.abc import Mapping

import msgspec

from obsctl.core.secrets import redact

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object; what was given as ``extra`` stands beside the message.

    Args:
        always: what each object holds in addition, such as the worker that speaks.
    """

    def __init__(self, always: Mapping[str, object]) -> None:
        super().__init__()
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        entry |= self._always
        entry |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return redact(msgspec.json.encode(entry, enc_hook=str).decode())


def start(level: int = logging.INFO, **always: object) -> None:
    """Send all log records of the process to standard error as JSON; ``always`` stands in each of them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(always))
    logging.basicConfig(level=level, handlers=[handler], force=True)
