"""Slack's incoming webhook: delivered when the answer is HTTP 200 with the body ``ok``.

Protocol: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. Other answers name their error in
the body, as plain text.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET
from obsctl.alerter.channels.http import Answer, Endpoint
from obsctl.alerter.channels.outcome import Verdict
from obsctl.alerter.channels.robot import Known, Robot, RobotOptions, Said, bounded, on_the_wire
from obsctl.alerter.messages.message import Message
from obsctl.core.secrets import Secret

#: One of Slack's codes, as opposed to a page or a sentence from a proxy.
_CODE = re.compile(r"[a-z][a-z_]{1,60}")
_NEW = "create a new incoming webhook in the app's settings and copy the part of its address after /services/"
_MAY_NOT = "the workspace's administrators do not allow it: ask them, or choose another channel"
_BODY = "Slack cannot read the message: report it with obsctl alert test --dry-run"


class SlackOptions(RobotOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="slack"):
    """An incoming webhook of a Slack app."""

    per_minute: Annotated[
        int, Meta(ge=2, description="Most attempts within any 60 seconds, at least 2 (one message and one digest).")
    ] = 50
    url: Annotated[str, Meta(description="The webhook's address up to /services.")] = "https://hooks.slack.com/services"
    token: Annotated[
        str | None,
        Meta(description="The rest of the address (T.../B.../..., after /services/), as a reference.", extra=SECRET),
    ] = None
    at_user_ids: Annotated[tuple[str, ...], Meta(description="Member ids (U...) of the people to mention.")] = ()

    delivered: ClassVar[str] = "HTTP 200 with the body `ok`"
    found_at: ClassVar[str] = "what follows /services/ in the webhook's address"
    # The vendor's limit is one message a second.
    gap_s: ClassVar[float] = 1.0

    def robot(self, endpoint: Endpoint, token: Secret, secret: Secret | None) -> Slack:
        """Return the webhook."""
        return Slack(self, endpoint, token, secret)


class Slack(Robot[SlackOptions]):
    """An incoming webhook of a Slack app."""

    vendor = "Slack"
    address = "https://hooks.slack.com/services/TOKEN"
    elsewhere = "Slack's page on sending messages using incoming webhooks"
    # Slack accepts 40,000 characters, and folds what is longer than a screen.
    limit = 12_000
    known = (
        Known("rate_limited", Verdict.THROTTLED, "Slack accepts one message a second: wait, then try again"),
        Known("ratelimited", Verdict.THROTTLED, "Slack accepts one message a second: wait, then try again"),
        Known("no_service", Verdict.REFUSED, f"the webhook was removed or disabled, or the token is wrong: {_NEW}"),
        Known("no_service_id", Verdict.REFUSED, f"the token is wrong: {_NEW}"),
        Known("no_active_hooks", Verdict.REFUSED, f"the webhook is disabled: {_NEW}"),
        Known("no_team", Verdict.REFUSED, f"the workspace is gone, or the token is wrong: {_NEW}"),
        Known("team_disabled", Verdict.REFUSED, "the workspace is disabled: ask its administrators"),
        Known("invalid_token", Verdict.REFUSED, f"the token is wrong: {_NEW}"),
        Known("channel_not_found", Verdict.REFUSED, f"the webhook's channel is gone: {_NEW}"),
        Known("channel_is_archived", Verdict.REFUSED, f"the webhook's channel is archived: open it again, or {_NEW}"),
        Known("user_not_found", Verdict.REFUSED, f"the webhook's user is gone: {_NEW}"),
        Known("action_prohibited", Verdict.REFUSED, _MAY_NOT),
        Known("posting_to_general_channel_denied", Verdict.REFUSED, _MAY_NOT),
        Known("invalid_payload", Verdict.REFUSED, _BODY),
        Known("no_text", Verdict.REFUSED, _BODY),
        Known("too_many_attachments", Verdict.REFUSED, _BODY),
        Known("msg_too_long", Verdict.REFUSED, "the message is too long for Slack, even shortened", too_long=True),
    )

    def frame(self, message: Message, text: str) -> dict[str, Any]:
        """Return the body."""
        del message
        return {"text": text}

    def text(self, message: Message, room: int) -> str:
        """Return the text, with Slack's three control characters (``&``, ``<``, ``>``) escaped."""
        mention = self._options.mentions(message)
        who = [f"<@{one}>" for one in (self._options.at_user_ids if mention.people else ())]
        who += ["<!channel>"] if mention.everybody else []
        tail = "\n" + " ".join(who) if who else ""
        keyword = [self._options.keyword] if self._options.keyword else []
        parts = (f"*{message.title}*", *message.lines)
        text = bounded(
            parts,
            keyword,
            room=room - on_the_wire(tail),
            size=lambda text: on_the_wire(_escaped(text)),
            notice=f"\n{message.cut}",
        )
        return _escaped(text) + tail

    def path(self, token: str) -> str:
        """Return the token."""
        return token

    def read(self, answer: Answer) -> Said | None:
        """Return the code that the body consists of."""
        word = answer.body[:100].decode("utf-8", "replace").strip()
        if answer.status == 200 and word == "ok":
            return Said("ok", "", True, "answer")
        return Said(word, "", False, f"HTTP {answer.status}") if _CODE.fullmatch(word) and word != "ok" else None


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
