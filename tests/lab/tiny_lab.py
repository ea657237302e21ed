"""A second, tiny lab beside the person's own: other names, other network, other state; two hosts.

``python -m tests.lab.tiny_lab up|down`` runs one command in a process of its own, which a test may then kill.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Network
from pathlib import Path

from obsctl.lab.embedded import Lab
from obsctl.lab.spec import HostSpec, LabSpec

TINY = LabSpec(
    prefix="tiny-",
    network=IPv4Network("198.18.77.0/24"),
    bridge="br-obstiny",
    state_dir=Path("/var/lib/obsctl-lab-tiny"),
    hosts=(HostSpec("one", 11), HostSpec("two", 12)),
)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    {"up": Lab.up, "down": Lab.down}[sys.argv[1]](Lab(TINY, _say))
