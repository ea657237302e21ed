"""Kinds of rules and channels: a package has one module for each, and a list in alerter.yml names them by a tag.

A kind is a Struct with a tag. Its fields are its options, and their metadata the only description of them: the
documentation and the role's argument_specs are tested against it (tests/contract/alerter/test_one_description.py).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, Generic, TypeVar

import msgspec

from obsctl.core.config_file import InvalidValueError, located

T = TypeVar("T", bound=msgspec.Struct)


class Kinds(Generic[T]):
    """The kinds that a package holds, by tag.

    Args:
        package: its modules define the kinds.
        base: what all of them derive from; its ``tag_field`` is the option that names the kind.
    """

    def __init__(self, package: ModuleType, base: type[T]) -> None:
        self.base = base
        self.tag_field = str(base.__struct_config__.tag_field)
        self.by_tag: dict[str, type[T]] = {}
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(found.name)).values():
                if isinstance(value, type) and issubclass(value, base) and value.__module__ == found.name:
                    tag = value.__struct_config__.tag
                    # msgspec names a class without a tag of its own after itself: what kinds share is none.
                    if isinstance(tag, str) and tag != value.__name__:
                        self.by_tag[tag] = value

    def read(self, entries: Iterable[Mapping[str, Any]], key: str) -> list[T]:
        """Return a list of the file or of the inventory as values.

        Args:
            entries: one mapping for each.
            key: of the list, for errors.

        Raises:
            InvalidValueError: an unknown kind or option, one missing or of another type, or a name used twice.
        """
        values: list[T] = []
        names: set[str] = set()
        for number, entry in enumerate(entries):
            place = f"{key}[{number}]"
            name = entry.get("name", "")
            kind = self.by_tag.get(str(entry.get(self.tag_field)))
            if kind is None:
                known = ", ".join(self.by_tag)
                raise InvalidValueError(f"{place}.{self.tag_field}", f"must be one of {known}{_of(name)}")
            try:
                values.append(msgspec.convert(dict(entry), kind))
            except msgspec.ValidationError as error:
                fault = located(error)
                raise InvalidValueError(f"{place}.{fault.key}" if fault.key else place, f"{fault}{_of(name)}") from None
            if name in names:
                raise InvalidValueError(f"{place}.name", f"the name is used twice{_of(name)}")
            names.add(name)
        return values


def _of(name: object) -> str:
    return f" (of {name})" if name else ""
