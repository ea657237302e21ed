"""One client sends very many requests."""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Annotated, ClassVar

from msgspec import Meta

from obsctl.alerter.rules.rule import CountingRule, Counts, Lines, Log, lines_counter, search_command
from obsctl.core.config_file import InvalidValueError
from obsctl.core.settings import Network


class RequestsPerClient(CountingRule, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="requests_per_client"):
    """At least ``threshold`` requests of one client within the window."""

    ignore_clients: Annotated[
        tuple[str, ...],
        Meta(description="Addresses or networks that are not counted (load tests, monitoring)."),
    ] = ()

    condition: ClassVar[str] = "a client sent at least `threshold` requests"
    one_alert_for: ClassVar[str] = "each client"

    def faults(self) -> Iterator[InvalidValueError]:
        """Entries of ``ignore`` that are neither an address nor a network."""
        for number, text in enumerate(self.ignore_clients):
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                yield InvalidValueError(f"ignore_clients[{number}]", str(error))

    @property
    def fields(self) -> tuple[str, ...]:
        """The client's address."""
        return ("client_addr",)

    @property
    def reads(self) -> frozenset[str]:
        """The client's address."""
        return frozenset(self.fields)

    def ignores(self, client: str) -> bool:
        """Whether the requests of an address are not counted."""
        return _is_within(client, tuple(ipaddress.ip_network(text) for text in self.ignore_clients))

    def counter(self) -> Callable[[Lines], Counts]:
        """Count every request of a client that is not ignored."""
        networks = tuple(ipaddress.ip_network(text) for text in self.ignore_clients)

        ignored = lru_cache(maxsize=10_000)(partial(_is_within, networks=networks))
        of_all = lines_counter(operator.attrgetter("client_addr"), None)

        def count(lines: Lines) -> Counts:
            counts = of_all(lines)
            # For each client and second only one line is checked.
            return {
                place: number for place, number in counts.items() if place[0] and not (networks and ignored(place[0]))
            }

        return count

    def next_step(self, labels: Mapping[str, str]) -> str:
        """Search for what the client requests."""
        return search_command(Log.ACCESS, self.window_s, labels)


def _is_within(client: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in networks)
