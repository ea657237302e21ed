"""Which of a machine's package sources the guests get."""

from __future__ import annotations

from pathlib import Path

import pytest

from obsctl.core.errors import ConfigError
from obsctl.lab import apt

STANZA = """\
# a remark
Types: deb deb-src
URIs: http://archive.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/{key}.gpg
"""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    return tmp_path


def put(etc: Path, name: str, text: str) -> None:
    (etc / "apt" / name).write_text(text)


def test_only_what_concerns_the_release(etc: Path) -> None:
    put(etc, "sources.list.d/debian.sources", STANZA)
    put(etc, "sources.list.d/vendor.sources", STANZA.replace("bookworm bookworm-updates", "stable"))
    put(etc, "sources.list.d/off.sources", STANZA.replace("Types", "Enabled: no\nTypes"))
    put(
        etc,
        "sources.list",
        "deb http://archive.test/debian bookworm main\ndeb-src http://archive.test/debian bookworm main\n"
        "# deb http://commented.test bookworm main\ndeb cdrom:[Disc]/ bookworm main\n"
        "deb [arch=amd64] http://archive.test/security bookworm-security main\ndeb http://vendor.test sid main\n",
    )
    found = apt.of_machine("bookworm", etc)
    assert found.deb822.count("URIs") == 1
    assert "stable" not in found.deb822
    assert "#" not in found.deb822
    assert found.one_line.splitlines() == [
        "deb http://archive.test/debian bookworm main",
        "deb [arch=amd64] http://archive.test/security bookworm-security main",
    ]


def test_a_newer_debian_finds_the_release_in_its_own_archive(etc: Path) -> None:
    put(etc, "sources.list.d/debian.sources", STANZA.replace("bookworm", "trixie"))
    (etc / "os-release").write_text('ID=debian\nVERSION_CODENAME="trixie"\n')
    assert "Suites: bookworm bookworm-updates" in apt.of_machine("bookworm", etc).deb822


def test_unstable_has_no_updates_and_no_security_archive(etc: Path) -> None:
    put(etc, "sources.list.d/debian.sources", STANZA)
    put(etc, "sources.list.d/security.sources", STANZA.replace("bookworm bookworm-updates", "bookworm-security"))
    put(etc, "sources.list", "deb http://a.test/d bookworm main\ndeb http://a.test/s bookworm-security main\n")
    (etc / "os-release").write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    found = apt.of_machine("sid", etc)
    assert [line.split() for line in found.deb822.splitlines() if line.startswith("Suites")] == [["Suites:", "sid"]]
    assert found.one_line == "deb http://a.test/d sid main"


def test_a_machine_without_such_a_source_is_told_so(etc: Path) -> None:
    put(etc, "sources.list", "deb http://archive.test/ubuntu noble main\n")
    (etc / "os-release").write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    with pytest.raises(ConfigError, match="holds Debian bookworm"):
        apt.of_machine("bookworm", etc)


def test_the_keys_of_the_sources_are_named(etc: Path, tmp_path: Path) -> None:
    key = tmp_path / "own.gpg"
    key.touch()
    put(etc, "sources.list", f"deb [signed-by={key}] http://archive.test/debian bookworm main\n")
    assert apt.of_machine("bookworm", etc).keyrings == (key,)


def test_what_a_root_has_already_is_not_replaced(etc: Path, tmp_path: Path) -> None:
    (etc / "apt/trusted.gpg.d").mkdir()
    (etc / "apt/trusted.gpg.d/a.asc").write_text("machine")
    (etc / "apt/auth.conf.d").mkdir()
    secret = etc / "apt/auth.conf.d/proxy.conf"
    secret.touch(mode=0o600)
    root = tmp_path / "root"
    present = root / (etc / "apt/trusted.gpg.d/a.asc").relative_to("/")
    present.parent.mkdir(parents=True)
    present.write_text("root")
    apt.give(root, apt.AptSources("", "", (), ()), etc)
    assert present.read_text() == "root"
    copied = root / secret.relative_to("/")
    assert copied.stat().st_mode & 0o777 == 0o600
