"""One guest: its disk, its individual configuration, its start and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from obsctl.lab import cgroups, mounts, network, processes, ssh
from obsctl.lab.errors import LabError
from obsctl.lab.spec import HostSpec, LabSpec

_KEEPER = "obsctl.lab.keeper"
_DEATH_S = 10.0
#: Beyond systemd-nspawn's defaults: firewall, addresses and VRRP; priorities; locked memory.
_CAPABILITIES = "CAP_NET_ADMIN,CAP_SYS_NICE,CAP_IPC_LOCK,CAP_SYS_RESOURCE"


class Guest:
    """A host of the lab, running or not. Has no state of its own: the machine is examined each time."""

    def __init__(self, spec: LabSpec, host: HostSpec) -> None:
        self.spec = spec
        self.host = host
        self.directory = spec.host_dir(host)
        self.root = spec.root(host)
        self.machine = spec.machine(host)

    def prepare(self, base: Path, resolv_conf: str) -> None:
        """Mount the disk over the base and, the first time, write the host's individual configuration.

        Raises:
            LabError: the disk cannot be mounted.
        """
        upper, work = self.directory / "upper", self.directory / "work"
        for directory in (upper, work, self.root):
            directory.mkdir(parents=True, exist_ok=True)
        # The upper directory's mode is the guest's own "/": a closed one would lock out every service there.
        upper.chmod(0o755)
        mounts.overlay(base, upper, work, self.root)
        written = self.directory / "written"
        if not written.exists():
            self._write_identity(resolv_conf)
            written.touch()

    def running(self) -> bool:
        """Return whether a keeper process runs the guest (it may still be on its way up)."""
        return bool(self._keepers() or self._containers())

    def start(self) -> None:
        """Start the guest in the background; one that runs is left alone. Returns before it answers."""
        if self.running():
            return
        # The kernel takes a killed guest's cable away in its own time, and its name is needed now.
        network.remove_link(self.spec.link(self.host))
        container = [
            "systemd-nspawn", "--quiet", f"--directory={self.root}", f"--machine={self.machine}",
            f"--hostname={self.host.name}", "--boot", f"--network-bridge={self.spec.bridge}",
            "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
            "--private-users=no", "--console=pipe", f"--capability={_CAPABILITIES}",
        ]  # fmt: skip
        environment = os.environ | {
            "SYSTEMD_NSPAWN_LOCK": "0",
            # Version 2 in the guest whatever this machine mounts; newer systemds refuse version 1.
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        }
        groups = [str(group) for group in cgroups.for_machine(self.machine)]
        subprocess.Popen(
            [sys.executable, "-m", _KEEPER, str(self.directory), *groups, "--", *container],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Neither the terminal's interruption nor its end reaches the guest; nor does it hold a directory.
            start_new_session=True,
            cwd="/",
            env=environment,
        )

    def crash(self) -> bool:
        """End the guest as a crash does: at once, and without closing its connections.

        The cable goes first. The kernel closes a killed program's connections in good order, so peers would notice at
        once what, after a machine's crash, they can only find out by timeouts.

        What the guest had not written to disk is *not* lost: the page cache is this machine's.

        Returns:
            False for a guest that did not run.

        Raises:
            LabError: something of it still runs after ten seconds.
        """
        link = self.spec.link(self.host)
        if network.link_exists(link):
            network.pull(link)
        return self.end()

    def end(self) -> bool:
        """End the guest by SIGKILL to its first process: the kernel ends all the others at once.

        Returns:
            False for a guest that did not run.

        Raises:
            LabError: something of it still runs after ten seconds.
        """
        if not self.running():
            return False
        deadline = time.monotonic() + _DEATH_S
        while self.running() and time.monotonic() < deadline:
            for keeper in self._keepers():
                processes.send(keeper.pid, signal.SIGTERM)
            for container in self._containers():
                for first in processes.children(container.pid):
                    processes.send(first, signal.SIGKILL)
                # One whose guest is gone, or never came, and which does not end by itself.
                if time.monotonic() > deadline - _DEATH_S / 2:
                    processes.send(container.pid, signal.SIGKILL)
            processes.wait_gone([*self._containers(), *self._keepers()], 0.2)
        if self.running():
            raise LabError(f"{self.host.name} does not end; see {self.directory / 'console.log'}")
        return True

    def remove_traces(self) -> None:
        """Remove what the guest has on the machine apart from its directory: mounts and cgroups.

        Raises:
            LabError: something cannot be taken away.
        """
        mounts.detach(self.directory)
        for group in cgroups.existing(self.machine):
            deadline = time.monotonic() + _DEATH_S
            while not cgroups.remove(group):
                cgroups.kill(group)
                if time.monotonic() > deadline:
                    raise LabError(f"the cgroup {group} cannot be removed: a process in it does not exit")
                time.sleep(0.05)
        for kind in ("propagate", "unix-export"):
            place = Path("/run/systemd/nspawn", kind, self.machine)
            mounts.detach(place)
            with contextlib.suppress(FileNotFoundError):
                place.rmdir()

    def last_words(self) -> str:
        """Return the end of the console, for a guest that does not come up."""
        try:
            lines = (self.directory / "console.log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return "it never started"
        return next((line.strip() for line in reversed(lines) if line.strip()), "its console is empty")

    def _keepers(self) -> list[processes.Process]:
        return processes.of_module(_KEEPER, str(self.directory))

    def _containers(self) -> list[processes.Process]:
        return processes.of_program("systemd-nspawn", f"--directory={self.root}")

    def _write_identity(self, resolv_conf: str) -> None:
        etc = self.root / "etc"
        spec = self.spec
        names = [f"{spec.gateway} control"]
        names += [f"{spec.address(host)} {host.name}" for host in spec.hosts]
        # The own name is the real address: a service that advertises or binds to 127.0.1.1 is alone.
        hosts = "\n".join(["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", *names])
        (etc / "hosts").write_text(hosts + "\n")
        (etc / "hostname").write_text(f"{self.host.name}\n")
        # Hosts with the base's id would be one host for the journal, DHCP and every cluster software.
        (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        (etc / "resolv.conf").write_text(resolv_conf)
        # Sorts before systemd's own 80-container-host0.network, which asks for DHCP.
        (etc / "systemd/network/10-host0.network").write_text(
            "[Match]\nName=host0\n\n[Network]\n"
            f"Address={spec.address(self.host)}/{spec.network.prefixlen}\nGateway={spec.gateway}\n"
            "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        )
        key = etc / "ssh/ssh_host_ed25519_key"
        key.touch(mode=0o600)
        key.write_bytes(ssh.host_key(spec, self.host).read_bytes())
        key.with_suffix(".pub").write_bytes(ssh.host_key(spec, self.host).with_suffix(".pub").read_bytes())
        allowed = self.root / "root/.ssh"
        allowed.mkdir(mode=0o700, exist_ok=True)
        (allowed / "authorized_keys").write_bytes(ssh.client_key(spec).with_suffix(".pub").read_bytes())
        lists = self.root / "var/lib/apt/lists"
        if lists.is_dir():
            # As old as the base, and the packages beside them fit: nothing needs to be asked again.
            os.utime(lists)
