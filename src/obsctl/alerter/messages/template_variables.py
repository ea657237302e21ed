"""The variables of the message templates; docs/reference/alert-messages.md is generated from it.

The names here must not change: sites' own templates use them. Values chosen by clients are printable.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

#: A time, seconds since the epoch, for the filter ``time``.
Moment = float


class TopView(Struct, frozen=True, kw_only=True):
    """What the counted lines of an alert's worst window have most often, as far as they are among the lines kept."""

    kept: Annotated[int, Meta(description="Lines that the sample holds: those read last.")]
    lines: Annotated[int, Meta(description="Those of them that are in the window.")]
    hits: Annotated[int, Meta(description="Those of them that the rule counts for this alert.")]
    by_field: Annotated[
        dict[str, tuple[tuple[str, int], ...]],
        Meta(description="By field (`host`, `uri`, `client_addr`, ...): its values with their lines, most first."),
    ]


class AlertView(Struct, frozen=True, kw_only=True):
    """One alert."""

    rule: Annotated[str, Meta(description="Name of the rule.")]
    kind: Annotated[str, Meta(description="Kind of the rule.")]
    configured: Annotated[
        bool, Meta(description="False where the rule was removed; then `headline`, `measured` and `limit` are empty.")
    ]
    of_lines: Annotated[
        bool, Meta(description="Whether its times are those of log lines; a number of the pipeline has the clock's.")
    ]
    labels: Annotated[dict[str, str], Meta(description="What it is about, by field; empty for the whole fleet.")]
    severity: Annotated[str, Meta(description="`info`, `warning` or `critical`.")]
    incident: Annotated[str, Meta(description="Its id.")]
    firing: Annotated[bool, Meta(description="Whether the condition is on.")]
    headline: Annotated[str, Meta(description="The worst window in words, with its length and the limit.")]
    measured: Annotated[str, Meta(description="The worst window in words.")]
    limit: Annotated[str, Meta(description="The rule's threshold in words.")]
    started: Annotated[Moment, Meta(description="When it started (seconds since the epoch).")]
    ended: Annotated[Moment, Meta(description="When it was true for the last time; 0 while it is firing.")]
    lasted_s: Annotated[float, Meta(description="From start to end, 0 while it is firing (seconds).")]
    top: Annotated[
        TopView | None,
        Meta(description="A sample of its lines, of the same window as `measured`; none where there is no sample."),
    ]


class MessageView(Struct, frozen=True, kw_only=True):
    """One message about the alerts of a group."""

    kind: Annotated[str, Meta(description="`firing`, `escalated`, `repeat`, `update` or `resolved`.")]
    over: Annotated[
        bool, Meta(description="Of an `update`: all its alerts have ended, before any message could say so.")
    ]
    severity: Annotated[str, Meta(description="The worst: `info`, `warning` or `critical`.")]
    name: Annotated[str, Meta(description="What the alerts have in common, such as the rule's name; may be empty.")]
    alerts: Annotated[tuple[AlertView, ...], Meta(description="The worst 20 at most, the worst first.")]
    total: Annotated[int, Meta(description="Alerts that the message is about.")]
    started: Annotated[int, Meta(description="Alerts that started since the last message.")]
    ended: Annotated[int, Meta(description="Alerts that ended since the last message.")]
    firing: Annotated[int, Meta(description="Alerts of the group that are firing now.")]
    since: Annotated[Moment, Meta(description="When the group began to fire (seconds since the epoch).")]
    at: Annotated[Moment, Meta(description="When the message was decided (seconds since the epoch).")]
    over_at: Annotated[Moment, Meta(description="When the last alert was true; 0 while one is firing.")]
    lasted_s: Annotated[float, Meta(description="From `since` to `over_at`, 0 while one is firing (seconds).")]
    look: Annotated[str, Meta(description="The command that shows all about the worst alert.")]
    silence: Annotated[str, Meta(description="The command that silences the alerts; empty where no filter says which.")]
    next_step: Annotated[
        str, Meta(description="What the rule proposes to run next; empty for `resolved` and a rule that was removed.")
    ]
    incidents: Annotated[tuple[str, ...], Meta(description="Ids of the first 5 alerts.")]


class RuleTestView(Struct, frozen=True, kw_only=True):
    """The message of ``obsctl alert test --rule NAME``."""

    rule: Annotated[str, Meta(description="Name of the rule.")]
    mark: Annotated[str, Meta(description="What the lines of the test's requests are marked with.")]
    title: Annotated[str, Meta(description="Title of the message that the condition would make.")]
    lines: Annotated[tuple[str, ...], Meta(description="Its lines.")]


class DigestView(Struct, frozen=True, kw_only=True):
    """One message in place of several."""

    titles: Annotated[tuple[str, ...], Meta(description="Their titles.")]
    firing: Annotated[int, Meta(description="Those of the kinds `firing` and `escalated`.")]
    resolved: Annotated[int, Meta(description="Those of the kind `resolved`.")]


class NoticeView(Struct, frozen=True, kw_only=True):
    """What an alerter says about itself when it cannot work."""

    kind: Annotated[str, Meta(description="`firing`, `repeat` or `resolved`.")]
    member: Annotated[str, Meta(description="Name of the alerter.")]
    reason: Annotated[str, Meta(description="Why it cannot work, in English.")]
    since: Annotated[Moment, Meta(description="Since when (seconds since the epoch).")]
    over_at: Annotated[Moment, Meta(description="When it worked again; 0 while it does not.")]


class ChannelTestView(Struct, frozen=True, kw_only=True):
    """The message of ``obsctl alert test``."""

    at: Annotated[Moment, Meta(description="When it is sent (seconds since the epoch).")]
    origin: Annotated[str, Meta(description="The host that sends it.")]
    severity: Annotated[str, Meta(description="What `--severity` says; empty without it.")]
