"""Which Python sources the native module gives the same answers as: it is used with these alone."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

import obsctl
from obsctl.lines.formats import registry

#: What it does as well, beside the parsers: relative to the package.
SOURCES = ("consumer/assembler.py", "store/batch.py", "store/rollup.py", "store/mysql/rows.py")


@functools.cache
def revision() -> str:
    """Return a digest over the sources: 16 hex digits, which the module was given when it was built."""
    digest = hashlib.blake2b(registry.revision().encode(), digest_size=8)
    package = resources.files(obsctl)
    for name in SOURCES:
        digest.update(package.joinpath(name).read_bytes())
    return digest.hexdigest()
