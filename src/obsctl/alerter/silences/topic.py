"""The silences in Kafka: a compacted topic with a silence's id as key and the silence in JSON as value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from obsctl.alerter.messages.message import utc
from obsctl.alerter.notify.silences import Silence, Silences
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.kafka import topic_log
from obsctl.kafka.topic_log import Record

#: The most unreadable records whose places are kept; these are enough to find the cause.
_NAMED = 100


class Book:
    """The silences in the topic's records: the latest record of a key counts, and one without a value deletes it.

    Attributes:
        unreadable: why a record is not a silence, by its place (``PARTITION/OFFSET``); such records are ignored.
    """

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}
        self._silences: dict[bytes, Silence] = {}

    def take(self, records: Iterable[Record]) -> bool:
        """Apply records in order; returns whether any of them changed something."""
        changed = False
        for record in records:
            before = self._silences.pop(record.key, None)
            if record.value is not None:
                try:
                    self._silences[record.key] = _decode(record.key, record.value)
                except UndecodableError as error:
                    if len(self.unreadable) < _NAMED:
                        self.unreadable[f"{record.partition}/{record.offset}"] = str(error)
            changed = changed or before != self._silences.get(record.key)
        return changed

    def silences(self) -> Silences:
        """Return all of them."""
        return tuple(self._silences.values())


def _decode(key: bytes, value: bytes) -> Silence:
    silence = decode_json(value, Silence)
    if silence.id.encode() != key:
        raise UndecodableError("its key is not its id")
    return silence


def read(bootstrap: Sequence[str], topic: str) -> Book:
    """Read the topic to its end.

    Raises:
        TopicMissingError: there is no such topic.
        NotAnsweredError: the brokers do not answer.
    """
    book = Book()
    book.take(topic_log.read(bootstrap, topic, "obsctl"))
    return book


def write(bootstrap: Sequence[str], topic: str, before: Silences, after: Silences) -> None:
    """Write the changes; returns when all in-sync replicas have them.

    Args:
        bootstrap: brokers as ``HOST:PORT``.
        topic: its name.
        before: what was read.
        after: what shall count from now on.

    Raises:
        TopicMissingError: there is no such topic; nothing was written.
        NotAnsweredError: not acknowledged; the silence may or may not be stored.
    """
    known = {silence.id: silence for silence in before}
    kept = {silence.id for silence in after}
    records: list[tuple[bytes, bytes | None]] = [
        (silence.id.encode(), msgspec.json.encode(silence)) for silence in after if known.get(silence.id) != silence
    ]
    records += [(gone.encode(), None) for gone in known if gone not in kept]
    topic_log.write(bootstrap, topic, "obsctl", records)


def as_data(one: Silence, now: float) -> dict[str, Any]:
    """Return a silence as data, for a report and a page; ``now`` in seconds since the epoch."""
    return {
        "id": one.id,
        "state": one.state(now).value,
        "filter": one.filter,
        "starts": utc(one.starts),
        "ends": utc(one.ends),
        "author": one.author,
        "reason": one.reason,
        "created": utc(one.created),
        "ended_by": one.ended_by or None,
    }
