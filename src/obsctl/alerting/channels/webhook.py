"""A generic webhook: the message as JSON, delivered when the answer is 2xx."""

from __future__ import annotations

from typing import Any

from obsctl.alerting.channels.http import check_url, masked, out_of_order, post_json, redirected
from obsctl.alerting.delivery import Delivery, Verdict
from obsctl.alerting.message import Message
from obsctl.contract import ConfigError
from obsctl.fleet.secrets import Secret

#: The body's schema, documented in docs/reference/alerting.md.
SCHEMA = "obsctl/alert/v1"


class Webhook:
    """An HTTP endpoint that takes JSON.

    Args:
        name: the channel's name in the inventory.
        url: where to post.
        token: sent as ``Authorization: Bearer``; None sends no such header.
        keyword: added as the body's ``keyword``, for receivers that route by it.
    """

    def __init__(self, name: str, url: str, token: Secret | None, keyword: str) -> None:
        check_url(url, f"alert channel {name}")
        if token is not None and not (token.reveal().isascii() and token.reveal().isprintable()):
            raise ConfigError(
                f"alert channel {name}: the token cannot be sent in a header",
                hint=f"{token.reference} must hold the token alone, in ASCII, on one line",
            )
        self.name = name
        self._url = url
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
        return {"method": "POST", "url": masked(self._url), "headers": headers, "body": self.payload(message)}

    def send(self, message: Message) -> Delivery:
        """Post the message once and judge the status."""
        where = masked(self._url)
        headers = {"Authorization": f"Bearer {self._token.reveal()}"} if self._token else {}
        answer = post_json(self._url, self.payload(message), headers)
        if isinstance(answer, Delivery):
            return answer
        code = str(answer.status)
        if 200 <= answer.status < 300:
            return Delivery(Verdict.DELIVERED, code, f"{where}: HTTP {code}")
        other = redirected(answer, where) or out_of_order(answer, where)
        if other is not None:
            return other
        hint = "check the url and what the receiver expects"
        if answer.status in (401, 403):
            hint = "the receiver does not accept the token: check the channel's token"
        return Delivery(Verdict.REFUSED, code, f"{where} refused the message with HTTP {code}", hint)
