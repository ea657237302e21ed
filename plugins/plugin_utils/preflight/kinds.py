# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Values of another kind than argument_specs declare: a text where a number belongs, a mapping where a list does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import (
    Fleet,
    Problem,
    first_sentence,
    is_list,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.values import SHOWN

#: Login variables, which no role declares; Ansible's own message about a wrong kind would end the run.
LOGIN = {
    "ansible_host": {"type": "str"},
    "ansible_port": {"type": "int", "description": "The TCP port of the host's sshd, between 1 and 65535."},
    "ansible_user": {"type": "str"},
    "ansible_connection": {"type": "str"},
    "ansible_ssh_private_key_file": {"type": "str"},
    "ansible_ssh_common_args": {"type": "str"},
    "ansible_ssh_extra_args": {"type": "str"},
    "ansible_become": {"type": "bool"},
    "ansible_become_user": {"type": "str"},
    "ansible_python_interpreter": {"type": "str"},
}
#: Some have a second name, for Ansible's ssh plugin.
LOGIN |= {name.replace("_", "_ssh_", 1): LOGIN[name] for name in ("ansible_host", "ansible_port", "ansible_user")}


class Misfit(NamedTuple):
    """A value of the wrong kind: a variable's, or one inside it.

    Attributes:
        place: where it is, such as ``kafka_topics[0].name``.
        value: the value found there.
        spec: what argument_specs declare for it; the type ``entry`` is a single value in a mapping, ``key`` is a key.
    """

    place: str
    value: Any
    spec: Mapping[str, Any]


def wrong_types(fleet: Fleet) -> Iterator[tuple[str, Problem]]:
    """Yield (variable, problem) for what the inventory sets to a value that is not of the declared kind."""
    declared = _declared(fleet)
    for host, names in fleet.inventory_names.items():
        for name in sorted(names & declared.keys()):
            spec, value = declared[name], fleet.hosts[host].get(name)
            if value is None:
                # A required one is reported by required_variables.
                if name not in fleet.broken.get(host, {}) and spec.get("default") is not None:
                    yield name, Problem(host, f"{name} is empty", "give it a value, or leave it out for the default")
                continue
            found = next(_misfits(name, value, spec), None)
            if found is not None:
                yield name, Problem(host, *_in_words(found))


def wrong_defaults(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Yield (host, variable) for defaults that follow a value of the wrong kind, and so are of a wrong kind too."""
    declared = _declared(fleet)
    for host, variables in fleet.hosts.items():
        for name in declared.keys() - fleet.inventory_names.get(host, set()):
            value = variables.get(name)
            if value is not None and next(_misfits(name, value, declared[name]), None) is not None:
                yield host, name


def _declared(fleet: Fleet) -> dict[str, Mapping[str, Any]]:
    return {**LOGIN, **{option: spec for options in fleet.specs.values() for option, spec in options.items()}}


def _in_words(found: Misfit) -> tuple[str, str]:
    """Return what is wrong with a value, and what to write instead."""
    type_ = str(found.spec.get("type", "str"))
    if type_ == "key":
        return f"{found.place} has the key {found.value}, which is not a text", "write the key in quotes"
    kind = KINDS[type_]
    what = f"{found.place} is {_shown(found.value, type_)}, not {kind}"
    if type_ == "entry" and isinstance(found.value, Mapping):
        return what, "write a name with dots in one piece (log.dirs: /data), with its value behind it"
    if type_ == "entry" and is_list(found.value):
        return what, "write several values as one text, as the program's own file has them (a,b)"
    if found.value is None and not found.spec.get("required"):
        return what, f"set it to {kind}, or leave it out"
    return what, f"set it to {kind}: {first_sentence(found.spec.get('description'))}"


#: What argument_specs call a type, in words.
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
    "str": "a text",
    "path": "a path",
    "entry": "a single value",
}
#: A key that YAML reads as a number or as true; of ``0123`` it makes 83, so the text cannot be restored from it.
_KEY: Mapping[str, Any] = {"type": "key"}
_BOOLEANS = ("yes", "no", "on", "off", "true", "false", "y", "n", "t", "f", "1", "0")
#: Mappings whose keys are names from another program, and the kind of their values; all others have single values.
_TEXTS: Mapping[str, Any] = {"type": "list", "elements": "str"}
_RIGHT = {"resource": {"type": "str"}, "names": _TEXTS, "pattern": {"type": "str"}, "operations": _TEXTS}
_ENTRIES: Mapping[str, Mapping[str, Any]] = {
    "mysql_consumer_privileges": _TEXTS,
    "mysql_reader_privileges": _TEXTS,
    "mysql_console_privileges": _TEXTS,
    "mysql_replay_privileges": _TEXTS,
    "kafka_extra_rights": {"type": "list", "elements": "dict", "options": _RIGHT},
    "kafka_quotas": {"type": "dict"},
}
#: Those whose values may be empty.
_WITH_EMPTY_VALUES = ("kafka_properties",)


def _misfits(place: str, value: Any, spec: Mapping[str, Any]) -> Iterator[Misfit]:
    """Yield what is not of its kind in a value: itself, or what it holds."""
    kind = spec.get("type", "str")
    if kind not in KINDS:
        return
    if not _is_of(kind, value):
        yield Misfit(place, value, spec)
        return
    if isinstance(value, Mapping):
        yield from (Misfit(place, key, _KEY) for key in value if not isinstance(key, str))
    if kind == "list" and spec.get("elements"):
        entry: Mapping[str, Any] = {**spec, "type": spec["elements"], "elements": None}
        for number, item in enumerate(value):
            yield from _misfits(f"{place}[{number}]", item, entry)
    elif kind == "dict" and spec.get("options"):
        for name, option in spec["options"].items():
            if name in value:
                yield from _misfits(f"{place}.{name}", value[name], option)
    elif kind == "dict":
        entry = _ENTRIES.get(place, {"type": "entry"})
        for name, item in value.items():
            if item is not None or place not in _WITH_EMPTY_VALUES:
                yield from _misfits(f"{place}.{name}", item, entry)


def _is_of(kind: str, value: Any) -> bool:
    is_mapping = isinstance(value, Mapping)
    if kind == "list":
        return is_list(value)
    if kind == "dict":
        return is_mapping
    if kind == "bool":
        return isinstance(value, bool) or str(value).lower() in _BOOLEANS
    if kind == "int":
        return not isinstance(value, bool) and re.fullmatch(r"\s*-?\d+\s*", str(value)) is not None
    if kind == "float":
        return not isinstance(value, bool) and re.fullmatch(r"\s*-?\d+(\.\d*)?\s*", str(value)) is not None
    return not (is_list(value) or is_mapping or value is None)


def kind_of(value: Any) -> str:
    """Return what a value is, in the words of :data:`KINDS`."""
    kinds = (
        (value is None, "empty"),
        (isinstance(value, bool), "true or false"),
        (isinstance(value, (int, float)), "a number"),
        (isinstance(value, Mapping), "a mapping"),
        (is_list(value), "a list"),
    )
    return next((words for is_so, words in kinds if is_so), "a text")


def _shown(value: Any, kind: str) -> str:
    """Return a value in words; only where a number belongs its own text, for a text may be a secret."""
    if kind in ("int", "float", "bool") and isinstance(value, (str, int, float)):
        return repr(value)[:SHOWN]
    return kind_of(value)
