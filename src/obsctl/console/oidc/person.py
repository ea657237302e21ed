"""Who a person is to the console, by what the provider says: the name, the groups, and the role that follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from obsctl.console.oidc.errors import UnnamedError
from obsctl.console.people.roles import Role

#: Characters of a name that is worth to be shown to its owner; that of a user has fewer kinds of them.
_LONGEST = 64


def name_of(claims: Mapping[str, Any], claim: str) -> str:
    """Return the name of the person's user, in the small letters that names of users have.

    Args:
        claims: of the person.
        claim: that holds it; of ``email`` only an address counts that the provider has confirmed.

    Raises:
        UnnamedError: there is none.
    """
    name = claims.get(claim)
    if not isinstance(name, str) or not name.strip():
        raise UnnamedError(f"there is no text in the claim {claim}: set people.oidc.name_claim or people.oidc.scopes")
    if claim == "email" and claims.get("email_verified") is not True:
        raise UnnamedError("the address in email is not confirmed (email_verified is not true)")
    if not name.isprintable() or len(name) > _LONGEST:
        raise UnnamedError(f"what the claim {claim} holds is no user's name")
    return name.strip().lower()


def groups_of(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """Return the groups of a person; a single one may be a text, and what is no text is none."""
    given = claims.get(claim)
    return frozenset(one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str))


def role_of(groups: frozenset[str], roles: Mapping[str, Role]) -> Role | None:
    """Return the highest role that a group gives, viewer where none does; None where groups give no roles.

    Args:
        groups: of the person.
        roles: by group.
    """
    if not roles:
        return None
    ranks = list(Role)
    return max((roles[group] for group in groups if group in roles), key=ranks.index, default=Role.VIEWER)
