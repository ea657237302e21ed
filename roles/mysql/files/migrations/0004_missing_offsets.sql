-- What the broker had deleted before it was stored, beside the position that passed over it: offsets since this table was
-- made, and when the consumer came upon the latest of them. A loss outlives the consumer's process.
-- Consumers of the version before go on meanwhile: they name their columns, and count such offsets in their process only.
-- Not every server has ADD COLUMN IF NOT EXISTS: as in 0002, the column itself shows whether it was added.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE log_source
  ADD COLUMN missing_offsets BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN missing_at DATETIME(3) NULL')
  FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'log_source' AND column_name = 'missing_offsets');
PREPARE change_log_source FROM @change;
EXECUTE change_log_source;
DEALLOCATE PREPARE change_log_source;
