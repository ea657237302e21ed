"""Projects: each has a filter for each log, and members of projects see only lines that match one of their projects.

The filters of all projects of a person apply together, and no page lets people choose a project: so what a person may
see depends only on who it is, and on no parameter of a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from obsctl.console.people import audit, users
from obsctl.console.people.audit import Actor
from obsctl.console.people.users import UnfitUserError

NAME_WIDTH = 100


class Project(NamedTuple):
    """A project.

    Attributes:
        name: unique.
        filters: in the query language, by the log's table; empty for none of its lines.
        members: names of users.
    """

    name: str
    filters: dict[str, str]
    members: tuple[str, ...]


def everything(cursor: Any) -> list[Project]:
    """Return all projects, by name."""
    cursor.execute(
        "SELECT m.project_id, u.name FROM console_member m JOIN console_user u ON u.user_id = m.user_id ORDER BY u.name"
    )
    members: dict[int, list[str]] = {}
    for project, name in cursor.fetchall():
        members.setdefault(project, []).append(name)
    cursor.execute("SELECT project_id, name, access_filter, error_filter FROM console_project ORDER BY name")
    return [_project(name, access, error, members.get(number, ())) for number, name, access, error in cursor.fetchall()]


def of_user(cursor: Any, user_id: int) -> list[Project]:
    """Return the projects of a user, by name, without their members."""
    cursor.execute(
        "SELECT p.name, p.access_filter, p.error_filter FROM console_project p"
        " JOIN console_member m ON m.project_id = p.project_id WHERE m.user_id = %s ORDER BY p.name",
        (user_id,),
    )
    return [_project(name, access, error, ()) for name, access, error in cursor.fetchall()]


def put(cursor: Any, actor: Actor, project: Project) -> None:
    """Create a project, or replace the one with its name.

    Args:
        cursor: of the transaction.
        actor: who makes the change.
        project: with valid filters.

    Raises:
        UnfitUserError: there is no user with a member's name.
    """
    found = {name: users.find(cursor, name) for name in project.members}
    if unknown := sorted(name for name, user in found.items() if user is None):
        raise UnfitUserError(f"there is no user {unknown[0]}")
    filters = (project.filters["access_log"], project.filters["error_log"])
    cursor.execute(
        "INSERT INTO console_project (name, access_filter, error_filter) VALUES (%s, %s, %s)"
        " ON DUPLICATE KEY UPDATE access_filter = VALUES(access_filter), error_filter = VALUES(error_filter)",
        (project.name, *filters),
    )
    number = _number(cursor, project.name)
    cursor.execute("DELETE FROM console_member WHERE project_id = %s", (number,))
    members = sorted({(user.id, number) for user in found.values() if user})
    if members:
        cursor.executemany("INSERT INTO console_member (user_id, project_id) VALUES (%s, %s)", members)
    said = f"members {', '.join(sorted(found)) or 'none'}; access {filters[0]!r}; error {filters[1]!r}"
    audit.write(cursor, actor, "project.put", project.name, said)


def remove(cursor: Any, actor: Actor, name: str) -> bool:
    """Remove a project; return whether there was one.

    Raises:
        UnfitUserError: the project has members, who without it might see everything.
    """
    number = _number(cursor, name)
    if number is None:
        return False
    cursor.execute("SELECT COUNT(*) FROM console_member WHERE project_id = %s", (number,))
    if count := cursor.fetchone()[0]:
        raise UnfitUserError(f"{name} has {count} members, who might see every line without it; remove them first")
    cursor.execute("DELETE FROM console_project WHERE project_id = %s", (number,))
    audit.write(cursor, actor, "project.remove", name)
    return True


def _number(cursor: Any, name: str) -> int | None:
    # Locked, so that no member can be added while the project is removed.
    cursor.execute("SELECT project_id FROM console_project WHERE name = %s FOR UPDATE", (name,))
    row = cursor.fetchone()
    return int(row[0]) if row else None


def _project(name: str, access: str, error: str, members: Sequence[str]) -> Project:
    return Project(name, {"access_log": access, "error_log": error}, tuple(members))
