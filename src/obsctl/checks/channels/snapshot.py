"""The result of one test message in each channel."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One channel's attempt.

    Attributes:
        name: the channel.
        type: its kind.
        verdict: the outcome, one of the alerter's verdicts such as ``delivered`` or ``refused``.
        code: the vendor's own code, empty without an answer.
        summary: what happened, without secrets.
        hint: what to do about it; empty if all recipients have the message.
        took_ms: until the outcome was known, milliseconds.
        mentions: the people whom the message mentions, by their ids at the vendor; ``all`` is everybody.
    """

    name: str
    type: str
    verdict: str
    code: str
    summary: str
    hint: str
    took_ms: int
    mentions: tuple[str, ...] = ()


class ChannelsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One message through the chosen channels."""

    attempts: tuple[Attempt, ...] = ()
    errors: tuple[Fault, ...] = ()
