"""Reading Kafka: the client, its place in the group, the partitions' positions, what comes in."""
