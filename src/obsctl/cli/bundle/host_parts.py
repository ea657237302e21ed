"""What ``obsctl bundle`` asks a host for: commands that change nothing, chosen by the host's groups."""

from __future__ import annotations

import shlex

from obsctl.checks.health.collect import units_of
from obsctl.fleet.model import Fleet, Host

#: Lines of each unit's journal.
JOURNAL_LINES = 500
#: Bytes of one answer, cut on the host: a log of gigabytes must not come over ssh. What is kept is the end.
_MOST_BYTES = 1_000_000

_STATUS = "obsctl-bundle-status "

#: Of several commands, where one that a host has not is no fault.
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
    """Return what a host is asked for: name of the file in the bundle to the shell command that prints it."""
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
    """Return the command line that runs a shell command as root and prints the end of what it says, and its status."""
    shell = f"sh -c {shlex.quote(f'({command}) 2>&1; status=$?; echo; echo {_STATUS}$status')}"
    return f'if [ "$(id -u)" = 0 ]; then {shell}; else sudo -n {shell}; fi 2>&1 | tail -c {_MOST_BYTES}'


def read(output: str) -> tuple[str, str]:
    """Return what the command of :func:`as_root` said, and what is wrong with it; an empty text for nothing."""
    text, mark, status = output.rstrip("\n").rpartition(f"\n{_STATUS}")
    if not mark:
        return output, "it did not run: is sudo allowed without a password?"
    if len(output.encode()) >= _MOST_BYTES:
        # What is left of a line that was cut may be the second half of a secret, without what names it.
        text = text.partition("\n")[2]
    return text, "" if status == "0" else f"exit status {status}"
