"""``obsctl artifacts``: build what hosts without internet install, and verify it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl.artifacts.lock import DEFAULT_FILEBEAT, DEFAULT_KAFKA, Part
from obsctl.cli.commands import AnyCheck, Command, check, examples, group
from obsctl.cli.settings import note
from obsctl.core.errors import ExitCode
from obsctl.core.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from obsctl.artifacts.build import Outcome
    from obsctl.artifacts.lock import Lock
    from obsctl.artifacts.plan import Step
    from obsctl.artifacts.store import Store
    from obsctl.checks.artifacts.snapshot import ArtifactSnapshot
    from obsctl.core.report import Report

artifacts = group(
    "artifacts",
    help="""Build what hosts without internet install: Kafka, Filebeat and the wheels, in one folder.

    The control node must reach the vendors or the package registries; the hosts need neither. A second build makes
    only what is missing, and takes a moment.
    """,
    epilog=examples("obsctl artifacts build", "obsctl artifacts build --dry-run", "obsctl artifacts verify"),
)

_LAYOUTS = (
    Layout("parts", "", ("part", "action", "files", "size_bytes", "origin")),
    Layout("changes", "Changes", ("what", "new"), ("old",)),
)

_Dest = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", file_okay=False,
        help="The artifact folder (default: obsctl/artifacts in $XDG_CACHE_HOME, else in ~/.cache).",
    ),
]  # fmt: skip


def _versions(program: str, default: str) -> Any:
    """Return the option that chooses versions of a program."""
    return typer.Option(
        f"--{program.lower()}-version",
        metavar="VERSION",
        help=f"A version of {program} (default: {default}); repeatable.",
    )


_THOSE_OF_THE_LOCK = "those of the lock"
_Kafka = Annotated[list[str] | None, _versions("Kafka", DEFAULT_KAFKA)]
_Filebeat = Annotated[list[str] | None, _versions("Filebeat", DEFAULT_FILEBEAT)]
_LockedKafka = Annotated[list[str] | None, _versions("Kafka", _THOSE_OF_THE_LOCK)]
_LockedFilebeat = Annotated[list[str] | None, _versions("Filebeat", _THOSE_OF_THE_LOCK)]
_Only = Annotated[
    list[Part] | None,
    typer.Option(metavar="PART", help=f"Only this part ({', '.join(Part)}); repeatable."),
]
_Python = Annotated[
    list[str] | None,
    typer.Option(metavar="X.Y", help="Python version of the hosts (default: all versions in the lock); repeatable."),
]


@artifacts.command(
    "build",
    cls=Command,
    epilog=examples(
        "obsctl artifacts build",
        "obsctl artifacts build --kafka-version 3.6.1 --kafka-version 4.1.0",
        "obsctl artifacts build --dest /srv/artifacts --python 3.11",
    ),
)
def build(
    ctx: typer.Context,
    *,
    dest: _Dest = None,
    kafka_version: _Kafka = None,
    filebeat_version: _Filebeat = None,
    only: _Only = None,
    python: _Python = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be built; fetch and write nothing.")
    ] = False,
) -> ExitCode:
    """Build what is missing from the artifact folder, or was built from other sources.

    Fetches each archive from its vendor if it can be reached; otherwise assembles Kafka with Maven and builds
    Filebeat with Go. Everything is checked against the lock, and a wrong checksum stops the build (exit 78).
    """
    from obsctl.artifacts import build as building
    from obsctl.artifacts import lock as locking
    from obsctl.cli.reporting import Start

    start = Start()
    store = _store(dest)
    steps = _steps(locking.load(), only or (), kafka_version or (), filebeat_version or (), python or ())
    outcomes = building.preview(store, steps) if dry_run else building.build(store, steps, partial(note, ctx))
    data = {
        "dest": str(store.root),
        "dry_run": dry_run,
        "parts": _parts(outcomes),
        "artifacts": [_row(outcome) for outcome in outcomes],
    }
    return _publish(ctx, start.report("artifacts build", data))


@check(artifacts, "verify", "obsctl artifacts verify", "obsctl artifacts verify --dest /media/usb/artifacts -o json")
def verify(dest: _Dest = None) -> AnyCheck:
    """Read every file in the artifact folder and compare it with the folder's list and with the lock.

    Needs no network, so it also works where the folder was copied to.
    """
    from obsctl.checks.artifacts.check import artifacts_check

    return artifacts_check(lambda: _look(_store(dest)))


def _look(store: Store) -> ArtifactSnapshot:
    import msgspec

    from obsctl.artifacts import lock as locking
    from obsctl.artifacts.verify import examine
    from obsctl.checks.artifacts.snapshot import ArtifactFile, ArtifactSnapshot

    examined = list(examine(store, locking.load()))
    listed = {one.artifact.path for one in examined}
    return ArtifactSnapshot(
        folder=str(store.root),
        files=tuple(
            ArtifactFile(**msgspec.structs.asdict(one.artifact), state=one.state.value, got=one.got) for one in examined
        ),
        unlisted=tuple(path for path in store.files() if path not in listed),
    )


@artifacts.command(
    "lock",
    cls=Command,
    epilog=examples("obsctl artifacts lock --only wheels", "obsctl artifacts lock --only kafka --kafka-version 3.9.2"),
)
def lock(
    ctx: typer.Context,
    kafka_version: _LockedKafka = None,
    filebeat_version: _LockedFilebeat = None,
    only: _Only = None,
    python: _Python = None,
) -> ExitCode:
    """Update the lock from what the registries have now (for maintainers; needs a checkout).

    Prints each checksum that changed.
    """
    from obsctl.artifacts import lock as locking
    from obsctl.artifacts.refresh import differences, refresh
    from obsctl.cli.reporting import Start

    start = Start()
    old = locking.load()
    new = refresh(
        old,
        _chosen(only or ()),
        kafka_versions=kafka_version or tuple(old.kafka),
        filebeat_versions=filebeat_version or tuple(old.filebeat),
        pythons=python or tuple(old.wheels),
        notify=partial(note, ctx),
    )
    if new != old:
        locking.save(new)
    data = {"lock": str(locking.PATH), "changes": differences(old, new)}
    return _publish(ctx, start.report("artifacts lock", data))


def _store(dest: Path | None) -> Store:
    from obsctl.artifacts.store import Store
    from obsctl.core.cachedir import cache_root

    return Store((dest or cache_root() / "artifacts").absolute())


def _chosen(only: Sequence[Part]) -> list[Part]:
    return [part for part in Part if not only or part in only]


def _steps(
    lock: Lock, only: Sequence[Part], kafkas: Sequence[str], filebeats: Sequence[str], pythons: Sequence[str]
) -> list[Step]:
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


def _publish(ctx: typer.Context, report: Report) -> ExitCode:
    from obsctl.cli.output import publish

    publish(ctx, report, _LAYOUTS)
    return report.status.exit_code
