-- The tables of the log store. Valid on MySQL 8.0, 8.4, 9 and on MariaDB 10.11: docs/reference/schema.md.
-- Every statement ends with a semicolon at the end of its line; the names are unqualified, the session chooses the
-- database. DDL commits by itself, so each statement can be repeated after a crash half way. The consumer makes the
-- day partitions itself, at its start and ahead.

-- One row for each partition of each topic: how far it is stored. The fence of every transaction.
CREATE TABLE IF NOT EXISTS log_source (
  source_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  cluster_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  topic VARCHAR(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  partition_id INT UNSIGNED NOT NULL,
  next_offset BIGINT UNSIGNED NOT NULL DEFAULT 0,
  newest_event DATETIME(3) NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (source_id),
  UNIQUE KEY log_source_position (cluster_id, topic, partition_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The time leads the key: lines arrive nearly in its order, so inserts stay at the end of the tree however large a day
-- grows, and a window of time is one range scan. Its UTC day chooses the partition.
CREATE TABLE IF NOT EXISTS access_log (
  ts DATETIME(3) NOT NULL,
  line_id BINARY(16) NOT NULL,
  source_id INT UNSIGNED NOT NULL,
  kafka_offset BIGINT UNSIGNED NOT NULL,
  log_format VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host VARCHAR(64) NOT NULL,
  client_addr VARCHAR(255) NOT NULL,
  proxy_addr VARCHAR(255) NOT NULL DEFAULT '',
  remote_user VARCHAR(255) NOT NULL DEFAULT '',
  method VARCHAR(32) NOT NULL DEFAULT '',
  uri TEXT NOT NULL,
  protocol VARCHAR(16) NOT NULL DEFAULT '',
  status SMALLINT UNSIGNED NOT NULL,
  bytes BIGINT UNSIGNED NOT NULL,
  referer TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  vhost VARCHAR(255) NOT NULL DEFAULT '',
  request_id VARCHAR(64) NOT NULL DEFAULT '',
  client_request_id VARCHAR(255) NOT NULL DEFAULT '',
  request_length BIGINT UNSIGNED NULL,
  request_time DECIMAL(13,3) NULL,
  upstream_addr VARCHAR(1024) NOT NULL DEFAULT '',
  upstream_status VARCHAR(255) NOT NULL DEFAULT '',
  upstream_response_time VARCHAR(255) NOT NULL DEFAULT '',
  upstream_connect_time VARCHAR(255) NOT NULL DEFAULT '',
  x_forwarded_for TEXT NOT NULL,
  stored_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (ts, line_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
PARTITION BY RANGE COLUMNS (ts) (
  PARTITION p_old VALUES LESS THAN ('2000-01-01'),
  PARTITION p_max VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE IF NOT EXISTS error_log (
  ts DATETIME(3) NOT NULL,
  line_id BINARY(16) NOT NULL,
  source_id INT UNSIGNED NOT NULL,
  kafka_offset BIGINT UNSIGNED NOT NULL,
  log_format VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host VARCHAR(64) NOT NULL,
  level VARCHAR(16) NOT NULL,
  pid BIGINT UNSIGNED NOT NULL,
  tid BIGINT UNSIGNED NOT NULL,
  connection_id BIGINT UNSIGNED NULL,
  message MEDIUMTEXT NOT NULL,
  client_addr VARCHAR(255) NOT NULL DEFAULT '',
  server_name VARCHAR(255) NOT NULL DEFAULT '',
  request TEXT NOT NULL,
  upstream TEXT NOT NULL,
  vhost VARCHAR(255) NOT NULL DEFAULT '',
  referer TEXT NOT NULL,
  stored_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (ts, line_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
PARTITION BY RANGE COLUMNS (ts) (
  PARTITION p_old VALUES LESS THAN ('2000-01-01'),
  PARTITION p_max VALUES LESS THAN (MAXVALUE)
);

-- What could not become a row of a table, as Kafka held it; its row here is the record.
-- dead_letter: NULL = none is due, 0 = a copy for the dead letter topic is due, 1 = the broker has it.
CREATE TABLE IF NOT EXISTS quarantine (
  line_id BINARY(16) NOT NULL,
  source_id INT UNSIGNED NOT NULL,
  kafka_offset BIGINT UNSIGNED NOT NULL,
  log_format VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
  host VARCHAR(255) NOT NULL DEFAULT '',
  reason VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  detail VARCHAR(1024) NOT NULL DEFAULT '',
  value LONGBLOB NULL,
  value_bytes BIGINT UNSIGNED NULL,
  revision CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  dead_letter TINYINT UNSIGNED NULL,
  stored_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (line_id),
  KEY quarantine_reason (reason, stored_at),
  KEY quarantine_revision (revision),
  KEY quarantine_dead_letter (dead_letter, stored_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- source_id is part of the key, so that no two consumers lock one row; readers sum over it.
-- lat_N counts requests that took at most N milliseconds and more than the bucket before; untimed ones are in none.
CREATE TABLE IF NOT EXISTS rollup_minute (
  minute DATETIME NOT NULL,
  source_id INT UNSIGNED NOT NULL,
  host VARCHAR(64) NOT NULL,
  route_class VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  status_class TINYINT UNSIGNED NOT NULL,
  requests BIGINT UNSIGNED NOT NULL,
  bytes BIGINT UNSIGNED NOT NULL,
  lat_5 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_10 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_25 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_50 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_100 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_250 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_500 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_1000 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_2500 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_5000 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_10000 BIGINT UNSIGNED NOT NULL DEFAULT 0,
  lat_more BIGINT UNSIGNED NOT NULL DEFAULT 0,
  stored_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (minute, source_id, host, route_class, status_class)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
PARTITION BY RANGE COLUMNS (minute) (
  PARTITION p_old VALUES LESS THAN ('2000-01-01'),
  PARTITION p_max VALUES LESS THAN (MAXVALUE)
);
