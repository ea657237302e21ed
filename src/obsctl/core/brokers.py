"""Bootstrap addresses for Kafka's clients, and how to connect: with or without TLS, and as which user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, overload

import msgspec

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """How clients connect to the brokers, with Kafka's own names of protocols and mechanisms.

    Attributes:
        protocol: ``SSL`` is TLS, with or without a client certificate; ``SASL_…`` is a login by user and password.
        mechanism: of the login.
        user: who logs in.
        password: a reference to the secret, never its value.
        ca_file: certificate authorities (PEM) to trust; empty for those of this machine.
        certificate_file: the client's own certificate (PEM), with its chain; empty for none.
        key_file: the key of that certificate (PEM, not encrypted).
        check_hostname: whether the broker's certificate must name the requested address.
    """

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str = ""
    password: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    check_hostname: bool = True

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        """Whether the client logs in."""
        return self.protocol in ("SASL_PLAINTEXT", "SASL_SSL")


class SecuritySection(Security, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same as a section of a daemon's configuration file, in which an unknown key is an error."""

    def settings(self) -> Security:
        """Return the settings."""
        return Security(**msgspec.structs.asdict(self))


#: Without encryption and without a login.
IN_CLEAR = Security()


class Brokers(Sequence[str]):
    """Bootstrap addresses, each ``HOST:PORT``, with the settings for connecting.

    It can be used in place of a list of addresses. For a plain list, connections use neither TLS nor a login.
    """

    __slots__ = ("addresses", "security")

    def __init__(self, addresses: Sequence[str], security: Security = IN_CLEAR) -> None:
        self.addresses = tuple(addresses)
        self.security = security

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Brokers: ...
    def __getitem__(self, index: int | slice) -> str | Brokers:
        found = self.addresses[index]
        return found if isinstance(found, str) else Brokers(found, self.security)

    def __len__(self) -> int:
        return len(self.addresses)

    def __iter__(self) -> Iterator[str]:
        return iter(self.addresses)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Brokers) and (self.addresses, self.security) == (other.addresses, other.security)

    def __hash__(self) -> int:
        return hash((self.addresses, self.security))

    def __repr__(self) -> str:
        return f"Brokers({self.addresses!r}, {self.security!r})"


def security_of(brokers: Sequence[str]) -> Security:
    """Return how to connect to these brokers."""
    return brokers.security if isinstance(brokers, Brokers) else IN_CLEAR
