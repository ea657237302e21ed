"""What all rules share: whom an event concerns, whether it counts, and when a window's count is a condition.

A rule keeps nothing and knows no clock; :mod:`obsctl.alerter.engine` holds the windows and asks it.
"""

from __future__ import annotations

import enum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from obsctl.alerter.events import Event
from obsctl.alerter.window import Count

#: The key of rules that look at the whole fleet.
FLEET = "fleet"
#: The longest window; all its seconds are kept for each client.
LONGEST_WINDOW_S = 3600


class Level(enum.StrEnum):
    """How bad a rule's condition is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all rules share; the fields are the options of alerter.yml."""

    name: Annotated[str, Meta(min_length=1, description="Name of the rule, part of every message; unique.")]
    severity: Annotated[Level, Meta(description="How bad it is; part of every message.")] = Level.WARNING
    window_s: Annotated[
        int, Meta(ge=1, le=LONGEST_WINDOW_S, description="Length of the sliding window, 1 to 3600 seconds.")
    ] = 60
    resolve_after_s: Annotated[
        int, Meta(ge=1, description="The condition has ended when it was false for so long (seconds).")
    ] = 30

    #: What the option that names the kind means: the documentation.
    tag_text: ClassVar[str] = "What is counted, and when that is a condition."
    #: When it holds, in one sentence: the documentation.
    condition: ClassVar[str] = ""
    #: Whom one alert is about: the documentation.
    one_alert_for: ClassVar[str] = "the fleet"

    @property
    def kind(self) -> str:
        """The rule's ``kind`` in alerter.yml."""
        return str(self.__struct_config__.tag)

    @property
    def id(self) -> str:
        """The rule's name in the state: counts of another kind under the same name are not its own."""
        return f"{self.kind}:{self.name}"

    def key(self, event: Event) -> str | None:
        """Return whom the event concerns (one alert a key), or None when the rule does not look at it."""
        del event
        return FLEET

    def is_hit(self, event: Event) -> bool:
        """Whether the event is one of those that the rule is about."""
        raise NotImplementedError

    def holds(self, count: Count) -> bool:
        """Whether a window with this count fulfils the condition."""
        raise NotImplementedError

    def possible(self, kept: Count) -> bool:
        """Whether any window within these counts could hold; a cheap no saves the sums."""
        raise NotImplementedError

    def worse(self, one: Count, other: Count) -> bool:
        """Whether the first count is further beyond the threshold than the second."""
        raise NotImplementedError

    def measured(self, count: Count) -> str:
        """Return the count in words, such as ``200 requests``."""
        raise NotImplementedError

    @property
    def limit(self) -> str:
        """The threshold in words."""
        raise NotImplementedError

    def next_step(self, key: str, database: str) -> str:
        """Return what a person runs after a message.

        Args:
            key: whom the alert is about, printable.
            database: name of the database that holds the lines.
        """
        raise NotImplementedError


class CountingRule(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A window holds at least ``threshold`` hits."""

    threshold: Annotated[int, Meta(ge=1, description="Hits in one window that fulfil the condition.")]

    def holds(self, count: Count) -> bool:
        """At least ``threshold`` hits."""
        return count.hits >= self.threshold

    def possible(self, kept: Count) -> bool:
        """A window never holds more than all windows together."""
        return kept.hits >= self.threshold

    def worse(self, one: Count, other: Count) -> bool:
        """More hits are worse."""
        return one.hits > other.hits
