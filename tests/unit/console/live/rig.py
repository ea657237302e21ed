"""Lines, and a feed that a test fills itself."""

from __future__ import annotations

from obsctl.console.live.feed import Batch, Sink
from obsctl.lines.formats.line import AccessLine


def line(number: int, uri: str = "", status: int = 200) -> AccessLine:
    return AccessLine(
        "2026-01-31 12:00:00.000", f"10.0.0.{number % 250}", status, 10, uri=uri or f"/{number}", user_agent="a",
        upstream_addr="10.1.0.1:80, 10.1.0.2:80", host="node1",
    )  # fmt: skip


class HandFeed:
    """Stands for a feed."""

    trouble: str | None = ""

    def __init__(self) -> None:
        self.sinks: list[Sink] = []

    def join(self, sink: Sink) -> None:
        self.sinks.append(sink)

    def leave(self, sink: Sink) -> None:
        self.sinks.remove(sink)

    def send(self, lines: list[AccessLine], skipped: int = 0) -> None:
        for sink in list(self.sinks):
            sink.take(Batch(lines, skipped))
