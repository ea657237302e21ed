"""What was seen in the artifact folder."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class ArtifactFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file on the folder's list, and its state.

    Attributes:
        path: relative to the folder.
        name, version, origin, sha256, size_bytes, inputs: as the folder's list has them.
        state: ``intact``, ``missing``, ``changed`` or ``outdated`` (built from versions that are no longer in the
            lock).
        got: the SHA-256 of a changed file, hex; otherwise empty.
    """

    path: str
    name: str
    version: str
    origin: str
    sha256: str
    size_bytes: int
    inputs: str
    state: str
    got: str = ""


class ArtifactSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The folder, the files on its list by path, and the paths of those that are not on it.

    Attributes:
        errors: always empty: a list that cannot be read is an error of the configuration.
    """

    folder: str
    files: tuple[ArtifactFile, ...] = ()
    unlisted: tuple[str, ...] = ()
    errors: tuple[Fault, ...] = ()
