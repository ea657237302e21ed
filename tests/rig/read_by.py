"""What reads the records in a test: the native module where it is installed, or Python (OBSCTL_TEST_READ_BY=python)."""

from __future__ import annotations

import os

from obsctl.consumer.assembler import Assembler
from obsctl.consumer.native import find
from obsctl.consumer.telemetry import Telemetry
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats import registry

#: As the consumer's configuration has it.
NATIVE = os.environ.get("OBSCTL_TEST_READ_BY", "native") == "native"


def assembler() -> Assembler:
    """Return one that reads records as the tests are asked to."""
    formats, proxies = registry.formats(), TrustedProxies(())
    return Assembler(formats, proxies, find(formats, proxies, Telemetry(), wanted=NATIVE))
