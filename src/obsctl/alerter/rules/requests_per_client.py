"""One client sends very many requests."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.events import Event
from obsctl.alerter.rules.rule import CountingRule
from obsctl.alerter.window import Count
from obsctl.core.settings import Network


class RequestsPerClient(CountingRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="requests_per_client"):
    """At least ``threshold`` requests of one client within the window."""

    ignore_clients: Annotated[
        tuple[str, ...],
        Meta(description="Addresses or networks that are not counted (load tests, monitoring)."),
    ] = ()

    condition: ClassVar[str] = (
        "a client sent at least `threshold` requests (`obsctl verify lb` alone sends 600: see `ignore_clients`)"
    )
    one_alert_for: ClassVar[str] = "each client"

    def __post_init__(self) -> None:
        for number, text in enumerate(self.ignore_clients):
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"ignore_clients[{number}]: {error}") from None

    def key(self, event: Event) -> str | None:
        """Return the client's address."""
        return None if not event.client or _is_within(event.client, self.ignore_clients) else event.client

    def is_hit(self, event: Event) -> bool:
        """Count every request."""
        del event
        return True

    def measured(self, count: Count) -> str:
        """Return the number of requests."""
        return f"{count.hits} requests"

    @property
    def limit(self) -> str:
        """The threshold."""
        return f"{self.threshold} requests in {self.window_s} s from one client"

    def next_step(self, key: str, database: str) -> str:
        """What the client asks for."""
        return (
            f"SELECT uri, status, COUNT(*) FROM {database}.access_log WHERE ts > UTC_TIMESTAMP() - INTERVAL 10 MINUTE "
            f"AND client_addr = '{key}' GROUP BY uri, status ORDER BY 3 DESC LIMIT 10"
        )


@lru_cache(maxsize=10_000)
def _is_within(client: str, networks: tuple[str, ...]) -> bool:
    if not networks:
        return False
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in _networks(networks))


@lru_cache(maxsize=100)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)
