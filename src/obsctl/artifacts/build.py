"""Building what is missing, and checking what is there."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from obsctl.artifacts.errors import ChecksumError
from obsctl.artifacts.plan import Step, Wanted
from obsctl.artifacts.store import Artifact, Store
from obsctl.core.errors import ObsctlError

Notify = Callable[[str], None]


class Action(enum.StrEnum):
    """What a build does, or would do, with a file."""

    KEPT = "kept"
    BUILT = "built"
    MISSING = "missing"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """One file of a build: its step, and the resulting artifact (None if it was not built)."""

    step: str
    path: str
    action: Action
    artifact: Artifact | None


def preview(store: Store, steps: Sequence[Step]) -> list[Outcome]:
    """Return which files a build would keep and which it would build; writes nothing."""
    listed = store.artifacts()
    return [
        Outcome(step.title, item.path, Action.KEPT if there else Action.MISSING, there)
        for step in steps
        for item in step.wanted
        for there in [_current(store, listed, item)]
    ]


def build(store: Store, steps: Sequence[Step], notify: Notify) -> list[Outcome]:
    """Build every file that is missing or outdated; each is in place before the next step begins.

    Raises:
        ObsctlError: a step failed. The results of earlier steps stay, nothing of the failed one does.
    """
    outcomes: list[Outcome] = []
    with store.exclusive(notify):
        for step in steps:
            outcomes += _carry_out(store, step, notify)
        _drop_other_wheels(store, steps, notify)
    return outcomes


def _carry_out(store: Store, step: Step, notify: Notify) -> Iterator[Outcome]:
    listed = store.artifacts()
    current = {item.path: _current(store, listed, item) for item in step.wanted}
    missing = [item for item in step.wanted if current[item.path] is None]
    made: dict[str, Path] = {}
    if missing:
        with store.workspace() as work:
            made, origin = _made(step, missing, work, notify)
            for item in missing if made else ():
                current[item.path] = store.put(
                    made[item.path],
                    path=item.path,
                    name=item.name,
                    version=item.version,
                    origin=origin,
                    inputs=item.inputs,
                )
    change = Action.BUILT if made else Action.SKIPPED
    for item in step.wanted:
        yield Outcome(step.title, item.path, change if item in missing else Action.KEPT, current[item.path])


def _made(step: Step, missing: Sequence[Wanted], work: Path, notify: Notify) -> tuple[dict[str, Path], str]:
    """Return the result of :attr:`Step.make`; no files if it fails and they are optional.

    Raises:
        ObsctlError: it failed and its files are needed, or something has a wrong checksum.
    """
    try:
        return step.make(missing, work, notify)
    except ObsctlError as error:
        if step.needed or isinstance(error, ChecksumError):
            raise
        hint = f" ({error.hint})" if error.hint else ""
        notify(f"{step.title}: not built, and not needed: {error}{hint}")
        return {}, ""


def _current(store: Store, listed: dict[str, Artifact], item: Wanted) -> Artifact | None:
    artifact = listed.get(item.path)
    return artifact if artifact and artifact.inputs == item.inputs and store.intact(artifact) else None


def _drop_other_wheels(store: Store, steps: Sequence[Step], notify: Notify) -> None:
    """Remove wheels that the lock does not name: pip on the hosts would take the newest file that it finds."""
    wanted = {PurePosixPath(item.path) for step in steps for item in step.wanted}
    folders = {path.parent for path in wanted if path.suffix == ".whl"}
    extra = [
        str(folder / file.name)
        for folder in sorted(folders)
        for file in sorted((store.root / folder).glob("*.whl"))
        if folder / file.name not in wanted
    ]
    if extra:
        notify(f"removing wheels that the lock does not name: {', '.join(extra)}")
        store.remove(extra)
