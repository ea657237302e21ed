"""The back ends, each asked directly."""

from __future__ import annotations

from collections.abc import Iterator

from obsctl.checks.health.rules.units import thaw
from obsctl.checks.health.snapshot import BackendProbe
from obsctl.checks.silence import is_silence
from obsctl.core.report import Finding, Severity


def down(backend: BackendProbe) -> Iterator[Finding]:
    """Yield back ends that do not answer, or not with 200."""
    if backend.status != 200:
        answer = "does not answer" if backend.status is None else f"answers {backend.status}"
        yield Finding(
            code="HEALTH_BACKEND_DOWN",
            severity=Severity.WARNING,
            object=f"backend/{backend.name}",
            summary=f"/healthz {answer}",
            evidence={"status": backend.status, "took_ms": backend.took_ms},
            hint=thaw(backend.name, "obs-backend")
            if is_silence(backend.failure)
            else f"on {backend.name}: systemctl status obs-backend; journalctl -u obs-backend -n 50",
        )
