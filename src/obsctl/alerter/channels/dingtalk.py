"""DingTalk's custom robot: signed, Markdown, and delivered only when ``errcode`` is 0.

Protocol: https://open.dingtalk.com/document/robots/custom-robot-access. HTTP 200 says nothing: the verdict is in
the body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET
from obsctl.alerter.channels.http import Answer, Endpoint
from obsctl.alerter.channels.outcome import Verdict
from obsctl.alerter.channels.robot import (
    IN_GROUP,
    Known,
    Robot,
    RobotOptions,
    Said,
    bounded,
    on_the_wire,
    title_of,
)
from obsctl.alerter.messages.message import Message
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret

_TOO_FAST = "DingTalk accepts 20 messages a minute from a robot, then none for 10 minutes: wait, then try again"
_UNKNOWN_TOKEN = "the access token is unknown: the robot was removed or the token mistyped; copy it again"  # noqa: S105
_STOPPED = "the robot is disabled: enable it in the group's settings"
_GONE = "the robot is no longer in the group: create one and copy its token"
_CONTENT = "DingTalk's filter rejects the text: check the title and the addresses in it (obsctl alert test --dry-run)"
_KEYWORD = "the text lacks the robot's keyword: set the channel's keyword option"
_OLD_SIGNATURE = "DingTalk rejects the signature's timestamp: check this machine's clock (chronyc tracking)"
_SIGNATURE = (
    "wrong signature: the secret is not the robot's; copy the value that begins with SEC, and check this machine's "
    "clock"
)
_NO_SECRET = "wrong signature: the robot requires a secret and the channel has none; copy the one that begins with SEC"  # noqa: S105
_ADDRESS = "the sending address is not on the robot's list: add this host's public address there"
_ANY_OF_THREE = (
    "310000 means a wrong signature, a missing keyword or a rejected address: check the secret (begins with SEC), "
    "keyword and the robot's address list"
)


class _Reply(msgspec.Struct):
    errcode: int
    errmsg: str = ""


def sign(secret: str, milliseconds: int) -> str:
    """Return the signature of a timestamp, not yet URL-encoded.

    ``base64(HMAC-SHA256(key=secret, message="{milliseconds}\\n{secret}"))``, as the vendor's page gives it.
    """
    message = f"{milliseconds}\n{secret}".encode()
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


class DingTalkOptions(RobotOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="dingtalk"):
    """A robot in a DingTalk group."""

    url: Annotated[str, Meta(description="The robot's address without its token.")] = (
        "https://oapi.dingtalk.com/robot/send"
    )
    token: Annotated[
        str | None,
        Meta(description="The robot's access token (what follows access_token=), as a reference.", extra=SECRET),
    ] = None
    secret: Annotated[
        str,
        Meta(
            description="The signing secret (begins with SEC) of a robot secured by it, as a reference.", extra=SECRET
        ),
    ] = ""
    at_mobiles: Annotated[tuple[str, ...], Meta(description="Mobile numbers of the people to mention.")] = ()

    delivered: ClassVar[str] = "`errcode` 0"
    signs: ClassVar[bool] = True
    found_at: ClassVar[str] = "what follows access_token= in the robot's address"

    def check_url(self) -> None:
        """Refuse a url with the access token in it."""
        if "access_token=" in urlsplit(self.url).query:
            raise ConfigError(
                f"alert channel {self.name}: the url contains the access token",
                hint="leave it out of the url and give it as token: file:…, env:… or vault:…",
            )

    def robot(self, endpoint: Endpoint, token: Secret, secret: Secret | None) -> DingTalk:
        """Return the robot."""
        return DingTalk(self, endpoint, token, secret)


class DingTalk(Robot[DingTalkOptions]):
    """A robot in a DingTalk group."""

    vendor = "DingTalk"
    address = "https://oapi.dingtalk.com/robot/send"
    elsewhere = "DingTalk's pages on custom robots and on global error codes"
    limit = 20_000
    # Two numberings of the same faults are in use (400102 and 400103, 410100 and 410101, ...).
    known = (
        Known("-1", Verdict.DEFERRED, "DingTalk is busy: the alerter retries in a few minutes"),
        Known("130101", Verdict.THROTTLED, _TOO_FAST),
        Known("410100", Verdict.THROTTLED, _TOO_FAST),
        Known("410101", Verdict.THROTTLED, _TOO_FAST),
        Known("90030", Verdict.THROTTLED, _TOO_FAST),
        Known("90018", Verdict.THROTTLED, _TOO_FAST),
        Known("310000", Verdict.REFUSED, _KEYWORD, ("keyword", "关键词")),
        Known("310000", Verdict.REFUSED, _ADDRESS, ("whitelist", "白名单", "ip ", "ip地址")),
        Known(
            "310000", Verdict.REFUSED, _OLD_SIGNATURE, ("timestamp无效", "invalid timestamp", "过期"), signature=True
        ),
        Known(
            "310000", Verdict.REFUSED, _SIGNATURE, ("sign", "timestamp", "签名"), signature=True, unsigned=_NO_SECRET
        ),
        Known("310000", Verdict.REFUSED, _ANY_OF_THREE, signature=True),
        Known("300001", Verdict.REFUSED, _UNKNOWN_TOKEN),
        Known("300005", Verdict.REFUSED, _UNKNOWN_TOKEN),
        Known("400101", Verdict.REFUSED, _UNKNOWN_TOKEN),
        Known("400013", Verdict.REFUSED, "the group was dissolved: create a robot in another group"),
        Known("400102", Verdict.REFUSED, _UNKNOWN_TOKEN, ("token",)),
        Known("400102", Verdict.REFUSED, _STOPPED),
        Known("400103", Verdict.REFUSED, _STOPPED),
        Known("400106", Verdict.REFUSED, _GONE),
        Known("400107", Verdict.REFUSED, _GONE),
        Known("430101", Verdict.REFUSED, _CONTENT),
        Known("430102", Verdict.REFUSED, _CONTENT),
        Known("430103", Verdict.REFUSED, _CONTENT),
        Known("430104", Verdict.REFUSED, _CONTENT),
        Known("430105", Verdict.REFUSED, _CONTENT),
        Known("460101", Verdict.REFUSED, "the message is too long for DingTalk, even shortened", too_long=True),
        Known("101002", Verdict.REFUSED, "the message is too long for DingTalk, even shortened", too_long=True),
        Known("404", Verdict.REFUSED, "check the url: the robot's address ends in /robot/send"),
        Known("88", Verdict.REFUSED, IN_GROUP),
    )

    def frame(self, message: Message, text: str) -> dict[str, Any]:
        """Return the body."""
        body: dict[str, Any] = {"msgtype": "markdown", "markdown": {"title": title_of(message), "text": text}}
        people, everybody = self._options.mentions(message)
        mobiles = list(self._options.at_mobiles) if people else []
        user_ids = list(self._options.at_user_ids) if people else []
        if mobiles or user_ids or everybody:
            body["at"] = {"atMobiles": mobiles, "atUserIds": user_ids, "isAtAll": everybody}
        return body

    def text(self, message: Message, room: int) -> str:
        """Return the text; the chat highlights a mention only for people whose ids are in the text."""
        tail = [self._options.keyword] if self._options.keyword else []
        if self._options.mentions(message).people:
            tail += [" ".join(f"@{who}" for who in (*self._options.at_mobiles, *self._options.at_user_ids))]
        return bounded(
            (f"#### {message.title}", *message.lines),
            [part for part in tail if part],
            room=room,
            size=on_the_wire,
            separator="\n\n",
            notice=f"\n\n{message.cut}",
        )

    def query(self, token: str) -> list[tuple[str, str]]:
        """Return token and signature."""
        query = [("access_token", token)]
        if self._secret is not None:
            now = int(time.time() * 1000)
            query += [("timestamp", str(now)), ("sign", sign(self._secret.reveal(), now))]
        return query

    def read(self, answer: Answer) -> Said | None:
        """Return ``errcode`` and ``errmsg``."""
        try:
            reply = decode_json(answer.body, _Reply)
        except UndecodableError:
            return None
        return Said(str(reply.errcode), reply.errmsg, reply.errcode == 0, "errcode")
