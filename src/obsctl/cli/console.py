"""``obsctl console``: users, API tokens and the record of changes, on a host that has the console's configuration."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from obsctl.cli.commands import Command, examples, group
from obsctl.cli.settings import note, require_terminal
from obsctl.core.errors import ExitCode, MissingDependencyError, ObsctlError, RefusedError, UsageError
from obsctl.core.layout import Layout
from obsctl.core.utc import timestamp

if TYPE_CHECKING:
    from obsctl.console.people.audit import Entry
    from obsctl.console.people.roles import Role
    from obsctl.console.people.tokens import Token
    from obsctl.console.people.users import User

T = TypeVar("T")

_CONFIG = Path("/etc/obsctl/console.yml")
_ROLES = ("viewer", "operator", "admin")
_USERS = (Layout("users", "", ("name", "role", "state", "created"), ()),)
_TOKENS = (Layout("tokens", "", ("id", "user", "purpose", "role", "ends", "used"), ("created",)),)
_CHANGES = (Layout("changes", "", ("at", "actor", "action", "object", "detail"), ("client_addr",)),)

console = group(
    "console",
    help="The console's users and API tokens, and what was changed.",
    epilog=examples(
        "obsctl console user add ada --role admin",
        "obsctl console user list",
        "obsctl console token add grafana --role viewer",
        "obsctl console audit --limit 20",
    ),
)
user = group("user", help="Add, change and remove users.", epilog=examples("obsctl console user list"))
console.add_typer(user)
token = group("token", help="Make and revoke API tokens.", epilog=examples("obsctl console token list"))
console.add_typer(token)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the user.")]
_Role = Annotated[
    str,
    typer.Option(
        "--role", metavar="|".join(_ROLES), help="What the user may do: look, act as well, or manage users too."
    ),
]
_Password = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="REF",
        help="Where the password is: file:/path or env:NAME (default: ask on the terminal).",
    ),
]
_Config = Annotated[Path, typer.Option("--config", metavar="FILE", dir_okay=False, help="The console's configuration.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@user.command(
    "add",
    cls=Command,
    epilog=examples(
        "obsctl console user add ada --role admin",
        "obsctl console user add noc --role viewer --password file:/root/noc.password",
    ),
)
def add(
    ctx: typer.Context, name: _Name, *, role: _Role, password: _Password = None, config: _Config = _CONFIG
) -> ExitCode:
    """Add a user. The password is asked for twice, or read from where --password says."""
    wanted, given = _role(role), _password(password)

    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.add(cursor, _actor(), name, wanted, given)

    _change(config, change)
    note(ctx, f"{name} can log in now")
    return ExitCode.OK


@user.command("list", cls=Command, epilog=examples("obsctl console user list", "obsctl console user list -o json"))
def list_users(ctx: typer.Context, *, config: _Config = _CONFIG) -> ExitCode:
    """Show all users."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    def read(cursor: Any) -> list[User]:
        from obsctl.console.people import users

        return users.everybody(cursor)

    start = Start()
    rows = [
        {
            "name": one.name,
            "role": one.role.value,
            "state": "disabled" if one.disabled else "active",
            "created": timestamp(one.created_at),
        }
        for one in _change(config, read)
    ]
    publish(ctx, start.report("console user list", {"users": rows}), _USERS)
    return ExitCode.OK


@user.command(
    "password",
    cls=Command,
    epilog=examples(
        "obsctl console user password ada", "obsctl console user password noc --password file:/root/noc.password"
    ),
)
def set_password(ctx: typer.Context, name: _Name, *, password: _Password = None, config: _Config = _CONFIG) -> ExitCode:
    """Give a user another password, and end its sessions."""
    given = _password(password)

    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.set_password(cursor, _actor(), _known(cursor, name), given)

    _change(config, change)
    note(ctx, f"{name} has another password, and has to log in again")
    return ExitCode.OK


@user.command("role", cls=Command, epilog=examples("obsctl console user role ada --role operator"))
def set_role(ctx: typer.Context, name: _Name, *, role: _Role, config: _Config = _CONFIG) -> ExitCode:
    """Give a user another role; it counts from the next request on."""
    wanted = _role(role)

    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.set_role(cursor, _actor(), _known(cursor, name), wanted)

    _change(config, change)
    note(ctx, f"{name} is {wanted.value} now")
    return ExitCode.OK


@user.command("disable", cls=Command, epilog=examples("obsctl console user disable ada"))
def disable(ctx: typer.Context, name: _Name, *, config: _Config = _CONFIG) -> ExitCode:
    """Keep a user from logging in, and end its sessions."""
    _set_disabled(config, name, disabled=True)
    note(ctx, f"{name} cannot log in any more; to allow it again: obsctl console user enable {name}")
    return ExitCode.OK


@user.command("enable", cls=Command, epilog=examples("obsctl console user enable ada"))
def enable(ctx: typer.Context, name: _Name, *, config: _Config = _CONFIG) -> ExitCode:
    """Allow a disabled user to log in again."""
    _set_disabled(config, name, disabled=False)
    note(ctx, f"{name} can log in")
    return ExitCode.OK


@user.command("rm", cls=Command, epilog=examples("obsctl console user rm ada", "obsctl console user rm ada --yes"))
def remove(ctx: typer.Context, name: _Name, *, yes: _Yes = False, config: _Config = _CONFIG) -> ExitCode:
    """Remove a user and its sessions. What it changed stays on record."""
    if not yes:
        require_terminal("console user rm")
        if not typer.confirm(f"Remove the user {name}?", err=True):
            raise RefusedError("nothing was removed")

    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.remove(cursor, _actor(), _known(cursor, name))

    _change(config, change)
    note(ctx, f"{name} is removed")
    return ExitCode.OK


@token.command(
    "add",
    cls=Command,
    epilog=examples(
        "obsctl console token add grafana --role viewer",
        "obsctl console token add ada --role operator --days 7 --purpose import",
    ),
)
def add_token(
    ctx: typer.Context,
    name: _Name,
    *,
    role: Annotated[
        str, typer.Option("--role", metavar="|".join(_ROLES), help="What the token may do; not more than its user.")
    ],
    days: Annotated[
        int,
        typer.Option(min=1, metavar="N", show_default=False, help="It ends after N days, at most 365 (default: 90)."),
    ] = 90,
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.", show_default=False)] = "obsctl",
    config: _Config = _CONFIG,
) -> ExitCode:
    """Make a token of a user and print it alone, this once. A missing user is added, without a password."""
    wanted = _role(role)

    def change(cursor: Any) -> tuple[str, bool]:
        from obsctl.console.people import tokens, users

        owner = users.find(cursor, name)
        missing = owner is None
        if owner is None:
            users.add(cursor, _actor(), name, wanted, None)
            owner = _known(cursor, name)
        return tokens.add(cursor, _actor(), owner, tokens.Wanted(purpose, wanted, days)), missing

    made, added = _change(config, change)
    if added:
        note(ctx, f"the user {name} was added, without a password")
    typer.echo(made)
    return ExitCode.OK


@token.command("list", cls=Command, epilog=examples("obsctl console token list", "obsctl console token list -o json"))
def list_tokens(ctx: typer.Context, *, config: _Config = _CONFIG) -> ExitCode:
    """Show all tokens, without what is secret of them."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    def read(cursor: Any) -> list[Token]:
        from obsctl.console.people import tokens

        return tokens.everybodys(cursor)

    start = Start()
    rows = [
        {
            "id": one.id,
            "user": one.owner,
            "purpose": one.name,
            "role": one.role.value,
            "created": timestamp(one.created_at),
            "ends": timestamp(one.expires_at),
            "used": timestamp(one.used_at) if one.used_at else "",
        }
        for one in _change(config, read)
    ]
    publish(ctx, start.report("console token list", {"tokens": rows}), _TOKENS)
    return ExitCode.OK


@token.command("rm", cls=Command, epilog=examples("obsctl console token rm 7"))
def remove_token(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="As obsctl console token list shows it.")],
    *,
    config: _Config = _CONFIG,
) -> ExitCode:
    """Revoke a token."""

    def change(cursor: Any) -> None:
        from obsctl.console.people import tokens

        found = next((one for one in tokens.everybodys(cursor) if one.id == number), None)
        if found is None:
            raise UsageError(f"the console has no token {number}", hint="obsctl console token list shows all")
        tokens.revoke(cursor, _actor(), found)

    _change(config, change)
    note(ctx, f"the token {number} is revoked")
    return ExitCode.OK


@console.command(
    "audit", cls=Command, epilog=examples("obsctl console audit", "obsctl console audit --limit 20 -o json")
)
def audit(
    ctx: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", show_default=False, help="The newest N (default: 100).")
    ] = 100,
    config: _Config = _CONFIG,
) -> ExitCode:
    """Show who changed what, newest first."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    def read(cursor: Any) -> list[Entry]:
        from obsctl.console.people import audit as record

        return record.read(cursor, limit)

    start = Start()
    rows = [
        {
            "at": timestamp(one.at),
            "actor": one.actor.name,
            "action": one.action,
            "object": one.object,
            "detail": one.detail,
            "client_addr": one.actor.client_addr,
        }
        for one in _change(config, read)
    ]
    publish(ctx, start.report("console audit", {"changes": rows}), _CHANGES)
    return ExitCode.OK


def _set_disabled(config: Path, name: str, *, disabled: bool) -> None:
    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.disable(cursor, _actor(), _known(cursor, name), disabled=disabled)

    _change(config, change)


def _known(cursor: Any, name: str) -> User:
    from obsctl.console.people import users
    from obsctl.core.nearest import did_you_mean

    found = users.find(cursor, name)
    if found is None:
        names = [one.name for one in users.everybody(cursor)]
        hint = did_you_mean(name, names, "obsctl console user list shows all")
        raise UsageError(f"the console has no user {name}", hint=hint)
    return found


def _role(text: str) -> Role:
    from obsctl.console.people.roles import Role

    try:
        return Role(text)
    except ValueError:
        raise UsageError(f"--role {text} is not one of {', '.join(_ROLES)}") from None


def _actor() -> Any:
    """Return who runs this command: the login's name, and where it runs in place of an address."""
    from obsctl.cli.person import login_name
    from obsctl.console.people.audit import Actor

    return Actor(f"{login_name()} (obsctl)"[:64])


def _password(reference: str | None) -> str:
    """Return the password that a reference names, or that a person types twice."""
    if reference is not None:
        from obsctl.core.secrets import resolve

        return resolve(reference).reveal()
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for the password on", hint="give --password file:/path")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise RefusedError("the two passwords differ; nothing was changed")
    return first


def _change(path: Path, action: Callable[[Any], T]) -> T:
    """Run an action in the console's database.

    Raises:
        ObsctlError: the database does not answer.
        RefusedError: the change is refused.
    """
    try:
        from obsctl.console import config
        from obsctl.console.database import DatabaseAwayError, Pool
        from obsctl.console.people.passwords import UnfitPasswordError
        from obsctl.console.people.users import UnfitUserError
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the console's libraries are missing ({error.name})",
            hint="run this on a host of the console, or: pip install 'obscraft[console]'",
        ) from None
    database = config.load(path).database
    pool = Pool(database)
    try:
        return pool.run(action)
    except DatabaseAwayError as error:
        raise ObsctlError(f"database {database.host}: {error}", hint=error.hint) from None
    except (UnfitUserError, UnfitPasswordError) as error:
        raise RefusedError(f"{error}; nothing was changed") from None
    finally:
        pool.close()
