"""The plan of the stages for a set of rules: which labels their alerts have, and how long each must last."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from obsctl.alerter.notify import alert_filter
from obsctl.alerter.notify.options import NotifyOptions
from obsctl.alerter.notify.plan import Plan, plan
from obsctl.alerter.rules.rule import Rule


def notification_plan(options: NotifyOptions, rules: Sequence[Rule], channels: Collection[str]) -> Plan:
    """Check the section ``notifications`` for these rules and channels.

    Raises:
        InvalidValueError: an option cannot work.
    """
    labels = dict.fromkeys(field for rule in rules for field in rule.fields)
    return plan(
        options,
        channels=channels,
        labels=labels,
        for_s={rule.name: rule.for_s for rule in rules},
        read=alert_filter.reader(labels),
    )
