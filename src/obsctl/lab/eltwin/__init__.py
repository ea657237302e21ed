"""The EL twin: a Debian userland that looks and installs like CentOS Stream 9.

No repository of an EL distribution is needed: the guests get dnf, an rpm database, EL's names, paths, units and
users, and a repository of signed RPMs that hold Debian's programs. What such a host cannot show is listed in
``docs/guides/lab.md``.
"""

from __future__ import annotations

from obsctl.lab.eltwin.root import USERLAND, convert, ingredients

__all__ = ["USERLAND", "convert", "ingredients"]
