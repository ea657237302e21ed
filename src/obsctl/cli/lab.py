"""``obsctl lab``: the embedded fleet of real hosts on this machine."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from obsctl.cli.output import publish
from obsctl.cli.settings import Command, Group, note
from obsctl.core.errors import ExitCode
from obsctl.core.report import Finding, Report, Severity, verdict
from obsctl.lab.spec import FLEET_LAB, OPERATING_SYSTEMS, LabSpec

if TYPE_CHECKING:
    from obsctl.lab.embedded import HostStatus, Lab


def _lab(ctx: click.Context, spec: LabSpec = FLEET_LAB) -> Lab:
    from obsctl.lab.embedded import Lab

    return Lab(spec, lambda text: note(ctx, text))


def _host_os(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    chosen = {}
    for value in values:
        name, _, system = value.partition("=")
        if name not in FLEET_LAB.names or system not in OPERATING_SYSTEMS:
            raise click.BadParameter(
                f"{value!r} is not HOST=OS with one of {', '.join(FLEET_LAB.names)} and {', '.join(OPERATING_SYSTEMS)}"
            )
        chosen[name] = system
    return chosen


@click.group(cls=Group)
def lab() -> None:
    """Run five real systemd hosts on this machine, and do to them what happens to hosts.

    node1, node2, node3, db1 and app1 at 198.18.0.11-13, .21 and .31, with a robot and a mail server that stand in for
    the outside world at http://198.18.0.1:9580 and on port 9525. Needs root.

    \b
    Examples:
      obsctl lab up                              build and start the hosts
      obsctl lab ssh db1 -- mysql obs -e 'SHOW TABLES'
      obsctl lab kill node1                      a crash; `obsctl lab start node1` boots it again
      obsctl lab down                            leave the machine as it was
    """


@lab.command(cls=Command)
@click.option(
    "--os",
    "os_name",
    type=click.Choice(OPERATING_SYSTEMS),
    default=OPERATING_SYSTEMS[0],
    show_default=True,
    help="Operating system of the hosts; el9 is a twin of CentOS Stream 9 (docs/guides/lab.md).",
)
@click.option(
    "--host-os",
    multiple=True,
    callback=_host_os,
    metavar="HOST=OS",
    help="Another operating system for one host; may be repeated.",
)
@click.pass_context
def up(ctx: click.Context, os_name: str, host_os: dict[str, str]) -> None:
    """Start the lab, or what of it does not run.

    The first time builds the hosts' root from this machine's own package sources (a minute or two); later it takes
    seconds. A lab that was started from another checkout, or with other operating systems, is taken down first. May
    be interrupted: `up` goes on, `down` cleans up.

    \b
    Examples:
      obsctl lab up
      obsctl lab up --os el9
      obsctl lab up --host-os db1=el9
    """
    try:
        _lab(ctx, replace(FLEET_LAB, os=os_name, host_os=host_os)).up()
    except KeyboardInterrupt:
        note(ctx, "`obsctl lab up` goes on from here, `obsctl lab down` removes what is there")
        raise


@lab.command(cls=Command)
@click.pass_context
def down(ctx: click.Context) -> None:
    """Remove the lab: hosts, disks, network, processes. Only the cached root stays.

    Works after an interrupted `up`, and twice.

    \b
    Example:
      obsctl lab down
    """
    _lab(ctx).down()


@lab.command(cls=Command)
@click.pass_context
def status(ctx: click.Context) -> ExitCode:
    """Show each host: does it run, is its cable in, does it answer ssh?

    \b
    Examples:
      obsctl lab status
      obsctl lab status -o json
    """
    from obsctl.core import lab_record

    checked_at, started = datetime.now(UTC), time.monotonic()
    record = lab_record.read(FLEET_LAB.state_dir)
    hosts = _lab(ctx).status() if record else []
    findings = tuple(_findings(hosts)) if record else (_not_up(),)
    report = Report(
        command="lab status",
        status=verdict(findings, ()),
        checked_at=checked_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        took_ms=round((time.monotonic() - started) * 1000),
        findings=findings,
        data={"lab": asdict(record) if record else {}, "hosts": [asdict(host) for host in hosts]},
    )
    publish(ctx, report)
    return report.status.exit_code


@lab.command(cls=Command, context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD ARG...]")
@click.pass_context
def ssh(ctx: click.Context, host: str, command: tuple[str, ...]) -> None:
    """Run a program as root on a host, or open a shell there.

    Each argument reaches the program exactly as given: no shell splits or expands it on the way. Standard input,
    output and the exit status pass through; 255 means that the host does not answer.

    \b
    Examples:
      obsctl lab ssh node1
      obsctl lab ssh node1 -- journalctl -u kafka -n 20
      obsctl lab ssh db1 -- mysql obs -e 'SELECT COUNT(*) FROM access_log'
      obsctl lab ssh node2 -- sh -c 'echo $HOSTNAME > /tmp/name'
    """
    words = command[1:] if command[:1] == ("--",) else command
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    argv = _lab(ctx).ssh_command(host, words, terminal=terminal)
    os.execvp(argv[0], argv)  # noqa: S606 - the argument list is ours, and no shell is wanted


@lab.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--host", required=True, help="The host whose log gets the lines.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Lines a second (default: as fast as they can be written).",
)
@click.pass_context
def replay(ctx: click.Context, file: Path, host: str, rate: float | None) -> None:
    """Append a log file's lines, as they are, to a log which Filebeat ships from the host.

    FILE may be compressed by gzip. The lines go to /var/log/obs-replay/access.log, which is read as combined format;
    a missing last newline is added. Ends when all are written. Interrupted, it leaves no half line, and says how
    many lines were written.

    \b
    Examples:
      obsctl lab replay access.log.gz --host node1 --rate 150
      obsctl lab replay access.log --host node2
    """
    from obsctl.lab import replay as lines

    command = _lab(ctx).ssh_command(host, lines.writer_command())
    lines.replay(file, command, rate, lambda text: note(ctx, f"{host}: {text}"))


@lab.command(cls=Command)
@click.argument("host", nargs=-1, required=True)
@click.pass_context
def kill(ctx: click.Context, host: tuple[str, ...]) -> None:
    """Crash hosts, all at once: every process of theirs is gone, and no connection is closed in good order.

    What a program had not yet forced to disk is not lost, for the page cache is this machine's: this is a crash of a
    host, not a power cut for its disk.

    \b
    Examples:
      obsctl lab kill node1
      obsctl lab kill node1 node2 node3 db1 app1
    """
    _lab(ctx).kill(host)


@lab.command(cls=Command)
@click.argument("host", nargs=-1, required=True)
@click.pass_context
def start(ctx: click.Context, host: tuple[str, ...]) -> None:
    """Boot hosts again, all at once, with the disks that they had, and their cables in.

    Returns when they answer ssh and have finished their own start.

    \b
    Examples:
      obsctl lab start node1
      obsctl lab start node1 node2 node3 db1 app1
    """
    _lab(ctx).start(host)


@lab.command(cls=Command)
@click.argument("host")
@click.pass_context
def cut(ctx: click.Context, host: str) -> None:
    """Pull a host's network cable; the host itself goes on.

    \b
    Example:
      obsctl lab cut node2
    """
    _lab(ctx).cut(host)


@lab.command(cls=Command)
@click.argument("host")
@click.pass_context
def heal(ctx: click.Context, host: str) -> None:
    """Put a host's network cable back.

    \b
    Example:
      obsctl lab heal node2
    """
    _lab(ctx).heal(host)


def _not_up() -> Finding:
    return Finding(
        code="LAB_NOT_UP",
        severity=Severity.CRITICAL,
        object="lab",
        summary="there is no lab on this machine",
        hint="obsctl lab up",
        doc="docs/runbooks/LAB_NOT_UP.md",
    )


def _findings(hosts: list[HostStatus]) -> list[Finding]:
    found = []
    for host in hosts:
        if host.running and host.ssh:
            continue
        cut_off = host.cable == "cut"
        code = "LAB_CABLE_CUT" if cut_off else "LAB_HOST_DOWN"
        found.append(
            Finding(
                code=code,
                severity=Severity.CRITICAL,
                object=f"host/{host.name}",
                summary="its cable is cut"
                if cut_off
                else "it runs, but its sshd does not answer"
                if host.running
                else "it does not run",
                evidence={"running": host.running, "cable": host.cable, "ssh": host.ssh},
                hint=f"obsctl lab {'heal' if cut_off else 'start'} {host.name}",
                doc=f"docs/runbooks/{code}.md",
            )
        )
    return found
