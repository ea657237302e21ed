"""How the daemons' clients of librdkafka are set up: what all of them have in common, once."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka.admin import AdminClient


def settings(bootstrap: Sequence[str], client_id: str) -> dict[str, object]:
    """Return the settings that every client has.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        client_id: the name under which the brokers know the client.
    """
    return {
        "bootstrap.servers": ",".join(bootstrap),
        "client.id": client_id,
        # A host that died without closing its connections is noticed, and its return soon.
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 3000,
        "topic.metadata.refresh.interval.ms": 30_000,
    }


def admin(bootstrap: Sequence[str], client_id: str) -> AdminClient:
    """Return a client that asks about topics and offsets, and reports failures by its errors alone."""
    return AdminClient(settings(bootstrap, client_id) | {"allow.auto.create.topics": False, "log_level": 0})
