"""The provisioned lab as the tests see it: commands, playbooks, shells on hosts, rows, and a probe of the VIP.

A drill runs on any fleet (CONTRIBUTING.md names the exceptions): what a host runs is asked of ``Fleet``. The fleet of
``./test.sh lab`` is mixed, so a drill that looks at one balancer of each system takes ``ONE_OF_EACH``.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
import pytest

from obsctl.core.lab_record import LabState, lab_of_tree_is_up, read
from obsctl.lab.embedded import Lab
from obsctl.lab.spec import FLEET_LAB
from rig import waiting

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
INVENTORY = ROOT / "inventories/lab"
VIP = "198.18.0.100"
NODES = ("node1", "node2", "node3")
#: Two balancers, which run different systems in the mixed fleet.
ONE_OF_EACH = ("node1", "node2")
ROBOT = ("198.18.0.1", 9580)
#: What differs between the systems that the hosts may run: the unit of the distribution's database server.
DATABASE_UNIT = {"debian12": "mariadb", "el9": "mysqld"}


#: Files whose tests send no request through the VIP and no message, and change nothing.
_MEANWHILE = ("test_el_twin.py", "test_firewall.py", "test_hardening.py", "test_open_ports.py")

#: A look at a host takes a process and a connection.
wait_for = partial(waiting.wait_for, every=0.5)


def log_in(**tls: Any) -> pymysql.Connection[Any]:
    """Log in to the database as its reader, with PyMySQL's settings of TLS."""
    password = (FLEET_LAB.secrets_dir / "mysql_reader").read_text().strip()
    address = str(FLEET_LAB.address(FLEET_LAB.host("db1")))
    return pymysql.connect(host=address, user="obs_reader", password=password, database="obs", **tls)


@dataclass(frozen=True)
class Answer:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The standard output as JSON."""
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded

    @property
    def codes(self) -> set[str]:
        """The codes of the report's findings."""
        return {finding["code"] for finding in self.json["findings"]}

    @property
    def said(self) -> str:
        """Both outputs, the standard one first."""
        return self.out + self.err

    @property
    def changes(self) -> dict[str, int]:
        """How many tasks changed each host, by the recap of a playbook run."""
        return {host: int(count) for host, count in re.findall(r"^(\S+) +:.* changed=(\d+)", self.out, re.MULTILINE)}


class Fleet:
    """The running lab.

    Args:
        record: what it is made of.
        inventory: what ``obsctl`` is given.
    """

    #: Whether anything was done since the fleet was last seen healthy, by whichever inventory.
    touched = True
    #: Seconds that a fleet which did not become healthy is given by each later test: it rarely recovers by itself.
    PATIENCE_ONCE_ILL_S = 15.0
    ill = False

    def __init__(self, record: LabState, inventory: Path = INVENTORY) -> None:
        self.record = record
        self._inventory = inventory
        self._lab = Lab(FLEET_LAB, lambda _: None)

    @property
    def database_unit(self) -> str:
        """The unit of the database server on db1."""
        return DATABASE_UNIT[self.record.os_of("db1")]

    def hosts_of(self, system: str) -> list[str]:
        """The hosts that run the operating system."""
        return [name for name in FLEET_LAB.names if self.record.os_of(name) == system]

    def obsctl(self, *argv: str, timeout: float = 120) -> Answer:
        """Run ``obsctl`` on the lab's inventory."""
        return _run([BIN / "obsctl", "-i", self._inventory, *argv], timeout)

    def on(self, host: str, *argv: str, timeout: float = 60) -> Answer:
        """Run a program on a host: what ``obsctl lab ssh`` does, without the start of a process of its own."""
        return _run(self._lab.ssh_command(host, argv), timeout)

    def start(self, host: str, *argv: str) -> subprocess.Popen[str]:
        """Start a program on a host; its standard output can be read."""
        Fleet.touched = True
        return subprocess.Popen(
            self._lab.ssh_command(host, argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )

    def ssh(self, host: str, *argv: str, check: bool = True, timeout: float = 60) -> str:
        """Run a program on a host and return its standard output."""
        answer = self.on(host, *argv, timeout=timeout)
        if check:
            assert answer.code == 0, f"{host}: {argv} ended with {answer.code}: {answer.err}"
        return answer.out

    def rows(self, sql: str) -> list[list[str]]:
        """Ask the database as root on db1."""
        out = self.ssh("db1", "mysql", "-N", "-B", "obs", "-e", sql)
        return [line.split("\t") for line in out.splitlines()]

    def number(self, sql: str) -> int:
        """Ask the database for one number; -1 while it does not answer."""
        answer = self.on("db1", "mysql", "-N", "-B", "obs", "-e", sql)
        return int(answer.out) if answer.code == 0 and answer.out.strip().isdigit() else -1

    def alerter_page(self) -> dict[str, Any]:
        """What the alerter says of itself; empty while it says nothing."""
        page = self.ssh("app1", "curl", "-s", "-m", "5", "http://127.0.0.1:9601/health", check=False)
        return dict(json.loads(page)) if page else {}

    def holder(self) -> str | None:
        """The one node that has the VIP; None while no node or more than one has it."""
        having = [node for node in NODES if VIP in self.ssh(node, "ip", "-o", "-4", "addr", check=False, timeout=20)]
        return having[0] if len(having) == 1 else None

    def wait_balanced(self) -> None:
        """Wait until nginx gives every back end its share again: it leaves one out for fail_timeout after a failure."""
        wait_for("a balanced load", lambda: self.obsctl("verify", "lb", "-o", "json").code == 0, seconds=60)

    def wait_healthy(self, seconds: float = 180) -> None:
        """Wait until ``obsctl health`` is OK; a failure shows what the hosts' journals say of the findings' units.

        Meanwhile each balancer has a request now and then, as on a real fleet: without a later line nobody, not even
        the watch of Filebeat, can tell a lost batch from a Kafka that is away.
        """
        patience = min(seconds, self.PATIENCE_ONCE_ILL_S) if Fleet.ill else seconds
        deadline = time.monotonic() + patience
        while (answer := self.obsctl("health", "-o", "json")).code != 0:
            if time.monotonic() > deadline:
                Fleet.ill = True
                pytest.fail(
                    f"not healthy after {patience:.0f} s:\n{answer.out}\n{answer.err}\n{self._journals(answer)}"
                )
            for node in NODES:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    get("/", timeout=1.0, host=str(FLEET_LAB.address(FLEET_LAB.host(node))))
            time.sleep(0.5)
        Fleet.touched = Fleet.ill = False

    def _journals(self, health: Answer) -> str:
        """Return the last lines of each finding's unit, on the host that the finding names."""
        found = dict.fromkeys(finding["object"] for finding in health.json["findings"]) if health.out else {}
        units = [(unit, host) for unit, _, host in (name.partition("/") for name in found) if host in FLEET_LAB.names]
        said = [
            f"== {unit} on {host}\n" + self.ssh(host, "journalctl", "-n", "30", "-o", "cat", "-u", unit, check=False)
            for unit, host in units
        ]
        return "\n".join(said)


def play(
    *argv: str,
    inventory: Path = INVENTORY,
    programs: Path = BIN,
    environment: Mapping[str, str] | None = None,
    timeout: float = 550,
) -> Answer:
    """Run ``ansible-playbook`` on the lab.

    Args:
        argv: playbooks and options.
        inventory: the lab's own, or a copy that a drill has changed.
        programs: the folder of another release's programs.
        environment: variables beside this process's.
        timeout: seconds.
    """
    command = [programs / "ansible-playbook", "-i", inventory, *argv]
    return _run(command, timeout, {"ANSIBLE_NOCOLOR": "1", **(environment or {})})


def _run(command: Sequence[Path | str], timeout: float, environment: Mapping[str, str] | None = None) -> Answer:
    Fleet.touched = True
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=timeout,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout, done.stderr)


def get(
    path: str, *, timeout: float = 5.0, headers: dict[str, str] | None = None, host: str = VIP
) -> tuple[int, dict[str, str]]:
    """GET, through the VIP by default, on a new connection; raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(host, 80, timeout=timeout)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        response.read()
        return response.status, {k.lower(): v for k, v in response.getheaders()}
    finally:
        connection.close()


@dataclass(frozen=True)
class Try:
    """One request of the probe: seconds since its start, status (None: none), how long it took."""

    at: float
    status: int | None
    took: float
    path: str


class Probe:
    """Requests through the VIP at a fixed rate, each on a new connection, until stopped."""

    TIMEOUT_S = 0.25

    def __init__(self, marker: str, hz: float = 20.0, timeout: float = TIMEOUT_S) -> None:
        self._marker, self._hz, self._timeout = marker, hz, timeout
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(32)
        self._futures: list[Any] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Probe:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._pool.shutdown()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(max(0.0, self._began + number / self._hz - time.monotonic())):
            self._futures.append(self._pool.submit(self._one, number))
            number += 1

    def _one(self, number: int) -> Try:
        began, path = time.monotonic(), f"/{self._marker}?n={number}"
        try:
            status: int | None = get(path, timeout=self._timeout)[0]
        except (OSError, http.client.HTTPException):
            status = None
        return Try(began - self._began, status, time.monotonic() - began, path)

    def tries(self) -> list[Try]:
        """All requests in the order in which they were sent; call it after the probe has ended."""
        return sorted((f.result() for f in self._futures), key=lambda t: t.at)

    def outage(self) -> float:
        """Seconds from the first failed request to the next answered one, or to the last one sent: the longest gap."""
        longest, down = 0.0, None
        for one in self.tries():
            if one.status is None and down is None:
                down = one.at
            if down is not None:
                longest = max(longest, one.at - down)
            if one.status is not None:
                down = None
        return longest


class Robot:
    """The stand-in of the alert channels."""

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(*ROBOT, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            return json.loads(connection.getresponse().read() or b"null")
        finally:
            connection.close()

    def behave(self, name: str) -> None:
        """Choose how DingTalk answers."""
        self._ask("PUT", "/behaviour", {"name": name})

    def mail_behaves(self, name: str) -> None:
        """Choose how the mail server answers."""
        self._ask("PUT", "/smtp/behaviour", {"name": name})

    def received(self) -> list[dict[str, Any]]:
        """All that was received since the last :meth:`reset`."""
        got: list[dict[str, Any]] = self._ask("GET", "/received")
        return got

    def reset(self) -> None:
        """Empty the list and answer as a healthy vendor does."""
        self.behave("success")
        self.mail_behaves("accept")
        self._ask("DELETE", "/received")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have what only looks run while the alert of test_flood_and_dry_run.py comes to its end."""
    meanwhile = [item for item in items if item.path.name in _MEANWHILE]
    others = [item for item in items if item not in meanwhile]
    begun = next((at for at, item in enumerate(others, 1) if item.path.name == "test_flood_and_dry_run.py"), 0)
    if begun:
        items[:] = [*others[:begun], *meanwhile, *others[begun:]]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Take the fleet for touched by each test, until it sees at its very end that it is healthy."""
    Fleet.touched = True


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """The provisioned lab; skips where there is none, or where it is somebody's own."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    if not lab_of_tree_is_up(ROOT):
        pytest.skip("this tree's lab is not up: ./start.sh, or ./test.sh lab")
    if os.environ.get("CI") != "true":
        pytest.skip("the lab is yours: these tests crash its hosts; CI=true says that they may")
    record = read()
    assert record is not None
    return Fleet(record)


@pytest.fixture
def healthy(fleet: Fleet) -> Fleet:
    """The lab, healthy before the test begins: the test before may have ended with seeing it."""
    if Fleet.touched:
        fleet.wait_healthy()
    return fleet


@pytest.fixture
def robot(fleet: Fleet) -> Iterator[Robot]:
    """The stand-in, empty and answering ``success`` before and after the test."""
    stand_in = Robot()
    stand_in.reset()
    yield stand_in
    stand_in.reset()
    # A message of the fleet's own that was refused meanwhile would wait for minutes, and the fleet not be healthy.
    if fleet.alerter_page().get("waiting"):
        fleet.ssh("app1", "systemctl", "restart", "obsctl-alerter")
