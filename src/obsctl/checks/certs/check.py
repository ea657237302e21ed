"""The check ``certs status``."""

from __future__ import annotations

from obsctl.checks.certs.collect import collect_certs
from obsctl.checks.certs.judge import describe_certs, judge_certs
from obsctl.checks.certs.snapshot import CertsSnapshot
from obsctl.checks.certs.tables import CERTS_LAYOUTS
from obsctl.checks.check import Check


def certs_check() -> Check[CertsSnapshot]:
    """Return the check of the certificates."""
    return Check("certs status", CertsSnapshot, collect_certs, judge_certs, describe_certs, CERTS_LAYOUTS)
