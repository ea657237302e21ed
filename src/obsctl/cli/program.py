"""The command line: one place that owns the exit code and turns every error into words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from obsctl import __version__
from obsctl.cli import output
from obsctl.cli.commands import Command, Group, examples
from obsctl.core.errors import ExitCode, ObsctlError


class _Known(NamedTuple):
    """A command that is imported when it is called: the module, its Typer app there, and the line of the help."""

    module: str
    app: str
    line: str


_COMMANDS = {
    "status": _Known("obsctl.cli.health", "status", "All layers on one screen."),
    "health": _Known("obsctl.cli.health", "health", "Check every layer and name what is wrong."),
    "verify": _Known("obsctl.cli.verify", "verify", "Measure the balancer and the VIP."),
    "kafka": _Known("obsctl.cli.kafka", "kafka", "Brokers, quorum, partitions, replicas, groups."),
    "consumer": _Known("obsctl.cli.consumer", "consumer", "Positions, lag, quarantine; replay lines, reset positions."),
    "alert": _Known("obsctl.cli.alert", "alert", "Prove that alerts arrive; silences, history, rules."),
    "explain": _Known("obsctl.cli.explain", "explain", "What a finding's code means and what to do."),
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
        """Import the command that was asked for."""
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
            "78 configuration or inventory, 130 interrupted.",
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


def carry_out(argv: Sequence[str] | None = None) -> ExitCode:
    """Carry out the command line and return its exit code.

    Raises:
        KeyboardInterrupt: the person wants it to end.
    """
    output.guard()
    try:
        code = ROOT.main(args=None if argv is None else list(argv), prog_name="obsctl", standalone_mode=False)
    except typer.TyperException as error:
        return _explain_usage(error)
    except typer.Abort:
        # A question without an answer.
        raise KeyboardInterrupt from None
    except ObsctlError as error:
        return _explain(error)
    except output.ReaderGoneError:
        return ExitCode.OK
    except SystemExit as end:
        return _ended_by_typer(end)
    except Exception as error:
        return _report_bug(error)
    if isinstance(code, ExitCode):
        return code
    if code == ExitCode.INTERRUPTED:
        # What Typer makes of Ctrl-C.
        raise KeyboardInterrupt
    # Ours end by an ExitCode or an error; another number is Typer's, of a shell that it does not know.
    return ExitCode.USAGE if code else ExitCode.OK


def _ended_by_typer(end: SystemExit) -> ExitCode:
    """Return the exit code for what Typer ends by itself: completion, and a broken pipe that is not standard output."""
    if isinstance(end.__context__, OSError):
        return _report_bug(end.__context__)
    return ExitCode.USAGE if end.code else ExitCode.OK


def _explain_usage(error: typer.TyperException) -> ExitCode:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "obsctl"
    return _say(error.format_message(), f"{path} --help", ExitCode.USAGE)


def _explain(error: ObsctlError) -> ExitCode:
    return _say(str(error), error.hint, error.exit_code)


def _say(message: str, hint: str, code: ExitCode) -> ExitCode:
    from obsctl.core.secrets import redact

    typer.echo(f"obsctl: {redact(message)}", err=True)
    if hint:
        typer.echo(f"  hint: {redact(hint)}", err=True)
    return code


def _report_bug(error: BaseException) -> ExitCode:
    import tempfile
    import traceback

    from obsctl.core.secrets import redact

    text = redact("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile("w", prefix="obsctl-bug-", suffix=".txt", delete=False) as report:
        report.write(f"obsctl {__version__}\npython {sys.version}\n\n{text}")
    typer.echo(f"obsctl: internal error ({type(error).__name__}); details, without secrets: {report.name}", err=True)
    return ExitCode.BUG


ROOT: Any = typer.main.get_command(app)
