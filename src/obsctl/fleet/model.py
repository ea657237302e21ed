"""The fleet as data: what the inventory says, without secrets.

The JSON form of :class:`Fleet` is ``/etc/obsctl/fleet.json`` and what ``ansible/playbooks/fleet.yml`` writes;
``docs/reference/fleet.md`` describes it.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import Any, Literal

import msgspec

SCHEMA = "obsctl/fleet/v1"

#: Options of ssh that run a program or set a variable: what stands there is free text.
_FREE_TEXT = re.compile(r"(?i)(?:Proxy|KnownHosts|Local|Remote)Command|SetEnv")
#: Those of them that are a jump by ssh or nc, which take no secret as an argument.
_PLAIN_JUMP = re.compile(r"(?i)ProxyCommand[ =]+['\"]*(?:none\b|(?:[\w./-]*/)?(?:ssh|nc|netcat)\s)")
#: Words beside which a secret stands, a login in an address, and what makes one command into several.
_SUSPECT = re.compile(
    r"(?i)sshpass|passwd|passphrase|pass(?:word)?[=: ](?!yes|no)|proxy-?auth|token|secret|credential|api-?key"
    r"|[\w.-]+:[^\s@/,]+@|[;|&$`()<>]"
)


def may_hold_a_secret(arguments: str) -> bool:
    """Whether somebody may have written a secret into arguments of ssh, so that nothing may show them."""
    plain = len(_FREE_TEXT.findall(arguments)) == len(_PLAIN_JUMP.findall(arguments))
    return not plain or _SUSPECT.search(arguments) is not None


class Ssh(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in to a host; empty values leave the choice to ssh's own configuration.

    Attributes:
        common_args: arguments of the ssh client, as a shell would split them.
        password: Ansible logs in with a password; this program uses keys alone.
    """

    user: str = ""
    port: int = 22
    key_file: str = ""
    common_args: str = ""
    password: bool = False


class KafkaNode(msgspec.Struct, frozen=True, kw_only=True):
    """A host's part in the Kafka cluster."""

    node_id: int
    broker_port: int = 9092
    controller_port: int = 9093
    roles: tuple[str, ...] = ("broker", "controller")


class BackendNode(msgspec.Struct, frozen=True, kw_only=True):
    """A host's back end application."""

    port: int = 8080


class KeepalivedNode(msgspec.Struct, frozen=True, kw_only=True):
    """A host's part in the VRRP group."""

    priority: int


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One machine of the fleet."""

    name: str
    address: str
    groups: tuple[str, ...] = ()
    ssh: Ssh = Ssh()
    kafka: KafkaNode | None = None
    backend: BackendNode | None = None
    keepalived: KeepalivedNode | None = None

    def ssh_command(self) -> str:
        """Return the command by which a person logs in to the host as this program does."""
        return shlex.join(["ssh", *self._login(), self.address, "true"])

    def copy_id_command(self) -> str:
        """Return the command by which a person gives the host this machine's key."""
        account = f"{self.ssh.user}@{self.address}" if self.ssh.user else self.address
        return shlex.join(["ssh-copy-id", "-p", str(self.ssh.port), account])

    def _login(self) -> list[str]:
        words = ["-p", str(self.ssh.port)]
        words += ["-l", self.ssh.user] if self.ssh.user else []
        words += ["-i", os.path.expanduser(self.ssh.key_file)] if self.ssh.key_file else []  # noqa: PTH111 - ssh wants text
        return [*words, *shlex.split(self.ssh.common_args)]


class Vip(msgspec.Struct, frozen=True, kw_only=True):
    """The virtual address that Keepalived moves.

    Attributes:
        port: where nginx answers on it.
        balancer_header: the response header in which nginx gives its host's inventory name.
        exclusive: nginx listens on no other address with that port: a balancer that does not hold it is silent.
    """

    address: str
    port: int = 80
    exclusive: bool = False
    balancer_header: str = "X-Balancer"


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic as the inventory wants it."""

    name: str
    partitions: int


class Kafka(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster as the inventory wants it."""

    replication_factor: int = 3
    min_insync_replicas: int = 2
    topics: tuple[Topic, ...] = ()


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """The storing consumer."""

    group: str = "obsctl-consumer"
    metrics_port: int = 9600


class Alerter(msgspec.Struct, frozen=True, kw_only=True):
    """The alerter.

    Attributes:
        language: of its messages.
        timezone: of the times in them, an IANA name.
        templates: folder of the site's own templates of messages; empty for none.
        state_topic: topic of the alerters' state; empty in a document of an earlier release.
        silences_topic: topic of the silences; empty in a document of an earlier release.
        history_topic: topic of what it decided and what became of it; empty in a document of an earlier release.
    """

    group: str = "obsctl-alerter"
    metrics_port: int = 9601
    language: Literal["en", "zh"] = "en"
    timezone: str = "UTC"
    templates: str = ""
    state_topic: str = ""
    silences_topic: str = ""
    history_topic: str = ""


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """The row store; the reader's password is a reference, never a value."""

    host: str = ""
    port: int = 3306
    name: str = "obs"
    service: str = ""
    reader_user: str = "obs_reader"
    reader_password: str = ""


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """The whole inventory as data.

    Attributes:
        inventory: the Ansible inventory that it was read from, for commands in hints; an example where it came from a
            fleet.json. No part of the document.
    """

    schema: str = SCHEMA
    vip: Vip | None = None
    hosts: tuple[Host, ...] = ()
    kafka: Kafka = Kafka()
    consumer: Consumer = Consumer()
    alerter: Alerter = Alerter()
    database: Database = Database()
    alert_rules: tuple[dict[str, Any], ...] = ()
    alert_channels: tuple[dict[str, Any], ...] = ()
    inventory: str = "inventories/prod"

    def playbook(self, name: str) -> str:
        """Return the command that runs one of the playbooks on this inventory."""
        return f"ansible-playbook playbooks/{name}.yml -i {shlex.quote(self.inventory)}"

    def login_hint(self, host: Host) -> str:
        """Return what a person can do about a login that failed: a command, and what it shows.

        Arguments of ssh that may hold a secret are in no command: Ansible, which has them, does the same login.
        """
        if host.ssh.password:
            return f"the inventory logs in to it with a password, and obsctl uses keys alone: {host.copy_id_command()}"
        command = host.ssh_command()
        if may_hold_a_secret(host.ssh.common_args):
            words = ["ansible", "-m", "ansible.builtin.raw", "-a", "true", "-i", self.inventory, host.name]
            command = f"{shlex.join(words)} (ansible_ssh_common_args may hold a secret and is not shown)"
        return f"this must work without a question: {command}"

    def group(self, name: str) -> tuple[Host, ...]:
        """Return the hosts of a group (``lb``, ``backend``, ``kafka``, ...), in the inventory's order."""
        return tuple(host for host in self.hosts if name in host.groups)

    def brokers(self) -> tuple[str, ...]:
        """Return the addresses at which Kafka's clients begin, ``HOST:PORT`` each, in the inventory's order."""
        nodes = [(host.address, host.kafka) for host in self.group("kafka")]
        return tuple(f"{at}:{node.broker_port}" for at, node in nodes if node is not None and "broker" in node.roles)

    def host(self, name: str) -> Host | None:
        """Return the host with this inventory name, or None."""
        return next((host for host in self.hosts if host.name == name), None)
