# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""What alert channels and alert rules have in common: a name of their own, and options of their type or kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.kinds import kind_of

Fault = tuple[str, str]


class Kind(NamedTuple):
    """The options of a channel's type, or of a kind of rule, beside the common ones."""

    needed: tuple[str, ...]
    others: tuple[str, ...]


_BY_NAME: dict[str, type] = {"int": int, "float": float, "bool": bool, "list": list, "dict": dict, "str": str}
#: Of channels. The alerter's file is JSON, in which a number in quotes is none; what is not here is a text.
TYPES: dict[str, type] = {
    "per_minute": int,
    "port": int,
    "recipients": list,
    "bootstrap": list,
    "robots": list,
    "at_mobiles": list,
    "at_user_ids": list,
    "at_severities": list,
    "at_all": list,
    "success": dict,
}
_IN_WORDS = {
    int: ("a number", "write it without quotes, or with the filter int"),
    float: ("a number", "write it without quotes, or with the filter float"),
    bool: ("true or false", "write true or false without quotes, or with the filter bool"),
    str: ("a text", "write it in quotes"),
}
#: How a value is written, not the value: it may be a secret.
_WRITTEN = {"a text": "a text in quotes"}


def name_faults(what: str, entries: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    """Yield (what is wrong, what to do) about entries without a name of their own.

    Args:
        what: the entries, as ``alert channel``.
        entries: the channels or rules.
    """
    names = [entry.get("name") for entry in entries]
    for number, name in enumerate(names, 1):
        if name is None or not str(name).strip():
            yield f"the {what} number {number} has no name", f"give each {what} a name of its own"
        elif not str(name).isprintable():
            yield f"the name of the {what} number {number} holds a line break", "write the name on one line"
    for name, times in Counter(str(name) for name in names if name is not None and str(name).strip()).items():
        if times > 1:
            yield f"{times} {what}s have the name {name}", f"give each {what} a name of its own"


def option_faults(
    what: str, options: Mapping[str, Any], common: Sequence[str], kind: Kind, kind_in_words: str
) -> Iterator[Fault]:
    """Yield (what is wrong, what to do) about options that are missing, or that belong to another type or kind.

    Args:
        what: the channel or rule.
        options: its options.
        common: the options that every type or kind takes.
        kind: those of its own.
        kind_in_words: its type or kind, as ``the type smtp``.
    """
    missing = [option for option in kind.needed if options.get(option) in (None, "", [])]
    if missing:
        yield f"{what} has no {' and no '.join(missing)}", f"{kind_in_words} needs {', '.join(kind.needed)}"
    taken = (*common, *kind.needed, *kind.others)
    foreign = [str(option) for option, value in options.items() if value is not None and option not in taken]
    if foreign:
        yield f"{what} has {', '.join(foreign)}, which {kind_in_words} does not take", f"it takes {', '.join(taken)}"


def mistyped(
    what: str, options: Mapping[str, Any], but: Sequence[str] = (), types: Mapping[str, str] | None = None
) -> Iterator[Fault]:
    """Yield (what is wrong, what to do) about options that do not have the type that the alerter's file needs.

    Args:
        what: the channel or rule.
        options: its options; one that another rule refuses is not reported again.
        but: options that the role replaces by a text of its own.
        types: of the options, in Ansible's words; by default those of channels.
    """
    for option, value in options.items():
        wanted = TYPES.get(option, str) if types is None else _BY_NAME[types.get(option, "str")]
        if option in but or value is None or isinstance(value, (Mapping, list)) or (types and option not in types):
            continue
        is_it = isinstance(value, (int, float) if wanted is float else wanted) and (
            wanted is bool or not isinstance(value, bool)
        )
        if not is_it and wanted in _IN_WORDS:
            words, fix = _IN_WORDS[wanted]
            yield f"{what}: {option} is not {words} but {_WRITTEN.get(kind_of(value), kind_of(value))}", fix
