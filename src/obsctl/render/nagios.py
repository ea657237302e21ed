"""The one line of a monitoring plugin, with performance data (Monitoring Plugins guidelines)."""

from __future__ import annotations

import math

from obsctl.core.report import Report, Severity, Status, roots
from obsctl.render.plain import label, plain

_WORDS = {
    Status.OK: "OK",
    Status.WARNING: "WARNING",
    Status.CRITICAL: "CRITICAL",
    Status.UNKNOWN: "UNKNOWN",
}
#: Longest text before the numbers, characters: what a list of services, a short message or a pager shows.
_LONGEST_TEXT = 200
#: The guidelines' units, by the suffix of a number's name.
_UNITS = {"_ms": "ms", "_s": "s", "_percent": "%", "_bytes": "B"}


def nagios(report: Report) -> str:
    """Return ``SERVICE STATUS - headline (CODE) | name=value …``; the numbers come from ``data.metrics``.

    The text is the report's headline, followed by the code of its first cause, for ``obsctl explain``.
    """
    numbers = " ".join(
        f"{label(name)}={_number(value)}{_unit(name, value)}"
        for name, value in report.data.get("metrics", {}).items()
        if value is not None
    )
    aside = [f"{len(found)} {word}" for found, word in ((report.muted, "muted"), (report.ignored, "ignored")) if found]
    named = ", ".join([*_code(report), *aside])
    text = _line(report.command, report.status, report.headline or "all checks passed", f" ({named})" if named else "")
    return f"{text} | {numbers}" if numbers else text


def _code(report: Report) -> list[str]:
    """Return the code that the headline is about: of the first cause, or of the first fault."""
    causes = (finding.code for finding in roots(report.findings) if finding.severity is not Severity.INFO)
    return [next(iter([*causes, *(error.code for error in report.errors)]))] if report.headline else []


def unknown(command: str, reason: str) -> str:
    """Return the line of a command that made no report.

    Args:
        command: its name, such as ``verify lb``.
        reason: why, in a sentence or more.
    """
    return _line(command, Status.UNKNOWN, reason)


def _line(command: str, status: Status, text: str, end: str = "") -> str:
    service = command.upper().replace(" ", "_")
    # The pipe separates text from numbers, so the text must not contain one.
    line = plain(f"{service} {_WORDS[status]} - {' '.join(text.replace('|', '/').split())}")
    room = _LONGEST_TEXT - len(end)
    return (line if len(line) <= room else f"{line[: room - 3].rstrip()}...") + end


def _number(value: float) -> str:
    """Return a number in digits: the guidelines allow neither exponents nor infinity (``U`` is undetermined)."""
    if not math.isfinite(value):
        return "U"
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0").rstrip(".")


def _unit(name: str, value: float) -> str:
    if not math.isfinite(value):
        return ""
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
