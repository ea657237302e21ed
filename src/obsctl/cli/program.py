"""The command line: one place that owns the exit code and turns every error into words."""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Sequence

import click

from obsctl import __version__
from obsctl.cli import output
from obsctl.cli.settings import LazyGroup
from obsctl.core.errors import ExitCode, ObsctlError

_COMMANDS = {
    "status": ("obsctl.cli.health", "status", "All layers on one screen."),
    "health": ("obsctl.cli.health", "health", "Check every layer and name what is wrong."),
    "verify": ("obsctl.cli.verify", "verify", "Measure the balancer and the VIP."),
    "kafka": ("obsctl.cli.kafka", "kafka", "Brokers, quorum, partitions, replicas, groups."),
    "consumer": ("obsctl.cli.consumer", "consumer", "Positions, quarantine, and what only a person may move."),
    "alert": ("obsctl.cli.alert", "alert", "Prove that alerts arrive."),
    "explain": ("obsctl.cli.explain", "explain", "What a finding's code means and what to do."),
    "lab": ("obsctl.cli.lab", "lab", "The embedded fleet of real hosts on this machine."),
    "artifacts": ("obsctl.cli.artifacts", "artifacts", "Build what hosts without internet install."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    epilog="Exit codes: 0 ok, 1 warning, 2 critical, 3 unknown; 64 usage, 78 configuration. "
    "`obsctl explain CODE` tells what a finding means.",
)
@click.version_option(__version__, prog_name="obsctl")
def cli() -> None:
    """Prove that the log pipeline works: measure instead of assuming.

    \b
    Examples:
      obsctl status                      all layers on one screen
      obsctl verify lb -o json           is the load really balanced?
      obsctl kafka status                what the cluster can still lose
      obsctl consumer status             where the consumer stands
      obsctl alert test                  does the message arrive?
    """


def carry_out(argv: Sequence[str] | None = None) -> ExitCode:
    """Carry out the command line and return its exit code.

    Raises:
        KeyboardInterrupt: the person wants it to end.
    """
    output.guard()
    try:
        code = cli.main(args=None if argv is None else list(argv), prog_name="obsctl", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except click.UsageError as error:
        error.show()
        return ExitCode.USAGE
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except click.Abort:
        # What click makes of Ctrl-C.
        raise KeyboardInterrupt from None
    except ObsctlError as error:
        return _explain(error)
    except SystemExit:
        # The reader (head, less) of a text without a verdict has gone; there is nobody left to tell. Only then does
        # click exit by itself, and with 1, which would be our WARNING.
        return ExitCode.OK
    except Exception as error:
        return _report_bug(error)
    return code if isinstance(code, ExitCode) else ExitCode.OK


def _explain(error: ObsctlError) -> ExitCode:
    from obsctl.core.secrets import redact

    click.echo(f"obsctl: {redact(str(error))}", err=True)
    if error.hint:
        click.echo(f"  hint: {redact(error.hint)}", err=True)
    return error.exit_code


def _report_bug(error: BaseException) -> ExitCode:
    from obsctl.core.secrets import redact

    text = redact("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile("w", prefix="obsctl-bug-", suffix=".txt", delete=False) as report:
        report.write(f"obsctl {__version__}\npython {sys.version}\n\n{text}")
    click.echo(f"obsctl: internal error ({type(error).__name__}); details, without secrets: {report.name}", err=True)
    return ExitCode.BUG
