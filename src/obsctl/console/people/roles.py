"""What a person may do."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    """Each role includes the ones before it."""

    #: May see everything.
    VIEWER = "viewer"
    #: May silence alerts and replay quarantined lines.
    OPERATOR = "operator"
    #: May add and change users.
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether this role includes the other one."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
