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
