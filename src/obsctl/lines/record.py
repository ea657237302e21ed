"""The shipper's records in Kafka: one JSON object per line.

``{"message": LINE, "host": {"name": …}, "log": {"offset": BYTES, "file": {"path": …}},
"fields": {"log_format": …, "log_input": …, "log_files": …}}``; anything else in the object is ignored. The path is
used only if ``log_files`` is ``many``: then the input has several logs, which the offset alone does not distinguish.
"""

from __future__ import annotations

import msgspec

from obsctl.lines.log_file import log_of

#: Longest host name of a stored row, characters; a longer one is not an inventory name.
HOST_LENGTH = 64


#: The value of ``fields.log_files`` for an input with several logs.
SEVERAL_LOGS = "many"


class Host(msgspec.Struct, gc=False):
    """The host that wrote the line, by its inventory name."""

    name: str


class Log(msgspec.Struct, gc=False):
    """The line's offset in its file (bytes), and the shipper's description of the file, in JSON."""

    offset: int
    file: msgspec.Raw = msgspec.Raw()


class File(msgspec.Struct, gc=False):
    """The file that the line was read from."""

    path: str


class Fields(msgspec.Struct, gc=False, frozen=True):
    """Fields that the shipper's input adds to its lines."""

    log_format: str = ""
    log_input: str = ""
    log_files: str = ""


class Envelope(msgspec.Struct, gc=False):
    """A record as the shipper should write it. Filebeat writes the fields in varying order."""

    message: str
    host: Host
    log: Log
    fields: Fields = Fields()


class _Remains(msgspec.Struct):
    """The readable parts of a record that is not an :class:`Envelope`: any field may be missing or of any type."""

    message: msgspec.Raw = msgspec.Raw()
    host: msgspec.Raw = msgspec.Raw()
    log: msgspec.Raw = msgspec.Raw()
    fields: msgspec.Raw = msgspec.Raw()


class RecordError(ValueError):
    """A record is not a valid envelope.

    Attributes:
        reason: a short stable word for the quarantine.
        detail: what is wrong, for people.
        origin: host, input, log file (see :func:`log_file`), byte offset and the raw ``message`` (empty if missing),
            if all but the last can be read; otherwise None.
        log_format: the format the shipper names, or an empty string.
    """

    def __init__(
        self, reason: str, detail: str, origin: tuple[str, str, str, int, bytes] | None = None, log_format: str = ""
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.origin = origin
        self.log_format = log_format


#: msgspec's errors for invalid JSON, types and UTF-8, and for brackets nested a thousand deep.
UNREADABLE = (ValueError, RecursionError)

#: Decodes a record's value, or raises one of UNREADABLE, which :func:`refusal` explains. A wrapper function would take
#: a tenth more time.
decode = msgspec.json.Decoder(Envelope).decode
_decode_remains = msgspec.json.Decoder(_Remains).decode
_decode_host = msgspec.json.Decoder(Host).decode
_decode_log = msgspec.json.Decoder(Log).decode
_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_file = msgspec.json.Decoder(File).decode


def log_file(fields: Fields, log: Log) -> str:
    """Return the path of a line's log, for an input of several logs; otherwise an empty text.

    Raises:
        RecordError: the input has several logs, and the record does not name the file.
    """
    if fields.log_files != SEVERAL_LOGS:
        return ""
    try:
        return log_of(_decode_file(log.file).path)
    except UNREADABLE as error:
        detail = f"log.file.path is missing, and the input {fields.log_input!r} has several logs: {error}"
        raise RecordError("envelope", detail, log_format=fields.log_format) from None


def refusal(value: bytes | None, error: Exception) -> RecordError:
    """Return why :data:`decode` refused a value: it is null, not a JSON object, or lacks a required field."""
    if value is None:
        return RecordError("null_value", "the record has no value")
    detail = str(error)
    try:
        remains = _decode_remains(value)
    except UNREADABLE:
        return RecordError("not_json", detail)
    try:
        fields = _decode_fields(remains.fields) if remains.fields else Fields()
        host, log = _decode_host(remains.host), _decode_log(remains.log)
        file = log_file(fields, log)
    except UNREADABLE:
        return RecordError("envelope", detail)
    except RecordError as unnamed_file:
        return unnamed_file
    message = bytes(remains.message)
    reason = "no_message" if message in (b"", b"null") else "envelope"
    return RecordError(reason, detail, (host.name, fields.log_input, file, log.offset, message), fields.log_format)
