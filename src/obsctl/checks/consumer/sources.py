"""Which row of ``log_source`` is the current one of its partition."""

from __future__ import annotations

from collections.abc import Iterable

from obsctl.checks.consumer.snapshot import StoredSource


def present(sources: Iterable[StoredSource], cluster_id: str | None) -> list[StoredSource]:
    """Return the current source of each partition: of this cluster, and the newest one with that name, in order.

    Args:
        cluster_id: of the cluster that answers; None if none does.
    """
    here = [source for source in sources if cluster_id is None or source.cluster_id == cluster_id]
    youngest = {(s.topic, s.partition): s for s in sorted(here, key=lambda s: s.source_id)}
    return [youngest[key] for key in sorted(youngest)]
