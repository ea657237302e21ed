"""What both daemons ask Kafka: partitions, topics, offsets, and how a client is set up."""
