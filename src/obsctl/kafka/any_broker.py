"""Asks any broker that answers, so that one that hangs does not make all look unreachable.

A client of librdkafka sends a question about the cluster to a broker that it is connected to. The connection to a
broker whose process is stopped, or whose network is cut, stays open for a minute, and the question waits there
although the others would answer. A client that knows only one broker has to ask that one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from obsctl.core.brokers import Brokers, security_of
from obsctl.kafka import clients

log = logging.getLogger(__name__)

T = TypeVar("T")


class AnyBroker:
    """Acts as one broker that answers as long as one of the brokers does. Safe to use from several threads.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        client_id: the name under which the brokers know the client.
    """

    def __init__(self, bootstrap: Sequence[str], client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._shut_out: list[KafkaError] = []
        self._client = self._new(bootstrap)

    def ask(self, question: Callable[[AdminClient], T]) -> T:
        """Return the answer to a question; if there is none, ask each broker separately, in turn.

        Args:
            question: asks, with the given client and a timeout; may be called several times.

        Raises:
            KafkaException: no broker answers, or one refuses. If brokers refuse our connection, the error says so.
        """
        # Earlier errors of its connections say nothing about this question.
        self._client.poll(0)
        self._shut_out.clear()
        found = _put(question, self._client)
        if not isinstance(found, KafkaError):
            return found
        silence = found
        self._client.poll(0)
        for broker in self._bootstrap:
            # The previous one is closed by then: at most two clients are open at the same time.
            client = self._new(Brokers([broker], security_of(self._bootstrap)))
            found = _put(question, client)
            if not isinstance(found, KafkaError):
                # It is connected to a broker that answers, and will learn about the others.
                self._client = client
                log.info("another broker answers", extra={"broker": broker, "before": silence.str()})
                return found
            client.poll(0)
            del client
        shut_out = list(self._shut_out)
        raise KafkaException(shut_out[0] if shut_out else silence)

    def _new(self, bootstrap: Sequence[str]) -> AdminClient:
        return clients.admin(bootstrap, self._client_id, self._hear)

    def _hear(self, error: KafkaError) -> None:
        if clients.is_shut_out(error):
            self._shut_out.append(error)


def _put(question: Callable[[AdminClient], T], client: AdminClient) -> T | KafkaError:
    """Return the answer, or the error.

    Returns the error, not the exception: an exception that is stored in a local variable keeps that frame alive through
    its traceback, and the client with it. That is a reference cycle: the client and its threads would stay until the
    garbage collector runs.

    Raises:
        KafkaException: a broker refuses.
    """
    try:
        return question(client)
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        if reason.code() >= KafkaError.NO_ERROR:
            raise
        return reason  # the client's own error: no broker has answered
