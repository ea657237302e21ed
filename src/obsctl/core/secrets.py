"""Secrets by reference: ``file:``, ``env:`` and ``vault:``, read at the moment of use.

A secret's value lives only in a :class:`Secret`, which prints as ``***``. Every value that was ever resolved is
remembered so that :func:`redact` can take it out of texts that other libraries wrote (exception messages).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

from obsctl.core.errors import ConfigError

_MASK = "***"
#: Masking shorter values would mask ordinary words of messages and protect nothing.
_MIN_REDACTED_LENGTH = 4
_seen: set[str] = set()
_vault: Callable[[str], str] | None = None


class Secret:
    """A secret value that is never printed; only :meth:`reveal` returns it."""

    __slots__ = ("_value", "reference")

    def __init__(self, value: str, reference: str) -> None:
        self._value = value
        self.reference = reference
        if len(value) >= _MIN_REDACTED_LENGTH:
            # As other libraries write it too: in a URL, in a repr, in JSON.
            written = {quote(value), quote_plus(value), repr(value)[1:-1], json.dumps(value)[1:-1]}
            _seen.update(written, {value, json.dumps(value, ensure_ascii=False)[1:-1]})

    def reveal(self) -> str:
        """Return the value, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __str__(self) -> str:
        return _MASK


def redact(text: str) -> str:
    """Return the text with every secret resolved so far replaced by ``***``."""
    for value in sorted(_seen, key=len, reverse=True):
        text = text.replace(value, _MASK)
    return text


def open_vault(reader: Callable[[str], str]) -> None:
    """Choose how ``vault:`` references are read from now on: a function from a variable's name to its value."""
    global _vault  # noqa: PLW0603 - a process has one inventory, hence one vault
    _vault = reader


def resolve(reference: str) -> Secret:
    """Read the secret that a reference names.

    Args:
        reference: ``file:/path`` (a trailing newline is dropped), ``env:NAME`` or ``vault:NAME`` (a variable of
            the inventory that Ansible Vault protects; needs :func:`open_vault`).

    Raises:
        ConfigError: the reference has no known form, or what it names cannot be read or is empty.
    """
    kind, _, name = reference.partition(":")
    if kind == "file":
        value = _from_file(reference, name)
    elif kind == "env":
        value = os.environ.get(name, "")
    elif kind == "vault" and _vault is not None:
        value = _vault(name)
    elif kind == "vault":
        raise ConfigError(
            f"the secret {reference} is in the inventory's vault, which cannot be read here",
            hint="run this on the control node with --inventory, or use a file: or env: reference",
        )
    else:
        raise ConfigError(
            "a secret must be given as a reference, not as its value",
            hint="write file:/path, env:NAME or vault:NAME",
        )
    if not value:
        raise ConfigError(f"the secret {reference} is empty", hint=f"set what {reference} names, then try again")
    return Secret(value, reference)


def _from_file(reference: str, name: str) -> str:
    try:
        return Path(os.path.expanduser(name)).read_text(encoding="utf-8").rstrip("\r\n")  # noqa: PTH111 - never raises
    except OSError as error:
        raise ConfigError(
            f"the secret {reference} cannot be read: {error.strerror}",
            hint="check the path and that this user may read it (mode 0600, owned by this user)",
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"the secret {reference} is not text in UTF-8") from None
