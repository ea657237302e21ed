"""How the clients of librdkafka are set up: what all of them have in common, once."""

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

#: A reader whose queue (queued.max.messages.kbytes) was full looks again so soon. With the library's default, a second,
#: it reads one queue a second at most: 16 MB of lines, which is less than half of what a daemon can work off.
READ_ON = {"fetch.queue.backoff.ms": 20}

#: What librdkafka puts before and behind its words for a connection: the broker, and how it came to them.
_WHERE = re.compile(r"^(?:\w+: )?\S+:\d+\S*: | \(after .*\)$")


def settings(bootstrap: Sequence[str], client_id: str) -> dict[str, object]:
    """Return the settings that every client has.

    Args:
        bootstrap: brokers as ``HOST:PORT``; :class:`~obsctl.core.brokers.Brokers` say how they are spoken to.
        client_id: the name under which the brokers know the client.

    Raises:
        ConfigError: the password or a certificate that the brokers ask for cannot be read.
    """
    return {
        "bootstrap.servers": ",".join(bootstrap),
        "client.id": client_id,
        # A host that died without closing its connections is noticed, and its return soon.
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 3000,
        "topic.metadata.refresh.interval.ms": 30_000,
    } | librdkafka(security_of(bootstrap))


def admin(
    bootstrap: Sequence[str], client_id: str, on_error: Callable[[KafkaError], None] | None = None
) -> AdminClient:
    """Return a client that asks about topics and offsets, and reports failures by its errors alone.

    Args:
        bootstrap: as :func:`settings`.
        client_id: as :func:`settings`.
        on_error: called from the client's ``poll`` with what befell its connections.

    Raises:
        ConfigError: as :func:`settings`.
    """
    heard = {"error_cb": on_error} if on_error else {}
    own = {
        "allow.auto.create.topics": False,
        "log_level": 0,
        # With it, a question to a leader that refuses connections repeats its attempt without a pause until the time is
        # over, which takes more than a core: each failure starts the search for the leader again, and that sets
        # reconnect.backoff.ms aside (librdkafka 2.16). Without it the client connects to each broker, and pauses.
        "enable.sparse.connections": False,
    }
    return AdminClient(settings(bootstrap, client_id) | own | heard)


def result(answer: Future[T]) -> T:
    """Return what an answer to an AdminClient's question came to.

    ``Future.result`` raises the exception that the future keeps. Its traceback holds the caller's frame, with the
    client and the future in it: a reference cycle, in which the client and its threads stay until the garbage
    collector runs. This one raises another exception of the same error.

    Raises:
        KafkaException: the question failed.
    """
    fault = answer.exception()
    if isinstance(fault, KafkaException):
        raise KafkaException(*fault.args)
    return answer.result()


def is_shut_out(error: KafkaError) -> bool:
    """Whether a broker does not let the client in, or the client does not trust it: neither is down."""
    return error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)


def words(error: KafkaError) -> str:
    """Return an error in words; of a client that is shut out the same ones for each broker, and each time."""
    if not is_shut_out(error):
        return str(error.str())
    what = (
        "the brokers refuse the login"
        if error.code() == KafkaError._AUTHENTICATION
        else "no TLS connection comes about"
    )
    return f"{what}: {_WHERE.sub('', error.str())}"


def is_fatal(error: KafkaError) -> bool:
    """Whether this client will never read again: a member of the same name came, or started and ended with a
    coordinator.

    It comes as a message's error or to the call-back, and not always with the flag.
    """
    return bool(error.fatal()) or error.code() == KafkaError._FATAL
