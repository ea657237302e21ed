"""Feishu's (Lark's) custom bot: signed in the body, rich text, and delivered only when ``code`` is 0.

Protocol: https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot. HTTP 200 says nothing: the verdict is in
the body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET
from obsctl.alerter.channels.http import Answer, Endpoint
from obsctl.alerter.channels.outcome import Verdict
from obsctl.alerter.channels.robot import IN_GROUP, Known, Robot, RobotOptions, Said, bounded, on_the_wire, title_of
from obsctl.alerter.messages.message import Message
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.secrets import Secret

_TOO_FAST = "Feishu accepts 100 messages a minute and 5 a second from a robot: wait, or lower the channel's per_minute"
_SIGNATURE = "wrong signature: the secret is not the robot's; copy it from the robot's settings, and check the clock"
_NO_SECRET = "wrong signature: the channel has no secret, but the robot requires one; copy it from the robot's settings"  # noqa: S105
_BODY = "Feishu cannot read the message: report it with obsctl alert test --dry-run"
_TOO_LONG = "the message is too long for Feishu, even shortened"


class _Reply(msgspec.Struct):
    #: Current answers have ``code``; those of older robots only ``StatusCode``; a success has both.
    code: int | None = None
    msg: str = ""
    old_code: int | None = msgspec.field(default=None, name="StatusCode")
    old_msg: str = msgspec.field(default="", name="StatusMessage")


def sign(secret: str, seconds: int) -> str:
    """Return the signature of a timestamp.

    ``base64(HMAC-SHA256(key="{seconds}\\n{secret}", message=""))``: in the vendor's scheme the message is empty and
    everything is in the key.
    """
    key = f"{seconds}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


class FeishuOptions(RobotOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="feishu"):
    """A custom bot in a Feishu or Lark group."""

    per_minute: Annotated[
        int, Meta(ge=2, description="Most attempts within any 60 seconds, at least 2 (one message and one digest).")
    ] = 80
    url: Annotated[
        str,
        Meta(description="The robot's address without its token (Lark: https://open.larksuite.com/open-apis/...)."),
    ] = "https://open.feishu.cn/open-apis/bot/v2/hook"
    token: Annotated[
        str | None,
        Meta(description="The last part of the robot's address (after /hook/), as a reference.", extra=SECRET),
    ] = None
    secret: Annotated[
        str, Meta(description="The signing secret of a robot secured by it, as a reference.", extra=SECRET)
    ] = ""
    at_user_ids: Annotated[tuple[str, ...], Meta(description="Open ids (ou_...) of the people to mention.")] = ()

    delivered: ClassVar[str] = "`code` 0 (of older robots `StatusCode` 0)"
    signs: ClassVar[bool] = True
    found_at: ClassVar[str] = "the last part of the robot's address, after /hook/"
    # The vendor's limit of 5 a second, with a margin.
    gap_s: ClassVar[float] = 0.25

    def robot(self, endpoint: Endpoint, token: Secret, secret: Secret | None) -> Feishu:
        """Return the robot."""
        return Feishu(self, endpoint, token, secret)


class Feishu(Robot[FeishuOptions]):
    """A custom bot in a Feishu or Lark group."""

    vendor = "Feishu"
    address = "https://open.feishu.cn/open-apis/bot/v2/hook/TOKEN"
    elsewhere = "Feishu's page on custom bots and its list of error codes"
    limit = 20_000
    known = (
        Known("11232", Verdict.THROTTLED, _TOO_FAST),
        Known("99991400", Verdict.THROTTLED, _TOO_FAST),
        Known("9499", Verdict.THROTTLED, _TOO_FAST, ("too many request", "frequency limited")),
        Known("9499", Verdict.REFUSED, _TOO_LONG, ("too large", "too long", "exceed"), too_long=True),
        Known("9499", Verdict.REFUSED, _BODY),
        Known("19001", Verdict.REFUSED, "the token is unknown: " + IN_GROUP),
        Known("19002", Verdict.REFUSED, _BODY),
        Known("19021", Verdict.REFUSED, _SIGNATURE, signature=True, unsigned=_NO_SECRET),
        Known(
            "19022",
            Verdict.REFUSED,
            "the sending address is not on the robot's list: add this host's public address there",
        ),
        Known("19024", Verdict.REFUSED, "the text lacks the robot's keyword: set the channel's keyword option"),
        Known("11246", Verdict.REFUSED, _BODY),
        Known(
            "11247",
            Verdict.REFUSED,
            "Feishu did not send the message: its text says why; check the open ids in at_user_ids, and whether the "
            "group allows robots to post and to mention everybody",
        ),
        Known("230025", Verdict.REFUSED, _TOO_LONG, too_long=True),
    )

    def frame(self, message: Message, text: str) -> dict[str, Any]:
        """Return the body: rich text, in which no character of the text is markup."""
        paragraphs: list[list[dict[str, str]]] = [[{"tag": "text", "text": text}]]
        mention = self._options.mentions(message)
        who = [*(self._options.at_user_ids if mention.people else ()), *(["all"] if mention.everybody else [])]
        if who:
            paragraphs.append([{"tag": "at", "user_id": one} for one in who])
        return {
            "msg_type": "post",
            "content": {"post": {"zh_cn": {"title": title_of(message), "content": paragraphs}}},
        }

    def text(self, message: Message, room: int) -> str:
        """Return the text."""
        tail = [self._options.keyword] if self._options.keyword else []
        return bounded(message.lines or (message.title,), tail, room=room, size=on_the_wire, notice=f"\n{message.cut}")

    def path(self, token: str) -> str:
        """Return the token."""
        return token

    def signed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body with the time and its signature."""
        if self._secret is None:
            return body
        now = int(time.time())
        return {"timestamp": str(now), "sign": sign(self._secret.reveal(), now), **body}

    def read(self, answer: Answer) -> Said | None:
        """Return ``code`` and ``msg``."""
        try:
            reply = decode_json(answer.body, _Reply)
        except UndecodableError:
            return None
        if reply.code is not None:
            return Said(str(reply.code), reply.msg, reply.code == 0, "code")
        if reply.old_code is not None:
            return Said(str(reply.old_code), reply.old_msg, reply.old_code == 0, "StatusCode")
        return None
