"""The native module, where it is installed: it reads nearly all access lines without the Python code of the parsers.

``obsctl_native`` is a separate, optional wheel (``native/`` in the source tree). For the records that it reads it
gives the same result as the Python code; it leaves the others to Python. It is used only with exactly the Python
sources with which it was built (:func:`revision`), and only if it knows all columns and fields.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, TypeVar

import obsctl
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.event import Event
from obsctl.lines.formats import combined, nginx_json, registry
from obsctl.lines.formats.format import Parse
from obsctl.lines.formats.line import ABSENT, AccessLine, widths

_MODULE = "obsctl_native"
#: The formats that it reads; each only if this function parses its lines.
_FORMATS: Mapping[str, Parse] = {"combined": combined.parse, "json": nginx_json.parse}
#: Sources besides ``lines`` that it mirrors, relative to the package.
_SOURCES = ("consumer/assembler.py", "store/batch.py", "store/rollup.py", "store/mysql/rows.py")

T = TypeVar("T")


class UnavailableError(Exception):
    """The module is not used; the message says why."""


@functools.cache
def revision() -> str:
    """Return a digest over the sources that it mirrors: 16 hex digits, which are built into it."""
    digest = hashlib.blake2b(registry.revision().encode(), digest_size=8)
    package = resources.files(obsctl)
    for name in _SOURCES:
        digest.update(package.joinpath(name).read_bytes())
    return digest.hexdigest()


class Module:
    """The module, loaded.

    Args:
        formats: how lines are parsed, by the format's name.
        proxies: those whose ``X-Forwarded-For`` is believed.

    Attributes:
        failures: the types of its errors. A panic is not an Exception, and has a type of its own.

    Raises:
        UnavailableError: it is not installed, or was built from other sources.
    """

    def __init__(self, formats: Mapping[str, Parse], proxies: TrustedProxies) -> None:
        try:
            self._module = importlib.import_module(_MODULE)
        except ImportError as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == _MODULE
            raise UnavailableError("not installed" if missing else str(error)) from None
        if revision() != self._module.REVISION:
            raise UnavailableError("the native module is of another release")
        self.failures: tuple[type[BaseException], ...] = (Exception, self._module.PanicException)
        self._settings = (
            AccessLine.__struct_fields__,
            {name: width.characters for name, width in widths(AccessLine).items()},
            nginx_json.MEMBERS,
            [name for name, parse in _FORMATS.items() if formats.get(name) is parse],
            [(network.network_address.packed, network.prefixlen) for network in proxies.networks],
        )

    def make(self, kind: str, *more: object) -> Any:
        """Return an object of one of its classes, ``Batch`` or ``Reader``; see ``native/src/lib.rs``.

        Args:
            kind: the name of the class.
            more: its arguments besides those of the parsers.

        Raises:
            UnavailableError: it has other columns, fields or arguments.
        """
        try:
            return getattr(self._module, kind)(self._settings, *more)
        except self.failures as error:
            raise UnavailableError(f"the native module does not fit: {error}") from None


def chosen(make: Callable[[], T], *, wanted: bool) -> tuple[T | None, str]:
    """Return the module's reader, or None if Python reads the records; and which of these it is, for people.

    Args:
        make: may raise UnavailableError.
        wanted: False if the configuration says ``native: false``.
    """
    if not wanted:
        return None, "Python (switched off)"
    try:
        return make(), "native module"
    except UnavailableError as error:
        return None, f"Python ({error})"


class NativeReader:
    """Turns records into events with the module.

    Attributes:
        failures: see :class:`Module`.
    """

    def __init__(self, formats: Mapping[str, Parse], proxies: TrustedProxies) -> None:
        """Load the module.

        Raises:
            UnavailableError: it cannot be used.
        """
        module = Module(formats, proxies)
        self.failures = module.failures
        self._reader = module.make("Reader", AccessLine, Event, ABSENT)

    def read(self, values: Sequence[bytes]) -> list[Event | None]:
        """Return the event of each record; None for those that are left to Python.

        Raises:
            One of :attr:`failures`; the records must then be read in Python.
        """
        found: list[Event | None] = self._reader.read(values)
        return found
