"""Real access logs: nearly every line is parsed, and every line is kept."""

from __future__ import annotations

import gzip
import ipaddress
from pathlib import Path

import pytest

from obsctl.consumer.assembler import Assembler
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats import registry
from obsctl.store.batch import Source
from rig.records import record
from tests.unit.consumer.messages import run_of


@pytest.mark.parametrize("name", ["apache_logs.gz", "ocatak_acunetix.gz", "ocatak_netsparker.gz"])
def test_parsed_and_kept(real_logs: Path, name: str) -> None:
    lines = gzip.decompress((real_logs / name).read_bytes()).decode("utf-8", "replace").split("\n")
    if not lines[-1]:
        del lines[-1]
    offset, values = 0, []
    for line in lines:
        values.append(record(line, offset, log_format="combined", log_input="replay"))
        offset += len(line.encode()) + 1
    run = run_of(*values)
    batch = Assembler(registry.formats(), TrustedProxies([ipaddress.ip_network("10.0.0.0/8")])).assemble(
        [run], {run.part: Source(1, "c")}, {run.part: 0}
    )
    assert len(batch.access) + len(batch.quarantined) == len(lines)
    assert len(batch.access) / len(lines) >= 0.995
    assert batch.repeated == 0
    assert all(row.ts[:2] == "20" and row.status for row in batch.access)
