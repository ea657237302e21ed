-- Errors by fingerprint, which the console counts from the lines: all that is here can be counted again.

-- A group of errors whose texts differ only in what is masked. first_at stays when its line has been dropped.
CREATE TABLE IF NOT EXISTS console_error (
  error_id BINARY(16) NOT NULL,
  log_table VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind VARCHAR(48) NOT NULL,
  masked VARCHAR(500) NOT NULL,
  first_at DATETIME(3) NOT NULL,
  last_at DATETIME(3) NOT NULL,
  last_line BINARY(16) NOT NULL,
  PRIMARY KEY (error_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A minute of a log is counted as a whole: its rows are replaced together.
CREATE TABLE IF NOT EXISTS console_error_minute (
  log_table VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  minute DATETIME NOT NULL,
  error_id BINARY(16) NOT NULL,
  host VARCHAR(64) NOT NULL,
  line_count BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (log_table, minute, error_id, host),
  KEY console_error_minute_group (error_id, minute)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How far back, from the newest to the oldest, the present round over a log has come, and how many have been ended.
CREATE TABLE IF NOT EXISTS console_error_round (
  log_table VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  reached DATETIME NOT NULL,
  rounds INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (log_table)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
