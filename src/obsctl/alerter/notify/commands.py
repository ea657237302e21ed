"""The commands that a message names as the next step, ready to be typed: to look closer, and to silence."""

from __future__ import annotations

import shlex

from obsctl.alerter.alerts import Alert
from obsctl.alerter.notify import alert_filter
from obsctl.core.errors import ConfigError
from obsctl.query.text import to_text
from obsctl.query.tree import Node, Term, conjunction

#: Characters of a filter that a person still reads before typing it.
_LONGEST = 300
#: What ends or begins code in a chat's markup, so that a command there would not be the one that is typed.
_MARKUP = "`"


def why_command(alert: Alert) -> str:
    """Return the command that shows all about an alert."""
    return f"obsctl alert why {shlex.quote(alert.incident)}"


def silence_command(alert: Alert, *, span: str = "1h", reason: str = "being worked on") -> str:
    """Return the command that silences an alert: one line that a shell takes as it stands.

    The filter names the rule and the labels, so it holds when the alert comes again as well. Where a label's value
    cannot stand in a line (control characters, a backtick) or is too long for one, the filter names the incident: it is
    then about this alert alone.

    Args:
        alert: which one.
        span: for how long, as ``--for`` takes it.
        reason: as ``--reason`` takes it.
    """
    words = ["obsctl", "alert", "silence", "add", silence_filter(alert), "--for", span, "--reason", reason]
    return shlex.join(words)


def silence_filter(alert: Alert) -> str:
    """Return a filter that fits the alert: by its rule and labels where they can be written, else by its incident."""
    parts: list[Node] = [Term("rule", alert.rule), *(Term(label, value) for label, value in alert.labels.items())]
    text = to_text(conjunction(parts))
    writable = text.isprintable() and not any(mark in text for mark in _MARKUP) and len(text) <= _LONGEST
    return text if writable and _fits(text, alert) else to_text(Term("incident", alert.incident))


def _fits(text: str, alert: Alert) -> bool:
    """Whether the filter, read again, takes the alert: a value may be none that its field can have."""
    try:
        return alert_filter.reader(alert.labels)(text)(alert)
    except ConfigError:
        return False
