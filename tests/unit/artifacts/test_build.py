"""A build makes what is missing and nothing else, and whatever stops it leaves whole files only."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from obsctl.artifacts.build import Action, build, preview
from obsctl.artifacts.errors import ChecksumError
from obsctl.artifacts.plan import Step, Wanted
from obsctl.artifacts.store import Store
from obsctl.core.errors import ConfigError, MissingDependencyError


class Maker:
    """A step whose files hold ``content``; counts what it was asked for."""

    def __init__(self, *paths: str, content: str = "1", fails: BaseException | None = None) -> None:
        self.paths, self.content, self.fails = paths, content, fails
        self.asked: list[str] = []

    def step(self) -> Step:
        wanted = tuple(Wanted(path, "thing", "1.0", f"inputs {self.content}") for path in self.paths)
        return Step(self.paths[0], wanted, self._make)

    def _make(self, missing: Sequence[Wanted], work: Path, notify: object) -> tuple[dict[str, Path], str]:
        made = {}
        for item in missing:
            self.asked.append(item.path)
            made[item.path] = work / item.path.replace("/", "_")
            made[item.path].write_text(self.content)
            if self.fails:
                raise self.fails
        return made, "test"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


def _silent(_text: str) -> None:
    pass


def test_the_second_time_makes_nothing(store: Store) -> None:
    maker = Maker("kafka/a.tgz", "kafka/b.tgz")
    first = build(store, [maker.step()], _silent)
    second = build(store, [maker.step()], _silent)
    assert [outcome.action for outcome in first] == [Action.BUILT, Action.BUILT]
    assert [outcome.action for outcome in second] == [Action.KEPT, Action.KEPT]
    assert maker.asked == ["kafka/a.tgz", "kafka/b.tgz"]
    assert store.artifacts()["kafka/a.tgz"].origin == "test"


def test_other_inputs_make_another_artifact(store: Store) -> None:
    build(store, [Maker("kafka/a.tgz").step()], _silent)
    build(store, [Maker("kafka/a.tgz", content="2").step()], _silent)
    assert (store.root / "kafka/a.tgz").read_text() == "2"


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_only_the_damaged_file_is_made_again(store: Store, damage: str) -> None:
    build(store, [Maker("kafka/a.tgz", "kafka/b.tgz").step()], _silent)
    victim = store.root / "kafka/b.tgz"
    victim.write_text("?") if damage == "changed" else victim.unlink()
    again = Maker("kafka/a.tgz", "kafka/b.tgz")
    build(store, [again.step()], _silent)
    assert again.asked == ["kafka/b.tgz"]
    assert victim.read_text() == "1"


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), ConfigError("wrong checksum")])
def test_what_stops_a_step_leaves_the_steps_before_it_and_no_half_file(store: Store, stop: BaseException) -> None:
    done, broken = Maker("kafka/a.tgz"), Maker("filebeat/b.tgz", "filebeat/c.tgz", fails=stop)
    with pytest.raises(type(stop)):
        build(store, [done.step(), broken.step()], _silent)
    assert store.files() == ["kafka/a.tgz"]
    assert sorted(path.name for path in store.root.iterdir()) == [".lock", "kafka", "manifest.json"]
    assert list(store.artifacts()) == ["kafka/a.tgz"]


def test_what_a_killed_build_left_is_cleared(store: Store) -> None:
    left = store.root / ".work-killed"
    left.mkdir(parents=True)
    (left / "half").write_text("x")
    build(store, [], _silent)
    assert not left.exists()


def test_wheels_that_the_lock_does_not_name_go(store: Store) -> None:
    said: list[str] = []
    build(store, [Maker("wheels/py3.11/click-8-py3-none-any.whl").step()], _silent)
    (store.root / "wheels/py3.11/foreign-1-py3-none-any.whl").write_text("x")
    other = store.root / "wheels/py3.12/kept-1-py3-none-any.whl"
    other.parent.mkdir()
    other.write_text("this build was not asked about Python 3.12")
    build(store, [Maker("wheels/py3.11/click-9-py3-none-any.whl").step()], said.append)
    assert store.files() == ["wheels/py3.11/click-9-py3-none-any.whl", "wheels/py3.12/kept-1-py3-none-any.whl"]
    assert list(store.artifacts()) == ["wheels/py3.11/click-9-py3-none-any.whl"]
    assert "foreign-1" in said[0]


def test_a_preview_writes_nothing(store: Store) -> None:
    outcomes = preview(store, [Maker("kafka/a.tgz").step()])
    assert [outcome.action for outcome in outcomes] == [Action.MISSING]
    assert not store.root.exists()


def test_a_damaged_manifest_is_named(store: Store) -> None:
    store.root.mkdir()
    (store.root / "manifest.json").write_text("{")
    with pytest.raises(ConfigError, match=r"manifest\.json is damaged"):
        store.artifacts()


def test_the_manifest_says_what_the_roles_need(store: Store) -> None:
    build(store, [Maker("kafka/a.tgz").step()], _silent)
    manifest = msgspec.json.decode((store.root / "manifest.json").read_bytes())
    assert manifest["schema"] == "obsctl/artifacts/v1"
    assert {"path", "name", "version", "origin", "sha256", "size_bytes"} <= manifest["artifacts"][0].keys()


def _hold(root: Path, held: object, seconds: float) -> None:
    with Store(root).exclusive(_silent):
        held.set()  # type: ignore[attr-defined]
        time.sleep(seconds)


def test_two_builds_take_turns(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=_hold, args=(store.root, held, 0.5))
    other.start()
    assert held.wait(30)
    said: list[str] = []
    build(store, [Maker("kafka/a.tgz").step()], said.append)
    other.join()
    assert "waiting" in said[0]
    assert store.files() == ["kafka/a.tgz"]


def test_what_is_not_needed_and_cannot_be_made_stops_nothing(store: Store) -> None:
    said: list[str] = []
    optional = replace(Maker("a.whl", fails=MissingDependencyError("no cargo", hint="install it")).step(), needed=False)
    outcomes = build(store, [optional, Maker("kafka/a.tgz").step()], said.append)
    assert [outcome.action for outcome in outcomes] == [Action.SKIPPED, Action.BUILT]
    assert said == ["a.whl: not built, and not needed: no cargo (install it)"]
    assert store.files() == ["kafka/a.tgz"]
    build(store, [replace(Maker("a.whl").step(), needed=False)], said.append)
    outcomes = build(store, [optional], said.append)
    assert [outcome.action for outcome in outcomes] == [Action.KEPT], "what is there already needs no compiler"


def test_a_wrong_checksum_stops_also_what_is_not_needed(store: Store) -> None:
    optional = replace(Maker("a.whl", fails=ChecksumError("zig.whl", "1", "2")).step(), needed=False)
    with pytest.raises(ChecksumError):
        build(store, [optional], _silent)
