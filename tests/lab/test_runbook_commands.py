"""Every command of a runbook that only looks can be typed on the fleet as the page writes it.

The pages speak of ``inventories/prod``; its addresses, interface and inventory are replaced by the lab's. Commands that
change something are not run here: the tests of the fault in question run those.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.lab.conftest import ROOT, Answer, Fleet

_SPAN = re.compile(r"`([a-z][a-z0-9-]+ [^`\n]+)`")
#: Programs that a page has people run on a host.
_ON_HOSTS = {
    "arping", "chronyc", "curl", "df", "dmesg", "du", "find", "firewall-cmd", "getent", "grep", "id", "ip",
    "journalctl", "kafka-cli", "logrotate", "ls", "lsof", "mount", "mysql", "namei", "nft",
    "nginx", "ps", "ss", "systemctl", "tail", "tcpdump", "timedatectl", "timeout", "top", "vmstat",
}  # fmt: skip
#: Of obsctl's commands those that change nothing and end by themselves, or nearly nothing: a canary's records.
_LOOKING = ("health", "kafka", "consumer status", "verify vip", "verify logs --passive", "explain", "alert list")
#: What makes a command one that changes something, needs a fault or a cluster with logins, or is a mere mention.
_NOT_RUN = re.compile(
    r"\b(NAME|ID|ADDRESS|PORT|PID|UNIT|FILE)\b|--watch|rebalance-leaders|example\.com|dingtalk\.com"
    r"|systemctl (start|stop|restart|reload|enable|disable|kill|edit|reset-failed)|ip (addr|neigh) (add|del|flush)"
    r"|nginx -s|--alter|--execute|--generate|kafka-cli elect|chronyc makestep|access\.log\.1|\.\.\.|…"
    r"|--command-config|--save-snapshot|--window 1m"
)
#: Where the program is, by a word of the command; elsewhere on the first balancer, which is a broker as well.
_HOSTS = {"mysql": "db1", "mariadb": "db1", "obsctl-": "app1", "127.0.0.1:96": "app1", "chron": "node1"}
_LAB = (
    ("192.168.100.100", "198.18.0.100"), ("192.168.100.150", "198.18.0.11"), ("192.168.100.151", "198.18.0.12"),
    ("192.168.100.11", "198.18.0.11"), ("eth0", "host0"), ("inventories/prod", "inventories/lab"),
    # The lab's back ends speak TLS (nginx_backend_tls).
    ("http://127.0.0.1:8080", "-k https://127.0.0.1:8080"), ("http://198.18.0.11:8080", "-k https://198.18.0.11:8080"),
)  # fmt: skip
#: Programs that run until they are stopped.
_ENDLESS = ("tcpdump",)
_TIMED_OUT = 124
_NOT_FOUND = 127
#: Programs that a host need not have: the page names their package.
_PACKAGES = {"chronyc": "chrony", "lsof": "lsof", "tcpdump": "tcpdump"}
#: What ends with 1 when it finds nothing; arping, when no other host has the address.
_ONE_IS_AN_ANSWER = ("grep", "journalctl -u obsctl-consumer -g", "arping")


def commands() -> dict[str, list[str]]:
    """Return the command lines between backticks that only look, each with the texts of the pages that name it."""
    found: dict[str, list[str]] = {}
    for page in sorted((ROOT / "docs/runbooks").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for span in _SPAN.findall(text):
            program, _, rest = span.partition(" ")
            looks = program in _ON_HOSTS or (program == "obsctl" and rest.startswith(_LOOKING))
            if looks and not _NOT_RUN.search(span):
                found.setdefault(span, []).append(text)
    return found


def test_the_pages_have_commands() -> None:
    assert len(commands()) > 80


def run(fleet: Fleet, command: str) -> tuple[str, Answer]:
    """Run a command where its program is; return the place and the answer."""
    for written, here in _LAB:
        command = command.replace(written, here)
    if command.startswith("obsctl "):
        return "here", fleet.obsctl(*shlex.split(command)[1:])
    command = command.replace("systemctl status mariadb", f"systemctl status {fleet.database_unit}")
    host = next((host for word, host in _HOSTS.items() if word in command), "node1")
    limit = "2" if command.startswith(_ENDLESS) else "20"
    return host, fleet.on(host, "timeout", limit, "bash", "-o", "pipefail", "-c", command)


@pytest.fixture(scope="module")
def answers(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[tuple[str, Answer]]]]:
    """The commands of the tests that were chosen: they wait more than they compute.

    Those of obsctl come one after the other, as a page has them: one makes what the next one looks at.
    """
    chosen = [
        item.callspec.params["command"]
        for item in request.session.items
        if item.parent is request.node and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(1) as here, ThreadPoolExecutor(2) as hosts:
        yield {
            command: (here if command.startswith("obsctl ") else hosts).submit(run, fleet, command)
            for command in chosen
        }
        here.shutdown(cancel_futures=True)
        hosts.shutdown(cancel_futures=True)


@pytest.mark.parametrize("command", commands())
def test_a_command_of_a_runbook_works(answers: Mapping[str, Future[tuple[str, Answer]]], command: str) -> None:
    place, answer = answers[command].result()
    program = command.split(maxsplit=1)[0]
    if program == "obsctl":
        # 3, UNKNOWN: beside the commands on the hosts a broker may be too late.
        assert answer.code in (0, 1, 2, 3), answer.said
        return
    if program == "dmesg" and "Operation not permitted" in answer.err:
        pytest.skip("the lab's hosts share the machine's kernel, whose messages they may not read")
    if answer.code == _NOT_FOUND and program in _PACKAGES:
        package = _PACKAGES[program]
        pages = commands()[command]
        assert all(re.search(rf"(package|with) {package}\b", page) for page in pages), f"no page names {package}"
        return
    allowed = {0}
    if command.startswith(_ENDLESS):
        allowed.add(_TIMED_OUT)
    if any(word in command for word in _ONE_IS_AN_ANSWER):
        allowed.add(1)
    assert answer.code in allowed, f"{place}: {answer.said}"
