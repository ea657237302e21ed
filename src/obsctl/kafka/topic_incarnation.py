"""What offsets belong to: a topic from its creation to its deletion."""

from __future__ import annotations

from typing import NamedTuple


class TopicIncarnation(NamedTuple):
    """One topic of one cluster, from its creation to its deletion: one log of records.

    A topic that is deleted and created again under the same name is another log: its offsets begin at 0 again.

    Attributes:
        cluster: the cluster's id.
        topic: the topic's name.
        topic_id: the topic's id (KIP-516), empty where the brokers know none.
    """

    cluster: str
    topic: str
    topic_id: str
