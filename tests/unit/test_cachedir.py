"""Where the cache is, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsctl.core.cachedir import cache_root
from obsctl.core.errors import ConfigError
from obsctl.fleet import load


@pytest.mark.parametrize(
    ("base", "root"), [("/c", "/c/obsctl"), ("", "/h/.cache/obsctl"), ("relative", "/h/.cache/obsctl")]
)
def test_the_root(monkeypatch: pytest.MonkeyPatch, base: str, root: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    monkeypatch.setenv("HOME", "/h")
    assert cache_root() == Path(root)


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user id without an entry in the password file, and no HOME."""

    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_it_is_said_what_to_set() -> None:
    with pytest.raises(ConfigError, match="no home directory") as refused:
        cache_root()
    assert "XDG_CACHE_HOME" in refused.value.hint


@pytest.mark.usefixtures("homeless")
def test_without_a_home_an_inventory_is_read_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_ask_ansible", lambda _inventory: b'{"schema":"obsctl/fleet/v1"}')
    (tmp_path / "hosts.yml").write_text("all: {}")
    assert load.load(load.FleetSource(tmp_path, "--inventory")).hosts == ()
