"""The check ``consumer status``."""

from __future__ import annotations

from obsctl.checks.check import Check
from obsctl.checks.consumer.collect import collect_consumer
from obsctl.checks.consumer.judge import describe_consumer, judge_consumer
from obsctl.checks.consumer.snapshot import ConsumerSnapshot
from obsctl.checks.consumer.tables import CONSUMER_LAYOUTS


def consumer_check() -> Check[ConsumerSnapshot]:
    """Return the check of the consumer."""
    return Check(
        "consumer status", ConsumerSnapshot, collect_consumer, judge_consumer, describe_consumer, CONSUMER_LAYOUTS
    )
