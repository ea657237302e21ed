"""The commands that a message names as the next step, ready to be typed: to look closer, and to silence.

A chat applies its markup to a message before somebody copies a command from it, so a command contains nothing that
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
    """Return the command that shows everything about an alert."""
    return f"obsctl alert why {alert.incident}"


def silence_command(alert: Alert, *, span: str = "1h", reason: str = "being worked on") -> str:
    """Return the command that silences an alert, as one line that can be pasted into a shell.

    The filter names the rule and the labels, so it also matches when the alert comes again. If one of them cannot be
    written exactly, the filter names the incident: the silence is then about this alert only.

    Args:
        alert: the alert to silence.
        span: for how long, as ``--for`` takes it.
        reason: as ``--reason`` takes it.
    """
    return _silence(silence_filter(alert), span, reason)


def silence_filter(alert: Alert) -> str:
    """Return a filter that matches the alert: by rule and labels if they can be written, otherwise by incident."""
    text = _filter({"rule": alert.rule, **alert.labels})
    return text if text and _fits(text, alert) else f"incident:{alert.incident}"


def silence_group_command(labels: Mapping[str, str], *, span: str = "1h", reason: str) -> str:
    """Return the command that silences a group of alerts by their common values; empty if no filter can express these.

    Args:
        labels: values that all alerts of the group share, by :data:`~obsctl.alerter.notify.filters.FIELDS` or label.
        span: for how long, as ``--for`` takes it.
        reason: as ``--reason`` takes it.
    """
    text = _filter(labels)
    return _silence(text, span, reason) if text and _is_read(text, labels) else ""


def exact(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels whose values a message shows unchanged: only these may be used in a command."""
    return {field: value for field, value in labels.items() if value == printable(value)}


def _silence(text: str, span: str, reason: str) -> str:
    return shlex.join(["obsctl", "alert", "silence", "add", text, "--for", span, "--reason", reason])


def _filter(labels: Mapping[str, str]) -> str:
    """Return the filter for alerts with these values; empty for no values, or if one of them cannot be written."""
    if not labels or any(not value or len(value) > LONGEST for value in labels.values()):
        return ""
    if exact(labels) != dict(labels):
        return ""
    return to_text(conjunction([Term(field, value) for field, value in labels.items()]))


def _fits(text: str, alert: Alert) -> bool:
    """Whether the filter, when parsed again, matches the alert: a value may be invalid for its field."""
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
