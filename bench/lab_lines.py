"""Lines at a steady rate on the lab's balancers, and what the database and the consumer do with them.

A small program on each balancer (``rig.written_lines``) appends lines to nginx's own access log. All hosts of the lab
share one clock, so moments of different hosts may be compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import Any

from measure import BIN, ROOT

sys.path.insert(0, str(ROOT / "tests"))
from obsctl.core.lab_record import lab_of_tree_is_up
from obsctl.lab import ssh
from obsctl.lab.spec import FLEET_LAB
from rig import written_lines

BALANCERS = ("node1", "node2", "node3")
DATABASE = "db1"
CONSUMER = "app1"
# Prints "PROBE WRITTEN READABLE" (seconds since 1970) for each probe, at its end: nothing reads before, and a full pipe
# would hold it up. Each balancer writes its probes in their order, so what is still to come is younger than the last
# one of an unbroken row: the query reads from there.
_POLLER = """
import subprocess, sys, time
markers, seconds, pause = sys.argv[1].split(","), float(sys.argv[2]), float(sys.argv[3])
client = subprocess.Popen(["mysql", "-N", "-B", "--unbuffered", "obs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
began = time.time()
since, seen, after = dict.fromkeys(markers, began - 5), {}, dict.fromkeys(markers, 0)
while time.time() - began < seconds:
    start = min(since.values())
    client.stdin.write((
        "SELECT request_id, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ts) FROM access_log WHERE "
        "ts >= TIMESTAMPADD(MICROSECOND, %d, '1970-01-01') AND (%s); SELECT 'end', 0;\\n"
        % (start * 1e6, " OR ".join("request_id LIKE '%s-p-%%'" % m for m in markers))
    ).encode())
    client.stdin.flush()
    rows = []
    while True:
        name, moment = client.stdout.readline().decode().split()
        if name == "end":
            break
        rows.append((name, int(moment) / 1e6))
    now = time.time()
    for name, moment in rows:
        seen.setdefault(name, (moment, now))
    for marker in markers:
        while (name := "%s-p-%d" % (marker, after[marker])) in seen:
            since[marker] = seen[name][0]
            after[marker] += 1
    time.sleep(pause)
client.stdin.close()
for name, (moment, now) in seen.items():
    print(name, moment, now)
"""

_RESIDENT = (
    "for pid in $(cat /sys/fs/cgroup$(systemctl show -p ControlGroup --value obsctl-consumer)/cgroup.procs); do"
    " grep VmRSS /proc/$pid/status; done"
)


@dataclass(frozen=True)
class Probe:
    """A timed line: when it was written and when it was first seen in the table (seconds since 1970)."""

    written: float
    readable: float


class Lines:
    """Writers on all balancers, together ``rate`` lines a second for ``seconds``."""

    def __init__(self, rate: float, seconds: float) -> None:
        require_lab()
        self._runs: list[subprocess.Popen[str]] = []
        self.markers = [f"bench{uuid.uuid4().hex[:12]}" for _ in BALANCERS]
        for host, marker in zip(BALANCERS, self.markers, strict=True):
            self._runs.append(on(host, written_lines.writer(marker, rate / len(BALANCERS), seconds)))

    def written(self) -> int:
        """Wait for the writers and return how many lines they wrote."""
        return sum(int(output_of(run)) for run in self._runs)

    def stored(self) -> int:
        """Return how many of the lines are rows."""
        names = " OR ".join(f"request_id LIKE '{marker}-%'" for marker in self.markers)
        sql = f"SELECT COUNT(*) FROM access_log WHERE ts >= UTC_TIMESTAMP() - INTERVAL 1 HOUR AND ({names})"
        return int(output_of(on(DATABASE, ["mysql", "-N", "-B", "obs", "-e", sql])))

    def watch(self, seconds: float, pause: float) -> subprocess.Popen[str]:
        """Start a watch for the probes on the database's host; :func:`probes` reads its output."""
        return on(DATABASE, ["python3", "-c", _POLLER, ",".join(self.markers), str(seconds), str(pause)])


def probes(watch: subprocess.Popen[str]) -> list[Probe]:
    """Wait for a watch and return the probes that it saw."""
    lines = [line.split() for line in output_of(watch).splitlines()]
    return [Probe(float(written), float(readable)) for _, written, readable in lines]


def resident_mib() -> float:
    """Return the consumer's resident memory, all processes of its unit together (MiB)."""
    lines = output_of(on(CONSUMER, ["sh", "-c", _RESIDENT])).splitlines()
    return sum(int(line.split()[1]) for line in lines) / 1024


def lag() -> int | None:
    """Return how many records the consumer still has to store; None if it does not report that."""
    page = output_of(on(CONSUMER, ["curl", "-s", "http://127.0.0.1:9600/health"]))
    try:
        parts: list[dict[str, Any]] = json.loads(page)["partitions"]
    except (ValueError, KeyError):
        return None
    known = [part["lag"] for part in parts]
    return None if None in known or not known else sum(known)


def on(host: str, argv: list[str]) -> subprocess.Popen[str]:
    """Start a program on a host of the lab."""
    command = ssh.command(FLEET_LAB, FLEET_LAB.host(host), argv)
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def output_of(run: subprocess.Popen[str]) -> str:
    """Wait for a program and return its standard output; a failure ends the benchmark."""
    out, err = run.communicate()
    if run.returncode:
        sys.exit(f"a program on a host ended with {run.returncode}:\n{err}")
    return out


def require_lab() -> None:
    """End the benchmark if this tree's lab is not up."""
    if not lab_of_tree_is_up(ROOT):
        sys.exit("this needs the lab and root: run ./start.sh as root first")


def obsctl(*argv: str) -> None:
    """Run ``obsctl`` on the lab's inventory; a failure ends the benchmark."""
    done = subprocess.run([BIN / "obsctl", "-q", "-i", "inventories/lab", *argv], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"obsctl {' '.join(argv)} ended with {done.returncode}")
