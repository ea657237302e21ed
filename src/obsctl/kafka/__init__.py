"""Kafka for daemons and commands: partitions, topics, offsets, records, and the clients' settings."""
