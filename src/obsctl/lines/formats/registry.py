"""Which formats there are, by the name that the shipper puts into ``fields.log_format``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import resources

from obsctl import lines
from obsctl.lines.formats import combined, nginx_error, nginx_json
from obsctl.lines.formats.line import Line

#: Parses a line or raises LineError.
Parse = Callable[[str], Line]


def formats(*, error_log_timezone: str = "UTC") -> Mapping[str, Parse]:
    """Return the parse function of each format."""
    return {
        "json": nginx_json.parse,
        "combined": combined.parse,
        "error": nginx_error.parser(error_log_timezone),
    }


def revision() -> str:
    """Return a digest over the parsers' source: 16 hex digits that change when a line may be read differently."""
    return _REVISION


def _digest() -> str:
    """Hash every module of ``lines``: each has a part in how a line is read."""
    digest = hashlib.blake2b(digest_size=8)
    modules = [*resources.files(lines).iterdir(), *resources.files(__package__).iterdir()]
    for module in sorted((m for m in modules if m.name.endswith(".py")), key=lambda m: m.name):
        digest.update(module.read_bytes())
    return digest.hexdigest()


#: Read with the parsers themselves: the files may be replaced while this process runs the old ones.
_REVISION = _digest()
