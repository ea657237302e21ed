"""The lab as a whole: up, down, and the faults that drills cause on its hosts.

Every step may be interrupted. ``up`` first records what it will do, and each step can be repeated, so ``up`` continues
and ``down`` cleans up from wherever an earlier command was stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from obsctl.core import lab_record
from obsctl.core.errors import RefusedError, UsageError
from obsctl.core.nearest import did_you_mean
from obsctl.lab import base, mounts, network, programs, ssh, standin_process
from obsctl.lab.errors import LabError
from obsctl.lab.guest import Guest
from obsctl.lab.spec import HostSpec, LabSpec

Note = Callable[[str], None]

_READY_S = 90.0
_POLL_S = 0.1
#: Secret files and their lengths in characters; VRRP takes eight and silently cuts the rest.
_SECRETS = {
    "mysql_consumer": 32,
    "mysql_reader": 32,
    "mysql_console": 32,
    "mysql_replay": 32,
    "vrrp_auth_pass": 8,
    "dingtalk_token": 64,
    "dingtalk_secret": 64,
    "webhook_token": 32,
    "feishu_token": 36,
    "feishu_secret": 22,
    "wecom_token": 36,
    "slack_token": 44,
    "nginx_test": 32,
    "ca_passphrase": 32,
    "kafka_filebeat": 32,
    "kafka_consumer": 32,
    "kafka_alerter": 32,
    "kafka_console": 32,
    "kafka_obsctl": 32,
    "kafka_admin": 32,
}


@dataclass(frozen=True)
class HostStatus:
    """One line of ``lab status``.

    Attributes:
        name, address: the host.
        os: key of the recipe of its root.
        running: a keeper process runs the guest.
        cable: ``up``, ``cut`` or ``none``.
        ssh: its sshd greets.
    """

    name: str
    address: str
    os: str
    running: bool
    cable: str
    ssh: bool


class Lab:
    """The lab of a specification on this machine.

    Args:
        spec: names, network and place.
        note: called with each line of progress.
    """

    def __init__(self, spec: LabSpec, note: Note) -> None:
        self.spec = spec
        self.note = note
        self._guests = {host.name: Guest(spec, host) for host in spec.hosts}

    # --- the whole

    def up(self) -> None:
        """Bring every host up, building what is missing; returns when all answer.

        Raises:
            RefusedError, MissingDependencyError: before anything is touched.
            LabError: a step failed; ``up`` and ``down`` both work afterwards.
        """
        programs.require(programs.TO_BUILD_AND_RUN, "obsctl lab up")
        standin_process.require()
        os.umask(0o022)
        checkout = str(lab_record.this_checkout())
        with self._exclusive(create=True):
            self._leave_another(checkout)
            found = lab_record.read(self.spec.state_dir)
            # An existing lab keeps its bases, whatever would be built today.
            record = found or self._new_record(checkout)
            began = time.monotonic()
            if record.ip_forward is None:
                record = replace(record, ip_forward=network.ip_forward())
            was_up = record.phase == lab_record.UP
            lab_record.write(self.spec.state_dir, replace(record, phase=lab_record.STARTING))
            network.set_ip_forward("1")
            network.up(self.spec)
            self._make_secrets()
            ssh.make_keys(self.spec)
            guests = list(self._guests.values())
            started = self._boot(guests, record)
            # Hosts that an interrupted `up` started have not been waited for yet.
            self._wait_ready(started if was_up else guests)
            standin_process.start(self.spec)
            lab_record.write(self.spec.state_dir, replace(record, phase=lab_record.UP))
        if started or not was_up:
            word = "up again" if found else "up"
            self.note(f"lab {word}: {', '.join(self.spec.names)} after {time.monotonic() - began:.1f} s")
        else:
            self.note("the lab is already up")

    def down(self) -> None:
        """Leave the machine as it was before ``up``, from whatever state; the cached base root stays.

        Raises:
            RefusedError, MissingDependencyError: before anything is touched.
            LabError: something does not go away; the message names it.
        """
        programs.require(programs.TO_TAKE_DOWN, "obsctl lab down")
        base.clean_interrupted_unless_building()
        if not self.spec.state_dir.exists() and not network.link_exists(self.spec.bridge):
            self.note("the lab is not up")
            return
        with self._exclusive(create=True):
            self._take_down()
        self.note("lab down")

    def status(self) -> list[HostStatus]:
        """Ask every host at once; a dead one costs a second.

        Raises:
            UsageError: the lab is not up.
        """
        record = self._record()
        with ThreadPoolExecutor(len(self.spec.hosts)) as pool:
            return list(pool.map(lambda host: self._status(host, record.os_of(host.name)), self.spec.hosts))

    # --- single hosts

    def kill(self, names: Sequence[str]) -> None:
        """Crash hosts, all at once.

        Raises:
            UsageError: no such host, or the lab is not up.
        """
        guests = self._named(names)
        programs.require(("ip",), "obsctl lab kill")
        with self._exclusive(), ThreadPoolExecutor(len(guests)) as pool:
            for guest, killed in zip(guests, pool.map(Guest.crash, guests), strict=True):
                self.note(f"{guest.host.name} {'killed' if killed else 'was not running'}")

    def start(self, names: Sequence[str]) -> None:
        """Boot hosts again, all at once, and wait until they answer; their disks are as they were.

        Raises:
            UsageError: no such host, or the lab is not up.
            LabError: a host does not come up.
        """
        guests = self._named(names)
        programs.require(("ip", "mount", "systemd-nspawn"), "obsctl lab start")
        with self._exclusive():
            started = self._boot(guests, self._record())
            self._wait_ready(started)
        for guest in guests:
            self.note(f"{guest.host.name} {'started' if guest in started else 'was running'}")

    def cut(self, name: str) -> None:
        """Pull the host's cable.

        Raises:
            UsageError: no such host, or the lab is not up.
            LabError: the host does not run.
        """
        self._set_cable(name, "down")
        self.note(f"{name}: network link cut; `obsctl lab heal {name}` restores it")

    def heal(self, name: str) -> None:
        """Put the host's cable back.

        Raises:
            UsageError: no such host, or the lab is not up.
            LabError: the host does not run.
        """
        self._set_cable(name, "up")
        self.note(f"{name}: network link restored")

    def ssh_command(self, name: str, argv: Sequence[str], *, terminal: bool = False) -> list[str]:
        """Return the argument list that runs ``argv`` on the host, or a shell without one.

        Raises:
            UsageError: no such host, or the lab is not up.
        """
        (guest,) = self._named([name])
        if not os.access(ssh.client_key(self.spec), os.R_OK):
            raise RefusedError("the lab's key belongs to root", hint="run it with sudo")
        return ssh.command(self.spec, guest.host, argv, terminal=terminal)

    # --- how

    def _new_record(self, checkout: str) -> lab_record.LabState:
        systems = sorted({self.spec.os_of(host) for host in self.spec.hosts})
        bases = {system: str(base.provide(system, self.note)) for system in systems}
        return lab_record.LabState(
            checkout, self.spec.os, dict(self.spec.host_os), bases, lab_record.STARTING, self.spec.bridge
        )

    def _set_cable(self, name: str, to: str) -> None:
        (guest,) = self._named([name])
        programs.require(("ip",), "changing a network link")
        network.set_cable(self.spec, guest.host, to)

    def _named(self, names: Sequence[str]) -> list[Guest]:
        for name in names:
            if name not in self._guests:
                hint = did_you_mean(name, self.spec.names)
                raise UsageError(f"the lab has no host {name!r}; it has {', '.join(self.spec.names)}", hint=hint)
        self._record()
        return [self._guests[name] for name in dict.fromkeys(names)]

    def _record(self) -> lab_record.LabState:
        record = lab_record.read(self.spec.state_dir)
        if record is None:
            raise UsageError("the lab is not up", hint="obsctl lab up")
        return record

    def _leave_another(self, checkout: str) -> None:
        found = lab_record.read(self.spec.state_dir)
        if found is None:
            if any(self.spec.state_dir.iterdir()):
                self.note("there is a lab without a state file: taking it down first")
                self._take_down()
            return
        if found.checkout != checkout:
            reason = f"was started from {found.checkout}"
        elif (found.os, found.host_os) != (self.spec.os, self.spec.host_os):
            others = "".join(f", {name}={system}" for name, system in found.host_os.items())
            reason = f"runs {found.os}{others}"
        elif found.phase == lab_record.STOPPING:
            reason = "was only partly taken down"
        elif lost := [path for path in found.bases.values() if not Path(path).is_dir()]:
            reason = f"has lost its base root {lost[0]}"
        else:
            return
        self.note(f"the existing lab {reason}: taking it down first")
        self._take_down()

    def _boot(self, guests: list[Guest], record: lab_record.LabState) -> list[Guest]:
        """Start those that do not run, all at once, and return them without waiting."""
        todo = [guest for guest in guests if not guest.running()]
        if todo:
            self.note(f"starting {', '.join(guest.host.name for guest in todo)}")
            network.up(self.spec)
            resolv_conf = network.resolver(self.note)
            for guest in todo:
                guest.prepare(Path(record.bases[record.os_of(guest.host.name)]), resolv_conf)
                guest.start()
        return todo

    def _wait_ready(self, guests: list[Guest]) -> None:
        """Wait until each guest lets us in and has finished its own start."""
        deadline = time.monotonic() + _READY_S
        waiting = list(guests)
        while waiting:
            waiting = [guest for guest in waiting if not ssh.answers(self.spec, guest.host, 0.5)]
            if dead := [guest for guest in waiting if not guest.running()]:
                raise LabError(f"{dead[0].host.name} ended while it started: {dead[0].last_words()}")
            if waiting and time.monotonic() > deadline:
                raise LabError(
                    f"no ssh on {', '.join(guest.host.name for guest in waiting)} after {_READY_S:.0f} s: "
                    f"{waiting[0].last_words()}",
                    hint=f"its console: {waiting[0].directory / 'console.log'}",
                )
            if waiting:
                time.sleep(_POLL_S)
        with ThreadPoolExecutor(max(1, len(guests))) as pool:
            for guest, fault in zip(guests, pool.map(self._settle, guests), strict=True):
                if fault:
                    raise LabError(f"{guest.host.name} does not accept the login: {fault}")

    def _settle(self, guest: Guest) -> str:
        """Return what ssh said against us, or an empty string once the guest's own start is complete."""
        # "degraded" is the guest's own affair: a drill may have left a failed unit behind.
        ask = ssh.command(self.spec, guest.host, ["systemctl", "is-system-running", "--wait"])
        try:
            done = subprocess.run(ask, capture_output=True, text=True, timeout=_READY_S, check=False)
        except subprocess.TimeoutExpired:
            return f"it has not finished booting after {_READY_S:.0f} s"
        return done.stderr.strip() if done.returncode == 255 else ""

    def _status(self, host: HostSpec, system: str) -> HostStatus:
        return HostStatus(
            name=host.name,
            address=str(self.spec.address(host)),
            os=system,
            running=self._guests[host.name].running(),
            cable=network.cable(self.spec, host),
            ssh=ssh.answers(self.spec, host),
        )

    def _make_secrets(self) -> None:
        self.spec.secrets_dir.mkdir(mode=0o700, exist_ok=True)
        for name, length in _SECRETS.items():
            path = self.spec.secrets_dir / name
            if not path.exists() or not path.stat().st_size:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(secrets.token_hex(length // 2))

    def _take_down(self) -> None:
        record = lab_record.read(self.spec.state_dir)
        if record is not None:
            lab_record.write(self.spec.state_dir, replace(record, phase=lab_record.STOPPING))
        standin_process.stop(self.spec)
        guests = list(self._guests.values())
        with ThreadPoolExecutor(len(guests)) as pool:
            # The disks are removed: a clean stop of databases would only take time.
            list(pool.map(Guest.end, guests))
        for guest in guests:
            guest.remove_traces()
        network.down(self.spec)
        if record is not None and record.ip_forward is not None:
            network.set_ip_forward(record.ip_forward)
        self._empty_directory()

    def _empty_directory(self) -> None:
        mounts.detach(self.spec.state_dir)
        # The record last: as long as anything is there, it is known what it belongs to.
        entries = sorted(self.spec.state_dir.iterdir(), key=lambda entry: entry.name == "state.json")
        for entry in entries:
            if entry.is_dir():
                _remove_tree(entry)
            else:
                entry.unlink()

    @contextlib.contextmanager
    def _exclusive(self, *, create: bool = False) -> Iterator[None]:
        """Lock the lab against other changes; waits for one that is in progress.

        The lock is on the state directory itself, so it leaves no file behind.
        """
        directory = self.spec.state_dir
        while True:
            if create:
                directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            try:
                descriptor = os.open(directory, os.O_RDONLY)
            except FileNotFoundError:
                raise UsageError("the lab is not up", hint="obsctl lab up") from None
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self.note("another command is changing the lab; waiting for it")
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                # While we waited it may have been removed, or removed and created again: then this is no lock.
                if not directory.exists() or not os.path.samestat(os.fstat(descriptor), directory.stat()):
                    continue
                try:
                    yield
                finally:
                    if create:
                        # Empty after `down`, and after an `up` that ended before it touched anything.
                        with contextlib.suppress(OSError):
                            directory.rmdir()
                return
            finally:
                os.close(descriptor)


def _remove_tree(directory: Path) -> None:
    try:
        shutil.rmtree(directory)
    except PermissionError:
        # Somebody made a file immutable in a guest (chattr +i): root alone cannot remove it.
        subprocess.run(["chattr", "-R", "-f", "-i", "-a", str(directory)], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(directory)
