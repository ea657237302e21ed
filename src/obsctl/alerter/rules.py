"""The rules: each says whom an event concerns, whether it counts, and when a window's count is a condition.

A rule keeps nothing and knows no clock; :mod:`obsctl.alerter.engine` holds the windows and asks it.
"""

from __future__ import annotations

import ipaddress
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

from obsctl.alerter.events import Event
from obsctl.alerter.window import Count
from obsctl.core.report import Severity
from obsctl.core.settings import Network

#: The key of rules that look at the whole fleet.
FLEET = "fleet"


@dataclass(frozen=True)
class Rule(ABC):
    """What all rules share.

    Attributes:
        name: as written in alerter.yml; part of every message.
        severity: given to the messages.
        window_s: length of the sliding window, seconds of event time.
        resolve_after_s: how long the condition must have been false before it counts as ended, seconds.
    """

    name: str
    severity: Severity
    window_s: int
    resolve_after_s: int

    #: The rule's ``kind`` in alerter.yml.
    kind = ""

    @property
    def id(self) -> str:
        """The rule's name in the state: counts of another kind under the same name are not its own."""
        return f"{self.kind}:{self.name}"

    def key(self, event: Event) -> str | None:
        """Return whom the event concerns (one alert a key), or None when the rule does not look at it."""
        del event
        return FLEET

    @abstractmethod
    def is_hit(self, event: Event) -> bool:
        """Whether the event is one of those that the rule is about."""

    @abstractmethod
    def holds(self, count: Count) -> bool:
        """Whether a window with this count fulfils the condition."""

    @abstractmethod
    def possible(self, kept: Count) -> bool:
        """Whether any window within these counts could hold; a cheap no saves the sums."""

    @abstractmethod
    def worse(self, one: Count, other: Count) -> bool:
        """Whether the first count is further beyond the threshold than the second."""

    @abstractmethod
    def measured(self, count: Count) -> str:
        """Return the count in words, such as ``200 requests``."""

    @property
    @abstractmethod
    def limit(self) -> str:
        """The threshold in words."""

    @property
    @abstractmethod
    def next_step(self) -> str:
        """What a person runs after a message; ``{key}`` stands for the key."""


@dataclass(frozen=True)
class _Counting(Rule):
    """A window holds at least ``threshold`` hits."""

    threshold: int

    def holds(self, count: Count) -> bool:
        """At least ``threshold`` hits."""
        return count.hits >= self.threshold

    def possible(self, kept: Count) -> bool:
        """A window never holds more than all windows together."""
        return kept.hits >= self.threshold

    def worse(self, one: Count, other: Count) -> bool:
        """More hits are worse."""
        return one.hits > other.hits


@dataclass(frozen=True)
class RequestsPerClient(_Counting):
    """One client sends at least ``threshold`` requests within the window.

    Attributes:
        threshold: requests.
        ignored: networks whose clients may send as much as they like (load tests, monitoring).
    """

    ignored: tuple[Network, ...] = ()

    kind = "requests_per_client"

    def key(self, event: Event) -> str | None:
        """Return the client's address."""
        return None if not event.client or _is_within(event.client, self.ignored) else event.client

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

    @property
    def next_step(self) -> str:
        """What the client asks for."""
        return (
            "SELECT uri, status, COUNT(*) FROM obs.access_log WHERE ts > UTC_TIMESTAMP() - INTERVAL 10 MINUTE "
            "AND client_addr = '{key}' GROUP BY uri, status ORDER BY 3 DESC LIMIT 10"
        )


@dataclass(frozen=True)
class Status4xx(_Counting):
    """The fleet answers at least ``threshold`` requests with 4xx within the window."""

    kind = "status_4xx"

    def is_hit(self, event: Event) -> bool:
        """Count statuses 400 to 499."""
        return 400 <= event.status < 500

    def key(self, event: Event) -> str | None:
        """Return the fleet for a hit; other requests do not matter here."""
        return FLEET if self.is_hit(event) else None

    def measured(self, count: Count) -> str:
        """Return the number of answers."""
        return f"{count.hits} answers with 4xx"

    @property
    def limit(self) -> str:
        """The threshold."""
        return f"{self.threshold} answers with 4xx in {self.window_s} s"

    @property
    def next_step(self) -> str:
        """Who gets them and for what."""
        return (
            "SELECT client_addr, uri, status, COUNT(*) FROM obs.access_log WHERE ts > UTC_TIMESTAMP() - "
            "INTERVAL 10 MINUTE AND status BETWEEN 400 AND 499 GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT 10"
        )


@dataclass(frozen=True)
class Status5xxShare(Rule):
    """At least the ``share`` of the fleet's answers are 5xx, of at least ``min_requests`` in the window."""

    share: float
    min_requests: int

    kind = "status_5xx_share"

    def is_hit(self, event: Event) -> bool:
        """Count statuses 500 to 599."""
        return 500 <= event.status < 600

    def holds(self, count: Count) -> bool:
        """Enough requests to speak of a share, at least one 5xx, and the share reached."""
        return (
            count.total >= self.min_requests
            and count.hits > 0
            and count.hits >= self.share * count.total - 1e-9  # 0.05 * 100 is a little above 5 in binary
        )

    def possible(self, kept: Count) -> bool:
        """A part can have a greater share than the whole, but not more requests."""
        return kept.total >= self.min_requests and kept.hits > 0

    def worse(self, one: Count, other: Count) -> bool:
        """A greater share is worse."""
        return one.hits * other.total > other.hits * one.total

    def measured(self, count: Count) -> str:
        """Return the share with its sample."""
        share = 100 * count.hits / count.total if count.total else 0.0
        return f"{share:.1f} % of answers with 5xx ({count.hits} of {count.total})"

    @property
    def limit(self) -> str:
        """The threshold and the sample."""
        return f"{100 * self.share:g} % in {self.window_s} s, of at least {self.min_requests} requests"

    @property
    def next_step(self) -> str:
        """Ask the layers in front of and behind the answers."""
        return "obsctl health; obsctl verify lb"


@lru_cache(maxsize=10_000)
def _is_within(client: str, networks: tuple[Network, ...]) -> bool:
    if not networks:
        return False
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in networks)
