"""Reading from Kafka: the client, its membership of the group, the partitions' positions, and the records."""
