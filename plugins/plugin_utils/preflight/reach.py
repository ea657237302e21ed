# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Hosts that could not be asked: why, in ssh's own words, and the command that shows or mends it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import said_once
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.values import LOGIN

SSH_PORT = 22
#: Variables of a login, the first that is set counts, as in Ansible's own ssh plugin.
_ADDRESS = ("ansible_ssh_host", "ansible_host")
_PORT = ("ansible_ssh_port", "ansible_port")
_USER = ("ansible_ssh_user", "ansible_user")
_KEY = ("ansible_ssh_private_key_file", "ansible_private_key_file")
_PASSWORD = ("ansible_ssh_password", "ansible_ssh_pass", "ansible_password")
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
#: How Ansible shares one connection between tasks: nothing to type by hand.
_SHARING = re.compile(r"(^|\s)(-C(?=\s|$)|-o\s*Control(Master|Persist|Path)=\S+)")
#: Options of ssh that run a program or set a variable: what stands there is free text.
_FREE_TEXT = re.compile(r"(?i)(?:Proxy|KnownHosts|Local|Remote)Command|SetEnv")
#: Those of them that are a jump by ssh or nc, which take no secret as an argument.
_PLAIN_JUMP = re.compile(r"(?i)ProxyCommand[ =]+['\"]*(?:none\b|(?:[\w./-]*/)?(?:ssh|nc|netcat)\s)")
#: Words beside which a secret stands, a login in an address, and what makes one command into several.
_SUSPECT = re.compile(
    r"(?i)sshpass|passwd|passphrase|pass(?:word)?[=: ](?!yes|no)|proxy-?auth|token|secret|credential|api-?key"
    r"|[\w.-]+:[^\s@/,]+@|[;|&$`()<>]"
)
#: Lines of ssh, or of its debug output, that say nothing about a failure.
_NOISE = re.compile(
    r"debug\d:|OpenSSH_|@|\*\*|Warning: Permanently added|Shared connection to|Pseudo-terminal will not"
    r"|IT IS POSSIBLE|Someone could be|It is also possible|Please contact your|Add correct host key|It is required that"
    r"|This private key will be|remove with:|ssh-keygen -f|Connection to \S+ closed\.?$"
)
#: How Ansible introduces what ssh said.
_PREFACE = re.compile(r"^(Task failed: )?((Data could not|Failed to connect).*? via ssh: )?")
#: More lines than ssh needs for a fault of its own: what follows is a banner.
_LINES = 8


@dataclass(frozen=True)
class Login:
    """How Ansible logs in on a host.

    Attributes:
        host: its inventory name.
        address: where ssh connects to.
        port: TCP port, 22 unless the inventory names another.
        user: the user, empty for ssh's own choice.
        key: the private key's file, empty for ssh's own choice.
        arguments: further arguments of ssh, as the inventory has them; empty where they may hold a secret.
        has_secret_arguments: whether they were left out for that reason.
        has_password: whether the inventory gives a password.
        is_ssh: whether the connection is one of ssh at all.
        has_jump: whether the inventory names a jump host.
        inventory: the options of Ansible that name the inventory.
    """

    host: str
    address: str
    port: int
    user: str
    key: str
    arguments: str
    has_secret_arguments: bool
    has_password: bool
    is_ssh: bool
    has_jump: bool
    inventory: str

    @property
    def _target(self) -> str:
        return shlex.quote(f"{self.user}@{self.address}" if self.user else self.address)

    @property
    def _port_option(self) -> str:
        return "" if self.port == SSH_PORT else f"-p {self.port}"

    @property
    def command(self) -> str:
        """What a person types to try the same login."""
        if not self.is_ssh or self.has_secret_arguments:
            return " ".join(filter(None, ("ansible -m ansible.builtin.raw -a true", self.inventory, self.host)))
        key = f"-i {_typed(self.key)}" if self.key else ""
        return " ".join(filter(None, ("ssh", self._port_option, key, self.arguments, self._target, "true")))

    @property
    def copy_id(self) -> str:
        """What a person types to give the host this control node's key."""
        # Of ssh's options it takes these alone.
        taken = re.findall(r"-[oF]\s*(?:\w+=)?(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)", self.arguments)
        key = f"-i {_typed(self.key)}" if self.key else ""
        return " ".join(filter(None, ("ssh-copy-id", self._port_option, key, *taken, self._target)))

    @property
    def known_as(self) -> str:
        """The host's name in known_hosts."""
        return self.address if self.port == SSH_PORT else f"[{self.address}]:{self.port}"

    @property
    def known_hosts(self) -> str:
        """The file in which ssh looks for the host's key."""
        match = re.search(r"UserKnownHostsFile[= ]\s*[\"']?([^\s\"']+)", self.arguments)
        return match.group(1) if match else "~/.ssh/known_hosts"


def login_of(host: str, variables: Mapping[str, Any], given: Mapping[str, str]) -> Login:
    """Return how a host is logged in on.

    Args:
        host: its inventory name.
        variables: its variables.
        given: what the command line or ansible.cfg gives where the inventory is silent.
    """

    def value(names: tuple[str, ...]) -> str:
        found = (str(source.get(name)) for source in (variables, given) for name in names if source.get(name))
        return next(found, "")

    port = value(_PORT)
    arguments = _SHARING.sub(" ", " ".join(value((name,)) for name in _ARGUMENTS)).strip()
    secret = may_hold_a_secret(arguments)
    return Login(
        host=host,
        address=value(_ADDRESS) or host,
        port=int(port) if port.isdigit() else SSH_PORT,
        user=value(_USER),
        key=value(_KEY),
        arguments="" if secret else arguments,
        has_secret_arguments=secret,
        has_password=bool(value(_PASSWORD)),
        is_ssh=value(("ansible_connection",)) in ("", "ssh", "smart", "ansible.builtin.ssh"),
        has_jump=re.search(r"(^|\s)-J|ProxyJump|ProxyCommand", arguments) is not None,
        inventory=given.get("inventory", ""),
    )


def may_hold_a_secret(arguments: str) -> bool:
    """Whether somebody may have written a secret into arguments of ssh, so that nothing may show them.

    ``obsctl`` has the same (``obsctl.fleet.model``), because a control node may have one without the other.
    """
    plain = len(_FREE_TEXT.findall(arguments)) == len(_PLAIN_JUMP.findall(arguments))
    return not plain or _SUSPECT.search(arguments) is not None


def _typed(path: str) -> str:
    """Return a path for a shell, which does not expand a tilde in quotes."""
    return "~/" + shlex.quote(path[2:]) if path.startswith("~/") else shlex.quote(path)


def said_by_ssh(silence: str) -> list[str]:
    """Return the lines of ssh's (or Ansible's) answer that say something, each once, without Ansible's preface."""
    text = re.sub(_PREFACE, "", silence.strip())
    lines = [said_once(line) for line in text.splitlines()]
    useful = [line for line in dict.fromkeys(lines) if line and not _NOISE.match(line)]
    return useful[-_LINES:] or ["no reason is given"]


class Cause(NamedTuple):
    """What ssh says when something is the matter.

    Attributes:
        said: pattern in ssh's words; its group ``place`` is the machine or file that they are about.
        reason: what that means. Words in braces are filled in, see ``_explained``; the pattern's groups are some.
        fix: what to do, with the same words; a command stands in backticks.
        jump: what to do instead where a jump host is in the way, empty for the same.
        by_password: whether it is meant for logins with the inventory's password alone.
    """

    said: str
    reason: str
    fix: str
    jump: str = ""
    by_password: bool = False


#: Who was denied, and by whom.
_DENIED = r"((?P<user>\S+)@(?P<place>\S+): )?Permission denied"
_BY_HAND = "log in once by hand, compare the key that it shows, and answer yes: `{ssh}`"
NO_SSHPASS = Cause(
    r"install the sshpass program",
    "the inventory gives a password, and this control node has no sshpass to log in with one",
    "install it (`apt-get install sshpass`, or `dnf install sshpass`), or log in with a key",
)
NOT_COMPUTED = Cause(
    r"undefined|undecryptable|no vault secrets|Decryption failed|Finalization of task args|templat|lookup plugin",
    "one of its inventory values cannot be computed",
    "define the variable that is named here, then run the preflight again: what the host says is judged then",
)
#: In this order, the first that fits counts: what ssh says last is often only a consequence.
CAUSES = (
    Cause(
        r"Host key for \S+ has changed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its ssh host key is not the one that this control node has stored",
        "where the host was installed again, remove the old key and store the new one: `ssh-keygen -R '{known_as}' -f "
        "{known_hosts}` and `ssh-keyscan -p {port} {address} >> {known_hosts}`. Otherwise find out who answers at this "
        "address",
        jump="where the host was installed again, remove the old key, `ssh-keygen -R '{known_as}'`, then log in once "
        "by hand and answer yes: `{ssh}`. Otherwise find out who answers at this address",
    ),
    Cause(
        r"Host key verification failed|host key is known for|Host Key checking is enabled",
        "its ssh host key is unknown to this control node",
        "store the key, and compare what was stored with the host's /etc/ssh/ssh_host_*_key.pub: "
        "`ssh-keyscan -p {port} {address} >> {known_hosts}`",
        jump=_BY_HAND,
    ),
    NO_SSHPASS,
    Cause(
        r"UNPROTECTED PRIVATE KEY FILE|bad permissions",
        "other users may read the private key {key}, so ssh does not use it",
        "`chmod 600 {key}`",
    ),
    Cause(
        r"(Identity file |no such identity: )(?P<place>\S+?)(:| not accessible)",
        "the private key {place} is not there",
        "correct ansible_ssh_private_key_file, or make the key and give it to the host: `ssh-keygen -f {place}` and "
        "`{copy_id}`",
    ),
    Cause(
        r"Load key \"(?P<place>[^\"]+)\"",
        "ssh cannot read the private key {place} (a passphrase, or a file that is none)",
        "add it to the agent: `ssh-add {place}`; a file that is no private key must be replaced",
    ),
    Cause(
        r"Too many authentication failures",
        "the agent offers more keys than the host accepts, before the right one",
        "name the key in ansible_ssh_private_key_file, and set ansible_ssh_common_args: -o IdentitiesOnly=yes",
    ),
    Cause(
        _DENIED + r"|Invalid/incorrect|Authentication failed",
        "{place} does not let {user} in with the inventory's password",
        "correct ansible_user or ansible_password until this works: `{ssh}`",
        by_password=True,
    ),
    Cause(
        _DENIED + "|Authentication failed",
        "{place} does not let {user} in with a key of this control node",
        "give the host the key: `{copy_id}`; or correct ansible_user and ansible_ssh_private_key_file until this "
        "works: `{ssh}`",
        jump="the jump host has a login of its own: correct its user and key in ansible_ssh_common_args or "
        "~/.ssh/config until this works: `{ssh}`",
    ),
    Cause(
        r"Could not resolve hostname (?P<place>[^\s:]+)",
        "this control node cannot resolve the name {place}",
        "set ansible_host to the host's IP address, or add {place} to DNS",
        jump="correct {place} in ansible_ssh_common_args or ~/.ssh/config, or add it to DNS until this shows its "
        "address: `getent hosts {place}`",
    ),
    Cause(
        r"connect to (host|address) (?P<place>\S+) port \d+: Connection refused",
        "nothing listens on port {said_port} of {place}",
        "on {place}: `systemctl start sshd` (Debian: `ssh`); or set ansible_port to the port that it listens on",
        jump="on {place}: `systemctl start sshd` (Debian: `ssh`); or correct the port in ansible_ssh_common_args or "
        "~/.ssh/config",
    ),
    Cause(
        r"channel \d+: open failed|stdio forwarding failed",
        "the jump host lets us in, but cannot reach {address} port {port}",
        "on the jump host, this must connect: `nc -vz {address} {port}`",
    ),
    Cause(
        r"connect to (host|address) (?P<place>\S+) port \d+: .*timed out|timed out during banner"
        r"|(Connection|Operation) timed out|Timeout",
        "no answer from {place} port {said_port} in time",
        "is it switched on, and is ansible_host right? `ping -c 1 {place}`; where that answers, a firewall drops the "
        "port: `nc -vz {place} {said_port}`",
        jump="does the jump host answer? `nc -vz {place} {said_port}`",
    ),
    Cause(
        r"connect to (host|address) (?P<place>\S+) port \d+: .*(No route to host|unreachable|Host is down)"
        r"|No route to host|Network is unreachable",
        "there is no route to {place} port {said_port}",
        "is it switched on, and is ansible_host right? `ip route get {place}` and `ping -c 1 {place}`",
        jump="does the jump host answer? `ping -c 1 {place}`",
    ),
    Cause(
        r"Unable to negotiate|no matching .* found",
        "its sshd and this control node's ssh have no algorithm in common",
        "update the host's sshd, or allow the algorithm that it offers in ansible_ssh_common_args",
    ),
    Cause(
        r"kex_exchange_identification|banner exchange|banner line|Connection (closed|reset)|closed by remote host",
        "{address} port {port} closes the connection before the login",
        "is it sshd, and does it refuse this control node (fail2ban, AllowUsers, MaxStartups)? `{ssh_v}`; on the host: "
        "`journalctl -u sshd -u ssh -n 20`",
        jump="one of the jump host and the host closes it; this shows which: `{ssh_v}`",
    ),
    NOT_COMPUTED,
)
OTHERWISE = Cause("", "it takes no command", "this must work without a question: `{ssh}`")


def unreachable(fleet: Fleet) -> Iterator[Problem]:
    for host, look in fleet.looks.items():
        if look.silence is None or _login_is_named(fleet, host):
            continue
        login = login_of(host, fleet.hosts.get(host, {}), fleet.login)
        said = said_by_ssh(look.silence)
        if look.logged_in:
            yield Problem(
                host,
                f"lets us in, but does not run a shell command; it says: {' / '.join(said)}",
                f"give {login.user or 'the user'} a login shell and a valid password until this works: "
                f"`{login.command}`",
            )
            continue
        yield _explained(host, login, said)


def _login_is_named(fleet: Fleet, host: str) -> bool:
    """Whether another rule has named a value of the host's login: then its silence is no other problem."""
    broken = fleet.broken.get(host, {})
    return any(name in broken and broken[name] is None for name in LOGIN)


def _explained(host: str, login: Login, said: list[str]) -> Problem:
    """Return what ssh's words mean, by the first cause that they fit."""
    text = "\n".join(said)
    found = ((cause, re.search(cause.said, text)) for cause in CAUSES if not cause.by_password or login.has_password)
    cause, match = next(((cause, match) for cause, match in found if match), (OTHERWISE, None))
    named = {name: value for name, value in (match.groupdict() if match else {}).items() if value}
    words = {
        "address": login.address,
        "port": login.port,
        "user": login.user or "the user",
        "key": login.key or "that ssh names",
        "ssh": login.command,
        "ssh_v": login.command.replace("ssh ", "ssh -v ", 1),
        "copy_id": login.copy_id,
        "known_as": login.known_as,
        "known_hosts": login.known_hosts,
        "place": login.address,
        "said_port": _port_in(text) or login.port,
        **named,
    }
    # With a jump host in the way ssh itself knows no port of the connection that ended.
    elsewhere = named.get("place", login.address) not in (login.address, login.key, host)
    through = login.has_jump or "UNKNOWN port" in text or elsewhere
    reason, fix = cause.reason.format(**words), (cause.jump if through and cause.jump else cause.fix).format(**words)
    subject = "cannot be reached through the jump host: " if through else "cannot be reached: "
    speaker = "Ansible" if cause in (NOT_COMPUTED, NO_SSHPASS) else "ssh"
    return Problem(host, f"{subject}{reason}; {speaker} says: {' / '.join(said)}", fix)


def _port_in(text: str) -> str | None:
    match = re.search(r"connect to (?:host|address) \S+ port (\d+)", text)
    return match.group(1) if match else None
