"""JSON from files and from the network, which may hold anything."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeVar

import msgspec

T = TypeVar("T")
#: A time in a document. One without a zone cannot be compared with any other.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class UndecodableError(ValueError):
    """What was read is not the JSON that was expected; the message says why, without the content."""


def decode_json(raw: bytes | str, kind: type[T], *, strict: bool = True) -> T:
    """Return the JSON document as a value of the type.

    Args:
        strict: whether a number or a truth value that is written as text is refused.

    Raises:
        UndecodableError: no JSON, of another shape, no UTF-8 (which the decoder meets in strings only), or nested
            more deeply than anything that this program reads.
    """
    try:
        return msgspec.json.decode(raw, type=kind, strict=strict)
    except msgspec.DecodeError as error:
        raise UndecodableError(str(error)) from None
    except UnicodeError:
        raise UndecodableError("it is not text in UTF-8") from None
    except RecursionError:
        raise UndecodableError("it is nested too deeply") from None
