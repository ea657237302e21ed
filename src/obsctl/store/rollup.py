"""Roll-ups of minutes and hours: requests, bytes and latency, by source, host, route class and status class."""

from __future__ import annotations

import bisect
import operator
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from obsctl.lines.formats.line import AccessLine

#: Upper bounds of the latency buckets (milliseconds); one more bucket is for everything above the last one.
LATENCY_BOUNDS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
_BOUNDS_S = tuple(bound / 1000 for bound in LATENCY_BOUNDS_MS)
#: A line with more bytes (16 TiB) is damaged, and counts as this: a sum that exceeds its column would make the server
#: refuse the whole batch, again and again.
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
    """A roll-up's key.

    Attributes:
        begin: of its minute or hour, ``YYYY-MM-DD HH:MM``.
        status_class: 0 to 9 (hundreds of the status).
    """

    begin: str
    source_id: int
    host: str
    route_class: str
    status_class: int


class Totals:
    """The counts: requests, bytes, and requests by latency bucket (only those with a time)."""

    __slots__ = ("bytes", "latency", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.latency = [0] * _BUCKETS


def count(lines: Iterable[AccessLine]) -> dict[Key, Totals]:
    """Count lines into roll-ups of minutes."""
    # By plain tuples, which are equal to keys: creating a Key for every line would take a fifth of the time.
    totals: dict[tuple[str, int, str, str, int], Totals] = {}
    for line in lines:
        key = (line.ts[:16], line.source_id, line.host, route_class(line.uri), line.status // 100)
        entry = totals.get(key)
        if entry is None:
            entry = totals[key] = Totals()
        entry.requests += 1
        size = line.bytes
        entry.bytes += size if size < BYTES_COUNTED else BYTES_COUNTED
        seconds = line.request_time
        if type(seconds) is float:
            entry.latency[bisect.bisect_left(_BOUNDS_S, seconds)] += 1
    return {Key(*key): entry for key, entry in totals.items()}


def hours(minutes: Mapping[Key, Totals]) -> dict[Key, Totals]:
    """Sum roll-ups of minutes to roll-ups of hours."""
    sums: dict[Key, Totals] = {}
    for key, entry in minutes.items():
        hour = sums.setdefault(key._replace(begin=f"{key.begin[:13]}:00"), Totals())
        hour.requests += entry.requests
        hour.bytes += entry.bytes
        hour.latency = list(map(operator.add, hour.latency, entry.latency))
    return sums


def route_class(uri: str) -> str:
    """Return the class of a request's route.

    There is a small, fixed set: clients can invent paths, and each new key would be another row in every minute.
    """
    path = uri.partition("?")[0]
    if not path.startswith("/"):
        return "other"
    first = path.split("/", 2)[1].lower()
    # A suffix with a slash is not one, and matches no key; for a path without a dot the suffix is the whole path.
    kind = _BY_FIRST_SEGMENT.get(first) or _BY_EXTENSION.get(path.rpartition(".")[2].lower())
    if kind is not None:
        return kind
    if path == "/":
        return "root"
    return "script" if first == "cgi-bin" else "page"


_BY_FIRST_SEGMENT = dict.fromkeys(_HEALTH, "health") | dict.fromkeys(_API, "api")
_BY_EXTENSION = dict.fromkeys(_STATIC, "static") | dict.fromkeys(_SCRIPT, "script")
