"""The commands that ``obsctl bundle`` runs on a host: they change nothing, and depend on the host's groups."""

from __future__ import annotations

import shlex

from obsctl.checks.health.collect import units_of
from obsctl.fleet.model import Fleet, Host

#: Number of lines from each unit's journal.
JOURNAL_LINES = 500
#: Largest answer, bytes; the host sends only the end, so that a log of gigabytes does not come over ssh.
_MOST_BYTES = 1_000_000

_STATUS = "obsctl-bundle-status "

#: Suffix for commands that a host may not have, which is not a fault.
_BASE = {
    "system.txt": "cat /etc/os-release; uname -a; uptime; timedatectl; free -m; df -hT; ip -br addr; ss -lntp; true",
    "versions.txt": "python3 --version; java -version; nginx -v; keepalived --version | head -1; mysql --version;"
    " /opt/filebeat/current/filebeat version; true",
    "failed-units.txt": "systemctl list-units --failed --no-pager; systemctl list-timers --no-pager",
}
_KAFKA_CONFIG = "$(systemctl cat kafka | grep -oE '/[^ ;\"]+/server[.]properties' | head -n 1)"
_BY_GROUP = {
    "lb": {"nginx-T.txt": "nginx -T", "keepalived.conf": "cat /etc/keepalived/keepalived.conf"},
    "kafka": {"server.properties": f'cat "{_KAFKA_CONFIG}"', "kafka-unit.txt": "systemctl cat kafka"},
    "filebeat": {
        "filebeat.yml": "cat /etc/filebeat/filebeat.yml",
        "journal-filebeat-watch.txt": f"journalctl --no-pager -o short-iso -n {JOURNAL_LINES} -u filebeat-watch",
    },
    "consumer": {
        "consumer.yml": "cat /etc/obsctl/consumer.yml",
        "alerter.yml": "cat /etc/obsctl/alerter.yml",
    },
    "mysql": {"my.cnf": "cat $(ls /etc/mysql/*.conf.d/60-obscraft.cnf /etc/my.cnf.d/60-obscraft.cnf 2>/dev/null)"},
}


def parts_of(fleet: Fleet, host: Host) -> dict[str, str]:
    """Return the parts for a host: name of the file in the bundle to the shell command that prints it."""
    units = units_of(fleet, host)
    parts = dict(_BASE)
    for group, more in _BY_GROUP.items():
        if group in host.groups:
            parts |= more
    if host.console is not None:
        parts["console.yml"] = "cat /etc/obsctl/console.yml"
    if units:
        parts["units.txt"] = f"systemctl status --no-pager --lines 0 {' '.join(units)}; true"
    for unit in units:
        parts[f"journal-{unit}.txt"] = f"journalctl --no-pager -o short-iso -n {JOURNAL_LINES} -u {unit}"
    return parts


def as_root(command: str) -> str:
    """Return the command line that runs a shell command as root and prints the end of its output, and its status."""
    shell = f"sh -c {shlex.quote(f'({command}) 2>&1; status=$?; echo; echo {_STATUS}$status')}"
    return f'if [ "$(id -u)" = 0 ]; then {shell}; else sudo -n {shell}; fi 2>&1 | tail -c {_MOST_BYTES}'


def read(output: str) -> tuple[str, str]:
    """Return the output of a command of :func:`as_root`, and its error; an empty text for none."""
    text, mark, status = output.rstrip("\n").rpartition(f"\n{_STATUS}")
    if not mark:
        return output, "it did not run: is sudo allowed without a password?"
    if len(output.encode()) >= _MOST_BYTES:
        # The rest of a cut line may be half of a secret without the name by which it is recognised.
        text = text.partition("\n")[2]
    return text, "" if status == "0" else f"exit status {status}"
