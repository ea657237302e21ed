"""The commands that a message names as the next step, ready to be typed: to look closer, and to silence.

A message goes through a chat's markup before somebody types the command in it, so a command contains nothing that
markup or a shell would change: a value that a client chose appears unchanged, or not at all.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from obsctl.alerter.alerts import Alert
from obsctl.alerter.messages.printable import LONGEST, printable
from obsctl.alerter.notify import alert_filter
from obsctl.alerter.notify.filters import FIELDS
from obsctl.core.errors import ConfigError
from obsctl.query.text import to_text
from obsctl.query.tree import Term, conjunction


def why_command(alert: Alert) -> str:
    """Return the command that shows all about an alert."""
    return f"obsctl alert why {alert.incident}"


def silence_command(alert: Alert, *, span: str = "1h", reason: str = "being worked on") -> str:
    """Return the command that silences an alert, one line that a shell takes as it stands.

    The filter names the rule and the labels, so it holds when the alert comes again as well. Where one of them cannot
    be written down exactly, it names the incident: the silence is then about this alert alone.

    Args:
        alert: which one.
        span: for how long, as ``--for`` takes it.
        reason: as ``--reason`` takes it.
    """
    return _silence(silence_filter(alert), span, reason)


def silence_filter(alert: Alert) -> str:
    """Return a filter that fits the alert: by its rule and labels where they can be written, else by its incident."""
    text = _filter({"rule": alert.rule, **alert.labels})
    return text if text and _fits(text, alert) else f"incident:{alert.incident}"


def silence_group_command(labels: Mapping[str, str], *, span: str = "1h", reason: str) -> str:
    """Return the command that silences a group of alerts, by what they have in common; empty where no filter says it.

    Args:
        labels: values that all alerts of the group share, by :data:`~obsctl.alerter.notify.filters.FIELDS` or label.
        span: for how long, as ``--for`` takes it.
        reason: as ``--reason`` takes it.
    """
    text = _filter(labels)
    return _silence(text, span, reason) if text and _is_read(text, labels) else ""


def exact(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels whose values a message shows as they are; a command that compares with others would lie."""
    return {field: value for field, value in labels.items() if value == printable(value)}


def _silence(text: str, span: str, reason: str) -> str:
    return shlex.join(["obsctl", "alert", "silence", "add", text, "--for", span, "--reason", reason])


def _filter(labels: Mapping[str, str]) -> str:
    """Return the filter of alerts with these values; empty for none, or where one of them cannot be written down."""
    if not labels or any(not value or len(value) > LONGEST for value in labels.values()):
        return ""
    if exact(labels) != dict(labels):
        return ""
    return to_text(conjunction([Term(field, value) for field, value in labels.items()]))


def _fits(text: str, alert: Alert) -> bool:
    """Whether the filter, read again, takes the alert: a value may be none that its field can have."""
    try:
        return alert_filter.reader(alert.labels)(text)(alert)
    except ConfigError:
        return False


def _is_read(text: str, labels: Mapping[str, str]) -> bool:
    try:
        alert_filter.reader(field for field in labels if field not in FIELDS)(text)
    except ConfigError:
        return False
    return True
