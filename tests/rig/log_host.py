"""A host that ships logs: a program that has them open as nginx does, the real Filebeat, and a systemd of both."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from obsctl.checks.ask import ssh
from obsctl.checks.logs import host_script
from obsctl.checks.logs.host_script import Wanted
from obsctl.fleet.model import Host
from rig.ending import with_us
from rig.filebeat import Shipper, with_files
from rig.ports import free_port
from rig.rendered_role import RenderedNode
from rig.waiting import wait_for

#: An account that is no one's here.
_ACCOUNT = 64999


class LogHost:
    """The host node1, whose shipper has the role's configuration and an account of its own.

    :attr:`run` and :meth:`command` stand in for ``ssh.run`` and the command of the script.

    Args:
        folder: for all that it has; other accounts must be able to enter it.
        binary: Filebeat.
        variables: of the role; with brokers it sends to Kafka, without to files.
    """

    def __init__(self, folder: Path, binary: Path, **variables: Any) -> None:
        self.folder, self.logs = folder, folder / "log"
        self.logs.mkdir()
        inventory = folder / "hosts.json"
        values = {"filebeat_nginx_log_dir": str(self.logs), "filebeat_http_port": free_port()}
        values |= {"filebeat_kafka_hosts": ["192.0.2.1:9092"]} | variables
        inventory.write_text(json.dumps({"filebeat": {"hosts": {"node1": values}}}))
        config = RenderedNode(inventory, "node1", "filebeat").file("filebeat.yml.j2")
        if "filebeat_kafka_hosts" not in variables:
            config = with_files(config, folder / "out")
        self.shipper = Shipper(binary, folder, config, _ACCOUNT)
        self._nginx: subprocess.Popen[str] | None = None
        self._filebeat: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()

    def command(self, wanted: Sequence[Wanted] = (), marks: Sequence[str] = ()) -> str:
        """Return the script's command with this host's files."""
        return host_script.command(wanted, marks, config=str(self.shipper.config), registry=str(self.shipper.registry))

    def run(self, _host: Host, command: str, *, deadline_s: float) -> ssh.Answer:
        """Run a command as if over ssh."""
        binaries = self.folder / "bin"
        binaries.mkdir(exist_ok=True)
        pids = {"nginx": self._nginx.pid if self._nginx else 0, "filebeat": self._filebeat.pid if self._filebeat else 0}
        cases = " ".join(f"{unit}) echo MainPID={pid};;" for unit, pid in pids.items())
        # The script asks `systemctl show -p MainPID UNIT`.
        (binaries / "systemctl").write_text(f'#!/bin/sh\ncase "$4" in {cases} esac\n')
        (binaries / "systemctl").chmod(0o755)
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, check=False, timeout=deadline_s + 10,
            env={"PATH": f"{binaries}:/usr/bin:/bin"},
        )  # fmt: skip
        return ssh.Answer(status=done.returncode, output=done.stdout)

    def write(self, *names: str) -> None:
        """Have the stand-in of nginx open these logs."""
        if self._nginx is not None:
            self._nginx.kill()
            self._nginx.wait()
        files = " ".join(f"{3 + number}>>{self.logs}/{name}" for number, name in enumerate(names))
        self._nginx = self._stack.enter_context(
            subprocess.Popen(
                with_us(["sh", "-c", f"exec {files}; exec sleep 600"]),
                text=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        wait_for("its logs", lambda: all((self.logs / name).exists() for name in names))
        time.sleep(0.1)

    def line(self, text: str, name: str = "access.log") -> None:
        """Write a line."""
        with (self.logs / name).open("a") as log:
            log.write(f"{text}\n")

    def ship(self) -> None:
        """Start Filebeat."""
        self._filebeat = self._stack.enter_context(self.shipper.running())

    def restart(self) -> None:
        """Stop Filebeat and start it again."""
        assert self._filebeat is not None
        self._filebeat.terminate()
        self._filebeat.wait()
        self.ship()

    def signal(self, number: int) -> None:
        """Send Filebeat a signal."""
        assert self._filebeat is not None
        self._filebeat.send_signal(number)

    def close(self) -> None:
        """End its processes."""
        for process in (self._nginx, self._filebeat):
            if process is not None:
                process.kill()
        self._stack.close()
