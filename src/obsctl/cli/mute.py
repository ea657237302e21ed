"""``obsctl mute``: keep known findings from deciding the verdict for a while."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.cli import codes, completion
from obsctl.cli.commands import Command, Group, examples, group
from obsctl.cli.moments import duration
from obsctl.cli.person import login_name
from obsctl.cli.settings import note
from obsctl.core.errors import ConfigError, ExitCode, UsageError
from obsctl.core.layout import Layout

if TYPE_CHECKING:
    from obsctl.cli.muting import Book
    from obsctl.core.mute import Mute

#: Longest mute: longer than a repair takes. Findings that are known for longer should be ignored by an option, which
#: others can see.
_LONGEST = timedelta(days=30)
#: Longest reason, characters; every report shows it.
_LONGEST_REASON = 500
#: Codes contain an underscore, and patterns a wildcard; commands contain neither.
_LIKE_CODES = re.compile(r"[^-].*[_*?\[=]|[*?\[=]").match
_LAYOUTS = (Layout("mutes", "", ("code", "object", "state", "until", "author", "reason"), ("created", "seen")),)


class _ShortAdd(Group):
    """``mute CODE`` is ``mute add CODE``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Treat a word in the form of a finding's code as one; any other may be a mistyped command."""
        short = args and args[0] not in self.commands and _LIKE_CODES(args[0])
        return super().resolve_command(ctx, ["add", *args] if short else args)


mute = group(
    "mute",
    help="Keep known findings from deciding the verdict for a while.",
    epilog=examples(
        "obsctl mute KAFKA_LAG --for 30m --reason 'replaying last week'",
        "obsctl mute list",
        "obsctl mute rm KAFKA_LAG",
    ),
    cls=_ShortAdd,
)
_Which = Annotated[
    str,
    typer.Argument(
        metavar="CODE=OBJECT",
        help="A finding's code, for every object or only this one; wildcards allowed.",
        autocompletion=completion.codes,
    ),
]


@mute.command(
    "add",
    cls=Command,
    epilog=examples(
        "obsctl mute add KAFKA_LAG --for 30m --reason 'replaying last week'",
        "obsctl mute add 'KAFKA_*=broker/3' --for 2h --reason 'node3 gets a disk'",
    ),
)
def add(
    ctx: typer.Context,
    which: _Which,
    *,
    for_: Annotated[
        timedelta, typer.Option("--for", metavar="SPAN", parser=duration, help="How long: 30m, 2h, 7d, at most 30d.")
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for others to read.")],
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who does this (default: your login name).")
    ] = None,
) -> ExitCode:
    """Mute findings: they are still shown, with the reason, but do not decide the verdict.

    The word `add` may be left out. A mute ends early if the finding gets worse than a check saw it in the hour
    before (or, if none had, saw it first): a higher severity, another object, more partitions. It
    applies to this inventory, on this machine, for this user; --from-file ignores mutes.
    """
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.core import mute as muting

    start = Start()
    pattern = codes.pattern(which)
    if for_ > _LONGEST:
        raise UsageError(f"--for is longer than {_LONGEST.days} days", hint=f"--ignore {pattern} is permanent")
    if len(reason) > _LONGEST_REASON:
        raise UsageError(f"the reason has {len(reason)} characters, but at most {_LONGEST_REASON} are allowed")
    book = _book(ctx)
    made = muting.made(
        pattern,
        now=start.at,
        until=start.at + for_,
        reason=reason,
        author=author or login_name(),
        sights=book.sights(),
    )
    book.change(lambda mutes: (*(one for one in mutes if one.pattern != pattern), made))
    note(ctx, f"to end it before: obsctl mute rm '{pattern}'")
    publish(ctx, start.report("mute add", {"mutes": [_row(made, start.at)]}), _LAYOUTS)
    return ExitCode.OK


@mute.command("list", cls=Command, epilog=examples("obsctl mute list"))
def list_(ctx: typer.Context) -> ExitCode:
    """List the mutes of this inventory, also those that ended within the last day, and why."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    mutes = sorted(_book(ctx).mutes(), key=lambda one: (not one.counts(start.at), one.until))
    if not mutes:
        note(ctx, "nothing is muted")
    publish(ctx, start.report("mute list", {"mutes": [_row(one, start.at) for one in mutes]}), _LAYOUTS)
    return ExitCode.OK


@mute.command("rm", cls=Command, epilog=examples("obsctl mute rm KAFKA_LAG"))
def remove(ctx: typer.Context, which: _Which) -> ExitCode:
    """End a mute now."""
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start
    from obsctl.core.nearest import did_you_mean

    start = Start()
    pattern = codes.pattern(which)
    book = _book(ctx)
    mutes = book.mutes()
    gone = [one for one in mutes if one.pattern == pattern]
    if not gone:
        known = [str(one.pattern) for one in mutes]
        raise UsageError(
            f"{pattern} is not muted", hint=did_you_mean(str(pattern), known, "obsctl mute list shows what is")
        )
    book.change(lambda there: tuple(one for one in there if one.pattern != pattern))
    publish(ctx, start.report("mute rm", {"mutes": [_row(one, datetime.now(UTC)) for one in gone]}), _LAYOUTS)
    return ExitCode.OK


def _book(ctx: typer.Context) -> Book:
    from obsctl.cli.muting import book

    found = book(ctx)
    if found is None:
        raise ConfigError("this user has no home directory to keep a mute in", hint="set HOME or XDG_STATE_HOME")
    return found


def _row(one: Mute, now: datetime) -> dict[str, Any]:
    from obsctl.core.utc import timestamp

    state = "active" if one.counts(now) else f"ended: {one.ended}" if one.ended else "ended"
    seen = {
        command: {"severity": extent.severity.value, "objects": list(extent.objects), "count": extent.count}
        for command, extent in one.extents.items()
    }
    return {
        "code": one.code,
        "object": one.object,
        "state": state,
        "until": timestamp(one.until),
        "author": one.author,
        "reason": one.reason,
        "created": timestamp(one.created),
        "seen": seen,
    }
