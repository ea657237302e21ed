-- Names of the fields of a line that were longer than their columns, or cut in the log, separated by commas; '' = none.
-- Consumers of the version before go on meanwhile: they name their columns, and their rows get ''.
-- The column comes last and has a default, so that both servers add it without touching a row (INSTANT), however many a
-- partition holds. The algorithm is not named: a server that cannot do it so (MySQL after 64 such changes of a table)
-- rebuilds the table instead of refusing.
-- Not every server has ADD COLUMN IF NOT EXISTS: as in 0002, the column itself shows whether it was added.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE access_log
  ADD COLUMN cut_fields VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''''')
  FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'access_log' AND column_name = 'cut_fields');
PREPARE change_access_log FROM @change;
EXECUTE change_access_log;
DEALLOCATE PREPARE change_access_log;
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE error_log
  ADD COLUMN cut_fields VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''''')
  FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'error_log' AND column_name = 'cut_fields');
PREPARE change_error_log FROM @change;
EXECUTE change_error_log;
DEALLOCATE PREPARE change_error_log;
