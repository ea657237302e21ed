"""The command line: the only place that decides the exit code and turns errors into messages."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from obsctl import __version__
from obsctl.cli import output, plugin
from obsctl.cli.commands import Command, Group, examples
from obsctl.cli.settings import Settings
from obsctl.core.errors import ExitCode, ObsctlError


class _Known(NamedTuple):
    """A command that is imported when it is called: its module, its Typer app there, and its line in the help."""

    module: str
    app: str
    line: str


_COMMANDS = {
    "status": _Known("obsctl.cli.health", "status", "All layers on one screen."),
    "health": _Known("obsctl.cli.health", "health", "Check every layer and name what is wrong."),
    "verify": _Known("obsctl.cli.verify", "verify", "Check the balancing, the VIP and the path of the logs."),
    "trace": _Known("obsctl.cli.verify", "trace", "Follow lines to their rows: how long each hop takes."),
    "certs": _Known("obsctl.cli.certs", "certs", "Certificates: days left, names, chain, keys."),
    "kafka": _Known("obsctl.cli.kafka", "kafka", "Brokers, quorum, partitions, replicas, groups."),
    "consumer": _Known("obsctl.cli.consumer", "consumer", "Positions, lag, quarantine; replay lines, reset positions."),
    "alert": _Known("obsctl.cli.alert.group", "alert", "Prove that alerts arrive; silences, history, rules."),
    "search": _Known("obsctl.cli.search", "search", "Find stored lines, newest first."),
    "tail": _Known("obsctl.cli.tail", "tail", "Follow lines as they arrive."),
    "console": _Known("obsctl.cli.console", "console", "The web console's users, and what they changed."),
    "ack": _Known("obsctl.cli.ack", "ack", "Acknowledge a loss, so that it is no longer a warning."),
    "mute": _Known("obsctl.cli.mute", "mute", "Keep known findings out of the verdict for a while."),
    "bundle": _Known("obsctl.cli.bundle.command", "bundle", "One file for support, without secrets."),
    "drill": _Known("obsctl.cli.drill", "drill", "Break a part on purpose, measure the outage, restore it."),
    "explain": _Known("obsctl.cli.explain", "explain", "What a finding's code means and what to do."),
    "config": _Known("obsctl.cli.config", "config", "The settings in effect, and where they come from."),
    "spec": _Known("obsctl.cli.spec", "spec", "This command line as JSON."),
    "lab": _Known("obsctl.cli.lab", "lab", "The embedded fleet of real hosts on this machine."),
    "artifacts": _Known("obsctl.cli.artifacts", "artifacts", "Build what hosts without internet install."),
}


@cache
def _load(name: str) -> Any:
    known = _COMMANDS[name]
    return typer.main.get_command(getattr(import_module(known.module), known.app))


class _Program(Group):
    """The whole program. Help and completion of its commands' names need only the table above."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, known in _COMMANDS.items():
            self.add_command(Command(name, short_help=known.line))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the requested command."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, _load(name) if name in _COMMANDS else found, rest


app = typer.Typer(
    name="obsctl",
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    epilog="\n".join(
        [
            examples(
                "obsctl status", "obsctl verify lb -o json", "obsctl kafka status", "obsctl consumer status",
                "obsctl alert test", "obsctl explain LB_SKEW",
            ),
            "",
            "Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown (could not find out);",
            "64 usage, 69 a program is missing, 70 a bug, 75 throttled, 77 refused,",
            "78 configuration or inventory, 129 hung up, 130 interrupted, 143 terminated.",
        ]
    ),
)  # fmt: skip


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"obsctl, version {__version__}")
        raise typer.Exit


@app.callback()
def obsctl(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Prove that the log pipeline works: measure instead of assuming."""


class _End(NamedTuple):
    """How a command line ended: the exit code, and the error if there is no report."""

    code: ExitCode
    reason: str = ""
    command: str = ""


def carry_out(words: Sequence[str]) -> ExitCode:
    """Run the command line and return its exit code.

    Raises:
        KeyboardInterrupt: the person interrupted it; contains the command's name.
    """
    output.guard()
    chosen = Settings()
    try:
        end = _carried_out(words, chosen)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(chosen.command) from None
    return _for_monitoring(end, chosen) if plugin.asked_for(words) else end.code


def _carried_out(words: Sequence[str], chosen: Settings) -> _End:
    try:
        code = ROOT.main(args=list(words), prog_name="obsctl", standalone_mode=False, obj=chosen)
    except typer.TyperException as error:
        return _explain_usage(error)
    except typer.Abort:
        # End of input at a prompt.
        raise KeyboardInterrupt from None
    except ObsctlError as error:
        return _explain(error)
    except output.ReaderGoneError:
        return _End(ExitCode.OK)
    except SystemExit as end:
        return _ended_by_typer(end)
    except Exception as error:
        return _report_bug(error)
    if isinstance(code, ExitCode):
        return _End(code)
    if code == ExitCode.INTERRUPTED:
        # Typer's exception for Ctrl-C.
        raise KeyboardInterrupt
    # Our commands end by an ExitCode or an error; another number is Typer's, for an unknown shell.
    return _End(ExitCode.USAGE, "this shell is not known") if code else _End(ExitCode.OK)


def _for_monitoring(end: _End, chosen: Settings) -> ExitCode:
    """Return the exit code for a monitoring system; prints the line if there was no report."""
    plain_codes = (ExitCode.OK, ExitCode.WARNING, ExitCode.CRITICAL, ExitCode.UNKNOWN)
    if not end.reason and end.code in plain_codes:
        return end.code
    if not end.reason and chosen.published is not None:
        # Such as 75, a warning with its own code for scripts.
        return chosen.published.exit_code
    words = plugin.line(end.command or chosen.command or "obsctl", end.reason or f"exit code {end.code.value}")
    with contextlib.suppress(output.OutputError, output.ReaderGoneError):
        typer.echo(words)
    return ExitCode.UNKNOWN


def _ended_by_typer(end: SystemExit) -> _End:
    """Return the exit code when Typer itself ends: completion, and a broken pipe other than standard output."""
    if isinstance(end.__context__, OSError):
        return _report_bug(end.__context__)
    return _End(ExitCode.USAGE, "completion failed") if end.code else _End(ExitCode.OK)


def _explain_usage(error: typer.TyperException) -> _End:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "obsctl"
    return _say(error.format_message(), f"{path} --help", ExitCode.USAGE, command=path.removeprefix("obsctl "))


def _explain(error: ObsctlError) -> _End:
    return _say(str(error), error.hint, error.exit_code)


def _say(message: str, hint: str, code: ExitCode, *, command: str = "") -> _End:
    from obsctl.core.secrets import redact
    from obsctl.render.plain import plain

    typer.echo(f"obsctl: {plain(redact(message))}", err=True)
    if hint:
        typer.echo(f"  hint: {plain(redact(hint))}", err=True)
    return _End(code, redact(message), command)


def _report_bug(error: BaseException) -> _End:
    import tempfile
    import traceback

    from obsctl.core.secrets import redact

    text = redact("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile("w", prefix="obsctl-bug-", suffix=".txt", delete=False) as report:
        report.write(f"obsctl {__version__}\npython {sys.version}\n\n{text}")
    return _say(f"internal error ({type(error).__name__}); details, without secrets: {report.name}", "", ExitCode.BUG)


ROOT: Any = typer.main.get_command(app)
