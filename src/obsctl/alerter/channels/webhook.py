"""A generic webhook: the message as JSON, delivered when the answer is 2xx and its body does not say otherwise."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET, Resolve
from obsctl.alerter.channels.http import Answer, Endpoint, HttpOptions, masked, out_of_order, redirected
from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.alerter.message import Message
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, redact

#: The body's schema, documented in docs/reference/alerting.md.
SCHEMA = "obsctl/alert/v1"


class WebhookOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="webhook"):
    """An HTTP endpoint that takes JSON."""

    token: Annotated[str, Meta(description="Sent as Authorization: Bearer, as a reference.", extra=SECRET)] = ""

    delivered: ClassVar[str] = (
        "HTTP 200 to 299, and the body, where it is a JSON object, has no `errcode` or `code` but 0 (or the HTTP "
        "status again) and no `ok` or `success` that is false"
    )

    def open(self, resolve: Resolve) -> Webhook:
        """Read the token."""
        token = resolve(self.token) if self.token else None
        if token is not None and not (token.reveal().isascii() and token.reveal().isprintable()):
            raise ConfigError(
                f"alert channel {self.name}: the token cannot be sent in a header",
                hint=f"{token.reference} must hold the token alone, in ASCII, on one line",
            )
        return Webhook(self.endpoint(), token, self.keyword)


class Webhook:
    """An HTTP endpoint that takes JSON.

    Args:
        endpoint: where to post.
        token: sent as ``Authorization: Bearer``; None sends no such header.
        keyword: added as the body's ``keyword``, for receivers that route by it.
    """

    def __init__(self, endpoint: Endpoint, token: Secret | None, keyword: str) -> None:
        self._endpoint = endpoint
        self._token = token
        self._keyword = keyword

    def payload(self, message: Message) -> dict[str, Any]:
        """Return the body that is posted."""
        body: dict[str, Any] = {
            "schema": SCHEMA,
            "id": message.id,
            "kind": message.kind.value,
            "title": message.title,
            "text": "\n".join(message.lines),
            "facts": message.facts,
        }
        return body | ({"keyword": self._keyword} if self._keyword else {})

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do, without any secret."""
        headers = {"Authorization": "Bearer ***"} if self._token else {}
        return {"method": "POST", "url": masked(self._endpoint.url), "headers": headers, "body": self.payload(message)}

    def send(self, message: Message) -> Delivery:
        """Post the message once and judge the answer."""
        where = self._endpoint.where
        headers = {"Authorization": f"Bearer {self._token.reveal()}"} if self._token else {}
        answer = self._endpoint.post(self.payload(message), headers=headers)
        if isinstance(answer, Delivery):
            return answer
        code = str(answer.status)
        if 200 <= answer.status < 300:
            refusal = _refusal(answer)
            if refusal:
                return Delivery(
                    Verdict.REFUSED,
                    refusal,
                    f"{where} answered HTTP {code}, but its body refuses the message: {_text(answer)!r}",
                    "the receiver takes the request and refuses the message: look its code up, check url and keyword",
                )
            return Delivery(Verdict.DELIVERED, code, f"{where}: HTTP {code}")
        other = redirected(answer, where) or out_of_order(answer, where)
        if other is not None:
            return other
        hint = "check the url and what the receiver expects"
        if answer.status in (401, 403):
            hint = "the receiver does not accept the token: check the channel's token"
        return Delivery(Verdict.REFUSED, code, f"{where} refused the message with HTTP {code}", hint)


def _refusal(answer: Answer) -> str:
    """Return the code with which a body refuses what its HTTP status accepts; empty for none.

    Chat robots answer 200 whatever they think of the message: ``errcode`` (DingTalk, WeCom), ``code`` (Feishu), ``ok``
    (Slack, Telegram), ``success``. A ``code`` that repeats the HTTP status is a success.
    """
    try:
        body = decode_json(answer.body, dict[str, Any])
    except UndecodableError:
        return ""
    for name in ("errcode", "code"):
        if isinstance(value := body.get(name), int) and value not in (0, answer.status):
            return str(value)
    for name in ("ok", "success"):
        if body.get(name) is False:
            return f"{name} false"
    return ""


def _text(answer: Answer) -> str:
    return redact(answer.body.decode("utf-8", "replace"))[:200]
