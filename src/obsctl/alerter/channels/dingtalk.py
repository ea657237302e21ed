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
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec
from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET, Resolve
from obsctl.alerter.channels.http import Answer, Endpoint, HttpOptions, masked, out_of_order, redirected
from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.alerter.message import Message
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, redact

#: DingTalk refuses a timestamp that is further off, seconds.
_CLOCK_TOLERANCE_S = 3600
_TOO_FAST = frozenset({130101, 90030, 90018})


class _Reply(msgspec.Struct):
    errcode: int
    errmsg: str = ""


def sign(secret: str, milliseconds: int) -> str:
    """Return the signature of a timestamp, not yet URL-encoded.

    ``base64(HMAC-SHA256(key=secret, message="{milliseconds}\\n{secret}"))``, as the vendor's page gives it.
    """
    message = f"{milliseconds}\n{secret}".encode()
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


class DingTalkOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="dingtalk"):
    """A robot in a DingTalk group."""

    token: Annotated[str, Meta(description="The robot's access token, as a reference.", extra=SECRET)]
    secret: Annotated[
        str,
        Meta(
            description="The signing secret (begins with SEC) of a robot secured by it, as a reference.", extra=SECRET
        ),
    ] = ""

    delivered: ClassVar[str] = "`errcode` 0"

    def open(self, resolve: Resolve) -> DingTalk:
        """Read token and secret."""
        if "access_token=" in urlsplit(self.url).query:
            raise ConfigError(
                f"alert channel {self.name}: the url holds the access token",
                hint="leave it out of the url and give it as token: file:…, env:… or vault:…",
            )
        secret = resolve(self.secret) if self.secret else None
        return DingTalk(self.endpoint(), resolve(self.token), secret, self.keyword)


class DingTalk:
    """A robot in a DingTalk group.

    Args:
        endpoint: the robot's address without token: ``https://oapi.dingtalk.com/robot/send``.
        token: its access token.
        secret: the signing secret, None for robots secured by keyword or address.
        keyword: added to each text, for robots secured by keyword.
    """

    def __init__(self, endpoint: Endpoint, token: Secret, secret: Secret | None, keyword: str) -> None:
        self._endpoint = endpoint
        self._token = token
        self._secret = secret
        self._keyword = keyword

    def payload(self, message: Message) -> dict[str, Any]:
        """Return the body that is posted."""
        text = "\n\n".join((f"#### {message.title}", *message.lines))
        title = message.title
        if self._keyword and self._keyword not in text:
            text += f"\n\n{self._keyword}"
        return {"msgtype": "markdown", "markdown": {"title": title, "text": text}}

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do, without any secret."""
        url = self._endpoint.url
        begin = "&" if urlsplit(url).query else "?"
        query = f"{begin}access_token=***" + ("&timestamp=***&sign=***" if self._secret else "")
        return {"method": "POST", "url": masked(url) + query, "body": self.payload(message)}

    def send(self, message: Message) -> Delivery:
        """Post the message once and judge the vendor's answer."""
        where = self._endpoint.where
        answer = self._endpoint.post(self.payload(message), query=self._signed_query())
        if isinstance(answer, Delivery):
            return answer
        return redirected(answer, where) or out_of_order(answer, where) or self._judge(answer, where)

    def _signed_query(self) -> str:
        query = [("access_token", self._token.reveal())]
        if self._secret is not None:
            now = int(time.time() * 1000)
            query += [("timestamp", str(now)), ("sign", sign(self._secret.reveal(), now))]
        # urlencode encodes each value once; a signature that is encoded twice is refused.
        return urlencode(query, quote_via=quote_plus)

    def _judge(self, answer: Answer, where: str) -> Delivery:
        try:
            reply = decode_json(answer.body, _Reply)
        except UndecodableError:
            return Delivery(
                Verdict.REFUSED,
                str(answer.status),
                f"{where} answered HTTP {answer.status} without an errcode, so this is no DingTalk robot",
                "check the url: the robot's address ends in /robot/send",
            )
        code = str(reply.errcode)
        said = f"{where}: errcode {code}, {redact(reply.errmsg)[:200]!r}"
        if reply.errcode == 0:
            return Delivery(Verdict.DELIVERED, code, f"{where}: errcode 0")
        if reply.errcode in _TOO_FAST:
            return Delivery(
                Verdict.THROTTLED,
                code,
                said,
                "DingTalk takes 20 messages a minute and then none for 10 minutes: wait, then try again",
            )
        return Delivery(Verdict.REFUSED, code, said, self._advice(reply, answer))

    def _advice(self, reply: _Reply, answer: Answer) -> str:
        if reply.errcode == 300005:
            return "the access token is unknown: the robot was removed or the token mistyped; copy it again"
        if reply.errcode != 310000:
            return "look the errcode up in DingTalk's list of global error codes"
        skew = answer.clock_skew_s
        if skew is not None and abs(skew) > _CLOCK_TOLERANCE_S:
            return f"the signature is out of date: this machine's clock is {-skew:+.0f} s off; set it"
        said = reply.errmsg.lower()
        if "keyword" in said:
            return "the text lacks the robot's keyword: set the channel's keyword option"
        if "whitelist" in said or "ip " in said:
            return "the sending address is not on the robot's list: add this host's public address there"
        if "sign" in said or "timestamp" in said:
            have = "the secret is not the robot's" if self._secret else "the channel has no secret, the robot wants one"
            return f"wrong signature: {have}; copy the value that begins with SEC, and check this machine's clock"
        return (
            "310000 stands for a wrong signature, a missing keyword or a refused address: check secret (begins "
            "with SEC), keyword and the robot's address list"
        )
