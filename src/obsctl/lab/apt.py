"""The machine's own package sources, for the guests.

No archive is named here: the parts of ``/etc/apt`` that concern a release are copied, with its keys, proxy and checks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from obsctl.core.errors import ConfigError

#: The release that has no updates and security archives.
UNSTABLE = "sid"
#: Settings of the connection and of its checks. Index targets, hooks and cache settings are the machine's own
#: affair and would run programs that a guest does not have.
_SETTINGS = re.compile(r'^Acquire::(Check-|http|https|Retries|Force|Allow|By-Hash|Queue)[^ ]* "(?P<value>.+)";$')
_SIGNED_BY = re.compile(r"signed-by\s*[:=]\s*(?P<path>/[^\s\]]+)", re.IGNORECASE)
_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)")


@dataclass(frozen=True)
class AptSources:
    """What a root of one release needs to install packages.

    Attributes:
        deb822: stanzas, as in a ``.sources`` file; may be empty.
        one_line: lines, as in ``sources.list``; may be empty.
        settings: lines of apt.conf.
        keyrings: files outside ``trusted.gpg.d`` that the sources are signed by, or that settings name.
    """

    deb822: str
    one_line: str
    settings: tuple[str, ...]
    keyrings: tuple[Path, ...]


def of_machine(codename: str, etc: Path = Path("/etc")) -> AptSources:
    """Return the machine's sources for a Debian release.

    For a Debian machine of another release the archives also have this one, so its own entries are used with the code
    name replaced.

    Raises:
        ConfigError: the machine has no source that can hold the release.
    """
    deb822, one_line = _entries(etc)
    chosen = ([s for s in deb822 if _stanza_has(s, codename)], [s for s in one_line if _line_has(s, codename)])
    own = _os_release(etc)
    if not any(chosen) and own.get("ID") == "debian" and (mine := own.get("VERSION_CODENAME")):
        stanzas = (_renamed(s, mine, codename) for s in deb822 if _stanza_has(s, mine))
        lines = (_renamed(s, mine, codename) for s in one_line if _line_has(s, mine))
        chosen = ([s for s in stanzas if _stanza_has(s, codename)], [s for s in lines if _line_has(s, codename)])
    if not any(chosen):
        raise ConfigError(
            f"no package source in {etc / 'apt'} holds Debian {codename}, so the lab's hosts cannot be built",
            hint=f"add a source with the suite {codename}",
        )
    text = ("\n\n".join(chosen[0]), "\n".join(chosen[1]))
    settings = _settings()
    named = [Path(m["path"]) for t in text for m in _SIGNED_BY.finditer(t)]
    named += [Path(line.split('"')[1]) for line in settings if '"/' in line]
    return AptSources(*text, tuple(settings), tuple(sorted({path for path in named if path.is_file()})))


def give(root: Path, sources: AptSources, etc: Path = Path("/etc")) -> None:
    """Copy the machine's keys and archive passwords into a root; existing files stay."""
    wanted = [*sources.keyrings, *(etc / "apt/trusted.gpg.d").glob("*"), *(etc / "apt/auth.conf.d").glob("*")]
    wanted += [path for path in (etc / "apt/trusted.gpg", etc / "apt/auth.conf") if path.is_file()]
    for path in wanted:
        target = root / path.relative_to("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)


def _renamed(entry: str, mine: str, codename: str) -> str:
    if codename == UNSTABLE:
        entry = re.sub(rf"(?<!\S){mine}[-/]\S+", "", entry)
    return entry.replace(mine, codename)


def _entries(etc: Path) -> tuple[list[str], list[str]]:
    stanzas: list[str] = []
    lines: list[str] = []
    for path in sorted((etc / "apt/sources.list.d").glob("*.sources")):
        text = "\n".join(ln for ln in path.read_text().splitlines() if not ln.startswith("#"))
        stanzas += [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    for path in (etc / "apt/sources.list", *sorted((etc / "apt/sources.list.d").glob("*.list"))):
        if path.is_file():
            lines += [ln.strip() for ln in path.read_text().splitlines() if ln.startswith("deb ")]
    return stanzas, lines


def _stanza_has(stanza: str, codename: str) -> bool:
    # Continuation lines begin with a blank; fields are few, so the values are simply joined.
    fields = {
        key.lower(): " ".join(value.split())
        for key, _, value in (f.partition(":") for f in re.split(r"\n(?=\S)", stanza))
    }
    if fields.get("enabled", "yes").lower() in ("no", "false", "0") or "deb" not in fields.get("types", "").split():
        return False
    return any(_is_of(suite, codename) for suite in fields.get("suites", "").split())


def _line_has(line: str, codename: str) -> bool:
    found = _ONE_LINE.match(line)
    return found is not None and not found["uri"].startswith("cdrom:") and _is_of(found["suite"], codename)


def _is_of(suite: str, codename: str) -> bool:
    return re.split(r"[-/]", suite)[0] == codename


def _settings() -> list[str]:
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    lines = [line for line in dumped.splitlines() if _SETTINGS.match(line) and not line.endswith(' "0";')]
    for scheme in ("http", "https"):
        # Guests do not inherit this process's environment.
        proxy = os.environ.get(f"{scheme}_proxy")
        if proxy and not any(line.startswith(f"Acquire::{scheme}::Proxy ") for line in lines):
            lines.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return lines


def _os_release(etc: Path) -> dict[str, str]:
    try:
        pairs = (line.partition("=") for line in (etc / "os-release").read_text().splitlines())
        return {key: value.strip('"') for key, _, value in pairs}
    except OSError:
        return {}
