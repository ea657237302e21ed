"""A broker with one listener for each way of speaking to it, users, and an authorizer that denies by default."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

import confluent_kafka.admin as kafka_admin
import msgspec

from obsctl.core.brokers import IN_CLEAR, Security
from obsctl.fleet.model import Fleet, Host, Kafka, KafkaNode, Topic
from rig.authority import Authority
from rig.kafka import KafkaNode as Node
from rig.ports import free_port
from rig.waiting import wait_for

USER, PASSWORD = "obsctl", "a=long,secret"
_HOUR = datetime.timedelta(hours=1)
_PLAIN = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class GuardedKafka:
    """One KRaft node; a client without TLS and login is an administrator, so that tests can prepare the node.

    Attributes:
        ports: listener to its port: ``CLEAR``, ``TLS`` (no login), ``MUTUAL`` (wants a client certificate), ``LOGIN``
            (SASL_SSL), ``OPENLOGIN`` (SASL_PLAINTEXT), and TLS with a certificate that is ``FOREIGN`` (another
            authority), ``NAMED`` (for another host) or ``EXPIRED``.
        authority: signed all certificates but the foreign one.
    """

    def __init__(self, libs: Path, folder: Path) -> None:
        self._folder = folder
        self.authority, other = Authority(folder / "ca"), Authority(folder / "other-ca")
        certificates = {
            "TLS": self.authority.issue("broker"),
            "FOREIGN": other.issue("foreign"),
            "NAMED": self.authority.issue("named", ("kafka.example",)),
            "EXPIRED": self.authority.issue("expired", valid=(-2 * _HOUR, -_HOUR)),
        }
        certificates |= {"LOGIN": certificates["TLS"], "MUTUAL": certificates["TLS"]}
        protocols = dict.fromkeys(certificates, "SSL") | {"LOGIN": "SASL_SSL", "OPENLOGIN": "SASL_PLAINTEXT"}
        self.ports = {name: free_port() for name in protocols}
        settings: dict[str, str] = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
        }
        for name, path in certificates.items():
            prefix = f"listener.name.{name.lower()}.ssl."
            settings |= {
                f"{prefix}keystore.type": "PEM",
                f"{prefix}keystore.location": str(path),
                f"{prefix}truststore.type": "PEM",
                f"{prefix}truststore.location": str(self.authority.ca_file),
                f"{prefix}client.auth": "required" if name == "MUTUAL" else "none",
            }
        for name in ("login", "openlogin"):
            settings[f"listener.name.{name}.scram-sha-512.sasl.jaas.config"] = _SCRAM
            settings[f"listener.name.{name}.plain.sasl.jaas.config"] = _PLAIN
        self.node = Node(
            libs, folder, settings=settings, listeners={name: (self.ports[name], protocols[name]) for name in protocols}
        )
        self.ports["CLEAR"] = self.node.port
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD)
        self.wrong_password_file = folder / "wrong-password"
        self.wrong_password_file.write_text("another-password")

    def start(self) -> None:
        """Start it, and wait until the user can log in by SCRAM."""
        self.node.start()
        credential = kafka_admin.ScramCredentialInfo(kafka_admin.ScramMechanism.SCRAM_SHA_512, 4096)
        change = kafka_admin.UserScramCredentialUpsertion(USER, credential, PASSWORD.encode())
        admin = self.node.admin()
        admin.alter_user_scram_credentials([change])[USER].result(30)

    def security(self, protocol: str = "SASL_SSL", **changes: object) -> Security:
        """Return how a client speaks that has everything right, but for the changes."""
        whole = Security(
            protocol=protocol,  # type: ignore[arg-type]
            user=USER,
            password=f"file:{self.password_file}",
            ca_file=str(self.authority.ca_file),
        )
        return msgspec.structs.replace(whole, **changes)

    def fleet(self, listener: str, client: Security = IN_CLEAR, topics: Iterable[str] = ()) -> Fleet:
        """Return the inventory of somebody who asks this listener in this way."""
        node = KafkaNode(node_id=1, broker_port=self.ports[listener], controller_port=free_port())
        return Fleet(
            hosts=(
                Host(name="node1", address="127.0.0.1", groups=("kafka",), kafka=node),
                Host(name="app1", address="127.0.0.1", groups=("consumer",)),
            ),
            kafka=Kafka(
                replication_factor=1,
                min_insync_replicas=1,
                topics=tuple(Topic(name=name, partitions=1) for name in topics),
                canary_topic="canary",
                acknowledgements_topic="acknowledgements",
                client=client,
            ),
        )

    def allow(self, resource: str, name: str, *operations: str) -> None:
        """Give the user rights to one resource, ``*`` for all of its type."""
        types, known = kafka_admin.ResourceType, kafka_admin.AclOperation
        kind = {"topic": types.TOPIC, "group": types.GROUP, "cluster": types.BROKER}[resource]
        literal, allow = kafka_admin.ResourcePatternType.LITERAL, kafka_admin.AclPermissionType.ALLOW
        bindings = [
            kafka_admin.AclBinding(kind, name, literal, f"User:{USER}", "*", getattr(known, operation), allow)
            for operation in operations
        ]
        admin = self.node.admin()
        for future in admin.create_acls(bindings).values():
            future.result(30)

    def deny_all(self) -> None:
        """Take all rights of the user away."""
        types, any_ = kafka_admin.ResourceType, kafka_admin.AclOperation.ANY
        every = kafka_admin.AclBindingFilter(
            types.ANY, None, kafka_admin.ResourcePatternType.ANY, None, None, any_, kafka_admin.AclPermissionType.ANY
        )
        admin = self.node.admin()
        for future in admin.delete_acls([every]).values():
            future.result(30)

        def gone() -> bool:
            asking = self.node.admin()
            return not asking.describe_acls(every).result(10)

        wait_for("no rights are left", gone)

    def close(self) -> None:
        self.node.kill()
