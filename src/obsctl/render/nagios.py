"""The one line of a monitoring plugin, with performance data (Monitoring Plugins guidelines)."""

from __future__ import annotations

import math

from obsctl.core.report import Report, Status
from obsctl.render.plain import label, plain

_WORDS = {
    Status.OK: "OK",
    Status.WARNING: "WARNING",
    Status.CRITICAL: "CRITICAL",
    Status.UNKNOWN: "UNKNOWN",
}


def nagios(report: Report) -> str:
    """Return ``SERVICE STATUS - summary | name=value …``; the numbers come from ``data.metrics``."""
    service = report.command.upper().replace(" ", "_")
    problems = [f"{f.code} {f.object}: {f.summary}" for f in report.findings if f.severity.status is not Status.OK]
    problems += [f"{e.code} {e.object}: {e.summary}" for e in report.errors]
    text = "; ".join(problems) or "all checks passed"
    metrics = report.data.get("metrics", {})
    numbers = " ".join(f"{label(name)}={_number(value)}" for name, value in metrics.items() if value is not None)
    # The pipe separates text from numbers, so it cannot stand in the text.
    line = plain(f"{service} {_WORDS[report.status]} - {text}".replace("|", "/").replace("\n", " "))
    return f"{line} | {numbers}" if numbers else line


def _number(value: float) -> str:
    """Return a number in digits: the guidelines know neither an exponent nor infinity (``U`` is undetermined)."""
    if not math.isfinite(value):
        return "U"
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0").rstrip(".")
