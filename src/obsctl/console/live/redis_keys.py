"""Writes the live statistics to Redis as expiring keys, for other programs (docs/reference/console.md names them).

A thread takes the present numbers once a second; nothing waits for it and nothing is queued, so a Redis that is slow
or unreachable affects only its keys. Of several consoles, the one that holds the lease writes. It writes whole values,
never increments, so writing a value twice, or by two consoles during a change, does no harm.
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

#: ``writing``: this console writes. ``standby``: another one does. ``waiting``: no lines come from Kafka, so there is
#: nothing to write. ``away``: Redis does not answer, or refuses.
State = Literal["writing", "standby", "waiting", "away"]

_EVERY_S = 1.0
#: Time limit for each step of an exchange (connecting, and each part of an answer), seconds.
_ANSWER_S = 2.0
#: Time between two attempts while Redis is unreachable, seconds.
_FIRST_AGAIN_S, _LAST_AGAIN_S = 1.0, 30.0
#: The lease: a console that has not written for this long loses it, milliseconds.
_LEASE_MS = 5000
#: After this time without a writer the keys of the present numbers expire, seconds.
_PRESENT_S = 15


class RedisKeys:
    """Writes the statistics to Redis.

    Args:
        config: which Redis, and the names of the keys.
        statistics: the source; they keep counting while this runs.
        clock: seconds since the epoch.

    Attributes:
        state: one of the states above.
    """

    def __init__(self, config: RedisConfig, statistics: Statistics, clock: Callable[[], float] = time.time) -> None:
        self.state: State = "waiting"
        self._config = config
        self._statistics = statistics
        self._clock = clock
        #: The holder of the lease, also shown to people who want to know which console writes.
        self._own_name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._client: Redis | None = None
        self._server: RedisServer | None = None
        #: Since when lines have come without interruption, seconds since the epoch; None while none come.
        self._steady_since: float | None = None
        #: The last complete minute that was written.
        self._done = 0
        self._backoff = Backoff(_FIRST_AGAIN_S, _LAST_AGAIN_S)
        #: Kinds of trouble that were logged since the last successful write.
        self._said: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis", daemon=True)

    def start(self) -> None:
        """Start counting and writing."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; takes some seconds if Redis hangs."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(3 * _ANSWER_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            wait_s = self.turn()
        if self.state == "writing":
            # So that the next console need not wait until the lease expires.
            with contextlib.suppress(Exception):
                self._connected().delete(self._key("writer"))
        self._disconnect()

    def turn(self) -> float:
        """Write once; return the number of seconds until the next turn."""
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
        # A broken connection and the refused ones after it are logged as one outage; a refused login is logged
        # separately.
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
            # Once the lease has expired, a console that gets lines takes over; if there is none, the keys expire.
            self._steady_since = None
            return "waiting"
        if self._steady_since is None:
            self._steady_since = self._clock()
        with self._connected().pipeline(transaction=True) as pipe:
            return self._write_with(pipe, self._steady_since)

    def _write_with(self, pipe: Pipeline, steady_since: float) -> State:
        """Write if this console holds the lease; all keys change at once, or none if the lease is lost meanwhile."""
        from redis.exceptions import WatchError

        lease = self._key("writer")
        pipe.watch(lease)  # type: ignore[no-untyped-call]  # the library has no types for it
        owner = pipe.get(lease)
        if owner != self._own_name.encode():
            # Another console has written, or Redis has lost its data: write all minutes that are still known.
            self._done = 0
        if owner not in (None, self._own_name.encode()):
            return "standby"
        numbers = self._statistics.numbers(self._done)
        # A minute that began before the lines came without interruption is incomplete.
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
            # The URL is read again, because the password may have changed.
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
        # No retry: the next second has newer numbers.
        retry=Retry(NoBackoff(), 0),
        # The protocol version that every server version supports.
        protocol=2,
        ssl=server.tls,
        ssl_ca_certs=server.ca_file or None,
    )


def _words(error: Exception) -> str:
    """Return what went wrong, without the refused command, because it contains values of lines."""
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
