"""The lock: which versions are built, and the checksums of everything that goes into them."""

from __future__ import annotations

import enum
import hashlib
from pathlib import Path

import msgspec

from obsctl.core import whole_file
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError

SCHEMA = "obsctl/artifacts-lock/v1"
PATH = Path(__file__).with_name("lock.json")

#: What is built when nothing else is asked for; the roles' own defaults (a test compares them).
DEFAULT_KAFKA = "3.9.1"
DEFAULT_FILEBEAT = "7.17.28"


class Part(enum.StrEnum):
    """What can be built on its own."""

    KAFKA = "kafka"
    FILEBEAT = "filebeat"
    WHEELS = "wheels"


class KafkaLock(msgspec.Struct, frozen=True, kw_only=True):
    """One version of Kafka.

    Attributes:
        modules: Maven coordinates (group:artifact:version) whose runtime closure is ``libs/``.
        jars: file name to SHA-256, for each file of ``libs/``.
        vendor_sha512: checksum of Apache's archive; None where it was never seen, then Apache's published one counts.
    """

    modules: tuple[str, ...]
    jars: dict[str, str]
    vendor_sha512: str | None = None


class FilebeatLock(msgspec.Struct, frozen=True, kw_only=True):
    """One version of Filebeat.

    Attributes:
        module: the Go module's path.
        module_version: the Go module's version.
        module_sum: hash of the module's files as go.sum writes it (``h1:...``). It covers the module's own go.sum,
            which in turn pins each dependency.
        go_mod_sum: the same for its go.mod.
        go: oldest Go that its go.mod accepts.
        vendor_sha512: checksum of Elastic's archive, or None as for Kafka.
    """

    module: str
    module_version: str
    module_sum: str
    go_mod_sum: str
    go: str
    vendor_sha512: str | None = None


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is pinned.

    Attributes:
        kafka: by version.
        filebeat: by version.
        go: wheel of the Go tool chain for machines without one, file name to SHA-256.
        native: wheels of what builds the native module, maturin and zig, file name to SHA-256.
        wheels: Python version (``3.11``) to wheel file name to SHA-256.
    """

    schema: str
    kafka: dict[str, KafkaLock]
    filebeat: dict[str, FilebeatLock]
    go: dict[str, str]
    native: dict[str, str]
    wheels: dict[str, dict[str, str]]


def load(path: Path = PATH) -> Lock:
    """Read the lock.

    Raises:
        ConfigError: it is unreadable or not a lock.
    """
    try:
        lock = decode_json(path.read_bytes(), Lock)
    except OSError as error:
        raise ConfigError(f"the artifacts' lock {path} cannot be read: {error.strerror}") from None
    except UndecodableError as error:
        raise ConfigError(f"{path} is not a lock of artifacts: {error}") from None
    if lock.schema != SCHEMA:
        raise ConfigError(f"{path}: schema {lock.schema!r}, this obsctl reads {SCHEMA!r}")
    return lock


def save(lock: Lock, path: Path = PATH) -> None:
    """Write the lock, sorted, so that a refresh shows as a readable difference.

    Raises:
        ConfigError: the place is read-only, as in an installation from a wheel.
    """
    text = msgspec.json.format(msgspec.json.encode(lock, order="sorted"), indent=2) + b"\n"
    try:
        whole_file.write(path, text, mode=0o644)
    except OSError as error:
        raise ConfigError(f"the lock {path} cannot be written: {error.strerror}") from None


def digest(*parts: object) -> str:
    """Return one SHA-256 (hex) over JSON-like values: equal inputs, equal artifact."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()
