"""The formats, by the name that the shipper puts into ``fields.log_format``.

They are discovered: each module of this package with a ``FORMAT`` is one.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Mapping
from importlib import resources

from obsctl import lines
from obsctl.lines import formats as package
from obsctl.lines.formats.format import Format, Parse


def _found() -> dict[str, Format]:
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    declared = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return {entry.name: entry for entry in declared}


#: The formats by name.
FORMATS: Mapping[str, Format] = _found()


def formats(*, error_log_timezone: str = "UTC") -> Mapping[str, Parse]:
    """Return the parse function of each format."""
    return {name: entry.parser(error_log_timezone) for name, entry in FORMATS.items()}


def revision() -> str:
    """Return a digest over the parsers' source: 16 hex digits that change when a line may be read differently."""
    return _REVISION


def _digest() -> str:
    """Hash every module of ``lines``: each may affect how a line is read."""
    digest = hashlib.blake2b(digest_size=8)
    modules = [*resources.files(lines).iterdir(), *resources.files(package).iterdir()]
    for module in sorted((m for m in modules if m.name.endswith(".py")), key=lambda m: m.name):
        digest.update(module.read_bytes())
    return digest.hexdigest()


#: Computed when the parsers are loaded: the files may be replaced while this process runs the old ones.
_REVISION = _digest()
