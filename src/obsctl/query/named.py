"""What a filter depends on: the fields in it, and the present time."""

from __future__ import annotations

from obsctl.query.fields import Table
from obsctl.query.tree import All, And, Node, Not, Or, Range, Relative, Term, Words


def fields_of(tree: Node, table: Table) -> frozenset[str]:
    """Return the fields that a tree looks at.

    Args:
        tree: made for this table.
        table: of the lines.
    """
    match tree:
        case And(parts) | Or(parts):
            return frozenset().union(*(fields_of(part, table) for part in parts))
        case Not(part):
            return fields_of(part, table)
        case All():
            return frozenset()
        case Words():
            return frozenset(field.name for field in table.searched)
    return frozenset((tree.field,))


def is_relative(tree: Node) -> bool:
    """Whether a tree compares with a time that is counted from the moment of the question."""
    match tree:
        case And(parts) | Or(parts):
            return any(map(is_relative, parts))
        case Not(part):
            return is_relative(part)
        case Term(_, value):
            return isinstance(value, Relative)
        case Range(_, low, high):
            return isinstance(low, Relative) or isinstance(high, Relative)
    return False
