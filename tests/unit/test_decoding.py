"""JSON that is none, in every place that reads files which a person may have touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from obsctl.alerter.config import load
from obsctl.artifacts import lock
from obsctl.artifacts.store import MANIFEST, Store
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError

BROKEN = [b"", b"{", b'{"schema":"\xff"}', b'{"a":"\\ud800"}', b'{"artifacts":' + b"[" * 50_000]


@pytest.mark.parametrize("raw", BROKEN)
def test_what_is_no_json_is_one_error(raw: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode_json(raw, dict[str, Any])


@pytest.mark.parametrize("raw", BROKEN)
def test_a_damaged_manifest_or_lock_is_a_sentence(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(raw)
    with pytest.raises(ConfigError, match="is damaged"):
        Store(tmp_path).artifacts()
    with pytest.raises(ConfigError, match="is not a lock"):
        lock.load(tmp_path / MANIFEST)


def test_yaml_without_a_bottom_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "alerter.yml"
    path.write_text("[" * 5_000)
    with pytest.raises(ConfigError, match="nested too deeply"):
        load(path)
