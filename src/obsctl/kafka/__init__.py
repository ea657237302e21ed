"""What daemons and commands ask Kafka: partitions, topics, offsets, records, and how a client is set up."""
