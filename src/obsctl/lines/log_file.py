"""The log that a file belongs to: rotation renames the file, but its lines stay lines of the same log."""

from __future__ import annotations

import re
from functools import lru_cache

#: ``20260131`` or ``2026-01-31``, optionally followed by a time of day or an epoch: ``20260131-1769817600``.
_DATE = r"(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:[-_.T]?\d{2,10})*"
#: A date at the name's end, or before its suffix (logrotate's ``dateext`` and ``extension``); ``.old``.
_DATED = re.compile(rf"(?<=[^/])(?:[-_.]{_DATE}(?=\.[A-Za-z]+\Z|\Z)|\.old\Z)")
#: A number is from a rotation only after a name with a suffix, or with Apache's ``_log``: ``access.log.1`` and
#: ``access_log.1`` are, ``port.8080`` is not.
_NUMBERED = re.compile(r"(?<=[^/])(\.[A-Za-z][^/]*|[_-]log)\.\d{1,3}\Z")
#: A month, or seconds since 1970 (logrotate's ``dateformat -%Y%m`` and ``-%s``); elsewhere these may be any number.
_BEHIND_LOG = re.compile(r"(?<=[^/])([._-]log)[-_.](?:(?:19|20)\d\d-?[01]\d|1\d{9})\Z")


@lru_cache(maxsize=4096)
def log_of(path: str) -> str:
    """Return the path of a log file from before any rotation renamed it."""
    while (shorter := _BEHIND_LOG.sub(r"\1", _NUMBERED.sub(r"\1", _DATED.sub("", path)))) != path:
        path = shorter
    return path
