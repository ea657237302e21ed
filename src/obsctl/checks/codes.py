"""Which codes of findings a check can make, read from its functions, because a separate list would become outdated."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from obsctl.checks.check import Check

_CODE = re.compile(r"[A-Z]+(?:_[A-Z]+)+")
#: The packages that make findings; functions that a check calls elsewhere make none.
_CHECKS = "obsctl.checks"


def codes_of(check: Check[Any]) -> frozenset[str]:
    """Return the codes in a check's judge and collector, and in everything in the checks that these refer to.

    The codes are constants of functions and of tables such as a list of rules, including those that a function imports
    itself. Codes that a judge only compares with are included.
    """
    found: set[str] = set()
    seen: dict[int, object] = {}
    ahead: list[object] = [*_inside(check.judge), *_inside(check.collect)]
    while ahead:
        thing = ahead.pop()
        if isinstance(thing, str):
            if _CODE.fullmatch(thing):
                found.add(thing)
        elif id(thing) not in seen:
            seen[id(thing)] = thing
            ahead += _inside(thing) if _of_checks(getattr(thing, "__module__", "")) else _rows(thing)
    return frozenset(found)


def _inside(thing: object) -> Iterator[object]:
    """Yield what a function or a class refers to."""
    if isinstance(thing, FunctionType):
        yield from _named(thing.__code__, thing.__globals__)
        yield from (cell.cell_contents for cell in thing.__closure__ or ())
    elif isinstance(thing, type):
        yield from vars(thing).values()
    else:
        yield from _rows(thing)


def _rows(thing: object) -> Iterator[object]:
    """Yield the items of a table or of one of its rows, and the function of a partial or an attribute."""
    if isinstance(thing, Mapping):
        yield from thing.keys()
        yield from thing.values()
    elif isinstance(thing, tuple | list | set | frozenset):
        yield from thing
    elif isinstance(thing, property):
        yield thing.fget
    elif isinstance(thing, functools.partial | functools.cached_property):
        yield thing.func


def _named(code: CodeType, names: Mapping[str, object]) -> Iterator[object]:
    """Yield the constants of a function's code, and the objects that its names refer to in modules of checks."""
    modules = [importlib.import_module(name) for name in code.co_names if _of_checks(name)]
    for name in code.co_names:
        meant = [place[name] for place in (names, *map(vars, modules)) if name in place]
        yield from meant
        # In the code, an attribute's name comes after its module's.
        modules += [one for one in meant if isinstance(one, ModuleType) and _of_checks(one.__name__)]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named(constant, names)
        else:
            yield constant


def _of_checks(module: object) -> bool:
    return str(module).startswith(f"{_CHECKS}.")
