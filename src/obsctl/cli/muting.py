"""Where mutes are stored: one file for each inventory, on this machine, for this user."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import typer

from obsctl.cli.settings import note, settings
from obsctl.core import mute, whole_file
from obsctl.core.cachedir import state_root
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.mute import Mute, Sight
from obsctl.core.report import Fault, Finding

SCHEMA = "obsctl/mutes/v1"


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The file's content: the inventory, its mutes, and the findings of each command's latest run."""

    inventory: str
    schema: str = SCHEMA
    mutes: tuple[Mute, ...] = ()
    sights: dict[str, Sight] = {}


class Book:
    """The mutes of one inventory."""

    def __init__(self, path: Path, inventory: str, complain: Callable[[str], None]) -> None:
        """Set the file; it is created when there is something to store.

        Args:
            path: the file.
            inventory: what it is about.
            complain: reports to a person why mutes are ignored, in cases that must not end a check.
        """
        self.path = path
        self._inventory = inventory
        self._complain = complain

    def mutes(self) -> tuple[Mute, ...]:
        """Return the mutes, also those that ended within the last day.

        Raises:
            ConfigError: the file cannot be read, or is not a file of mutes.
        """
        return mute.current(self._read().mutes, datetime.now(UTC))

    def sights(self) -> Mapping[str, Sight]:
        """Return the findings of each command's latest run.

        Raises:
            ConfigError: as of :meth:`mutes`.
        """
        return self._read().sights

    def change(self, change: Callable[[tuple[Mute, ...]], tuple[Mute, ...]]) -> None:
        """Replace the mutes by a function's result, under a lock against other processes.

        Raises:
            ConfigError: the file cannot be read or written.
        """
        with self._alone():
            kept = self._read()
            now = datetime.now(UTC)
            self._write(msgspec.structs.replace(kept, mutes=change(mute.current(kept.mutes, now))))

    def heard(self, command: str, findings: Sequence[Finding], errors: Sequence[Fault]) -> mute.Heard:
        """Apply the mutes to a command's findings, and store these findings.

        If the file cannot be read, nothing is muted; if it cannot be written, the findings are not stored. Both are
        reported on standard error and do not change the verdict.
        """
        now = datetime.now(UTC)
        heard = mute.Heard(tuple(findings), tuple(errors), (), ())
        try:
            with self._alone():
                kept = self._read()
                heard = mute.applied(findings, errors, mute.current(kept.mutes, now), command=command, now=now)
                sights = {**kept.sights, command: mute.sight(findings, errors, now)}
                self._write(msgspec.structs.replace(kept, mutes=heard.mutes, sights=sights))
        except ConfigError as error:
            if self.path.exists():
                self._complain(f"{error}; {error.hint}" if error.hint else str(error))
        return heard

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock the file against other processes."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise ConfigError(f"mutes cannot be kept in {self.path.parent}: {error.strerror}") from None

    def _read(self) -> _Kept:
        try:
            kept = decode_json(self.path.read_bytes(), _Kept)
        except FileNotFoundError:
            return _Kept(inventory=self._inventory)
        except OSError as error:
            raise ConfigError(f"the mutes in {self.path} cannot be read: {error.strerror}") from None
        except UndecodableError as error:
            raise ConfigError(
                f"{self.path} holds no mutes: {error}", hint="remove it; nothing is muted until then"
            ) from None
        if kept.schema != SCHEMA:
            raise ConfigError(f"{self.path}: schema {kept.schema!r}, this obsctl reads {SCHEMA!r}")
        return kept

    def _write(self, kept: _Kept) -> None:
        whole_file.write(self.path, msgspec.json.encode(kept))


def book(ctx: typer.Context) -> Book | None:
    """Return the mutes of the inventory that the options name; None if this user has no folder for them."""
    from obsctl.fleet import load as loading

    inventory = str(loading.find(settings(ctx).inventory).path)
    name = hashlib.blake2b(inventory.encode(), digest_size=16).hexdigest()
    try:
        path = state_root() / "mutes" / f"{name}.json"
    except ConfigError:
        return None
    return Book(path, inventory, lambda text: note(ctx, text))


def heard(of: Book | None, command: str, findings: Sequence[Finding], errors: Sequence[Fault]) -> mute.Heard:
    """Apply the mutes; everything stays if there is no folder for them."""
    return of.heard(command, findings, errors) if of else mute.Heard(tuple(findings), tuple(errors), (), ())
