"""The drills that were run from this machine, stored in the user's state folder, one JSON object per line."""

from __future__ import annotations

import fcntl
from pathlib import Path

import msgspec

from obsctl.core.cachedir import state_root
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.drill.record import Drill

#: How many drills are kept, the latest ones; each takes some 150 kB.
_MOST = 200


def _file() -> Path:
    return state_root() / "drills.jsonl"


def keep(drill: Drill) -> None:
    """Add a drill.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        state_root().mkdir(parents=True, exist_ok=True)
        with _file().with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lines = [*_lines(), msgspec.json.encode(drill)][-_MOST:]
            new = _file().with_suffix(".new")
            new.write_bytes(b"".join(line + b"\n" for line in lines))
            new.replace(_file())
    except OSError as error:
        raise ConfigError(f"the drill cannot be kept in {_file()}: {error.strerror}") from None


def kept() -> list[Drill]:
    """Return the drills, the oldest first, without those in another release's format."""
    found = []
    for line in _lines():
        try:
            found.append(decode_json(line, Drill))
        except UndecodableError:
            continue
    return found


def _lines() -> list[bytes]:
    try:
        return [line for line in _file().read_bytes().splitlines() if line]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{_file()} cannot be read: {error.strerror}") from None
