"""Shared by the commands that read the alerters' topics: the brokers' addresses, and hints if they do not answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import typer

from obsctl.core.brokers import Brokers
from obsctl.core.errors import ConfigError, ObsctlError

if TYPE_CHECKING:
    from obsctl.fleet.model import Fleet


class Place(NamedTuple):
    """A topic and its cluster.

    Attributes:
        bootstrap: brokers as ``HOST:PORT``.
        topic: its name.
    """

    bootstrap: Sequence[str]
    topic: str


class Topics(NamedTuple):
    """The topics of the alerters.

    Attributes:
        fleet: the inventory.
        state: where the alerters' state is.
        silences: where the silences are.
        history: where the history is.
    """

    fleet: Fleet
    state: Place
    silences: Place
    history: Place


def topics(ctx: typer.Context) -> Topics:
    """Return the topics of the inventory.

    Raises:
        ConfigError: it has no brokers, or is a fleet.json of a release that had no such topics.
    """
    from obsctl.cli.checking import load_fleet

    fleet = load_fleet(ctx)
    brokers = brokers_of(fleet)
    alerter = fleet.alerter
    names = (alerter.state_topic, alerter.silences_topic, alerter.history_topic)
    if not all(names):
        raise ConfigError(
            "the fleet document does not name the alerters' topics: an earlier release wrote it, or the "
            "inventory has no host in the group consumer",
            hint=f"{fleet.playbook('consumer')} writes /etc/obsctl/fleet.json again",
        )
    return Topics(fleet, *(Place(brokers, name) for name in names))


def brokers_of(fleet: Fleet) -> Brokers:
    """Return the addresses of the inventory's brokers.

    Raises:
        ConfigError: it has none.
    """
    brokers = fleet.brokers()
    if not brokers:
        raise ConfigError(
            "the inventory has no Kafka broker, and lines, alerts and silences are stored in Kafka",
            hint="choose another inventory with --inventory",
        )
    return brokers


@contextmanager
def asking(fleet: Fleet) -> Iterator[None]:
    """Add a hint to errors if Kafka does not answer or has no such topic."""
    from obsctl.kafka.topic_log import NotAllowedError, NotAnsweredError, TopicMissingError

    try:
        yield
    except TopicMissingError as error:
        raise ConfigError(str(error), hint=f"{fleet.playbook('kafka')} creates it") from None
    except NotAllowedError as error:
        raise ObsctlError(str(error), hint="obsctl explain KAFKA_ACL_MISSING has the rights that it needs") from None
    except NotAnsweredError as error:
        raise ObsctlError(str(error), hint="obsctl kafka status shows which brokers answer") from None
