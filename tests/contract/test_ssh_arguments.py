"""Which of ssh's arguments are never shown, and the file about logins that the preflight and ``obsctl`` share."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from obsctl.fleet import login, model

from rig import collection  # noqa: F401  # isort: skip  # lets Ansible find obscraft.fleet in this tree

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight import reach  # isort: skip

SHOWN = [
    "",
    "-C -o ControlMaster=auto -o ControlPersist=60s -o ControlPath=~/.ssh/cm-%r@%h:%p",
    "-o ProxyJump=ops@bastion.example.com:2222,ops@192.0.2.2",
    "-J ops@192.0.2.1",
    "-F none -o UserKnownHostsFile='/a b/known' -o StrictHostKeyChecking=no",
    "-o ProxyCommand=none",
    "-oProxyCommand='ssh -p 2222 -W %h:%p -q ops@bastion'",
    "-o 'ProxyCommand=/usr/bin/nc -X 5 -x proxy.example.com:1080 %h %p'",
    "-o PasswordAuthentication=no -o PreferredAuthentications=publickey",
]
HIDDEN = [
    "-o ProxyCommand='sshpass -p geheim ssh -W %h:%p bastion'",
    "-o ProxyCommand='sshpass -pgeheim ssh -W %h:%p bastion'",
    "-o ProxyCommand='SSHPASS=geheim /opt/wrap ssh bastion'",
    "-o ProxyCommand='ncat --proxy proxy:3128 --proxy-auth me:geheim %h %p'",
    "-o ProxyCommand='nc --proxy proxy:3128 --proxy-auth me:geheim %h %p'",
    "-o ProxyCommand='socat - PROXY:proxy:%h:%p,proxyauth=me:geheim'",
    "-o ProxyCommand='connect-proxy -H me:geheim@proxy:3128 %h %p'",
    "-o ProxyCommand='ssh -o ProxyCommand=\"tunnel geheim\" -W %h:%p bastion'",
    "-o ProxyCommand='ssh bastion nc %h %p; curl -u me:geheim https://proxy'",
    "-o 'proxycommand /opt/tunnel --key geheim %h %p'",
    "-o KnownHostsCommand='/opt/hosts geheim'",
    "-o SetEnv=API_KEY=geheim",
    "-o ProxyJump=me:geheim@bastion",
]


@pytest.mark.parametrize("arguments", SHOWN)
def test_what_is_shown(arguments: str) -> None:
    assert not login.may_hold_a_secret(arguments)


@pytest.mark.parametrize("arguments", HIDDEN)
def test_what_is_hidden(arguments: str) -> None:
    assert login.may_hold_a_secret(arguments)


@pytest.mark.parametrize("arguments", HIDDEN)
def test_no_hint_shows_what_is_hidden(arguments: str) -> None:
    host = model.Host(name="node1", address="192.0.2.11", ssh=model.Ssh(common_args=arguments))
    theirs = reach.login_of("node1", {"ansible_ssh_common_args": arguments}, {})
    assert "geheim" not in model.Fleet().login_hint(host) + theirs.command + theirs.copy_id


def test_the_shared_file_works_where_the_other_half_is_absent(project: Path) -> None:
    shared = project / "plugins/plugin_utils/preflight/login.py"
    assert (project / "src/obsctl/fleet/login.py").resolve() == shared
    imports = [
        node for node in ast.walk(ast.parse(shared.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = [node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imports]
    assert names
    assert {name.partition(".")[0] for name in names} <= {"__future__", *sys.stdlib_module_names}
