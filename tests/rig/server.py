"""A server started by the tests: its process, in a folder of its own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from rig.ending import with_us

#: Seconds that a server may take to answer after its start.
START_SECONDS = 60.0


class ServerProcess:
    """A server process in its own process group, its output in a file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self, command: list[str]) -> None:
        with (self.folder / f"{self.name}.out").open("ab") as out:
            self._process = subprocess.Popen(with_us(command), stdout=out, stderr=out, start_new_session=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        return (self.folder / f"{self.name}.out").read_text(errors="replace")[-4000:]

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: signal.Signals, timeout: float = 60.0) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout)


class Server:
    """What both kinds of servers can have done to them; :attr:`_process` runs them."""

    _process: ServerProcess

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send(number)

    def freeze(self) -> None:
        """Stop the process where it is: connections stay or are accepted, and nothing is answered."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        self._process.end(signal.SIGKILL)
