"""The archive of ``obsctl bundle``: bounded in size, without secrets, and written completely or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from obsctl.cli import destination
from obsctl.core.errors import ConfigError, UsageError

#: Bytes of one text, of one snapshot, and of all together before compression: what can be attached to a ticket.
LONGEST_TEXT = 256 * 1024
LONGEST_DOCUMENT = 8 * 1024 * 1024
LONGEST_ARCHIVE = 64 * 1024 * 1024


@dataclass
class Contents:
    """What a bundle will hold, and what could not be had. Several threads may add.

    Attributes:
        files: name in the archive to its bytes.
        cut: names of texts of which only the end is there.
        missing: name to the reason.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def text(self, name: str, text: str) -> None:
        """Add a text without secrets; of a long one the end, where a journal has its latest lines."""
        from obsctl.core.redaction import scrub

        clean = scrub(text).encode("utf-8", "replace")
        if len(clean) > LONGEST_TEXT:
            # From the beginning of a line on, so that no half of a setting loses what stands before its value.
            clean = clean[-LONGEST_TEXT:].partition(b"\n")[2]
            self.cut.append(name)
        self._add(name, clean)

    def document(self, name: str, raw: bytes) -> None:
        """Add a JSON document without secrets; none that is too long, for half of one is none."""
        import json

        from obsctl.core.redaction import scrubbed

        clean = json.dumps(scrubbed(json.loads(raw)), ensure_ascii=False, indent=1).encode()
        if len(clean) > LONGEST_DOCUMENT:
            self.miss(name, f"it has {len(clean)} bytes, and {LONGEST_DOCUMENT} are the most")
        else:
            self._add(name, clean)

    def miss(self, name: str, why: str) -> None:
        """Note what is not there, and why."""
        from obsctl.core.redaction import scrub

        with self._lock:
            self.missing[name] = scrub(why)

    def _add(self, name: str, clean: bytes) -> None:
        with self._lock:
            if sum(map(len, self.files.values())) + len(clean) <= LONGEST_ARCHIVE:
                self.files[name] = clean
                return
        self.miss(name, f"the bundle holds {LONGEST_ARCHIVE} bytes at the most")


def refuse_unwritable(path: Path) -> None:
    """Refuse a place for the bundle before minutes are spent on it.

    Raises:
        UsageError: there is something already, or the name is not an archive's.
        ConfigError: it cannot be written there.
    """
    if not path.name.endswith((".tar.gz", ".tgz")):
        raise UsageError(f"{path} does not end in .tar.gz", hint=f"--to {path}.tar.gz")
    if path.exists():
        raise UsageError(f"{path} exists already", hint="name another file with --to")
    destination.refuse_unwritable(path, "the bundle")


def write(contents: Contents, path: Path) -> int:
    """Write the archive, readable by its owner alone; return its size in bytes.

    What is interrupted leaves nothing behind.

    Raises:
        ConfigError: it cannot be written.
    """
    folder = path.name.removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".obsctl-bundle-")
    except OSError as error:
        raise ConfigError(f"the bundle cannot be written to {path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for inside, content in sorted(contents.files.items()):
                entry = tarfile.TarInfo(f"{folder}/{inside}")
                entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
                archive.addfile(entry, io.BytesIO(content))
        size = Path(name).stat().st_size
        Path(name).replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        if isinstance(error, OSError):
            raise ConfigError(f"the bundle cannot be written to {path}: {error.strerror}") from None
        raise
    return size
