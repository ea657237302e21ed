"""The metrics of the consumer's and the alerter's pages, by their full names.

``python -m tests.contract.alerter.test_metric_names`` writes them from the pages.
"""

from __future__ import annotations

from obsctl.alerter.windows.observation import UP

#: How all of our metrics' names begin.
PREFIX = "obsctl_"
OURS = frozenset(
    {
        "obsctl_alerter_active",
        "obsctl_alerter_alerts_firing",
        "obsctl_alerter_alerts_held_back_total",
        "obsctl_alerter_batches_total",
        "obsctl_alerter_behind_seconds",
        "obsctl_alerter_certificate_days",
        "obsctl_alerter_channel_failures_in_a_row",
        "obsctl_alerter_channel_unable_seconds",
        "obsctl_alerter_dead_letters",
        "obsctl_alerter_deliveries_total",
        "obsctl_alerter_disk_free_share",
        "obsctl_alerter_events_counted_total",
        "obsctl_alerter_events_skipped_total",
        "obsctl_alerter_heartbeat_age_seconds",
        "obsctl_alerter_heartbeats_total",
        "obsctl_alerter_history_lost_total",
        "obsctl_alerter_keys",
        "obsctl_alerter_keys_evicted_total",
        "obsctl_alerter_lag_records",
        "obsctl_alerter_outbox_oldest_seconds",
        "obsctl_alerter_outbox_waiting",
        "obsctl_alerter_source_up",
        "obsctl_alerter_up",
        "obsctl_consumer_assembly_seconds_bucket",
        "obsctl_consumer_assembly_seconds_count",
        "obsctl_consumer_assembly_seconds_sum",
        "obsctl_consumer_batch_records_bucket",
        "obsctl_consumer_batch_records_count",
        "obsctl_consumer_batch_records_sum",
        "obsctl_consumer_behind_seconds",
        "obsctl_consumer_beyond_rows",
        "obsctl_consumer_commit_seconds_bucket",
        "obsctl_consumer_commit_seconds_count",
        "obsctl_consumer_commit_seconds_sum",
        "obsctl_consumer_database_up",
        "obsctl_consumer_dead_letters_total",
        "obsctl_consumer_fenced_total",
        "obsctl_consumer_lag",
        "obsctl_consumer_last_commit_timestamp_seconds",
        "obsctl_consumer_last_row_age_seconds",
        "obsctl_consumer_lines_per_second",
        "obsctl_consumer_lines_total",
        "obsctl_consumer_missing_offsets_total",
        "obsctl_consumer_native_faults_total",
        "obsctl_consumer_native_records_total",
        "obsctl_consumer_quarantined_total",
        "obsctl_consumer_stuck_restarts_total",
        "obsctl_consumer_transactions_total",
        "obsctl_consumer_troubles",
        "obsctl_consumer_uptime_seconds",
        "obsctl_consumer_worker_cpu_seconds_total",
        "obsctl_consumer_worker_restarts_total",
        "obsctl_consumer_worker_up",
    }
)


def is_known(name: str) -> bool:
    """Whether a number of that name is one of ours."""
    return name == UP or name in OURS
