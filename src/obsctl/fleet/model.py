"""The fleet as data: the inventory's content, without secrets.

The JSON form of :class:`Fleet` is ``/etc/obsctl/fleet.json`` and what ``ansible/playbooks/fleet.yml`` writes;
``docs/reference/fleet.md`` describes it.
"""

from __future__ import annotations

import shlex
from typing import Any, Literal

import msgspec

from obsctl.core.brokers import IN_CLEAR, Brokers, Security
from obsctl.fleet.login import Login, login_as

SCHEMA = "obsctl/fleet/v1"
#: The file on the brokers' hosts with the administrator's login for Kafka's own tools, if they need TLS or a login.
ADMIN_PROPERTIES = "/etc/kafka/admin.properties"


class Ssh(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in to a host; empty values leave the choice to ssh's own configuration.

    Attributes:
        common_args: arguments of the ssh client, as a shell would split them.
        executable: the ssh client.
        local: whether the host is this machine, whose commands need no ssh.
        password: whether the inventory has a password for the login (:mod:`obsctl.fleet.passwords` reads it).
        become_password: the same for sudo.
        inventory: the Ansible inventory that this was read from; empty for none. Not part of the document.
    """

    user: str = ""
    port: int = 22
    key_file: str = ""
    common_args: str = ""
    executable: str = "ssh"
    local: bool = False
    password: bool = False
    become_password: bool = False
    inventory: str = ""


class KafkaNode(msgspec.Struct, frozen=True, kw_only=True):
    """A host's part in the Kafka cluster.

    Attributes:
        node_id: of the broker or controller.
        broker_port: for clients.
        replication_port: for the other brokers, from which they fetch.
        controller_port: for brokers and other controllers.
        roles: ``broker``, ``controller``.
    """

    node_id: int
    broker_port: int = 9092
    replication_port: int = 9092
    controller_port: int = 9093
    roles: tuple[str, ...] = ("broker", "controller")


class BackendNode(msgspec.Struct, frozen=True, kw_only=True):
    """A host's back end application."""

    port: int = 8080


class KeepalivedNode(msgspec.Struct, frozen=True, kw_only=True):
    """A host's part in the VRRP group."""

    priority: int


class ConsoleNode(msgspec.Struct, frozen=True, kw_only=True):
    """A host's web console.

    Attributes:
        port: on which it answers.
    """

    port: int


class TlsListener(msgspec.Struct, frozen=True, kw_only=True):
    """A port of a host on which a certificate is presented.

    Attributes:
        use: the service (``kafka``, ``mysql``, ``nginx``, ``backend``, ``console``), and the certificate's folder.
    """

    use: str
    port: int


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One machine of the fleet.

    Attributes:
        certificates: its ports with certificates of the role ``certificates``; empty without TLS.
    """

    name: str
    address: str
    groups: tuple[str, ...] = ()
    ssh: Ssh = Ssh()
    kafka: KafkaNode | None = None
    backend: BackendNode | None = None
    keepalived: KeepalivedNode | None = None
    console: ConsoleNode | None = None
    certificates: tuple[TlsListener, ...] = ()

    def login(self) -> Login:
        """Return the user and address with which a person or Ansible logs in to the host."""
        return login_as(
            host=self.name,
            address=self.address,
            port=self.ssh.port,
            user=self.ssh.user,
            key=self.ssh.key_file,
            arguments=self.ssh.common_args,
            has_password=self.ssh.password,
            inventory=f"-i {shlex.quote(self.ssh.inventory)}" if self.ssh.inventory else "",
        )


class Https(msgspec.Struct, frozen=True, kw_only=True):
    """How nginx answers with TLS.

    Attributes:
        port: TCP port.
        ca_file: PEM file of trusted CAs on the machine that the document is for; empty for those of its system.
        server_name: name that the certificate must have; empty for the requested address.
        http: what nginx does on its HTTP port.
        backend_ca_file: as ``ca_file``, for the back ends; empty if they answer without TLS.
    """

    port: int = 443
    http: Literal["serve", "redirect", "close"] = "serve"
    backend_ca_file: str = ""
    ca_file: str = ""
    server_name: str = ""


class Vip(msgspec.Struct, frozen=True, kw_only=True):
    """The virtual address that Keepalived moves.

    Attributes:
        port: nginx's HTTP port on it.
        https: how it answers with TLS; None if it does not.
        balancer_header: the response header in which nginx gives its host's inventory name.
        log_format: of its access log.
        test_secret: reference to the secret with which test requests are signed; empty if there are no tests, or if
            the inventory has the secret itself.
        exclusive: whether nginx listens only on this address, so that balancers that do not hold it do not answer.
    """

    address: str
    port: int = 80
    https: Https | None = None
    exclusive: bool = False
    balancer_header: str = "X-Balancer"
    log_format: str = "json"
    test_secret: str = ""


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """A topic as specified in the inventory.

    Attributes:
        configs: Kafka's settings, such as ``retention.ms``, to values; for others the cluster's defaults apply.
    """

    name: str
    partitions: int
    configs: dict[str, Any] | None = None


class Kafka(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster as specified in the inventory.

    Attributes:
        retention_ms: default retention of topics; -1 for ever, ``None`` in a document of an earlier release.
        acknowledgements_topic: topic of the acknowledgements; empty in a document of an earlier release.
        canary_topic: topic that ``kafka canary`` writes to and reads back; empty in a document of an earlier release.
        client: how clients connect to the brokers; the files are those of the machine that the document is for.
    """

    replication_factor: int = 3
    min_insync_replicas: int = 2
    retention_ms: int | None = None
    topics: tuple[Topic, ...] = ()
    acknowledgements_topic: str = ""
    canary_topic: str = ""
    client: Security = IN_CLEAR


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
        access_topic: topic of the access lines that it reads; empty in a document of an earlier release.
        error_topic: topic of the error lines; empty in a document of an earlier release.
        trusted_proxies: networks whose ``X-Forwarded-For`` is believed.
        error_log_timezone: of the error lines' times, an IANA name.
        state_topic: topic of the alerters' state; empty in a document of an earlier release.
        silences_topic: topic of the silences; empty in a document of an earlier release.
        history_topic: topic of the alerters' decisions and their results; empty in a document of an earlier release.
    """

    group: str = "obsctl-alerter"
    metrics_port: int = 9601
    language: Literal["en", "zh"] = "en"
    timezone: str = "UTC"
    templates: str = ""
    access_topic: str = ""
    error_topic: str = ""
    trusted_proxies: tuple[str, ...] = ()
    error_log_timezone: str = "UTC"
    state_topic: str = ""
    silences_topic: str = ""
    history_topic: str = ""


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """The row store.

    Attributes:
        reader_password: a reference, never a value.
        ca_file: authorities (PEM, on the machine that the document is for) that sign the server's certificate; empty
            if connections are not verified.
    """

    host: str = ""
    port: int = 3306
    name: str = "obs"
    service: str = ""
    reader_user: str = "obs_reader"
    reader_password: str = ""
    ca_file: str = ""


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """TLS between the parts of the fleet.

    Attributes:
        ca_file: trusted certificates (PEM) on the machine that the document is for.
        directory: folder of keys and certificates on the hosts.
    """

    ca_file: str
    directory: str = "/etc/obscraft/tls"


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """The whole inventory as data.

    Attributes:
        tls: None if the fleet does not use TLS.
        foreign_groups: groups of the inventory that the product does not use.
        inventory: the Ansible inventory that it was read from, for commands in hints; an example if it came from a
            fleet.json. Not part of the document.
    """

    schema: str = SCHEMA
    vip: Vip | None = None
    hosts: tuple[Host, ...] = ()
    kafka: Kafka = Kafka()
    consumer: Consumer = Consumer()
    alerter: Alerter = Alerter()
    database: Database = Database()
    tls: Tls | None = None
    alert_rules: tuple[dict[str, Any], ...] = ()
    alert_channels: tuple[dict[str, Any], ...] = ()
    foreign_groups: tuple[str, ...] = ()
    inventory: str = "inventories/prod"

    def playbook(self, name: str) -> str:
        """Return the command that runs a playbook on this inventory."""
        return f"ansible-playbook playbooks/{name}.yml -i {shlex.quote(self.inventory)}"

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The names of the alert rules."""
        return tuple(str(rule["name"]) for rule in self.alert_rules if "name" in rule)

    def login_hint(self, host: Host) -> str:
        """Return a hint for a failed login: a command, and what it shows.

        Arguments of ssh that may contain a secret are not put into commands: Ansible, which has them, makes the same
        login.
        """
        login = host.login()
        hidden = " (ansible_ssh_common_args may hold a secret and is not shown)" if login.has_secret_arguments else ""
        how = "with the inventory's password" if login.has_password else "without a prompt"
        return f"this must work {how}: `{login.command}`{hidden}"

    def group(self, name: str) -> tuple[Host, ...]:
        """Return the hosts of a group (``lb``, ``backend``, ``kafka``, ...), in the inventory's order."""
        return tuple(host for host in self.hosts if name in host.groups)

    def brokers(self) -> Brokers:
        """Return the bootstrap addresses for Kafka's clients, in the inventory's order, with TLS and login."""
        nodes = [(host.address, host.kafka) for host in self.group("kafka")]
        found = [f"{at}:{node.broker_port}" for at, node in nodes if node is not None and "broker" in node.roles]
        return Brokers(found, self.kafka.client)

    def kafka_tool(self, tool: str, broker: str, options: str) -> str:
        """Return a command line of Kafka's own tools, for a broker's host.

        Args:
            tool: as ``kafka-cli`` names it.
            broker: ``HOST:PORT`` of the broker to ask.
        """
        login = "" if self.kafka.client == IN_CLEAR else f"--command-config {ADMIN_PROPERTIES} "
        return f"kafka-cli {tool} --bootstrap-server {broker} {login}{options}"

    def host(self, name: str) -> Host | None:
        """Return the host with this inventory name, or None."""
        return next((host for host in self.hosts if host.name == name), None)
