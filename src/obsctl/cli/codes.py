"""The codes of findings that this program knows: each has a page."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obsctl.core.errors import UsageError
from obsctl.core.nearest import did_you_mean
from obsctl.core.runbooks import pages

if TYPE_CHECKING:
    from obsctl.checks.check import Check
    from obsctl.core.selection import Pattern


def page_of(code: str) -> Path:
    """Return the page of a code, ignoring case.

    Raises:
        UsageError: no finding has this code; the hint names similar ones.
    """
    known = pages()
    if code.upper() not in known:
        raise _unknown(code)
    return known[code.upper()]


def pattern(text: str) -> Pattern:
    """Parse ``CODE`` or ``CODE=OBJECT``, both with wildcards.

    Raises:
        UsageError: no finding has such a code.
    """
    from obsctl.core.selection import Pattern

    code, equals, about = text.partition("=")
    code = code.upper()
    if not any(fnmatchcase(name, code) for name in pages()):
        raise _unknown(code)
    if equals and not about:
        raise UsageError(f"{text} names no object", hint=f"{code} alone means every object")
    return Pattern(code, about or "*")


def selected(text: str, check: Check[Any]) -> Pattern:
    """Parse ``CODE`` or ``CODE=OBJECT`` for the findings of a check, as :func:`pattern` does.

    Raises:
        UsageError: no finding has such a code, or none that this check can make: the verdict would always be ok.
    """
    from obsctl.checks.codes import codes_of

    wanted = pattern(text)
    made = sorted(codes_of(check) & pages().keys())
    if not any(fnmatchcase(code, wanted.code) for code in made):
        near = did_you_mean(wanted.code, made)
        raise UsageError(
            f"obsctl {check.command} never finds {wanted.code}, so with --select {text} it would always be ok",
            hint=" ".join([*([near] if near else []), f"it can find {', '.join(made)}"]),
        )
    return wanted


def _unknown(code: str) -> UsageError:
    return UsageError(
        f"no finding has the code {code!r}", hint=did_you_mean(code, pages(), "obsctl explain lists all codes")
    )
