-- How a client spoke to its balancer: http or https, the version of TLS and the cipher suite; '' = the line does not say.
-- Consumers of the version before go on meanwhile: they name their columns, and their rows get ''.
-- The columns come last and have defaults, so that both servers add them without touching a row (INSTANT), as in 0003.
-- Not every server has ADD COLUMN IF NOT EXISTS: as in 0002, the column itself shows whether it was added.
SET @change = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE access_log
  ADD COLUMN scheme VARCHAR(16) NOT NULL DEFAULT '''',
  ADD COLUMN ssl_protocol VARCHAR(16) NOT NULL DEFAULT '''',
  ADD COLUMN ssl_cipher VARCHAR(64) NOT NULL DEFAULT ''''')
  FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'access_log' AND column_name = 'scheme');
PREPARE change_access_log FROM @change;
EXECUTE change_access_log;
DEALLOCATE PREPARE change_access_log;
