"""What a person may do."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    """Each role may do what the ones before it may."""

    #: Looks at everything.
    VIEWER = "viewer"
    #: Silences alerts and replays quarantined lines.
    OPERATOR = "operator"
    #: Adds and changes users.
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what the other one may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
