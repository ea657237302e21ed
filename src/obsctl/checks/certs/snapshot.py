"""What was seen of the fleet's certificates: what each service presents, and the files of each host."""

from __future__ import annotations

import msgspec

from obsctl.core.certificate import Certificate
from obsctl.core.report import Fault
from obsctl.fleet.login import FailureKind


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What a service presents in a handshake.

    Attributes:
        host, use: whose it is, and what for (``kafka``, ``mysql``, ``nginx``, ``backend``).
        failure: why there is no certificate; empty where there is one.
        untrusted: why its chain does not end at a trusted certificate, in OpenSSL's words; empty where it does.
    """

    host: str
    use: str
    port: int
    failure: str = ""
    certificate: Certificate | None = None
    untrusted: str = ""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one use on a host.

    Attributes:
        certificate: that of ``cert.pem``; None where there is none.
        failure: why it cannot be read; empty where it can.
        untrusted: why its chain does not end at a CA of the host's ``ca.pem``, in OpenSSL's words; empty where it does,
            or where the host has no ``openssl`` to ask.
        open_files: the files with the key that more than their owner and group may read, each with its mode (octal).
    """

    use: str
    certificate: Certificate | None = None
    failure: str = ""
    untrusted: str = ""
    open_files: dict[str, str] = {}


class HostCertificates(msgspec.Struct, frozen=True, kw_only=True):
    """What a host says of its files over ssh.

    Attributes:
        failure, failure_kind, hint: why it could not be asked; empty where it answered.
        clock: its time, seconds since the epoch; None where it did not say.
        trusted: the certificates of ``ca.pem``.
    """

    name: str
    failure: str = ""
    failure_kind: FailureKind | None = None
    hint: str = ""
    clock: float | None = None
    trusted: tuple[Certificate, ...] = ()
    uses: tuple[Held, ...] = ()

    def held(self, use: str) -> Held | None:
        """Return the files of a use; None where the host has none of it."""
        return next((held for held in self.uses if held.use == use), None)


class CertsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet's certificates at one moment.

    Attributes:
        off: the inventory has TLS switched off; nothing was asked.
        now: when, by this machine's clock, seconds since the epoch.
        trusted: the certificates of the CA file of this machine.
        ca_failure: why that file cannot be read; empty where it can.
    """

    off: bool = False
    now: float = 0.0
    trusted: tuple[Certificate, ...] = ()
    ca_failure: str = ""
    served: tuple[Served, ...] = ()
    hosts: tuple[HostCertificates, ...] = ()
    errors: tuple[Fault, ...] = ()

    def host(self, name: str) -> HostCertificates | None:
        """Return what a host said."""
        return next((host for host in self.hosts if host.name == name), None)
