"""``verify logs``: what nginx writes, and how far each line gets: file, Filebeat, Kafka, database row."""
