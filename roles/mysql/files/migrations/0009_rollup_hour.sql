-- The roll-ups of whole hours: weeks of minutes are too many rows for a page. Its columns are those of rollup_minute.
CREATE TABLE IF NOT EXISTS rollup_hour (
  hour DATETIME NOT NULL,
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
  PRIMARY KEY (hour, source_id, host, route_class, status_class)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
PARTITION BY RANGE COLUMNS (hour) (
  PARTITION p_old VALUES LESS THAN ('2000-01-01'),
  PARTITION p_max VALUES LESS THAN (MAXVALUE)
);

-- Fills it from the minutes. It may be repeated at any time, also beside consumers: at this isolation the SELECT locks
-- the minutes that it has read, and a consumer writes an hour only behind its minutes.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
REPLACE INTO rollup_hour
SELECT DATE_FORMAT(minute, '%Y-%m-%d %H:00:00'), source_id, host, route_class, status_class, SUM(requests), SUM(bytes),
  SUM(lat_5), SUM(lat_10), SUM(lat_25), SUM(lat_50), SUM(lat_100), SUM(lat_250), SUM(lat_500), SUM(lat_1000),
  SUM(lat_2500), SUM(lat_5000), SUM(lat_10000), SUM(lat_more), MAX(stored_at)
FROM rollup_minute GROUP BY 1, 2, 3, 4, 5;
