"""Reads the acknowledgements, if there is a finding that they may change."""

from __future__ import annotations

import contextlib
import threading

from obsctl.core.acknowledgement import Acknowledgements
from obsctl.fleet.model import Fleet

#: The longest delay that an unhealthy cluster may cause (seconds).
_DEADLINE_S = 2.0


def ask_acknowledged(fleet: Fleet) -> Acknowledgements:
    """Return the acknowledgements; none if they cannot be read in time.

    If it is unknown whether a finding was acknowledged, it is shown unchanged.
    """
    if not fleet.brokers() or not fleet.kafka.acknowledgements_topic:
        return ()
    found: list[Acknowledgements] = []
    # A daemon: a broker that hangs must not keep the process alive after the deadline.
    thread = threading.Thread(target=_read, args=(fleet, found), daemon=True)
    thread.start()
    thread.join(_DEADLINE_S)
    return found[0] if found else ()


def _read(fleet: Fleet, found: list[Acknowledgements]) -> None:
    from obsctl.core.errors import ObsctlError
    from obsctl.kafka import acknowledgements

    with contextlib.suppress(ObsctlError):
        found.append(acknowledgements.read(fleet.brokers(), fleet.kafka.acknowledgements_topic))
