# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""How to log in to a host over ssh, and what the client's errors mean.

The preflight and ``obsctl`` share this file (``obsctl.fleet.login`` is a link to it), so it imports the standard
library alone.
"""

from __future__ import annotations

import enum
import re
import shlex
from dataclasses import dataclass
from typing import NamedTuple

SSH_PORT = 22
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
#: More lines than ssh needs for a fault of its own: what follows is a banner.
_LINES = 8


class FailureKind(str, enum.Enum):  # noqa: UP042 - ansible-core 2.16 also runs on Python 3.10
    """Why a host did not run a command, as far as ssh shows it.

    Attributes:
        HOST_KEY: its host key is unknown here, or another one than is stored.
        DENIED: sshd does not let the user in.
        KEY_FILE: the private key cannot be used.
        PASSWORD: the inventory's password cannot be read or used.
        REFUSED: nothing listens on the port.
        TIMEOUT: no answer in time.
        NO_ROUTE: the network, or the last router, says that it is not there.
        NAME: its name cannot be resolved here.
        JUMP_HOST: a jump host failed, or nothing came back through it: nothing is known of the host.
        CLOSED: the connection was closed before the login.
        SHELL: the login works, and its shell runs no command.
        SUDO: a command runs, and not as root.
        INVENTORY: a value of its login cannot be computed.
        OTHER: in none of these words.
    """

    HOST_KEY = "host_key"
    DENIED = "denied"
    KEY_FILE = "key_file"
    PASSWORD = "password"  # noqa: S105 - a name
    REFUSED = "refused"
    TIMEOUT = "timeout"
    NO_ROUTE = "no_route"
    NAME = "name"
    JUMP_HOST = "jump_host"
    CLOSED = "closed"
    SHELL = "shell"
    SUDO = "sudo"
    INVENTORY = "inventory"
    OTHER = "other"

    @property
    def means_alive(self) -> bool:
        """Whether the host itself answered in some way: it runs, whatever keeps us out."""
        return self in _ALIVE

    @property
    def may_be_down(self) -> bool:
        """Whether the host itself was silent; of the others nothing follows about the host."""
        return self in (FailureKind.TIMEOUT, FailureKind.NO_ROUTE)


_ALIVE = frozenset(
    (
        FailureKind.HOST_KEY,
        FailureKind.DENIED,
        FailureKind.REFUSED,
        FailureKind.CLOSED,
        FailureKind.SHELL,
        FailureKind.SUDO,
    )
)


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
        """The file in which ssh looks for the host's key, as it is typed."""
        match = re.search(r"UserKnownHostsFile[= ]\s*(\"[^\"]+\"|'[^']+'|[^\s\"']+)", self.arguments)
        return _typed(match.group(1).strip("\"'")) if match else "~/.ssh/known_hosts"


def login_as(
    *,
    host: str,
    address: str,
    port: int = SSH_PORT,
    user: str = "",
    key: str = "",
    arguments: str = "",
    has_password: bool = False,
    is_ssh: bool = True,
    inventory: str = "",
) -> Login:
    """Return how a host is logged in on.

    Args:
        arguments: all of ssh's further arguments, as the inventory has them.
    """
    typed = _SHARING.sub(" ", arguments).strip()
    secret = may_hold_a_secret(typed)
    return Login(
        host=host,
        address=address,
        port=port,
        user=user,
        key=key,
        arguments="" if secret else typed,
        has_secret_arguments=secret,
        has_password=has_password,
        is_ssh=is_ssh,
        has_jump=re.search(r"(^|\s)-J|ProxyJump|ProxyCommand", typed) is not None,
        inventory=inventory,
    )


def may_hold_a_secret(arguments: str) -> bool:
    """Whether somebody may have written a secret into arguments of ssh, so that nothing may show them."""
    plain = len(_FREE_TEXT.findall(arguments)) == len(_PLAIN_JUMP.findall(arguments))
    return not plain or _SUSPECT.search(arguments) is not None


def _typed(path: str) -> str:
    """Return a path for a shell, which does not expand a tilde in quotes."""
    return "~/" + shlex.quote(path[2:]) if path.startswith("~/") else shlex.quote(path)


class Cause(NamedTuple):
    """What ssh says when something is the matter.

    Attributes:
        said: pattern in ssh's words; its group ``place`` is the machine that they are about, ``file`` the file.
        reason: what that means. Words in braces are filled in, see ``explain``; the pattern's groups are some.
        fix: what to do, with the same words; a command stands in backticks.
        jump: what to do instead where a jump host is in the way, empty for the same.
        kind: the same for programs.
        by_password: whether it is meant for logins with the inventory's password alone.
    """

    said: str
    reason: str
    fix: str
    jump: str = ""
    kind: FailureKind = FailureKind.OTHER
    by_password: bool = False


#: Who was denied, and by whom.
_DENIED = r"((?P<user>\S+)@(?P<place>\S+): )?Permission denied"
_BY_HAND = "log in once by hand, compare the key that it shows, and answer yes: `{ssh}`"
_BEHIND = "the jump host accepts the login, but cannot reach {address} port {port}"
NO_SSHPASS = Cause(
    r"install the sshpass program",
    "the inventory gives a password, but this control node has no sshpass, which a login with a password needs",
    "install it (`apt-get install sshpass`, or `dnf install sshpass`), or log in with a key",
    kind=FailureKind.PASSWORD,
)
NOT_COMPUTED = Cause(
    r"undefined|undecryptable|no vault secrets|Decryption failed|Finalization of task args|templat|lookup plugin",
    "one of its inventory values cannot be computed",
    "define the variable named here, then run the preflight again to check this host",
    kind=FailureKind.INVENTORY,
)
#: In this order, the first that fits counts: what ssh says last is often only a consequence.
CAUSES = (
    Cause(
        r"Host key for \S+ has changed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its ssh host key differs from the one stored on this control node",
        "if the host was reinstalled, remove the old key and store the new one: `ssh-keygen -R '{known_as}' -f "
        "{known_hosts}` and `ssh-keyscan -p {port} {address} >> {known_hosts}`. Otherwise find out which machine "
        "answers at this address",
        jump="if the host was reinstalled, remove the old key, `ssh-keygen -R '{known_as}'`, then log in once "
        "by hand and answer yes: `{ssh}`. Otherwise find out which machine answers at this address",
        kind=FailureKind.HOST_KEY,
    ),
    Cause(
        r"Host key verification failed|host key is known for|Host Key checking is enabled",
        "its ssh host key is unknown to this control node",
        "store the key, and compare what was stored with the host's /etc/ssh/ssh_host_*_key.pub: "
        "`ssh-keyscan -p {port} {address} >> {known_hosts}`",
        jump=_BY_HAND,
        kind=FailureKind.HOST_KEY,
    ),
    NO_SSHPASS,
    Cause(
        r"UNPROTECTED PRIVATE KEY FILE|bad permissions",
        "other users may read the private key {key}, so ssh does not use it",
        "`chmod 600 {key}`",
        kind=FailureKind.KEY_FILE,
    ),
    Cause(
        r"(Identity file |no such identity: )(?P<file>\S+?)(:| not accessible)",
        "the private key {file} does not exist",
        "correct ansible_ssh_private_key_file, or create the key and install it on the host: `ssh-keygen -f {file}` "
        "and `{copy_id}`",
        kind=FailureKind.KEY_FILE,
    ),
    Cause(
        r"Load key \"(?P<file>[^\"]+)\"",
        "ssh cannot read the private key {file} (it needs a passphrase, or is not a private key)",
        "add it to the agent: `ssh-add {file}`; a file that is not a private key must be replaced",
        kind=FailureKind.KEY_FILE,
    ),
    Cause(
        r"Too many authentication failures",
        "the ssh agent offers too many keys before the right one",
        "set the key in ansible_ssh_private_key_file, and set ansible_ssh_common_args: -o IdentitiesOnly=yes",
        kind=FailureKind.DENIED,
    ),
    Cause(
        _DENIED + r"|Invalid/incorrect|Authentication failed",
        "{place} rejects {user}'s password from the inventory",
        "correct ansible_user or ansible_password until this works: `{ssh}`",
        by_password=True,
        kind=FailureKind.DENIED,
    ),
    Cause(
        _DENIED + "|Authentication failed",
        "{place} accepts none of this control node's keys for {user}",
        "install the key on the host: `{copy_id}`; or correct ansible_user and ansible_ssh_private_key_file until this "
        "works: `{ssh}`",
        jump="the jump host has a login of its own: correct its user and key in ansible_ssh_common_args or "
        "~/.ssh/config until this works: `{ssh}`",
        kind=FailureKind.DENIED,
    ),
    Cause(
        r"Could not resolve hostname (?P<place>[^\s:]+)",
        "this control node cannot resolve the name {place}",
        "set ansible_host to the host's IP address, or add {place} to DNS",
        jump="correct {place} in ansible_ssh_common_args or ~/.ssh/config, or add it to DNS until this shows its "
        "address: `getent hosts {place}`",
        kind=FailureKind.NAME,
    ),
    Cause(
        r"connect to (host|address) (?P<place>\S+) port \d+: Connection refused",
        "nothing listens on port {said_port} of {place}",
        "on {place}: `systemctl start sshd` (Debian: `ssh`); or set ansible_port to the port that it listens on",
        jump="on {place}: `systemctl start sshd` (Debian: `ssh`); or correct the port in ansible_ssh_common_args or "
        "~/.ssh/config",
        kind=FailureKind.REFUSED,
    ),
    *(
        Cause(said, _BEHIND, "on the jump host, this must connect: `{reach}`", kind=kind)
        for said, kind in (
            # What the jump host met on its way to the host is as good as our own look at it.
            (r"open failed: connect failed: Connection refused", FailureKind.REFUSED),
            (r"open failed: connect failed: .*timed out", FailureKind.TIMEOUT),
            (r"open failed: connect failed: .*(No route to host|unreachable|Host is down)", FailureKind.NO_ROUTE),
            (r"channel \d+: open failed|stdio forwarding failed", FailureKind.JUMP_HOST),
        )
    ),
    Cause(
        r"connect to (host|address) (?P<place>\S+) port \d+: .*timed out|timed out during "
        r"banner|(Connection|Operation) timed out|Timeout|no answer within",
        "no answer from {place} port {said_port} in time",
        "check that it is on and that ansible_host is right: `ping -c 1 {place}`; if that answers, a firewall drops "
        "port {said_port}",
        jump="check that the jump host answers: `{reach_place}`",
        kind=FailureKind.TIMEOUT,
    ),
    Cause(
        r"connect to (host|address) (?P<place>\S+) port \d+: .*(No route to host|unreachable|Host is down)"
        r"|No route to host|Network is unreachable",
        "there is no route to {place} port {said_port}",
        "check that it is on and that ansible_host is right: `ip route get {place}` and `ping -c 1 {place}`",
        jump="check that the jump host answers: `ping -c 1 {place}`",
        kind=FailureKind.NO_ROUTE,
    ),
    Cause(
        r"Unable to negotiate|no matching .* found",
        "its sshd and this control node's ssh have no algorithm in common",
        "update the host's sshd, or allow the algorithm that it offers in ansible_ssh_common_args",
        kind=FailureKind.CLOSED,
    ),
    Cause(
        r"kex_exchange_identification|banner exchange|banner line|Connection (closed|reset)|closed by remote host",
        "{address} port {port} closes the connection before the login",
        "check that it is sshd, and whether it rejects this control node (fail2ban, AllowUsers, MaxStartups): "
        "`{ssh_v}`; on the host: `journalctl -u sshd -u ssh -n 20`",
        jump="either the jump host or the host closes it; this shows which: `{ssh_v}`",
        kind=FailureKind.CLOSED,
    ),
    NOT_COMPUTED,
)
#: A shell was reached, and did not do what it was asked for.
SHELL = Cause(
    "",
    "accepts the login, but does not run a shell command",
    "give {user} a login shell and a valid password until this works: `{ssh}`",
    kind=FailureKind.SHELL,
)
#: A shell was reached, and root was not.
SUDO = Cause(
    "",
    "lets {user} log in, but not use sudo without a password",
    "on {address}, as root: `echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}`; or put the password into "
    "the vault and refer to it: ansible_become_password",
    kind=FailureKind.SUDO,
)
OTHERWISE = Cause("", "it accepts no command", "this must work without a prompt: `{ssh}`")


_SPEAKERS = {NOT_COMPUTED: "Ansible", NO_SSHPASS: "Ansible", SHELL: "it", SUDO: "it"}


@dataclass(frozen=True)
class Explanation:
    """What a failed login means.

    Attributes:
        kind: for programs.
        reason: for people, a sentence's end whose subject is the host.
        fix: what to do; commands stand in backticks and can be typed.
        behind_jump_host: whether a jump host is in the way.
        speaker: whose words were explained.
    """

    kind: FailureKind
    reason: str
    fix: str
    behind_jump_host: bool
    speaker: str


def explain(login: Login, said: list[str]) -> Explanation:
    """Return what ssh's words mean, by the first cause that they fit.

    Args:
        login: how the host was logged in on.
        said: the lines that say something, see :func:`words_of_ssh`.
    """
    text = "\n".join(said)
    found = ((cause, re.search(cause.said, text)) for cause in CAUSES if not cause.by_password or login.has_password)
    cause, match = next(((cause, match) for cause, match in found if match), (OTHERWISE, None))
    return _explained(login, cause, match)


def connect_command(address: object, port: object) -> str:
    """Return a command that prints ``open`` if the port accepts connections: bash alone, since few hosts have nc."""
    return f"timeout 3 bash -c '</dev/tcp/{address}/{port}' && echo open"


def explain_shell(login: Login) -> Explanation:
    """Return what it means that a host lets us in and does not run a command."""
    return _explained(login, SHELL, None)


def explain_sudo(login: Login) -> Explanation:
    """Return what it means that a host lets us in and its sudo does not run a command."""
    return _explained(login, SUDO, None)


def _explained(login: Login, cause: Cause, match: re.Match[str] | None) -> Explanation:
    text = match.string if match else ""
    named = {name: value for name, value in (match.groupdict() if match else {}).items() if value}
    in_detail = login.command.replace("ssh ", "ssh -v ", 1)
    words = {
        "address": login.address,
        "port": login.port,
        "user": login.user or "the user",
        "key": login.key or "that ssh names",
        "file": login.key,
        "ssh": login.command,
        "ssh_v": in_detail,
        "copy_id": login.copy_id,
        "known_as": login.known_as,
        "known_hosts": login.known_hosts,
        "place": login.address,
        "said_port": _port_in(text) or login.port,
        **named,
    }
    words["reach"] = connect_command(words["address"], words["port"])
    words["reach_place"] = connect_command(words["place"], words["said_port"])
    # With a jump host in the way ssh itself knows no port of the connection that ended.
    elsewhere = named.get("place", login.address) not in (login.address, login.host)
    behind = login.has_jump or "UNKNOWN port" in text or elsewhere
    unclear = cause.reason != _BEHIND and cause.kind in (FailureKind.CLOSED, FailureKind.TIMEOUT)
    lost_on_the_way = elsewhere or (behind and unclear)
    fix = (cause.jump if behind and cause.jump else cause.fix).format(**words)
    # Each ends with the login itself, as a person types it.
    tried = login.command in fix or in_detail in fix
    return Explanation(
        kind=FailureKind.JUMP_HOST if lost_on_the_way else cause.kind,
        reason=cause.reason.format(**words),
        fix=fix if tried else f"{fix}; then this must work: `{login.command}`",
        behind_jump_host=behind,
        speaker=_SPEAKERS.get(cause, "ssh"),
    )


def words_of_ssh(text: str) -> list[str]:
    """Return the lines of ssh's complaint that say something, each once; never empty."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    useful = [line for line in dict.fromkeys(lines) if line and not _NOISE.match(line)]
    return useful[-_LINES:] or ["no reason is given"]


def _port_in(text: str) -> str | None:
    match = re.search(r"connect to (?:host|address) \S+ port (\d+)", text)
    return match.group(1) if match else None
