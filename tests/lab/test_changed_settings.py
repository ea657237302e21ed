"""Settings that a site changes later: hosts in China's time and language, and nginx on the virtual address alone.

Both sets are applied, applied again and taken back together, for a playbook run costs more than what it proves.
"""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from obsctl.lab.spec import FLEET_LAB
from tests.lab.conftest import BIN, INVENTORY, NODES, ROOT, VIP, Answer, Fleet, get, play, wait_for

#: Three playbook runs take their time on a busy machine.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

LOCALE = "zh_CN.UTF-8"
COMPILED = "/usr/lib/locale/zh_CN.utf8"
CATALOGUE = "/usr/share/locale/zh_CN/LC_MESSAGES/coreutils.mo"
_SOURCES = Path("/usr/share/i18n/locales/zh_CN")
_FORGET = f"rm -rf {COMPILED} {CATALOGUE}; sed -i '/^LANG=/d' /etc/environment"
#: Larger than nginx takes: it answers 413 and writes an error line.
_BODY_BYTES = 9_000_000

SETTING = "net.ipv4.ip_nonlocal_bind"
SETTING_FILE = "/etc/sysctl.d/60-obscraft-nginx.conf"
#: What follows the two settings.
PLAYBOOKS = ("common", "nginx", "consumer")


def _apply(inventory: Path, zone: str, playbooks: Sequence[str] = PLAYBOOKS) -> Answer:
    named = [f"playbooks/{name}.yml" for name in playbooks]
    answer = play(*named, "-e", f"common_timezone={zone}", inventory=inventory)
    assert answer.code == 0, answer.said
    return answer


def _install_language(fleet: Fleet, folder: Path, host: str) -> None:
    """Give a host the locale and, where this machine has it, its catalogue of coreutils; make it the login's."""
    # No folders: tar would close those that are there, `/` among them, to everyone but root for a moment.
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    with subprocess.Popen(["tar", "--create", "--directory", folder, *files], stdout=subprocess.PIPE) as packed:
        unpack = [BIN / "obsctl", "lab", "ssh", host, "--", "tar", "--extract", "--directory=/"]
        subprocess.run(unpack, cwd=ROOT, stdin=packed.stdout, check=True, timeout=60)
    fleet.ssh(host, "sh", "-c", f"echo LANG={LOCALE} >> /etc/environment")


def _make_language(folder: Path) -> None:
    compiled = folder / COMPILED.lstrip("/")
    compiled.mkdir(parents=True)
    subprocess.run(["localedef", "-i", "zh_CN", "-f", "UTF-8", compiled], check=True, timeout=60)
    if Path(CATALOGUE).exists():
        copy = folder / CATALOGUE.lstrip("/")
        copy.parent.mkdir(parents=True)
        shutil.copy(CATALOGUE, copy)


def _sockets(fleet: Fleet, node: str) -> set[str]:
    return {line.split()[3] for line in fleet.ssh(node, "ss", "-H", "-l", "-t", "-n").splitlines()}


@pytest.fixture(scope="module")
def site(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The lab in Asia/Shanghai, in Chinese, with nginx on the VIP alone; as it was before at the end."""
    if shutil.which("localedef") is None or not _SOURCES.exists():
        pytest.skip("this machine cannot make the locale: apt-get install locales")
    language, inventory = tmp_path_factory.mktemp("language"), tmp_path_factory.mktemp("site") / "lab"
    _make_language(language)
    shutil.copytree(INVENTORY, inventory)
    (inventory / "group_vars/lb/listen.yml").write_text(f"---\nnginx_listen: ['{VIP}:80']\n")
    fleet.wait_healthy()
    try:
        with ThreadPoolExecutor(len(FLEET_LAB.names)) as pool:
            list(pool.map(partial(_install_language, fleet, language), FLEET_LAB.names))
        # Role keepalived writes nothing of these settings, but asks who answers on the VIP.
        _apply(inventory, "Asia/Shanghai", (*PLAYBOOKS, "keepalived"))
        assert set(_apply(inventory, "Asia/Shanghai").changes.values()) == {0}
        yield Fleet(fleet.record, inventory)
    finally:
        for host in FLEET_LAB.names:
            fleet.ssh(host, "sh", "-c", _FORGET)
        for node in NODES:
            fleet.ssh(node, "systemctl", "start", "nginx", check=False)
        # By the name that the consumer's configuration has without the setting.
        _apply(INVENTORY, "UTC")
    for node in NODES:
        assert "0.0.0.0:80" in _sockets(fleet, node)
        assert fleet.ssh(node, "sysctl", "-n", SETTING) == "0\n"
        assert fleet.ssh(node, "sh", "-c", f"ls {SETTING_FILE} || true") == ""
    fleet.wait_healthy()


def test_times_are_right_and_no_program_is_misread(site: Fleet) -> None:
    for host in FLEET_LAB.names:
        assert re.fullmatch(r"[^\x00-\x7f]+ \+0800\n", site.ssh(host, "date", "+%A %z")), f"{host} speaks Chinese"

    marker = f"数据-{time.time_ns()}"
    with socket.create_connection((VIP, 80), timeout=5) as raw:
        raw.sendall(f"POST /{marker} HTTP/1.0\r\nContent-Length: {_BODY_BYTES}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(4096)
    for table, column in (("error_log", "request"), ("access_log", "uri")):
        late = f"SELECT TIMESTAMPDIFF(SECOND, ts, UTC_TIMESTAMP()) FROM {table} WHERE {column} LIKE '%{marker}%'"
        rows = wait_for(f"the row of {table}", lambda question=late: site.rows(question), seconds=60)
        assert -5 <= int(rows[0][0]) < 120, (table, rows)

    site.wait_healthy()
    assert site.obsctl("status", "-o", "json").code == 0
    vip = site.obsctl("verify", "vip", "-o", "json")
    assert vip.code == 0, vip.out


def _answered_by() -> str | None:
    try:
        return get("/")[1].get("x-balancer")
    except (OSError, http.client.HTTPException):
        return None


def test_a_backup_starts_without_the_address_and_takes_over(site: Fleet) -> None:
    holder = wait_for("a holder", site.holder)
    backups = [node for node in NODES if node != holder]
    for node in NODES:
        assert {socket for socket in _sockets(site, node) if socket.endswith(":80")} == {f"{VIP}:80"}
        assert site.ssh(node, "sysctl", "-n", SETTING) == "1\n"
    # What a reboot does: the unit starts while the address is elsewhere.
    for node in backups:
        site.ssh(node, "systemctl", "restart", "nginx")
        assert site.ssh(node, "systemctl", "is-active", "nginx") == "active\n"
    report = site.obsctl("verify", "vip", "-o", "json")
    assert report.code == 0, report.out

    site.ssh(holder, "systemctl", "stop", "nginx")
    wait_for("another balancer", lambda: _answered_by() in backups, seconds=30)
    assert wait_for("a holder", site.holder) in backups
    stopped = site.obsctl("verify", "vip", "-o", "json")
    assert "VIP_NGINX_DOWN" in stopped.codes, stopped.out
