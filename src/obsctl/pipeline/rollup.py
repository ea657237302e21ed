"""Minute roll-ups: how many requests, bytes and of which latency, by source, host, route class and status class."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from obsctl.pipeline.batch import AccessRow

#: Upper bounds of the latency buckets (milliseconds); what is above the last one is in one more bucket.
LATENCY_BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
_BOUNDS_S = tuple(bound / 1000 for bound in LATENCY_BOUNDS_MS)
#: A line that claims more (16 TiB) is damaged, and counts as this: a sum that its column cannot hold would be refused
#: with the whole batch, again and again.
BYTES_COUNTED = 2**44
_BUCKETS = len(LATENCY_BOUNDS_MS) + 1

_STATIC = frozenset(
    {
        "css",
        "js",
        "mjs",
        "map",
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "ico",
        "webp",
        "avif",
        "woff",
        "woff2",
        "ttf",
        "eot",
    }
    | {"otf", "mp3", "mp4", "webm", "pdf", "zip", "gz", "txt", "xml"}
)
_SCRIPT = frozenset({"php", "asp", "aspx", "jsp", "cgi", "pl", "do"})
_HEALTH = frozenset({"health", "healthz", "livez", "readyz", "ping", "status", "nginx-health", "nginx-status"})
_API = frozenset({"api", "v1", "v2", "v3", "graphql", "rest", "rpc"})


class Key(NamedTuple):
    """A roll-up's key. ``minute`` is ``YYYY-MM-DD HH:MM``, ``status_class`` 0 to 9 (hundreds of the status)."""

    minute: str
    source_id: int
    host: str
    route_class: str
    status_class: int


class Totals:
    """What is counted: requests, bytes, and requests by latency bucket (those with a time only)."""

    __slots__ = ("bytes", "latency", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.latency = [0] * _BUCKETS


def count(rows: Iterable[AccessRow]) -> dict[Key, Totals]:
    """Count rows into roll-ups."""
    totals: dict[Key, Totals] = {}
    for row in rows:
        line = row.line
        key = Key(line.ts[:16], row.source_id, row.host, route_class(line.uri), line.status // 100)
        entry = totals.get(key)
        if entry is None:
            entry = totals[key] = Totals()
        entry.requests += 1
        entry.bytes += min(line.bytes, BYTES_COUNTED)
        if line.request_time is not None:
            entry.latency[bisect.bisect_left(_BOUNDS_S, line.request_time)] += 1
    return totals


def route_class(uri: str) -> str:
    """Return the kind of route a request went to.

    A fixed, small set: anybody can invent paths, and each new key would be a row of every minute.
    """
    path = uri.partition("?")[0]
    return _cached_class(path) if len(path) <= _CACHED_LENGTH else _class_of_path(path)


def _class_of_path(path: str) -> str:
    if not path.startswith("/"):
        return "other"
    segments = path.lower().split("/")
    first, last = segments[1], segments[-1]
    if len(segments) == 2 and not first:
        return "root"
    if first in _HEALTH:
        return "health"
    if first in _API:
        return "api"
    extension = last.rpartition(".")[2] if "." in last else ""
    if extension in _STATIC:
        return "static"
    if extension in _SCRIPT or first == "cgi-bin":
        return "script"
    return "page"


#: Common paths are short; clients may send any number of long ones, and a cache would keep them all.
_CACHED_LENGTH = 128
_cached_class = lru_cache(maxsize=65_536)(_class_of_path)
