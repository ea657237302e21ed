"""How a list in a report's ``data`` is shown as a table: declared beside the code that fills it."""

from __future__ import annotations

from typing import NamedTuple


class Layout(NamedTuple):
    """One table: the key in ``data``, its title, the columns always shown and those of ``-o wide``.

    Without columns that are always shown, it is a table of ``-o wide`` alone.

    ``percent`` names the columns whose numbers are parts of one, ``bars`` those that are histograms (lists of counts),
    ``unknown`` those in which null means that it is not known, not that there is nothing; ``folded`` is the field of
    rows that stand in another table as a sum.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    wide: tuple[str, ...] = ()
    percent: tuple[str, ...] = ()
    bars: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    folded: str = ""
