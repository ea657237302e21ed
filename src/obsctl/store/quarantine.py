"""A record that could not become a row, stored as it was in Kafka, with the reason and its place."""

from __future__ import annotations

import msgspec

#: Widths of the columns, characters.
DETAIL_LENGTH = 1024
HOST_LENGTH = 255
FORMAT_LENGTH = 16

#: Prefix of the reason of a row that the database refused; followed by the error's number.
REFUSED = "refused_"


class Quarantined(msgspec.Struct):
    """A record for the quarantine.

    Attributes:
        line_id: its identity (16 bytes).
        log_format: as the shipper gave it; may be empty or unknown.
        reason: a short stable word: null_value, not_json, envelope, no_message, format, parse, time, client,
            field_length, field_range, refused_NUMBER (the database's error).
        detail: what is wrong, for people.
        value: the record's value as in Kafka.
        dead_letter: whether a copy goes to the dead letter topic.
    """

    line_id: bytes
    source_id: int
    offset: int
    log_format: str
    host: str
    reason: str
    detail: str
    value: bytes | None
    dead_letter: bool = False
