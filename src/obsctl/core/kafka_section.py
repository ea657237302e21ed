"""Kafka in the daemons' configuration files: the brokers, and the topics of lines and alerts."""

from __future__ import annotations

from typing import Annotated

import msgspec

from obsctl.core.brokers import Brokers, SecuritySection
from obsctl.core.settings import Name, Section


class Topics(Section, frozen=True, kw_only=True):
    """The topics of the lines (error logs: an alerter reads them only if a rule looks at them), and the alerters'."""

    access: Name
    error: Name
    state: Name
    silences: Name
    history: Name


class KafkaSection(Section, frozen=True, kw_only=True):
    """How Kafka is reached.

    Attributes:
        bootstrap: brokers as ``HOST:PORT``.
        security: how to connect to the brokers.
    """

    bootstrap: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    security: SecuritySection = SecuritySection()

    @property
    def brokers(self) -> Brokers:
        """The brokers, with the settings for connecting."""
        return Brokers(self.bootstrap, self.security.settings())
