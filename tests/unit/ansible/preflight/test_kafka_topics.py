"""Names of topics that Kafka's metrics cannot distinguish."""

from __future__ import annotations

import pytest
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import kafka_topics

from tests.unit.ansible.preflight.fleets import fleet


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["a.b", "a_b"], 1),
        (["a.b_c", "a_b.c", "a.b.c"], 2),
        (["a.b", "a-b", "ab", "a.c"], 0),
        (["a.b", "a.b"], 0),
    ],
)
def test_topics_that_collide_in_kafkas_metrics(names, pairs):
    topics = [{"name": name, "partitions": 1} for name in names]
    found = kafka_topics.topics(fleet({"node1": {"kafka_topics": topics}}, {"kafka": ["node1"]}))
    assert sum("metrics" in problem.problem for problem in found) == pairs
