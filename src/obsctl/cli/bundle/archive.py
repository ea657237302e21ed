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

#: Largest text, largest snapshot, and limit of everything before compression, bytes: so it can be attached to a
#: ticket.
LONGEST_TEXT = 256 * 1024
LONGEST_DOCUMENT = 8 * 1024 * 1024
LONGEST_ARCHIVE = 64 * 1024 * 1024


@dataclass
class Contents:
    """The content of a bundle, and what is missing. Safe to use from several threads.

    Attributes:
        files: name in the archive to its bytes.
        cut: names of texts of which only the end is included.
        missing: name to the reason.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def text(self, name: str, text: str) -> None:
        """Add a text without secrets; for a long one only the end, where a journal has its latest lines."""
        from obsctl.core.redaction import scrub

        clean = scrub(text).encode("utf-8", "replace")
        if len(clean) > LONGEST_TEXT:
            # Starting at the beginning of a line, so that no value is included without its setting's name, by which
            # secrets are recognised.
            clean = clean[-LONGEST_TEXT:].partition(b"\n")[2]
            self.cut.append(name)
        self._add(name, clean)

    def document(self, name: str, raw: bytes) -> None:
        """Add a JSON document without secrets; one that is too long is left out, as half of it would be useless."""
        import json

        from obsctl.core.redaction import scrubbed

        clean = json.dumps(scrubbed(json.loads(raw)), ensure_ascii=False, indent=1).encode()
        if len(clean) > LONGEST_DOCUMENT:
            self.miss(name, f"it has {len(clean)} bytes; at most {LONGEST_DOCUMENT} are allowed")
        else:
            self._add(name, clean)

    def miss(self, name: str, why: str) -> None:
        """Record what is missing, and why."""
        from obsctl.core.redaction import scrub

        with self._lock:
            self.missing[name] = scrub(why)

    def _add(self, name: str, clean: bytes) -> None:
        with self._lock:
            if sum(map(len, self.files.values())) + len(clean) <= LONGEST_ARCHIVE:
                self.files[name] = clean
                return
        self.miss(name, f"the bundle would exceed {LONGEST_ARCHIVE} bytes")


def refuse_unwritable(path: Path) -> None:
    """Refuse an unusable file name for the bundle before minutes are spent on it.

    Raises:
        UsageError: the file exists, or its name is not an archive's.
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
