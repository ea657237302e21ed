"""A file is written whole, or the old one stays, and nothing is left beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsctl.core import whole_file


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    whole_file.write(path, b"old")
    whole_file.write(path, b"new", mode=0o644)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_what_is_broken_off_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = tmp_path / "kept.json"
    path.write_bytes(b"old")

    def replace(_old: Path, _new: Path) -> None:
        raise error

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(type(error)):
        whole_file.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
