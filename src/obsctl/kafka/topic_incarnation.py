"""A topic from its creation to its deletion, to which offsets belong."""

from __future__ import annotations

from typing import NamedTuple


class TopicIncarnation(NamedTuple):
    """One topic of one cluster, from its creation to its deletion: one log of records.

    If a topic is deleted and created again under the same name, it is another log, whose offsets begin at 0.

    Attributes:
        cluster: the cluster's id.
        topic: the topic's name.
        topic_id: the topic's id (KIP-516); empty if the brokers do not have ids.
    """

    cluster: str
    topic: str
    topic_id: str
