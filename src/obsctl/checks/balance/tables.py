"""The tables in which people see what this check describes."""

from __future__ import annotations

from obsctl.core.layout import Layout

BALANCER_LAYOUTS = (
    Layout(
        "backends",
        "Back ends",
        ("backend", "got", "got_share", "expected_share", "deviation", "errors", "p50_ms", "p99_ms"),
        ("ci95",),
        percent=("got_share", "expected_share", "deviation", "ci95"),
    ),
    Layout(
        "answer_times",
        "Times, 1 ms to 2 s",
        ("backend", "times"),
        ("upstream", "weight"),
        bars=("times",),
    ),
    Layout("notes", "", ("note",)),
)
