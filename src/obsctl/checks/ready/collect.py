"""Queries all hosts in parallel, runs the playbooks' preflight, and checks from here whether the VIP is in use."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator

import msgspec

from obsctl.checks.ask import ssh
from obsctl.checks.ask.at_once import AtOnce
from obsctl.checks.ask.http import get
from obsctl.checks.health.clocks import Clock
from obsctl.checks.ready.needs import paths_of, ports_of
from obsctl.checks.ready.snapshot import FileSystem, HostLook, Listener, Path, Problem, ReadySnapshot
from obsctl.core.errors import ConfigError, MissingDependencyError, ObsctlError
from obsctl.core.report import Fault
from obsctl.core.secrets import redact
from obsctl.fleet import ansible
from obsctl.fleet.load import project_root
from obsctl.fleet.login import FailureKind
from obsctl.fleet.model import Fleet, Host

#: Time limit for everything on one host, seconds; the connections that it tries take most of it.
_HOST_DEADLINE_S = 12.0
_CONNECT_S = 3
_VIP_S = 2.5
#: Ansible logs in to every host as well, and starts slowly.
_PREFLIGHT_S = 120.0
_TIME_SERVICES = ("chronyd", "chrony", "systemd-timesyncd", "ntpd", "ntp", "ntpsec")
#: Directories of packages and data.
_FOLDERS = ("/var", "/opt", "/var/lib/kafka", "/var/lib/mysql")
_PROBLEMS = re.compile(r"^fatal: \[[^\]]+\]: FAILED! => (\{.*\"problems\".*\})$", re.MULTILINE)


def collect_ready(fleet: Fleet, unread: ObsctlError | None = None) -> ReadySnapshot:
    """Ask every host, and run the preflight; failures are recorded in their own part or in ``errors``.

    Args:
        fleet: without hosts if the inventory could not be read.
        unread: why it could not be read.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    faults: list[Fault] = []
    if unread is not None:
        faults.append(
            Fault(code="PRE_NOT_ASKED", object="hosts", summary="not asked: the inventory cannot be read yet")
        )
    with AtOnce(len(fleet.hosts) + 2) as pool:
        problems = pool.submit(_preflight, fleet, faults)
        vip = pool.submit(_vip_answers, fleet)
        hosts = [pool.submit(look_at, fleet, host) for host in fleet.hosts]
    return ReadySnapshot(
        hosts=tuple(future.result() for future in hosts),
        vip_answers=vip.result(),
        problems=problems.result(),
        unread=redact(str(unread)) if unread else "",
        unread_hint=redact(unread.hint) if unread else "",
        errors=tuple(faults),
    )


def _preflight(fleet: Fleet, faults: list[Fault]) -> tuple[Problem, ...]:
    """Return the problems that the playbooks' preflight reports."""
    inventory = next((host.ssh.inventory for host in fleet.hosts), fleet.inventory)
    reason = "the fleet was not read from an Ansible inventory"
    if inventory:
        try:
            done = ansible.run(
                "ansible-playbook",
                [str(project_root() / "ansible/playbooks/preflight.yml"), "-i", inventory],
                purpose=f"the preflight of {inventory}",
                deadline_s=_PREFLIGHT_S,
                hint="",
                environment=ansible.readable(project_root()),
                cwd=project_root(),
            )
        except (ConfigError, MissingDependencyError) as error:
            reason = redact(str(error))
        else:
            said = _PROBLEMS.search(done.stdout)
            if said:
                return tuple(msgspec.convert(json.loads(said.group(1))["problems"], list[Problem]))
            if done.returncode == 0:
                return ()
            reason = f"it ended with {done.returncode} and named no problem"
    faults.append(Fault(code="PRE_NOT_ASKED", object="preflight", summary=f"not asked: {reason}"))
    return ()


def _vip_answers(fleet: Fleet) -> bool:
    """Return whether anything answers on the VIP from here."""
    if fleet.vip is None:
        return False
    try:
        get(fleet.vip.address, fleet.vip.port, "/", deadline_s=_VIP_S)
    except ConnectionRefusedError:
        return True
    except (OSError, http.client.HTTPException):
        pass
    else:
        return True
    try:
        done = subprocess.run(
            ["ping", "-c", "1", "-W", "1", fleet.vip.address], capture_output=True, timeout=_VIP_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def look_at(fleet: Fleet, host: Host) -> HostLook:
    """Ask a host over ssh, as root if it lets us.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    script = "\n".join(_script(fleet, host))
    seen = HostLook(name=host.name, address=host.address)
    for become in ("root", ""):
        asked = time.time()
        try:
            answer = ssh.run(host, script, deadline_s=_HOST_DEADLINE_S, become=become)
        except MissingDependencyError:
            raise
        except Exception as error:
            return msgspec.structs.replace(seen, failure=f"the check failed: {redact(str(error))}")
        if answer.kind is not FailureKind.SUDO:
            break
        seen = msgspec.structs.replace(seen, sudo_failure=answer.failure, sudo_hint=answer.hint)
    if not answer.failure and "os " not in answer.output:
        answer = ssh.refused_by_shell(host, answer.output.strip().partition("\n")[0][:80])
    if answer.failure:
        return msgspec.structs.replace(
            seen, failure=answer.failure, failure_kind=answer.kind, hint=answer.hint, sudo_failure="", sudo_hint=""
        )
    return read_look(fleet, host, seen, answer.output, (asked, time.time()))


def _script(fleet: Fleet, host: Host) -> Iterator[str]:
    """Yield the lines of the shell script that prints the input of :func:`read_look`. It changes nothing."""
    yield "export LC_ALL=C; PATH=$PATH:/usr/sbin:/sbin"
    yield 'date "+clock %s.%N"'
    yield 'PRETTY_NAME=; [ -r /etc/os-release ] && . /etc/os-release; echo "os ${PRETTY_NAME:-unknown}"'
    yield 'echo "machine $(cat /etc/machine-id 2>/dev/null)"'
    # EL 7 has no `timedatectl show`.
    yield (
        'echo "synchronized $({ timedatectl show -p NTPSynchronized --value || '
        "timedatectl | sed -n 's/.*synchronized: *//p'; } 2>/dev/null | head -n 1)\""
    )
    yield "awk '/^MemTotal:/ {print \"memory\", $2}' /proc/meminfo"
    yield "ip -o addr show | awk '{print \"address\", $4}'"
    yield "ss -Hltnp | awk '{print \"listen\", $4, $6}'"
    units = " ".join(dict.fromkeys(port.unit for port in ports_of(fleet, host)))
    for kind, names in (("unit", units), ("time", " ".join(_TIME_SERVICES))):
        yield f'for u in {names}; do echo "{kind} $u $(systemctl is-active $u 2>/dev/null)"; done'
    yield (
        f"for d in {' '.join(_FOLDERS)}; do [ -d $d ] && df -Pk $d; done 2>/dev/null | "
        'awk \'$6 ~ "^/" && !seen[$6]++ {print "disk", $4, $6}\''
    )
    if "lb" in host.groups and fleet.vip is not None:
        yield f'ping -c 1 -W 1 {shlex.quote(fleet.vip.address)} >/dev/null 2>&1; echo "vip $?"'
    for need in paths_of(fleet, host):
        place = f"/dev/tcp/{need.to.address}/{need.port}"
        yield (
            f"( said=$(timeout {_CONNECT_S} bash -c {shlex.quote(f'</dev/tcp/{need.to.address}/{need.port}')} 2>&1); "
            f'echo "path {place} $? $(echo "$said" | head -n 1)" ) &'
        )
    yield "wait"


def read_look(fleet: Fleet, host: Host, seen: HostLook, output: str, during: tuple[float, float]) -> HostLook:
    """Add the script's output to what is already known about the host.

    Args:
        during: when the script was sent and when its output had arrived, by this machine's clock.
    """
    asked, answered = during
    found: dict[str, list[str]] = {}
    for line in output.splitlines():
        kind, _, rest = line.strip().partition(" ")
        found.setdefault(kind, []).append(rest.strip())

    def first(kind: str) -> str:
        return found.get(kind, [""])[0]

    shown, memory = _number(first("clock")), first("memory")
    synchronized, vip = first("synchronized"), first("vip")
    tried = {words[0]: words[1:] for words in (path.split(None, 2) for path in found.get("path", [])) if words}
    return msgspec.structs.replace(
        seen,
        system=first("os"),
        clock=None if shown is None else Clock(asked=asked, answered=answered, shown=shown),
        synchronized=synchronized == "yes" if synchronized in ("yes", "no") else None,
        time_services=_active(found.get("time", [])),
        machine_id=first("machine"),
        addresses=tuple(address.partition("/")[0] for address in found.get("address", [])),
        listeners=tuple(filter(None, map(_listener, found.get("listen", [])))),
        running=_active(found.get("unit", [])),
        file_systems=tuple(filter(None, map(_file_system, found.get("disk", [])))),
        memory_bytes=int(memory) * 1024 if memory.isdigit() else None,
        vip_answers=vip == "0" if vip else None,
        paths=tuple(
            Path(
                to=need.to.name,
                address=need.to.address,
                port=need.port,
                purpose=need.purpose,
                failure=_failure(tried.get(f"/dev/tcp/{need.to.address}/{need.port}", [])),
            )
            for need in paths_of(fleet, host)
        ),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _active(lines: list[str]) -> tuple[str, ...]:
    pairs = (line.partition(" ") for line in lines)
    return tuple(dict.fromkeys(unit for unit, _, state in pairs if state == "active"))


def _listener(line: str) -> Listener | None:
    socket, _, users = line.partition(" ")
    address, _, port = socket.rpartition(":")
    program = re.search(r'"([^"]+)"', users)
    if not port.isdigit():
        return None
    return Listener(
        address=address.strip("[]").partition("%")[0], port=int(port), program=program[1] if program else ""
    )


def _file_system(line: str) -> FileSystem | None:
    free, _, mount = line.partition(" ")
    return FileSystem(mount=mount, free_bytes=int(free) * 1024) if free.isdigit() else None


def _failure(result: list[str]) -> str:
    """Return why nothing came back from the other end of a path; empty for a refusal, which is an answer."""
    status, said = (*result, "", "")[:2]
    if status == "0" or "refused" in said:
        return ""
    if status == "124":
        return f"no answer within {_CONNECT_S} s"
    return said.rpartition(": ")[2] or "not tried"
