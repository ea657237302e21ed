"""A generic webhook: the message as JSON, signed if there is a secret, delivered when the answer says so."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

from obsctl.alerter.channels.channel import SECRET, Resolve, document
from obsctl.alerter.channels.http import Answer, Endpoint, HttpOptions, out_of_order, redirected
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.web_address import masked
from obsctl.alerter.messages.message import Message
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, redact

TIMESTAMP_HEADER = "X-Obsctl-Timestamp"
SIGNATURE_HEADER = "X-Obsctl-Signature"
#: Values of the fields ``status``, ``state``, ``result`` and ``error`` with which receivers refuse a message.
_BAD_STATES = frozenset({"error", "fail", "failed", "failure", "ko", "rejected", "denied"})


class Success(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the receiver's answer contains when it has accepted the message."""

    field: Annotated[str, Meta(min_length=1, description="Field of the JSON object; dots lead into objects in it.")]
    value: Annotated[int | str | bool, Meta(description='Its value when the message was accepted; 0 is not "0".')]

    def __str__(self) -> str:
        return f"{self.field} = {msgspec.json.encode(self.value).decode()}"


def sign(secret: str, seconds: int, body: bytes) -> str:
    """Return the signature header's value: HMAC-SHA256 with the secret over ``{seconds}.{body}``, in hex."""
    return "sha256=" + hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


class WebhookOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="webhook"):
    """An HTTP endpoint that takes JSON."""

    token: Annotated[str, Meta(description="Sent as Authorization: Bearer, as a reference.", extra=SECRET)] = ""
    secret: Annotated[
        str,
        Meta(
            description="Signs each message: X-Obsctl-Signature over X-Obsctl-Timestamp and the body, as a reference.",
            extra=SECRET,
        ),
    ] = ""
    success: Annotated[
        Success | None,
        Meta(description="What an HTTP 200 to 299 answer says when the message was accepted, instead of the default."),
    ] = None

    delivered: ClassVar[str] = (
        "HTTP 200 to 299, and a JSON object whose `success.field` is `success.value`; without `success` any body but "
        "an HTML page and a JSON object that refuses (`errcode` or `code` other than 0 or the HTTP status, `ok` or "
        "`success` false, an `error`, a `status` such as `error` or `failed`)"
    )

    def open(self, resolve: Resolve) -> Webhook:
        """Read the token and the secret."""
        token = resolve(self.token) if self.token else None
        if token is not None and not (token.reveal().isascii() and token.reveal().isprintable()):
            raise ConfigError(
                f"alert channel {self.name}: the token cannot be sent in a header",
                hint=f"{token.reference} must contain only the token, in ASCII, on one line",
            )
        return Webhook(self, self.endpoint(), token, resolve(self.secret) if self.secret else None)


class Webhook:
    """An HTTP endpoint that takes JSON.

    Args:
        options: the channel's.
        endpoint: where to post.
        token: sent as ``Authorization: Bearer``; None sends no such header.
        secret: signs the body; None leaves it unsigned.
    """

    def __init__(
        self, options: WebhookOptions, endpoint: Endpoint, token: Secret | None, secret: Secret | None
    ) -> None:
        self._options = options
        self._endpoint = endpoint
        self._token = token
        self._secret = secret

    def payload(self, message: Message) -> dict[str, Any]:
        """Return the body that is posted."""
        return document(message, self._options.keyword)

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do, without any secret."""
        headers = {"Authorization": "Bearer ***"} if self._token else {}
        headers |= {TIMESTAMP_HEADER: "***", SIGNATURE_HEADER: "***"} if self._secret else {}
        return {"method": "POST", "url": masked(self._endpoint.url), "headers": headers, "body": self.payload(message)}

    def send(self, message: Message) -> Delivery:
        """Post the message once and judge the answer."""
        where = self._endpoint.where
        body = msgspec.json.encode(self.payload(message))
        answer = self._endpoint.post(body, headers=self._headers(body))
        if isinstance(answer, Delivery):
            return answer
        code = str(answer.status)
        if 200 <= answer.status < 300:
            return self._judge(answer, where)
        other = redirected(answer, where) or out_of_order(answer, where)
        if other is not None:
            return other
        hint = "check the url and what the receiver expects"
        if answer.status in (401, 403):
            hint = "the receiver does not accept the token or the signature: check the channel's token and secret"
        return Delivery(Verdict.REFUSED, code, f"{where} refused the message with HTTP {code}", hint)

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._token.reveal()}"} if self._token else {}
        if self._secret is not None:
            now = int(time.time())
            headers[TIMESTAMP_HEADER] = str(now)
            headers[SIGNATURE_HEADER] = sign(self._secret.reveal(), now, body)
        return headers

    def _judge(self, answer: Answer, where: str) -> Delivery:
        code = str(answer.status)
        if answer.html:
            return Delivery(
                Verdict.REFUSED,
                code,
                f"{where} answered HTTP {code} with an HTML page, which is not how an alert receiver answers",
                "check the url: a login portal, a proxy or a website answered instead of the receiver",
            )
        if (wanted := self._options.success) is not None:
            found = _value(answer, wanted.field)
            # In Python 1 is True; in JSON it is not.
            if found == wanted.value and isinstance(found, bool) is isinstance(wanted.value, bool):
                return Delivery(Verdict.DELIVERED, code, f"{where}: HTTP {code}, {wanted}")
            shown = redact(str(found))[:80]
            return Delivery(
                Verdict.REFUSED,
                code if found is None else shown,
                f"{where} answered HTTP {code}, but not with {wanted}: {_text(answer)!r}",
                "the receiver rejects the message: look up its code; or the option success does not match its answer",
            )
        refusal = _refusal(answer)
        if refusal:
            return Delivery(
                Verdict.REFUSED,
                refusal,
                f"{where} answered HTTP {code}, but its body refuses the message: {_text(answer)!r}",
                "the receiver accepts the request but rejects the message: look up its code, check url and keyword; "
                "if this is how it answers to an accepted message, describe that with the option success",
            )
        return Delivery(Verdict.DELIVERED, code, f"{where}: HTTP {code}")


def _value(answer: Answer, field: str) -> Any:
    """Return the value of a field, None where there is none."""
    try:
        found: Any = decode_json(answer.body, Any)
    except UndecodableError:
        return None
    for part in field.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _refusal(answer: Answer) -> str:
    """Return the code with which a body refuses the message although the HTTP status is a success; empty for none.

    Chat robots answer 200 even if they refuse the message: ``errcode`` (DingTalk, WeCom), ``code`` (Feishu), ``ok``
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
    for name in ("status", "state", "result"):
        if isinstance(value := body.get(name), str) and value.lower() in _BAD_STATES:
            return redact(f"{name} {value}")[:80]
    for name in ("error", "errors"):
        if value := body.get(name):
            return redact(f"{name} {value}" if isinstance(value, str) else name)[:80]
    return ""


def _text(answer: Answer) -> str:
    return redact(answer.body.decode("utf-8", "replace"))[:200]
