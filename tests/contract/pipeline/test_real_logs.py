"""Real access logs: nearly every line is parsed, and every line is kept."""

from __future__ import annotations

import gzip
import ipaddress
from pathlib import Path

import pytest

from obsctl.pipeline.batch import Assembler, Source
from obsctl.pipeline.client_address import TrustedProxies
from obsctl.pipeline.formats import registry
from tests.integration.consumer import record
from tests.unit.pipeline.messages import FakeMessage


@pytest.mark.parametrize("name", ["apache_logs.gz", "ocatak_acunetix.gz", "ocatak_netsparker.gz"])
def test_parsed_and_kept(real_logs: Path, name: str) -> None:
    lines = gzip.decompress((real_logs / name).read_bytes()).decode("utf-8", "replace").split("\n")
    if not lines[-1]:
        del lines[-1]
    offset, messages = 0, []
    for number, line in enumerate(lines):
        messages.append(FakeMessage(number, record(line, offset, log_format="combined", log_input="replay")))
        offset += len(line.encode()) + 1
    place = messages[0].place
    batch = Assembler(registry.formats(), TrustedProxies([ipaddress.ip_network("10.0.0.0/8")])).assemble(
        messages, {place: Source(1, "c")}, {place: 0}
    )
    assert len(batch.access) + len(batch.quarantined) == len(lines)
    assert len(batch.access) / len(lines) >= 0.995
    assert batch.repeated == 0
    assert all(row.line.ts[:2] == "20" and row.line.status for row in batch.access)
