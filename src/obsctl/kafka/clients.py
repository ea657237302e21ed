"""The common settings of all librdkafka clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from obsctl.core.brokers import security_of
from obsctl.kafka.access import librdkafka

T = TypeVar("T")

#: How soon a reader whose queue (queued.max.messages.kbytes) was full fetches again. With the library's default, a
#: second, it reads at most one queue a second: 16 MB of lines, less than half of what a daemon can process.
READ_ON = {"fetch.queue.backoff.ms": 20}

#: What librdkafka puts before and after its texts about a connection: the broker, and the state of the connection.
_WHERE = re.compile(r"^(?:\w+: )?\S+:\d+\S*: | \(after .*\)$")


def settings(bootstrap: Sequence[str], client_id: str) -> dict[str, object]:
    """Return the settings that every client has.

    Args:
        bootstrap: brokers as ``HOST:PORT``; :class:`~obsctl.core.brokers.Brokers` also say how to connect to them.
        client_id: the name under which the brokers know the client.

    Raises:
        ConfigError: the password or a certificate for the brokers cannot be read.
    """
    return {
        "bootstrap.servers": ",".join(bootstrap),
        "client.id": client_id,
        # To notice a host that died without closing its connections, and to notice its return soon.
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 3000,
        "topic.metadata.refresh.interval.ms": 30_000,
    } | librdkafka(security_of(bootstrap))


def admin(
    bootstrap: Sequence[str], client_id: str, on_error: Callable[[KafkaError], None] | None = None
) -> AdminClient:
    """Return a client that asks about topics and offsets, and reports failures only by its errors.

    Args:
        bootstrap: as :func:`settings`.
        client_id: as :func:`settings`.
        on_error: called from the client's ``poll`` with errors of its connections.

    Raises:
        ConfigError: as :func:`settings`.
    """
    heard = {"error_cb": on_error} if on_error else {}
    own = {
        "allow.auto.create.topics": False,
        "log_level": 0,
        # With it, a question to a leader that refuses connections is retried without a pause until its timeout, which
        # takes more than a core: each failure starts the search for the leader again, which bypasses
        # reconnect.backoff.ms (librdkafka 2.16). Without it the client connects to each broker, and pauses between
        # attempts.
        "enable.sparse.connections": False,
    }
    return AdminClient(settings(bootstrap, client_id) | own | heard)


def result(answer: Future[T]) -> T:
    """Return the result of an AdminClient's request.

    ``Future.result`` raises the exception that the future keeps. The exception's traceback references the caller's
    frame, with the client and the future in it: a reference cycle that keeps the client and its threads until the
    garbage collector runs. So this function raises a new exception with the same error.

    Raises:
        KafkaException: the request failed.
    """
    fault = answer.exception()
    if isinstance(fault, KafkaException):
        raise KafkaException(*fault.args)
    return answer.result()


def is_shut_out(error: KafkaError) -> bool:
    """Whether a broker refuses the client, or the client does not trust the broker: in both cases the broker is up."""
    return error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)


def words(error: KafkaError) -> str:
    """Return an error as text; if the broker refuses the client, the text is the same for each broker and each time."""
    if not is_shut_out(error):
        return str(error.str())
    what = (
        "the brokers refuse the login"
        if error.code() == KafkaError._AUTHENTICATION
        else "no TLS connection can be established"
    )
    return f"{what}: {_WHERE.sub('', error.str())}"


def is_fatal(error: KafkaError) -> bool:
    """Whether this client can never read again, because another member with its name has joined.

    The error comes with a message or to the callback, and not always with the fatal flag.
    """
    return bool(error.fatal()) or error.code() == KafkaError._FATAL
