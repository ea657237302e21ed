"""The queries of ``obsctl`` as the reading user, for ``consumer status`` and ``health``.

The tables: docs/reference/schema.md. Each query reads few rows, or the server's own information about partitions.
"""

from __future__ import annotations

from obsctl.store.mysql.day_partitions import BEYOND

VERSION = "SELECT VERSION()"
#: Seconds since a batch was stored last. A position moves with every batch, so this needs no scan of the large tables.
SECONDS_SINCE_STORED = (
    "SELECT TIMESTAMPDIFF(SECOND, MAX(updated_at), UTC_TIMESTAMP()) FROM log_source WHERE next_offset > 0"
)
#: Age (seconds) and host of the newest request of today and yesterday that is not obsctl's own, among the last 1,000.
NEWEST_TRAFFIC = (
    "SELECT TIMESTAMPDIFF(SECOND, ts, UTC_TIMESTAMP()), host FROM (SELECT ts, host, user_agent FROM access_log "
    "WHERE ts BETWEEN UTC_TIMESTAMP() - INTERVAL 1 DAY AND UTC_TIMESTAMP() + INTERVAL 1 MINUTE "
    "ORDER BY ts DESC LIMIT 1000) AS newest WHERE user_agent NOT LIKE 'obsctl%' ORDER BY ts DESC LIMIT 1"
)
QUARANTINED_LAST_DAY = "SELECT COUNT(*) FROM quarantine WHERE stored_at > UTC_TIMESTAMP() - INTERVAL 1 DAY"
#: Rows later than the prepared days, by the server's estimate.
BEYOND_ROWS = (
    "SELECT COALESCE(SUM(table_rows), 0) FROM information_schema.partitions "
    f"WHERE table_schema = DATABASE() AND partition_name = '{BEYOND}'"
)
#: Each source: id, cluster, topic, partition, topic id, position, newest event, its age and the position's (seconds).
SOURCES = (
    "SELECT source_id, cluster_id, topic, partition_id, topic_id, next_offset, newest_event, "
    "TIMESTAMPDIFF(SECOND, newest_event, UTC_TIMESTAMP()), TIMESTAMPDIFF(SECOND, updated_at, UTC_TIMESTAMP()) "
    "FROM log_source ORDER BY topic, partition_id, source_id"
)
#: By partition that lost records: topic, partition, number of offsets, time of the latest loss; over all sources with
#: the name.
LOSSES = (
    "SELECT topic, partition_id, SUM(missing_offsets), DATE_FORMAT(MAX(missing_at), '%Y-%m-%dT%H:%i:%sZ') "
    "FROM log_source WHERE missing_offsets > 0 GROUP BY topic, partition_id ORDER BY topic, partition_id"
)
#: The server's error for a missing column: its tables are those of an earlier release.
NO_SUCH_COLUMN = 1054
#: Records that were stored or quarantined so far; two queries give a rate.
RECORDS = "SELECT COALESCE(SUM(next_offset), 0) FROM log_source"
#: By reason: lines, times of the first and the last, lines of the last day, lines whose dead letter is due.
QUARANTINE_BY_REASON = (
    "SELECT reason, COUNT(*), MIN(stored_at), MAX(stored_at), "
    "COALESCE(SUM(stored_at > UTC_TIMESTAMP() - INTERVAL 1 DAY), 0), COALESCE(SUM(dead_letter = 0), 0) "
    "FROM quarantine GROUP BY reason ORDER BY reason"
)
#: By table: days after today that have a partition, and rows in the catch-all partition.
DAYS_AHEAD = (
    "SELECT table_name, DATEDIFF(STR_TO_DATE(MAX(IF(partition_name REGEXP '^p[0-9]+$', SUBSTRING(partition_name, 2), "
    f"NULL)), '%Y%m%d'), UTC_DATE()), COALESCE(SUM(IF(partition_name = '{BEYOND}', table_rows, 0)), 0) "
    "FROM information_schema.partitions WHERE table_schema = DATABASE() AND partition_name IS NOT NULL "
    "GROUP BY table_name ORDER BY table_name"
)
#: Whether a host's access line with a given time has a row, or is in quarantine; takes time and host twice.
LINE_STORED = (
    "SELECT EXISTS (SELECT 1 FROM access_log WHERE ts = %s AND host = %s) "
    "OR EXISTS (SELECT 1 FROM quarantine WHERE stored_at >= %s AND host = %s)"
)
#: Which of some requests have a row; takes their times and their URIs, or two times between which they are.
ROWS_OF_URIS = "SELECT uri FROM access_log WHERE ts IN %s AND uri IN %s"
ROWS_OF_URIS_BETWEEN = "SELECT uri FROM access_log WHERE ts BETWEEN %s AND %s AND uri IN %s"
