"""What ``obsctl`` asks of the tables, as the reading user: every query of ``consumer status`` and ``health``.

The tables: docs/reference/schema.md. Each query reads few rows, or what the server itself knows of the partitions.
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
#: Rows from beyond the days prepared, as the server estimates them.
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
#: By partition that lost records: topic, partition, offsets, when the latest were missed. All sources of a name count.
LOSSES = (
    "SELECT topic, partition_id, SUM(missing_offsets), DATE_FORMAT(MAX(missing_at), '%Y-%m-%dT%H:%i:%sZ') "
    "FROM log_source WHERE missing_offsets > 0 GROUP BY topic, partition_id ORDER BY topic, partition_id"
)
#: What a server says of a column that it does not have: its tables are those of an earlier release.
NO_SUCH_COLUMN = 1054
#: Records that were stored or quarantined so far; two looks make a rate.
RECORDS = "SELECT COALESCE(SUM(next_offset), 0) FROM log_source"
#: By reason: lines, first and last of them, those of the last day, those whose dead letter is due.
QUARANTINE_BY_REASON = (
    "SELECT reason, COUNT(*), MIN(stored_at), MAX(stored_at), "
    "COALESCE(SUM(stored_at > UTC_TIMESTAMP() - INTERVAL 1 DAY), 0), COALESCE(SUM(dead_letter = 0), 0) "
    "FROM quarantine GROUP BY reason ORDER BY reason"
)
#: By table: days beyond today that have a partition, and rows in the catch-all.
DAYS_AHEAD = (
    "SELECT table_name, DATEDIFF(STR_TO_DATE(MAX(IF(partition_name REGEXP '^p[0-9]+$', SUBSTRING(partition_name, 2), "
    f"NULL)), '%Y%m%d'), UTC_DATE()), COALESCE(SUM(IF(partition_name = '{BEYOND}', table_rows, 0)), 0) "
    "FROM information_schema.partitions WHERE table_schema = DATABASE() AND partition_name IS NOT NULL "
    "GROUP BY table_name ORDER BY table_name"
)
#: Whether a host's access line of a moment has its row, or is in quarantine; takes the moment and the host twice.
LINE_STORED = (
    "SELECT EXISTS (SELECT 1 FROM access_log WHERE ts = %s AND host = %s) "
    "OR EXISTS (SELECT 1 FROM quarantine WHERE stored_at >= %s AND host = %s)"
)
#: Which of some requests have a row; takes their moments and their URIs, or two moments between which they lie.
ROWS_OF_URIS = "SELECT uri FROM access_log WHERE ts IN %s AND uri IN %s"
ROWS_OF_URIS_BETWEEN = "SELECT uri FROM access_log WHERE ts BETWEEN %s AND %s AND uri IN %s"
