"""``obsctl artifacts``: build what hosts without internet install, and prove that it is still the same."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from obsctl.cli.output import publish
from obsctl.cli.settings import Command, Group, note
from obsctl.core.errors import ExitCode
from obsctl.core.report import Finding, Report, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from obsctl.artifacts.build import Outcome
    from obsctl.artifacts.lock import Lock
    from obsctl.artifacts.plan import Part, Step

_dest = click.option(
    "--dest",
    type=click.Path(path_type=Path, file_okay=False),
    help="The artifact folder (default: obsctl/artifacts in $XDG_CACHE_HOME, else in ~/.cache).",
)


def _selection(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--kafka-version", multiple=True, metavar="V", help="Default: 3.9.1. May be repeated."),
            click.option("--filebeat-version", multiple=True, metavar="V", help="Default: 7.17.28. May be repeated."),
            click.option(
                "--only", type=click.Choice(["kafka", "filebeat", "wheels"]), multiple=True, help="Only this part."
            ),
            click.option(
                "--python", multiple=True, metavar="X.Y", help="Python of the hosts (default: all that are locked)."
            ),
        )
    ):
        function = option(function)
    return function


@click.group(cls=Group)
def artifacts() -> None:
    """Build what hosts without internet install: Kafka, Filebeat and the wheels, in one folder.

    The control node needs a way to the vendors or to the package registries; the hosts need neither.

    \b
    Examples:
      obsctl artifacts build                     everything; a second time takes a moment
      obsctl artifacts build --dry-run           what is there, what would be made
      obsctl artifacts verify                    is the folder still what was built?
    """


@artifacts.command(cls=Command)
@_dest
@_selection
@click.option("--dry-run", is_flag=True, help="Say what would be made; fetch and write nothing.")
@click.pass_context
def build(
    ctx: click.Context,
    *,
    dest: Path | None,
    kafka_version: tuple[str, ...],
    filebeat_version: tuple[str, ...],
    only: tuple[str, ...],
    python: tuple[str, ...],
    dry_run: bool,
) -> ExitCode:
    """Make what is missing in the artifact folder, or was made of something else.

    Each archive is fetched from its vendor where that can be reached; otherwise Kafka is assembled with Maven and
    Filebeat is built with Go. Everything is checked against the lock, and a wrong checksum stops (exit 78).

    \b
    Examples:
      obsctl artifacts build
      obsctl artifacts build --only kafka --kafka-version 3.6.1 --kafka-version 4.1.0
      obsctl artifacts build --dest /srv/artifacts --python 3.11
    """
    from obsctl.artifacts import build as building
    from obsctl.artifacts import lock as locking

    started = time.monotonic()
    store = _store(dest)
    steps = _steps(locking.load(), only, kafka_version, filebeat_version, python)
    outcomes = building.preview(store, steps) if dry_run else building.build(store, steps, lambda text: note(ctx, text))
    data = {
        "dest": str(store.root),
        "dry_run": dry_run,
        "parts": _parts(outcomes),
        "artifacts": [_row(outcome) for outcome in outcomes],
    }
    return _answer(ctx, "artifacts build", started, data)


@artifacts.command(cls=Command)
@_dest
@click.pass_context
def verify(ctx: click.Context, dest: Path | None) -> ExitCode:
    """Read every file of the artifact folder again and compare it with the folder's list and with the lock.

    Needs no network: run it where a folder was carried to.

    \b
    Examples:
      obsctl artifacts verify
      obsctl artifacts verify --dest /media/usb/artifacts -o json
    """
    import msgspec

    from obsctl.artifacts import lock as locking
    from obsctl.artifacts import verify as verifying

    started = time.monotonic()
    store = _store(dest)
    listed = store.artifacts()
    findings = verifying.examine(store, listed, locking.load())
    data = {"dest": str(store.root), "artifacts": [msgspec.to_builtins(listed[path]) for path in sorted(listed)]}
    return _answer(ctx, "artifacts verify", started, data, findings)


@artifacts.command(cls=Command)
@_selection
@click.pass_context
def lock(
    ctx: click.Context,
    kafka_version: tuple[str, ...],
    filebeat_version: tuple[str, ...],
    only: tuple[str, ...],
    python: tuple[str, ...],
) -> ExitCode:
    """Lock versions anew from what the registries have now (for maintainers; needs a checkout).

    Prints each checksum that changed. Without versions, those of the lock are locked again.

    \b
    Examples:
      obsctl artifacts lock --only wheels
      obsctl artifacts lock --only kafka --kafka-version 3.9.2
    """
    from obsctl.artifacts import lock as locking
    from obsctl.artifacts.refresh import differences, refresh

    started = time.monotonic()
    old = locking.load()
    new = refresh(
        old,
        _chosen(only),
        kafka_versions=kafka_version or tuple(old.kafka),
        filebeat_versions=filebeat_version or tuple(old.filebeat),
        pythons=python or tuple(old.wheels),
        notify=lambda text: note(ctx, text),
    )
    if new != old:
        locking.save(new)
    data = {"lock": str(locking.PATH), "changes": differences(old, new)}
    return _answer(ctx, "artifacts lock", started, data)


def _store(dest: Path | None) -> Any:
    from obsctl.artifacts.store import Store
    from obsctl.core.cachedir import cache_root

    return Store((dest or cache_root() / "artifacts").absolute())


def _chosen(only: Sequence[str]) -> list[Part]:
    from obsctl.artifacts.plan import Part

    return [part for part in Part if not only or part in only]


def _steps(
    lock: Lock, only: Sequence[str], kafkas: Sequence[str], filebeats: Sequence[str], pythons: Sequence[str]
) -> list[Step]:
    from obsctl.artifacts.lock import DEFAULT_FILEBEAT, DEFAULT_KAFKA
    from obsctl.artifacts.plan import steps

    return steps(
        lock, _chosen(only), kafkas or (DEFAULT_KAFKA,), filebeats or (DEFAULT_FILEBEAT,), pythons or tuple(lock.wheels)
    )


def _parts(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return one row a step, for people: forty wheels are one line."""
    rows: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        row = rows.setdefault(
            outcome.step, {"part": outcome.step, "files": 0, "size_bytes": 0, "origin": None, "action": {}}
        )
        row["files"] += 1
        row["action"][outcome.action.value] = row["action"].get(outcome.action.value, 0) + 1
        if outcome.artifact:
            row["size_bytes"] += outcome.artifact.size_bytes
            row["origin"] = outcome.artifact.origin
    return list(rows.values())


def _row(outcome: Outcome) -> dict[str, Any]:
    import msgspec

    known = msgspec.to_builtins(outcome.artifact) if outcome.artifact else {"path": outcome.path}
    return {**known, "action": outcome.action.value}


def _answer(
    ctx: click.Context, command: str, started: float, data: dict[str, Any], findings: Sequence[Finding] = ()
) -> ExitCode:
    report = Report(
        command=command,
        status=verdict(findings, ()),
        checked_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        took_ms=round((time.monotonic() - started) * 1000),
        findings=tuple(findings),
        data=data,
    )
    publish(ctx, report)
    return report.status.exit_code
