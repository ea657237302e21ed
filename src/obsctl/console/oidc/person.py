"""Derives a person's user name, groups and role from the provider's claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obsctl.console.oidc.errors import UnnamedError
from obsctl.console.people.roles import Role

#: Characters of a name that can be shown to its owner; a user's name may have fewer kinds.
_LONGEST = 64


def name_of(claims: Mapping[str, Any], claim: str) -> str:
    """Return the name of the person's user, in lower case, as all users' names are.

    Args:
        claims: of the person.
        claim: that holds it; ``email`` counts only if the provider has verified the address.

    Raises:
        UnnamedError: there is no usable name.
    """
    name = claims.get(claim)
    if not isinstance(name, str) or not name.strip():
        raise UnnamedError(f"there is no text in the claim {claim}: set people.oidc.name_claim or people.oidc.scopes")
    if claim == "email" and claims.get("email_verified") is not True:
        raise UnnamedError("the address in email is not confirmed (email_verified is not true)")
    if not name.isprintable() or len(name) > _LONGEST:
        raise UnnamedError(f"what the claim {claim} holds is not a valid user name")
    return name.strip().lower()


def groups_of(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """Return the groups of a person; a single group may be a plain text, and other values are ignored."""
    given = claims.get(claim)
    return frozenset(one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str))


def role_of(groups: frozenset[str], roles: Mapping[str, Role]) -> Role | None:
    """Return the highest role that a group gives, or viewer if none does; None if roles do not depend on groups.

    Args:
        groups: of the person.
        roles: by group.
    """
    if not roles:
        return None
    ranks = list(Role)
    return max((roles[group] for group in groups if group in roles), key=ranks.index, default=Role.VIEWER)
