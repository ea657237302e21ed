"""WeCom's group robot: Markdown, and delivered only when ``errcode`` is 0.

Protocol: https://developer.work.weixin.qq.com/document/path/91770. HTTP 200 says nothing: the verdict is in the body.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET
from obsctl.alerter.channels.http import Answer, Endpoint
from obsctl.alerter.channels.outcome import Verdict
from obsctl.alerter.channels.robot import IN_GROUP, Known, Robot, RobotOptions, Said, bounded, in_utf8
from obsctl.alerter.messages.message import Message
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret

_TOO_FAST = "WeCom accepts 20 messages a minute from a robot: wait, then try again"
_TOO_LONG = "the message is too long for WeCom, even shortened"
_BODY = "WeCom cannot read the message: report it with obsctl alert test --dry-run"
_WHO = "check the ids in at_user_ids and the numbers in at_mobiles"


class _Reply(msgspec.Struct):
    errcode: int
    errmsg: str = ""


class WeComOptions(RobotOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="wecom"):
    """A group robot in WeCom (Enterprise WeChat)."""

    url: Annotated[str, Meta(description="The robot's address without its key.")] = (
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"
    )
    token: Annotated[
        str | None, Meta(description="The robot's key (what follows key=), as a reference.", extra=SECRET)
    ] = None
    at_mobiles: Annotated[tuple[str, ...], Meta(description="Mobile numbers of the people to mention.")] = ()

    delivered: ClassVar[str] = "`errcode` 0"
    found_at: ClassVar[str] = "what follows key= in the robot's address"

    def check_url(self) -> None:
        """Refuse a url with the key in it."""
        if "key" in parse_qs(urlsplit(self.url).query):
            raise ConfigError(
                f"alert channel {self.name}: the url contains the robot's key",
                hint="leave it out of the url and give it as token: file:…, env:… or vault:…",
            )

    def robot(self, endpoint: Endpoint, token: Secret, secret: Secret | None) -> WeCom:
        """Return the robot."""
        return WeCom(self, endpoint, token, secret)


class WeCom(Robot[WeComOptions]):
    """A group robot in WeCom.

    Markdown can mention people only by their ids; a message that mentions mobile numbers or everybody is plain text.
    """

    vendor = "WeCom"
    address = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"
    elsewhere = "https://developer.work.weixin.qq.com/document/path/90313"
    limit = 4096
    known = (
        Known("-1", Verdict.DEFERRED, "WeCom is busy: the alerter retries in a few minutes"),
        Known("45009", Verdict.THROTTLED, _TOO_FAST),
        Known("45033", Verdict.THROTTLED, _TOO_FAST),
        Known("93000", Verdict.REFUSED, "the key is unknown: " + IN_GROUP),
        Known("93008", Verdict.REFUSED, "the robot is not in the group: add it there again"),
        Known("40058", Verdict.REFUSED, _TOO_LONG, ("exceed max length", "too long"), too_long=True),
        Known("40058", Verdict.REFUSED, f"WeCom rejects a parameter: {_WHO}"),
        Known("45002", Verdict.REFUSED, _TOO_LONG, too_long=True),
        Known("40008", Verdict.REFUSED, _BODY),
        Known("40033", Verdict.REFUSED, _BODY),
        Known("40035", Verdict.REFUSED, _BODY),
        Known("44004", Verdict.REFUSED, _BODY),
        Known("47001", Verdict.REFUSED, _BODY),
        Known("40003", Verdict.REFUSED, _WHO),
        Known("60020", Verdict.REFUSED, "WeCom rejects messages from this host's address: allow it there"),
    )
    _text_limit = 2048

    def bound(self, message: Message) -> int:
        """Return the limit of the content, which is smaller for plain text."""
        return self._text_limit if self._plain(message) else self.limit

    def room(self, message: Message, limit: int) -> int:
        """Return the limit unchanged: the vendor limits the content, not the body."""
        del message
        return limit

    def frame(self, message: Message, text: str) -> dict[str, Any]:
        """Return the body."""
        if not self._plain(message):
            return {"msgtype": "markdown", "markdown": {"content": text}}
        mention = self._options.mentions(message)
        people = list(self._options.at_user_ids) if mention.people else []
        return {
            "msgtype": "text",
            "text": {
                "content": text,
                "mentioned_list": people + (["@all"] if mention.everybody else []),
                "mentioned_mobile_list": list(self._options.at_mobiles) if mention.people else [],
            },
        }

    def text(self, message: Message, room: int) -> str:
        """Return the text."""
        plain = self._plain(message)
        tail = [self._options.keyword] if self._options.keyword else []
        if not plain and self._options.mentions(message).people:
            tail += [" ".join(f"<@{who}>" for who in self._options.at_user_ids)]
        parts = (message.title if plain else f"### {message.title}", *message.lines)
        tail = [part for part in tail if part]
        return bounded(parts, tail, room=room, size=in_utf8, notice=f"\n{message.cut}")

    def query(self, token: str) -> list[tuple[str, str]]:
        """Return the key."""
        return [("key", token)]

    def read(self, answer: Answer) -> Said | None:
        """Return ``errcode`` and ``errmsg``."""
        try:
            reply = decode_json(answer.body, _Reply)
        except UndecodableError:
            return None
        return Said(str(reply.errcode), reply.errmsg, reply.errcode == 0, "errcode")

    def _plain(self, message: Message) -> bool:
        mention = self._options.mentions(message)
        return mention.everybody or (mention.people and bool(self._options.at_mobiles))
