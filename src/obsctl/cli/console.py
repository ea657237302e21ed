"""``obsctl console``: the console's users and API tokens, and the record of what was changed.

Where the console's configuration is, a command works directly in its database; elsewhere it runs on one of its hosts.
"""

from __future__ import annotations

import getpass
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from obsctl.cli.commands import Command, examples, group
from obsctl.cli.settings import Output, note, require_terminal, settings
from obsctl.core.errors import ExitCode, MissingDependencyError, ObsctlError, RefusedError, UsageError
from obsctl.core.layout import Layout
from obsctl.core.utc import timestamp

if TYPE_CHECKING:
    from obsctl.cli.there import Place
    from obsctl.console.people.audit import Entry
    from obsctl.console.people.roles import Role
    from obsctl.console.people.tokens import Token
    from obsctl.console.people.users import User
    from obsctl.core.report import Report

T = TypeVar("T")

#: Path of the program on the console's hosts, and the user there who may read the console's secret.
_CONFIG = Path("/etc/obsctl/console.yml")
_USER = "obsctl-console"
_THERE_S = 30.0
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
_PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
_Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", dir_okay=False,
        help=f"Run here, with this configuration (default: {_CONFIG} if it exists, else run on a host of the console).",
    ),
]  # fmt: skip
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@user.command(
    "add",
    cls=Command,
    epilog=examples(
        "obsctl console user add ada --role admin",
        "obsctl console user add noc --role viewer --password file:/root/noc.password",
        "obsctl console user add grace --role viewer --no-password",
    ),
)
def add(
    ctx: typer.Context,
    name: _Name,
    *,
    role: _Role,
    password: _Password = None,
    password_stdin: _PasswordStdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Without one: for who logs in by OpenID Connect or through a proxy.")
    ] = False,
    config: _Config = None,
) -> ExitCode:
    """Add a user. The password is asked for twice, or read from where an option says."""
    wanted = _role(role)
    if no_password and (password is not None or password_stdin):
        raise UsageError("a password is given with --no-password", hint="leave one of them out")
    given = None if no_password else _password(password, stdin=password_stdin)

    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.add(cursor, _actor(), name, wanted, given)

    arguments = ["user", "add", name, "--role", wanted.value, *(["--no-password"] if no_password else [])]
    _apply(ctx, config, arguments, change, password=given)
    note(ctx, f"{name} can log in now" + (", but not by a password" if no_password else ""))
    return ExitCode.OK


@user.command("list", cls=Command, epilog=examples("obsctl console user list", "obsctl console user list -o json"))
def list_users(ctx: typer.Context, *, config: _Config = None) -> ExitCode:
    """Show all users."""
    from obsctl.cli.output import publish

    def read(cursor: Any) -> list[User]:
        from obsctl.console.people import users

        return users.everybody(cursor)

    def rows() -> dict[str, Any]:
        users = [
            {
                "name": one.name,
                "role": one.role.value,
                "state": "disabled" if one.disabled else "active",
                "created": timestamp(one.created_at),
            }
            for one in _change(config, read)
        ]
        return {"users": users}

    publish(ctx, _report(ctx, config, ["user", "list"], rows), _USERS)
    return ExitCode.OK


@user.command(
    "password",
    cls=Command,
    epilog=examples(
        "obsctl console user password ada", "obsctl console user password noc --password file:/root/noc.password"
    ),
)
def set_password(
    ctx: typer.Context,
    name: _Name,
    *,
    password: _Password = None,
    password_stdin: _PasswordStdin = False,
    config: _Config = None,
) -> ExitCode:
    """Give a user another password, and end its sessions."""
    given = _password(password, stdin=password_stdin)

    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.set_password(cursor, _actor(), _known(cursor, name), given)

    _apply(ctx, config, ["user", "password", name], change, password=given)
    note(ctx, f"{name} has a new password and must log in again")
    return ExitCode.OK


@user.command("role", cls=Command, epilog=examples("obsctl console user role ada --role operator"))
def set_role(ctx: typer.Context, name: _Name, *, role: _Role, config: _Config = None) -> ExitCode:
    """Give a user another role; it counts from the next request on."""
    wanted = _role(role)

    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.set_role(cursor, _actor(), _known(cursor, name), wanted)

    _apply(ctx, config, ["user", "role", name, "--role", wanted.value], change)
    note(ctx, f"{name} is {wanted.value} now")
    return ExitCode.OK


@user.command("disable", cls=Command, epilog=examples("obsctl console user disable ada"))
def disable(ctx: typer.Context, name: _Name, *, config: _Config = None) -> ExitCode:
    """Keep a user from logging in, and end its sessions."""
    _set_disabled(ctx, config, name, disabled=True)
    note(ctx, f"{name} cannot log in any more; to allow it again: obsctl console user enable {name}")
    return ExitCode.OK


@user.command("enable", cls=Command, epilog=examples("obsctl console user enable ada"))
def enable(ctx: typer.Context, name: _Name, *, config: _Config = None) -> ExitCode:
    """Allow a disabled user to log in again."""
    _set_disabled(ctx, config, name, disabled=False)
    note(ctx, f"{name} can log in")
    return ExitCode.OK


@user.command("unlock", cls=Command, epilog=examples("obsctl console user unlock ada"))
def unlock(ctx: typer.Context, name: _Name, *, config: _Config = None) -> ExitCode:
    """Forget the failed logins with a user's name, so that the user can log in at once."""

    def change(cursor: Any) -> None:
        from obsctl.console.people import login

        if not login.unlock(cursor, _actor(), _known(cursor, name)):
            raise RefusedError(f"there are no failed logins of {name}; nothing was changed")

    _apply(ctx, config, ["user", "unlock", name], change)
    note(ctx, f"the failed logins of {name} are forgotten")
    return ExitCode.OK


@user.command("unlink", cls=Command, epilog=examples("obsctl console user unlink ada"))
def unlink(ctx: typer.Context, name: _Name, *, config: _Config = None) -> ExitCode:
    """Forget which person a user is at the OpenID provider; the next one who logs in by its name is it."""

    def change(cursor: Any) -> None:
        from obsctl.console.people import identities

        if not identities.unlink(cursor, _actor(), _known(cursor, name)):
            raise RefusedError(f"{name} is linked to no person; nothing was changed")

    _apply(ctx, config, ["user", "unlink", name], change)
    note(ctx, f"{name} is linked to no person now")
    return ExitCode.OK


@user.command("rm", cls=Command, epilog=examples("obsctl console user rm ada", "obsctl console user rm ada --yes"))
def remove(ctx: typer.Context, name: _Name, *, yes: _Yes = False, config: _Config = None) -> ExitCode:
    """Remove a user and its sessions. What it changed stays on record."""
    if not yes:
        require_terminal("console user rm")
        if not typer.confirm(f"Remove the user {name}?", err=True):
            raise RefusedError("nothing was removed")

    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.remove(cursor, _actor(), _known(cursor, name))

    _apply(ctx, config, ["user", "rm", name, "--yes"], change)
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
    config: _Config = None,
) -> ExitCode:
    """Make a token of a user and print it alone, this once. A missing user is added, without a password."""
    from obsctl.cli.output import publish

    wanted = _role(role)

    def change(cursor: Any) -> tuple[str, bool]:
        from obsctl.console.people import tokens, users

        owner = users.find(cursor, name)
        missing = owner is None
        if owner is None:
            users.add(cursor, _actor(), name, wanted, None)
            owner = _known(cursor, name)
        return tokens.add(cursor, _actor(), owner, tokens.Wanted(purpose, wanted, days)), missing

    def made() -> dict[str, Any]:
        return dict(zip(("token", "user_added"), _change(config, change), strict=True))

    options = ["--role", wanted.value, "--days", str(days), "--purpose", purpose]
    report = _report(ctx, config, ["token", "add", *options, "--", name], made)
    if report.data["user_added"]:
        note(ctx, f"the user {name} was added, without a password")
    if settings(ctx).output is Output.TABLE:
        typer.echo(report.data["token"])
    else:
        publish(ctx, report, ())
    return ExitCode.OK


@token.command("list", cls=Command, epilog=examples("obsctl console token list", "obsctl console token list -o json"))
def list_tokens(ctx: typer.Context, *, config: _Config = None) -> ExitCode:
    """Show all tokens, without what is secret of them."""
    from obsctl.cli.output import publish

    def read(cursor: Any) -> list[Token]:
        from obsctl.console.people import tokens

        return tokens.everybodys(cursor)

    def rows() -> dict[str, Any]:
        tokens = [
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
        return {"tokens": tokens}

    publish(ctx, _report(ctx, config, ["token", "list"], rows), _TOKENS)
    return ExitCode.OK


@token.command("rm", cls=Command, epilog=examples("obsctl console token rm 7"))
def remove_token(
    ctx: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="As obsctl console token list shows it.")],
    *,
    config: _Config = None,
) -> ExitCode:
    """Revoke a token."""

    def change(cursor: Any) -> None:
        from obsctl.console.people import tokens

        found = next((one for one in tokens.everybodys(cursor) if one.id == number), None)
        if found is None:
            raise UsageError(f"the console has no token {number}", hint="obsctl console token list shows all")
        tokens.revoke(cursor, _actor(), found)

    _apply(ctx, config, ["token", "rm", str(number)], change)
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
    config: _Config = None,
) -> ExitCode:
    """Show who changed what, newest first."""
    from obsctl.cli.output import publish

    def read(cursor: Any) -> list[Entry]:
        from obsctl.console.people import audit as record

        return record.read(cursor, limit)

    def rows() -> dict[str, Any]:
        changes = [
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
        return {"changes": changes}

    publish(ctx, _report(ctx, config, ["audit", "--limit", str(limit)], rows), _CHANGES)
    return ExitCode.OK


def _place(ctx: typer.Context, config: Path | None) -> Place | None:
    """Return the host of the console on which a command runs; None for this machine.

    Raises:
        UsageError: there is no configuration here, and the inventory has no such host.
    """
    if config is not None or ("inventory" not in settings(ctx).given and _CONFIG.exists()):
        return None
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.there import Place

    fleet = load_fleet(ctx)
    host = next((host for host in fleet.hosts if host.console is not None), None)
    if host is None:
        raise UsageError(
            "no host of the inventory has the console",
            hint=f"{fleet.playbook('console')} installs it where console_enabled is true; or give --config",
        )
    return Place(host, _USER, "console", "obsctl console audit shows what was")


def _apply(
    ctx: typer.Context,
    config: Path | None,
    arguments: Sequence[str],
    action: Callable[[Any], None],
    password: str | None = None,
) -> None:
    """Make a change here, or by the same command on a host of the console.

    Args:
        ctx: of the command.
        config: the value of --config.
        arguments: the command's own, for another host.
        action: changes the database.
        password: of a user, if the command takes one.
    """
    place = _place(ctx, config)
    if place is None:
        _change(config, action)
        return
    from obsctl.cli import there
    from obsctl.cli.person import login_name

    more = [] if password is None else ["--password-stdin"]
    given = "" if password is None else f"{password}\n"
    command = ["console", *arguments, *more, "--config", str(_CONFIG)]
    there.run(place, command, _THERE_S, given=given, person=login_name())


def _report(
    ctx: typer.Context, config: Path | None, arguments: Sequence[str], data: Callable[[], dict[str, Any]]
) -> Report:
    """Return the report of a read-only command, from here or from a host of the console."""
    from obsctl.cli import there
    from obsctl.cli.reporting import Start

    place = _place(ctx, config)
    if place is None:
        start = Start()
        name = " ".join(["console", *itertools.takewhile(lambda word: not word.startswith("-"), arguments)])
        return start.report(name, data())
    return there.report(place, ["console", *arguments, "--config", str(_CONFIG)], _THERE_S)


def _set_disabled(ctx: typer.Context, config: Path | None, name: str, *, disabled: bool) -> None:
    def change(cursor: Any) -> None:
        from obsctl.console.people import users

        users.disable(cursor, _actor(), _known(cursor, name), disabled=disabled)

    _apply(ctx, config, ["user", "disable" if disabled else "enable", name], change)


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
    """Return who runs this command: the login name, and the host in place of an address."""
    from obsctl.cli.person import login_name
    from obsctl.console.people.audit import Actor

    return Actor(f"{login_name()} (obsctl)"[:64])


def _password(reference: str | None, *, stdin: bool) -> str:
    """Return the password from a reference, from standard input, or from a person who types it twice."""
    if stdin:
        if reference is not None:
            raise UsageError("the password is given twice", hint="use --password or --password-stdin")
        return sys.stdin.readline().removesuffix("\n")
    if reference is not None:
        from obsctl.core.secrets import resolve

        return resolve(reference).reveal()
    if not sys.stdin.isatty():
        raise UsageError(
            "there is no terminal to ask for the password on", hint="give --password file:/path, or --password-stdin"
        )
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise RefusedError("the two passwords differ; nothing was changed")
    return first


def _change(path: Path | None, action: Callable[[Any], T]) -> T:
    """Run an action in the console's database.

    Args:
        path: of the configuration; None for the one that the role writes.
        action: gets a cursor.

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
    database = config.load(path or _CONFIG).database
    pool = Pool(database)
    try:
        return pool.run(action)
    except DatabaseAwayError as error:
        raise ObsctlError(f"database {database.host}: {error}", hint=error.hint) from None
    except (UnfitUserError, UnfitPasswordError) as error:
        raise RefusedError(f"{error}; nothing was changed") from None
    finally:
        pool.close()
