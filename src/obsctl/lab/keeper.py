"""Keeps one guest running: ``python -m obsctl.lab.keeper DIRECTORY CGROUP… -- COMMAND…``.

A process of its own, because it must outlive the command that started it and sit in the guest's cgroup. It
imports nothing beyond the standard library: five of them run all the time.

DIRECTORY is the guest's; the console goes to ``console.log`` in it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

#: systemd-nspawn's exit status when the guest asked for a reboot, and only this process can start it again.
_REBOOT = 133


def main(argv: list[str]) -> int:
    """Run the guest until it ends by anything but a reboot, or until SIGTERM forbids a further start."""
    split = argv.index("--")
    directory, cgroups, command = Path(argv[0]), argv[1:split], argv[split + 1 :]
    for cgroup in cgroups:
        Path(cgroup).mkdir(parents=True, exist_ok=True)
        Path(cgroup, "cgroup.procs").write_text(str(os.getpid()))
    leaving: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: leaving.append(number))
    with (directory / "console.log").open("ab", buffering=0) as console:
        while True:
            guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
            code = guest.wait()
            console.write(f"{time.strftime('%FT%TZ', time.gmtime())} guest ended: {code}\n".encode())
            if code != _REBOOT or leaving:
                return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
