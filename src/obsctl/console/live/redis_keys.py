"""The live statistics as keys of a Redis that expire, for other programs (docs/reference/console.md has their names).

A thread takes the present numbers once a second; nothing waits for it and nothing is queued, so a Redis that is slow or
away costs its keys alone. Of several consoles the one with the lease writes. What it writes are whole values, never
increments: a value that is written twice, or by two consoles at a change, is no other one for that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from obsctl.console.config import RedisConfig
from obsctl.console.live.frequent import Top
from obsctl.console.live.redis_server import RedisServer, server_of
from obsctl.console.live.statistics import MINUTE_S, Minute, Numbers, Statistics
from obsctl.core.backoff import Backoff
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import redact

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

LOG = logging.getLogger(__name__)

#: ``writing``: this console writes. ``standby``: another one does. ``waiting``: no lines come from Kafka, so nothing is
#: known that could be written. ``away``: Redis does not answer, or refuses.
State = Literal["writing", "standby", "waiting", "away"]

_EVERY_S = 1.0
#: Seconds for each step of an exchange: to connect, and for each part of an answer.
_ANSWER_S = 2.0
#: Between two tries while Redis is away, seconds.
_FIRST_AGAIN_S, _LAST_AGAIN_S = 1.0, 30.0
#: A console that has not written for so long loses its turn; milliseconds.
_LEASE_MS = 5000
#: The present numbers are gone after so many seconds without a writer.
_PRESENT_S = 15


class RedisKeys:
    """Writes what is counted to Redis.

    Args:
        config: where to, and under which names.
        statistics: what is counted; they count as long as this runs.
        clock: seconds since the epoch.

    Attributes:
        state: what it is doing.
    """

    def __init__(self, config: RedisConfig, statistics: Statistics, clock: Callable[[], float] = time.time) -> None:
        self.state: State = "waiting"
        self._config = config
        self._statistics = statistics
        self._clock = clock
        #: Who has the lease; for people too, who look which console writes.
        self._own_name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._client: Redis | None = None
        self._server: RedisServer | None = None
        #: Since when lines come without an interruption, seconds since the epoch; None while none come.
        self._steady_since: float | None = None
        #: The last minute that was written after its end.
        self._done = 0
        self._backoff = Backoff(_FIRST_AGAIN_S, _LAST_AGAIN_S)
        #: Kinds of trouble that were logged since Redis took something.
        self._said: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis", daemon=True)

    def start(self) -> None:
        """Begin to count and to write."""
        self._thread.start()

    def stop(self) -> None:
        """End it; takes some seconds where Redis hangs."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(3 * _ANSWER_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            wait_s = self.turn()
        if self.state == "writing":
            # The next console need not wait until the lease has expired.
            with contextlib.suppress(Exception):
                self._connected().delete(self._key("writer"))
        self._disconnect()

    def turn(self) -> float:
        """Write once; return after how many seconds to go on."""
        from redis.exceptions import AuthenticationError, RedisError, ResponseError

        try:
            state = self._write()
        except (AuthenticationError, ResponseError, ConfigError) as error:
            self._away("refused", _words(error))
        except (RedisError, OSError) as error:
            self._away("no answer", _words(error))
        except Exception as error:
            LOG.exception("writing to Redis failed")
            self._away("internal error", type(error).__name__)
        else:
            self._answered(state)
            return _EVERY_S
        return self._backoff.delay()

    def _away(self, kind: str, words: str) -> None:
        self._disconnect()
        # A broken connection and the refused ones after it are one outage; a login that is refused is another matter.
        if kind not in self._said:
            self._said.add(kind)
            LOG.warning(
                "the live statistics are not written to Redis",
                extra={"server": str(self._server or self._config.url), "reason": kind, "error": words},
            )
        self.state = "away"

    def _answered(self, state: State) -> None:
        if state != "waiting" and self.state in ("waiting", "away"):
            LOG.info("Redis takes the live statistics", extra={"server": str(self._server), "state": state})
            self._said.clear()
            self._backoff.reset()
        self.state = state

    # -- one exchange with Redis ---------------------------------------------------------------------------------------

    def _write(self) -> State:
        self._statistics.want()
        if self._statistics.feed.trouble != "":
            # A console that has lines takes over when the lease has expired, and where there is none the keys expire.
            self._steady_since = None
            return "waiting"
        if self._steady_since is None:
            self._steady_since = self._clock()
        with self._connected().pipeline(transaction=True) as pipe:
            return self._write_with(pipe, self._steady_since)

    def _write_with(self, pipe: Pipeline, steady_since: float) -> State:
        """Write if it is this console's turn; all keys change at once, or, if the turn is lost meanwhile, none."""
        from redis.exceptions import WatchError

        lease = self._key("writer")
        pipe.watch(lease)  # type: ignore[no-untyped-call]  # the library has no types for it
        owner = pipe.get(lease)
        if owner != self._own_name.encode():
            # Another console has written, or Redis has lost what was written: all minutes that are still known are due.
            self._done = 0
        if owner not in (None, self._own_name.encode()):
            return "standby"
        numbers = self._statistics.numbers(self._done)
        # Of a minute that began before lines came without an interruption some are counted in another one.
        minutes = [one for one in numbers.minutes if one.begin >= steady_since]
        pipe.multi()
        pipe.set(lease, self._own_name, px=_LEASE_MS)
        self._put(pipe, "live", _present(numbers), _tops(numbers.window), _PRESENT_S)
        for minute in minutes:
            self._put(pipe, f"minute:{minute.begin}", _whole(minute), minute.top, self._config.keep_s)
        try:
            pipe.execute()
        except WatchError:
            return "standby"
        self._done = max((one.begin for one in minutes if one.seconds == MINUTE_S), default=self._done)
        return "writing"

    def _put(
        self, pipe: Pipeline, name: str, fields: Mapping[str, Any], tops: Mapping[str, Top], expire_s: int
    ) -> None:
        """Replace a hash and the sorted sets of the most frequent values."""
        missed = {f"missed_{field}": found.missed for field, found in tops.items()}
        hashed = self._key(name)
        pipe.delete(hashed)
        pipe.hset(hashed, mapping={field: value for field, value in {**fields, **missed}.items() if value is not None})
        pipe.expire(hashed, expire_s)
        for field, found in tops.items():
            ranked = self._key(f"{name}:top:{field}")
            pipe.delete(ranked)
            if found.rows:
                pipe.zadd(ranked, dict(found.rows))
                pipe.expire(ranked, expire_s)

    # -- the connection ------------------------------------------------------------------------------------------------

    def _key(self, name: str) -> str:
        return f"{self._config.prefix}:{name}"

    def _connected(self) -> Redis:
        if self._client is None:
            # The URL is read again: the password may be another one now.
            self._server = server_of(self._config)
            self._client = _client(self._server)
        return self._client

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.close()


def _client(server: RedisServer) -> Redis:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis(
        host=server.host,
        port=server.port,
        db=server.database,
        username=server.user or None,
        password=None if server.password is None else server.password.reveal(),
        socket_connect_timeout=_ANSWER_S,
        socket_timeout=_ANSWER_S,
        # The next second has newer numbers.
        retry=Retry(NoBackoff(), 0),
        # What every version speaks.
        protocol=2,
        ssl=server.tls,
        ssl_ca_certs=server.ca_file or None,
    )


def _words(error: Exception) -> str:
    """Return what went wrong, without the command that was refused, which has values of lines in it."""
    text = str(error).rpartition(" of pipeline caused error: ")[2] or type(error).__name__
    return redact(f"{text}; {error.hint}" if isinstance(error, ConfigError) and error.hint else text)


def _present(numbers: Numbers) -> dict[str, Any]:
    window = numbers.window
    names = ("requests", "left_out", "bytes", "per_s", "share_4xx", "share_5xx")
    return {"at": int(numbers.at), "since": int(numbers.since), **{name: window[name] for name in names}}


def _whole(minute: Minute) -> dict[str, Any]:
    names = ("seconds", "requests", "left_out", "bytes")
    return {**{name: getattr(minute, name) for name in names}, **minute.classes}


def _tops(window: Mapping[str, Any]) -> dict[str, Top]:
    return {
        field: Top([(row["value"], row["requests"]) for row in found["rows"]], found["missed"])
        for field, found in window["top"].items()
    }
