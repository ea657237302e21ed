"""Suggests existing names for a mistyped one."""

from __future__ import annotations

from collections.abc import Iterable

#: The least similarity of two names, 0 to 1: allows two swapped letters in a short name.
_ALIKE = 0.6
#: A name whose similarity is lower than the best one's by more than this is not suggested: long names share their
#: beginnings.
_AS_GOOD = 0.1
#: The most suggestions.
_MOST = 3


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are most alike, the best first; case, dashes and underscores make no difference."""
    from difflib import SequenceMatcher, get_close_matches

    plain: dict[str, str] = {}
    for one in known:
        plain.setdefault(_plain(one), one)
    found = get_close_matches(_plain(name), list(plain), n=_MOST, cutoff=_ALIKE)
    matcher = SequenceMatcher(b=_plain(name))
    ratios = []
    for one in found:
        matcher.set_seq1(one)
        ratios.append(matcher.ratio())
    return [plain[one] for one, ratio in zip(found, ratios, strict=True) if ratio >= ratios[0] - _AS_GOOD]


def did_you_mean(names: str | Iterable[str], known: Iterable[str], otherwise: str = "") -> str:
    """Return the hint for names that do not exist: ``did you mean kafka or kafka2?``

    Args:
        names: that a person has typed.
        known: all that exist.
        otherwise: the hint where none is alike.
    """
    there = list(known)
    typed = [names] if isinstance(names, str) else names
    found = dict.fromkeys(near for name in typed for near in nearest(name, there))
    return f"did you mean {' or '.join(found)}?" if found else otherwise


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-")
