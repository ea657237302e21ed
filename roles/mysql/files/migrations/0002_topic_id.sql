-- A topic that was deleted and made again is another source: Kafka's own id of the topic (KIP-516) becomes part of the
-- position's key. '' = not known yet; the consumer fills it in when it looks at the partition the next time.
-- Consumers of the version before go on meanwhile: they name their columns, and a new row of theirs gets ''.
-- Not every server has ADD COLUMN IF NOT EXISTS. One ALTER happens whole or not at all, so its column tells whether
-- it did.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE log_source
  ADD COLUMN topic_id VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '''' AFTER partition_id,
  DROP KEY log_source_position,
  ADD UNIQUE KEY log_source_position (cluster_id, topic, partition_id, topic_id)')
  FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'log_source' AND column_name = 'topic_id');
PREPARE change_log_source FROM @change;
EXECUTE change_log_source;
DEALLOCATE PREPARE change_log_source;
