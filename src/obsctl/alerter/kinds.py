"""Kinds of rules and channels: a package has one module for each, and a list in alerter.yml names them by a tag.

A kind is a Struct with a tag. Its fields are its options, and the fields' metadata is the only description of these:
the documentation and the role's argument_specs are tested against it (tests/contract/alerter/test_one_description.py).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Generic, TypeVar

import msgspec

from obsctl.core.config_file import InvalidValueError, located
from obsctl.core.nearest import did_you_mean, nearest

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
                    # msgspec uses the class name as tag if a class sets none: a shared base class is no kind.
                    if isinstance(tag, str) and tag != value.__name__:
                        self.by_tag[tag] = value

    def read(self, entries: Iterable[Mapping[str, Any]], key: str) -> list[T]:
        """Return the values for a list in the file or in the inventory.

        Args:
            entries: one mapping for each.
            key: of the list, for errors.

        Raises:
            InvalidValueError: for the first of: an unknown kind or option, one missing or of another type, or a name
                used twice.
        """
        values: list[T] = []
        for value, faults in self.examine(entries, key):
            if value is None:
                raise faults[0]
            values.append(value)
        return values

    def examine(
        self,
        entries: Iterable[Mapping[str, Any]],
        key: str,
        *,
        is_open: Callable[[Any], bool] = lambda _: False,
    ) -> Iterator[tuple[T | None, list[InvalidValueError]]]:
        """Yield the value of each entry of a list, or all of its faults.

        Args:
            entries: one mapping for each.
            key: of the list, for errors.
            is_open: whether an option's value is filled in later, so that it cannot be checked.

        Yields:
            A value and no fault; or None and the faults, which may be empty if an option is open.
        """
        names: set[str] = set()
        for number, entry in enumerate(entries):
            place = f"{key}[{number}]"
            name = entry.get("name", "")
            value, faults = self._examine_one(entry, is_open)
            if isinstance(name, str) and name and not is_open(name):
                if name in names:
                    faults.append(InvalidValueError("name", "the name is used twice"))
                names.add(name)
            yield None if faults else value, [_placed(fault, place, name) for fault in faults]

    def _examine_one(
        self, entry: Mapping[str, Any], is_open: Callable[[Any], bool]
    ) -> tuple[T | None, list[InvalidValueError]]:
        tag = entry.get(self.tag_field)
        kind = self.by_tag.get(str(tag))
        if kind is None:
            if is_open(tag):
                return None, []
            known = ", ".join(self.by_tag)
            hint = did_you_mean(str(tag), self.by_tag)
            fault = InvalidValueError(self.tag_field, f"must be one of {known}", hint=hint)
            return None, [fault]
        faults: list[InvalidValueError] = []
        options = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        missing = [option for option, field in options.items() if field.required and option not in entry]
        right: dict[str, Any] = {self.tag_field: tag}
        unsure: set[str] = set()
        for written, value in entry.items():
            option = str(written)
            if option == self.tag_field:
                continue
            if option not in options:
                free = [known for known in options if known not in entry] or list(options)
                hint = did_you_mean(option, free)
                faults.append(InvalidValueError("", f"Object contains unknown field `{option}`", hint=hint))
                near = next(iter(nearest(option, free)), "")
                if near not in missing:
                    continue
                # One mistake must be one fault: an invalid option is not reported as missing as well, and the other
                # options are still checked.
                missing.remove(near)
                option = near
            if is_open(value):
                unsure.add(option)
                continue
            try:
                msgspec.convert(value, options[option].type)
            except msgspec.ValidationError as error:
                fault = located(error)
                faults.append(InvalidValueError(_joined(str(written), fault.key), str(fault)))
                unsure.add(option)
            else:
                right[option] = value
        faults += [InvalidValueError("", f"Object missing required field `{option}`") for option in missing]
        # Whether options fit together can only be checked if all of them are valid, except those that all kinds share.
        shared = {field.encode_name for field in msgspec.structs.fields(self.base)}
        if unsure - shared or any(field.required and option not in right for option, field in options.items()):
            return None, faults
        try:
            value = msgspec.convert(right, kind)
        except msgspec.ValidationError as error:
            cause = error.__cause__
            return None, faults + (list(cause.faults) if isinstance(cause, InvalidOptionsError) else [located(error)])
        return None if faults or unsure else value, faults


class InvalidOptionsError(ValueError):
    """Options that each have the right type and yet cannot work.

    Args:
        faults: with the options as keys.
    """

    def __init__(self, faults: Sequence[InvalidValueError]) -> None:
        super().__init__("; ".join(f"{fault.key}: {fault}" for fault in faults))
        self.faults = faults


def _placed(fault: InvalidValueError, place: str, name: object) -> InvalidValueError:
    # A filter's fault shows the place in the filter on additional lines.
    first, *more = str(fault).split("\n")
    return InvalidValueError(_joined(place, fault.key), "\n".join([f"{first}{_of(name)}", *more]), hint=fault.hint)


def _joined(place: str, key: str) -> str:
    return f"{place}{'.' if key and key[0] != '[' else ''}{key}"


def _of(name: object) -> str:
    return f" (of {name})" if name else ""
