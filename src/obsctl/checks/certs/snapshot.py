"""The fleet's certificates: what each service presents, and the files of each host."""

from __future__ import annotations

import msgspec

from obsctl.core.certificate import Certificate
from obsctl.core.report import Fault
from obsctl.fleet.login import FailureKind


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What a service presents in a handshake.

    Attributes:
        host, use: the service's host, and what the certificate is for (``kafka``, ``mysql``, ``nginx``, ``backend``).
        failure: why there is no certificate; empty if there is one.
        untrusted: why its chain does not end at a trusted certificate, in OpenSSL's words; empty if it does.
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
        certificate: that of ``cert.pem``; None if there is none.
        failure: why it cannot be read; empty if it can.
        untrusted: why its chain does not end at a CA of the host's ``ca.pem``, in OpenSSL's words; empty where it does,
            or where the host has no ``openssl`` to ask.
        open_files: key files that others than their owner and group may read, each with its mode (octal).
        closed_files: key files that their group may not read, likewise.
    """

    use: str
    certificate: Certificate | None = None
    failure: str = ""
    untrusted: str = ""
    open_files: dict[str, str] = {}
    closed_files: dict[str, str] = {}


class HostCertificates(msgspec.Struct, frozen=True, kw_only=True):
    """A host's files, read over ssh.

    Attributes:
        failure, failure_kind, hint: why it could not be asked; empty if it answered.
        clock: its time, seconds since the epoch; None if unknown.
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
        """Return the files of a use; None if the host has none."""
        return next((held for held in self.uses if held.use == use), None)


class CertsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The fleet's certificates at one moment.

    Attributes:
        off: whether the inventory has TLS switched off, so that nothing was asked.
        now: when, by this machine's clock, seconds since the epoch.
        trusted: the certificates of the CA file of this machine.
        ca_failure: why that file cannot be read; empty if it can.
    """

    off: bool = False
    now: float = 0.0
    trusted: tuple[Certificate, ...] = ()
    ca_failure: str = ""
    served: tuple[Served, ...] = ()
    hosts: tuple[HostCertificates, ...] = ()
    errors: tuple[Fault, ...] = ()

    def host(self, name: str) -> HostCertificates | None:
        """Return a host's part."""
        return next((host for host in self.hosts if host.name == name), None)
