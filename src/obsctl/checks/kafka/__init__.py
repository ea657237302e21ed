"""``kafka status`` and ``kafka partitions``: brokers, quorum, partitions, groups."""
