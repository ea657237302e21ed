"""Who is at the terminal."""

from __future__ import annotations

import getpass

from obsctl.core.errors import UsageError


def login_name() -> str:
    """Return the name of the person at the terminal.

    Raises:
        UsageError: the system does not know it.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise UsageError("this account has no name", hint="give one with --author") from None
