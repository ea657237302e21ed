"""The lab itself, on a tiny one: what `up` makes, what drills do, and that `down` leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from obsctl.core import lab_record
from obsctl.core.errors import UsageError
from obsctl.lab import cgroups, mounts, network, processes, replay, ssh, standin_process
from obsctl.lab.base import RECIPES
from obsctl.lab.embedded import Lab
from rig.waiting import wait_for
from tests.lab.tiny_lab import TINY

ROOT = Path(__file__).resolve().parents[2]
ONE = TINY.hosts[0]
MARKS = ("tiny-", str(TINY.state_dir), TINY.bridge, "br_obstiny")

pytestmark = pytest.mark.root


def traces() -> dict[str, set[str]]:
    """Everything on the machine that a lab could leave behind, apart from what belongs to the person's own lab."""

    def of_another(name: str) -> bool:
        return "obs-node" in name or "obs-db" in name or "obs-app" in name

    own = [group for group in (place.parent for place in cgroups.for_machine("")) if not group.is_mount()]

    def of_a_neighbour(group: str) -> bool:
        """Whether the machine made it for a process beside this one; a lab's are below this one's, and named."""
        around = (Path(group), *Path(group).parents)
        beside = any(mine.parent in around[1:] and mine not in around for mine in own)
        return beside and not any(mark in group for mark in MARKS)

    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    groups = (parent for parent, _, _ in os.walk("/sys/fs/cgroup"))
    running = (" ".join(process.argv) for process in processes.running())
    return {
        "mounts": {str(point) for point in mounts.below(Path("/"))},
        "links": {link.name for link in Path("/sys/class/net").iterdir() if not of_another(link.name)},
        "tables": {line for line in rules.splitlines() if line.startswith("table")},
        "cgroups": {group for group in groups if not of_another(group) and not of_a_neighbour(group)},
        "processes": {argv for argv in running if any(mark in argv for mark in MARKS)},
        "ip_forward": {network.ip_forward()},
        "state": {str(path) for path in Path("/var/lib").glob("obsctl-lab*")},
        "runtime": {str(path) for path in Path("/run/systemd/nspawn").glob("*/tiny-*")},
        "temporary": {str(path) for path in Path("/tmp").glob("nspawn-*")},
    }


def left_over(before: dict[str, set[str]]) -> dict[str, set[str]]:
    after = traces()
    return {kind: after[kind] ^ before[kind] for kind in before if after[kind] ^ before[kind]}


class Notes(list[str]):
    """Collects progress."""

    def __call__(self, text: str) -> None:
        self.append(text)


@pytest.fixture(scope="module")
def allowed() -> None:
    if os.geteuid() != 0:
        pytest.skip("hosts need root")
    if missing := [name for name in ("systemd-nspawn", "mmdebstrap", "nft", "ip") if shutil.which(name) is None]:
        pytest.skip(f"this machine has no {', '.join(missing)}")
    if os.environ.get("CI") != "true":
        pytest.skip("makes mounts and links on this machine; CI=true says that it may")


@pytest.fixture
def before(allowed: None) -> dict[str, set[str]]:
    """What is on the machine before the test; the tiny lab is not."""
    Lab(TINY, Notes()).down()
    return traces()


@pytest.fixture(scope="module")
def lab(allowed: None) -> Iterator[Lab]:
    tiny = Lab(TINY, Notes())
    tiny.down()
    tiny.up()
    yield tiny
    tiny.down()


@pytest.fixture
def tiny(lab: Lab) -> Lab:
    """The tiny lab, up whatever the test before did to it."""
    lab.up()
    return lab


def on(lab: Lab, host: str, *argv: str) -> str:
    done = subprocess.run(lab.ssh_command(host, argv), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{host}: {argv}: {done.stderr}"
    return done.stdout.strip()


def started_at(lab: Lab, host: str) -> str:
    return on(lab, host, "stat", "-c", "%Y", "/run/systemd")


def guests() -> set[int]:
    return {process.pid for process in processes.running() if "--machine=tiny-" in " ".join(process.argv)}


def test_hosts_are_hosts_of_their_own(tiny: Lab) -> None:
    ids = {on(tiny, name, "cat", "/etc/machine-id") for name in TINY.names}
    assert len(ids) == 2
    for host in TINY.hosts:
        assert on(tiny, host.name, "hostname") == host.name
        assert on(tiny, host.name, "systemctl", "is-system-running") == "running"
        assert on(tiny, host.name, "stat", "-c", "%a", "/") == "755"
        # From everywhere, and from itself too: 127.0.1.1 would hide a service from its peers.
        for other in TINY.names:
            assert on(tiny, other, "getent", "hosts", host.name).split()[0] == str(TINY.address(host))
    on(tiny, "one", "ping", "-c1", "-W2", "two")
    assert "198.18.77" not in Path("/etc/hosts").read_text()


def test_packages_of_the_roles_are_at_hand_and_not_installed(tiny: Lab) -> None:
    recipe = RECIPES[TINY.os]
    install = ["apt-get", "install", "--yes", "--download-only", "--no-download"]
    on(tiny, "one", *install, *recipe.at_hand)
    on(tiny, "one", *install, "--no-install-recommends", *recipe.at_hand_bare)
    listed = on(tiny, "one", "dpkg-query", "-W", "-f", "${Package}\n").splitlines()
    assert not {"nginx", "keepalived", "mariadb-server", "openjdk-17-jre-headless"} & set(listed)


def test_up_again_changes_nothing(tiny: Lab) -> None:
    running, notes = guests(), Notes()
    Lab(TINY, notes).up()
    assert guests() == running
    assert notes == ["the lab is already up"]


def test_a_crash_keeps_the_disk_and_a_start_brings_all_back(tiny: Lab) -> None:
    on(tiny, "one", "touch", "/kept")
    identity, booted = on(tiny, "one", "cat", "/etc/machine-id"), started_at(tiny, "one")
    tiny.kill(TINY.names)
    assert not guests()
    assert [(host.running, host.cable) for host in tiny.status()] == [(False, "none")] * 2
    time.sleep(1)
    tiny.start(TINY.names)
    assert on(tiny, "one", "cat", "/etc/machine-id") == identity
    assert started_at(tiny, "one") != booted
    on(tiny, "one", "test", "-e", "/kept")
    assert all(host.running and host.ssh for host in tiny.status())


def test_a_crash_says_goodbye_to_nobody(tiny: Lab) -> None:
    command = tiny.ssh_command("one", ["sh", "-c", "echo here; sleep 60"])
    hanging = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert hanging.stdout is not None
        assert hanging.stdout.readline() == "here\n"
        tiny.kill(["one"])
        with pytest.raises(subprocess.TimeoutExpired):
            hanging.wait(timeout=2)
    finally:
        hanging.kill()
        hanging.communicate()


def test_a_reboot_comes_back_by_itself(tiny: Lab) -> None:
    booted = started_at(tiny, "two")
    subprocess.run(tiny.ssh_command("two", ["systemctl", "reboot"]), check=False, capture_output=True)
    look = tiny.ssh_command("two", ["stat", "-c", "%Y", "/run/systemd"])

    def again() -> bool:
        done = subprocess.run(look, capture_output=True, text=True, check=False)
        return done.stdout.strip() not in ("", booted)

    wait_for("another start", again, every=0.3)


def test_a_pulled_cable_and_its_return(tiny: Lab) -> None:
    notes = Notes()
    Lab(TINY, notes).cut("one")
    assert not ssh.answers(TINY, ONE)
    assert [host.cable for host in tiny.status()] == ["cut", "up"]
    Lab(TINY, notes).heal("one")
    assert notes == ["one: network link cut; `obsctl lab heal one` restores it", "one: network link restored"]
    on(tiny, "one", "ping", "-c1", "-W2", "two")


def test_a_replay_reaches_the_host_line_by_line(tiny: Lab, tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.write_bytes(b"first\nl\xe4st without end")
    assert replay.replay(source, tiny.ssh_command("one", replay.writer_command()), None, Notes()) == 2
    seen = subprocess.run(tiny.ssh_command("one", ["cat", replay.TARGET]), capture_output=True, check=True).stdout
    assert seen == source.read_bytes() + b"\n"


def test_secrets_are_for_root_alone_and_stay(tiny: Lab) -> None:
    files = {path.name: path for path in TINY.secrets_dir.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert len(files["vrrp_auth_pass"].read_text()) == 8
    values = {name: path.read_text() for name, path in files.items()}
    tiny.up()
    assert {name: path.read_text() for name, path in files.items()} == values


def test_two_changes_at_once_wait_for_each_other(tiny: Lab) -> None:
    notes = [Notes(), Notes()]
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(Lab(TINY, note).kill, [name]) for note, name in zip(notes, TINY.names, strict=True)]
        for change in asked:
            change.result()
    assert not guests()


def test_an_unknown_host_is_named(tiny: Lab) -> None:
    with pytest.raises(UsageError, match="no host 'three'; it has one, two"):
        tiny.kill(["three"])


def test_the_lab_of_another_checkout_is_taken_down_first(tiny: Lab) -> None:
    on(tiny, "one", "touch", "/of-before")
    record = lab_record.read(TINY.state_dir)
    assert record is not None
    lab_record.write(TINY.state_dir, replace(record, checkout="/another/tree"))
    notes = Notes()
    again = Lab(TINY, notes)
    again.up()
    assert notes[0] == "the existing lab was started from /another/tree: taking it down first"
    done = subprocess.run(again.ssh_command("one", ["test", "-e", "/of-before"]), check=False)
    assert done.returncode == 1


def test_down_leaves_nothing_and_works_twice(before: dict[str, set[str]]) -> None:
    tiny = Lab(TINY, Notes())
    tiny.up()
    assert standin_process.running(TINY)
    assert set(left_over(before)) >= {"mounts", "links", "tables", "cgroups", "processes", "state"}
    frozen = TINY.host_dir(ONE) / "upper/frozen"
    frozen.touch()
    subprocess.run(["chattr", "+i", str(frozen)], check=True)
    tiny.kill(["two"])
    tiny.down()
    assert left_over(before) == {}
    tiny.down()
    assert left_over(before) == {}


# The moments are spread over a start that takes two to three seconds.
@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.6])
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_down_cleans_up_after_an_interrupted_up(
    before: dict[str, set[str]], by: signal.Signals, seconds: float
) -> None:
    interrupted = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.tiny_lab", "up"], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    interrupted.send_signal(by)
    interrupted.wait(timeout=60)
    Lab(TINY, Notes()).down()
    assert left_over(before) == {}


def test_up_goes_on_after_an_interrupted_up(before: dict[str, set[str]]) -> None:
    interrupted = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.tiny_lab", "up"], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    time.sleep(0.7)
    interrupted.kill()
    interrupted.wait()
    tiny = Lab(TINY, Notes())
    tiny.up()
    for name in TINY.names:
        assert on(tiny, name, "systemctl", "is-system-running") == "running"
    tiny.down()
    assert left_over(before) == {}
