"""The silences that the records of a topic amount to."""

from __future__ import annotations

import msgspec

from obsctl.alerter.notify.silences import Silence
from obsctl.alerter.silences.topic import Book
from obsctl.kafka.topic_log import Record
from tests.unit.alerter.builders import T


def silence(name: str, ends: float = T + 600) -> Silence:
    return Silence(id=name, filter="rule:rate", starts=T, ends=ends, author="li", reason="test", created=T)


def record(offset: int, key: str, value: bytes | None) -> Record:
    return Record(0, offset, key.encode(), value)


def of(offset: int, one: Silence) -> Record:
    return record(offset, one.id, msgspec.json.encode(one))


def test_the_latest_record_of_each_key_counts_and_one_without_a_value_deletes() -> None:
    book = Book()
    assert book.take([of(0, silence("a")), of(1, silence("b")), of(2, silence("a", T + 9)), record(3, "b", None)])
    assert book.silences() == (silence("a", T + 9),)
    # What changes nothing is no change: the alerter then keeps what it has compiled.
    assert not book.take([of(4, silence("a", T + 9)), record(5, "b", None)])
    assert book.take([record(6, "a", None)])
    assert book.silences() == ()


def test_what_is_no_silence_counts_for_nothing_and_is_named_by_its_place() -> None:
    book = Book()
    book.take(
        [
            of(0, silence("good")),
            record(1, "text", b"silence!"),
            record(2, "other", msgspec.json.encode(silence("good"))),
            record(3, "half", b'{"id": "half"}'),
            record(4, "bytes", b"\xff\xfe"),
            record(5, "deep", b"[" * 100_000),
        ]
    )
    assert book.silences() == (silence("good"),)
    assert list(book.unreadable) == ["0/1", "0/2", "0/3", "0/4", "0/5"]
    assert book.unreadable["0/2"] == "its key is not its id"


def test_a_bad_record_takes_the_place_of_the_one_before() -> None:
    """Somebody wanted to change it; silencing too little is better than too much."""
    book = Book()
    assert book.take([of(0, silence("a"))])
    assert book.take([record(1, "a", b"{}")])
    assert book.silences() == ()


def test_a_silence_of_a_later_release_with_more_fields_is_read() -> None:
    book = Book()
    book.take([record(0, "a", msgspec.json.encode(msgspec.to_builtins(silence("a")) | {"colour": "blue"}))])
    assert book.silences() == (silence("a"),)
