"""How to connect to the database."""

from __future__ import annotations

from typing import Annotated

import msgspec

from obsctl.core.settings import Name, Port, Section


class Database(Section, frozen=True, kw_only=True):
    """How to connect to the database.

    Attributes:
        password: a reference (``file:/path`` or ``env:NAME``), never a value.
        ca_file: authorities (PEM) that sign the server's certificate; with them every connection is encrypted and the
            certificate must name ``host``. Empty: encrypted only if the server offers it, and nothing is verified.
    """

    host: Name
    port: Port
    name: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_]{1,64}$")]
    user: Name
    password: Annotated[str, msgspec.Meta(pattern="^(file|env):.")]
    ca_file: str = ""
