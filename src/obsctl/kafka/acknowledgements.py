"""The acknowledgements in Kafka: a compacted topic, so that every control node sees all of them.

A record's key is the finding's key, its value the acknowledgement as JSON; a record without a value removes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from obsctl.core.acknowledgement import Acknowledgement, Acknowledgements
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.kafka import topic_log

_CLIENT_ID = "obsctl"


def read(bootstrap: Sequence[str], topic: str) -> Acknowledgements:
    """Return all acknowledgements, the latest first; other records are ignored.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: its name.

    Raises:
        TopicMissingError: there is no such topic.
        NotAnsweredError: the brokers do not answer.
    """
    found: dict[bytes, Acknowledgement] = {}
    for record in topic_log.read(bootstrap, topic, _CLIENT_ID):
        found.pop(record.key, None)
        if record.value is None:
            continue
        try:
            one = decode_json(record.value, Acknowledgement)
        except UndecodableError:
            continue
        if one.key.encode() == record.key:
            found[record.key] = one
    return tuple(sorted(found.values(), key=lambda one: -one.created))


def write(bootstrap: Sequence[str], topic: str, one: Acknowledgement) -> None:
    """Write an acknowledgement; returns when all in-sync replicas have it.

    Raises:
        TopicMissingError: there is no such topic; nothing was written.
        NotAnsweredError: the brokers did not confirm it; it may or may not be stored.
    """
    topic_log.write(bootstrap, topic, _CLIENT_ID, [(one.key.encode(), msgspec.json.encode(one))])


def remove(bootstrap: Sequence[str], topic: str, one: Acknowledgement) -> None:
    """Remove an acknowledgement; raises as :func:`write` does."""
    topic_log.write(bootstrap, topic, _CLIENT_ID, [(one.key.encode(), None)])
