"""``obsctl lab``: the embedded fleet of real hosts on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from obsctl.cli.commands import AnyCheck, Command, check, examples, group
from obsctl.cli.settings import note
from obsctl.lab.spec import FLEET_LAB, FLEETS, OPERATING_SYSTEMS, LabSpec, fleet_lab

if TYPE_CHECKING:
    from obsctl.checks.lab.snapshot import LabSnapshot
    from obsctl.lab.embedded import Lab

lab = group(
    "lab",
    help="""Run five real systemd hosts on this machine; crash them, cut their network links, start them again.

    node1, node2, node3, db1 and app1 at 198.18.0.11-13, .21 and .31, with a chat robot and a mail server that stand in
    for real ones at http://198.18.0.1:9580 and on port 9525. Needs root.
    """,
    epilog=examples(
        "obsctl lab up",
        "obsctl lab ssh db1 -- mysql obs -e 'SHOW TABLES'",
        "obsctl lab kill node1",
        "obsctl lab start node1",
        "obsctl lab down",
    ),
)


def _fleets() -> Sequence[str]:
    return FLEETS


def _hosts() -> Sequence[str]:
    return FLEET_LAB.names


def _hosts_with_systems() -> Iterator[str]:
    return (f"{host}={system}" for host in FLEET_LAB.names for system in OPERATING_SYSTEMS)


_Host = Annotated[
    str, typer.Argument(metavar="HOST", help=f"One of {', '.join(FLEET_LAB.names)}.", autocompletion=_hosts)
]
_Hosts = Annotated[
    list[str],
    typer.Argument(metavar="HOST...", help=f"Some of {', '.join(FLEET_LAB.names)}.", autocompletion=_hosts),
]


def _lab(ctx: typer.Context, spec: LabSpec = FLEET_LAB) -> Lab:
    from obsctl.lab.embedded import Lab

    return Lab(spec, partial(note, ctx))


def _fleet(value: str) -> str:
    if value not in FLEETS:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(FLEETS)}")
    return value


def _system_of_host(value: str) -> tuple[str, str]:
    name, _, system = value.partition("=")
    if name not in FLEET_LAB.names or system not in OPERATING_SYSTEMS:
        raise typer.BadParameter(
            f"{value!r} is not HOST=OS with one of {', '.join(FLEET_LAB.names)} and {', '.join(OPERATING_SYSTEMS)}",
            param_hint="--host-os",
        )
    return name, system


@lab.command(
    "up",
    cls=Command,
    epilog=examples(
        "obsctl lab up", "obsctl lab up --os el9", "obsctl lab up --os mixed", "obsctl lab up --host-os db1=el9"
    ),
)
def up(
    ctx: typer.Context,
    os_name: Annotated[
        str,
        typer.Option(
            "--os", metavar="OS", callback=_fleet, autocompletion=_fleets, show_default=False,
            help=f"Operating system of the hosts: {', '.join(FLEETS)} (default: {FLEETS[0]}); el9 is an EL twin, like "
            "CentOS Stream 9 (docs/guides/lab.md), mixed has both.",
        ),
    ] = FLEETS[0],
    host_os: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST=OS", autocompletion=_hosts_with_systems,
            help="Another operating system for one host; repeatable.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Start the lab, or those of its hosts that are not running.

    The first time builds the hosts' root from this machine's own package sources (a minute or two); later it takes
    seconds. A lab that was started from another checkout, or with other operating systems, is taken down first. It
    may be interrupted: `up` continues, `down` cleans up.
    """
    chosen = dict(map(_system_of_host, host_os or ()))
    try:
        _lab(ctx, fleet_lab(os_name, chosen)).up()
    except KeyboardInterrupt:
        note(ctx, "`obsctl lab up` continues, `obsctl lab down` removes what is there")
        raise


@lab.command("down", cls=Command, epilog=examples("obsctl lab down"))
def down(ctx: typer.Context) -> None:
    """Remove the lab: hosts, disks, network, processes. Only the cached root stays.

    Also works after an interrupted `up`, and when nothing is left to remove.
    """
    _lab(ctx).down()


@check(lab, "status", "obsctl lab status", "obsctl lab status -o json")
def status(ctx: typer.Context) -> AnyCheck:
    """Show for each host whether it runs, is connected to the network and answers ssh."""
    from obsctl.checks.lab.check import lab_check

    return lab_check(lambda: _look(_lab(ctx)))


def _look(lab: Lab) -> LabSnapshot:
    from obsctl.checks.lab.snapshot import LabHost, LabSnapshot
    from obsctl.core import lab_record

    record = lab_record.read(lab.spec.state_dir)
    if record is None:
        return LabSnapshot(record={}, hosts=())
    return LabSnapshot(record=asdict(record), hosts=tuple(LabHost(**asdict(host)) for host in lab.status()))


@lab.command(
    "ssh",
    cls=Command,
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
    epilog=examples(
        "obsctl lab ssh node1",
        "obsctl lab ssh node1 -- journalctl -u kafka -n 20",
        "obsctl lab ssh db1 -- mysql obs -e 'SELECT COUNT(*) FROM access_log'",
        "obsctl lab ssh node2 -- sh -c 'echo $HOSTNAME > /tmp/name'",
    ),
)
def ssh(
    ctx: typer.Context,
    host: _Host,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- CMD ARG...", help="A program on the host and its arguments (default: a shell)."),
    ] = None,
) -> None:
    """Run a program as root on a host, or open a shell there.

    Each argument reaches the program exactly as given: no shell splits or expands it on the way. Standard input,
    output and the exit status pass through; 255 means that the host does not answer.
    """
    words = command or []
    words = words[1:] if words[:1] == ["--"] else words
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    argv = _lab(ctx).ssh_command(host, words, terminal=terminal)
    os.execvp(argv[0], argv)  # noqa: S606 - the argument list is ours, and no shell is wanted


@lab.command(
    "replay",
    cls=Command,
    epilog=examples(
        "obsctl lab replay access.log.gz --host node1 --rate 150", "obsctl lab replay access.log --host node2"
    ),
)
def replay(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A log in combined format; may be gzipped.")],
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The host whose log gets the lines.", autocompletion=_hosts)
    ],
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", help="Lines a second, more than 0 (default: as fast as they can be written)."),
    ] = None,
) -> None:
    """Append a log file's lines, unchanged, to a log that Filebeat ships from the host.

    The lines go to /var/log/obs-replay/access.log, which is read in combined format; a missing newline at the end is
    added. Exits when all are written. If interrupted, it leaves no partial line, and says how many lines were written.
    """
    from obsctl.lab import replay as lines

    if rate is not None and not rate > 0:
        raise typer.BadParameter(f"{rate:g} is not greater than 0", param_hint="--rate")
    command = _lab(ctx).ssh_command(host, lines.writer_command())
    lines.replay(file, command, rate, lambda text: note(ctx, f"{host}: {text}"))


@lab.command(
    "kill", cls=Command, epilog=examples("obsctl lab kill node1", "obsctl lab kill node1 node2 node3 db1 app1")
)
def kill(ctx: typer.Context, host: _Hosts) -> None:
    """Crash hosts, all at once: all their processes die, and no connection is closed properly.

    Data that a program had not yet synced to disk is not lost, because the page cache belongs to this machine: this
    simulates a crash of a host, not a power cut.
    """
    _lab(ctx).kill(host)


@lab.command(
    "start", cls=Command, epilog=examples("obsctl lab start node1", "obsctl lab start node1 node2 node3 db1 app1")
)
def start(ctx: typer.Context, host: _Hosts) -> None:
    """Boot hosts again, all at once, with their previous disks and with the network connected.

    Returns when they answer ssh and have finished booting.
    """
    _lab(ctx).start(host)


@lab.command("cut", cls=Command, epilog=examples("obsctl lab cut node2"))
def cut(ctx: typer.Context, host: _Host) -> None:
    """Cut a host's network link; the host itself keeps running."""
    _lab(ctx).cut(host)


@lab.command("heal", cls=Command, epilog=examples("obsctl lab heal node2"))
def heal(ctx: typer.Context, host: _Host) -> None:
    """Restore a host's network link."""
    _lab(ctx).heal(host)
