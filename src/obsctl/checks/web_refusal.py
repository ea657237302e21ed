"""Why no request is sent to a balancer that answers: its certificate is invalid, or it speaks another protocol."""

from __future__ import annotations

from typing import Literal

import msgspec

from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet

#: ``expired``, ``early`` (not valid yet), ``name`` (others than the one that was asked), ``authority`` (not one that is
#: trusted) and ``certificate`` (any other fault) are about the certificate. ``clear``: the peer should speak TLS and
#: does not. ``tls``: the peer should speak plain text and speaks TLS.
Kind = Literal["expired", "early", "name", "authority", "certificate", "clear", "tls"]
_PROTOCOL = ("clear", "tls")


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why no request was sent, although something answered.

    Attributes:
        kind: for programs.
        words: for people: "its certificate has expired", "speaks HTTP, not TLS".
    """

    kind: Kind
    words: str


def refused(fleet: Fleet, refusal: Refusal, *, about: str, address: str, port: int, severity: Severity) -> Finding:
    """Return the finding about a balancer or virtual address that was refused.

    Args:
        about: object of the finding.
        address: of the request.
        port: of the request.
        severity: of the finding.
    """
    https = fleet.vip.https if fleet.vip is not None else None
    evidence: dict[str, object] = {"kind": refusal.kind, "address": address, "port": port}
    if refusal.kind not in _PROTOCOL and https is not None:
        evidence |= {"name": https.server_name or address, "ca_file": https.ca_file}
    return Finding(
        code="VIP_WRONG_PROTOCOL" if refusal.kind in _PROTOCOL else "VIP_CERTIFICATE_REFUSED",
        severity=severity,
        object=about,
        summary=f"{'' if refusal.kind in _PROTOCOL else 'on '}port {port} {refusal.words}",
        evidence=evidence,
        hint=_hint(fleet, refusal, address, port),
    )


def _hint(fleet: Fleet, refusal: Refusal, address: str, port: int) -> str:
    shows = f"openssl s_client -connect {address}:{port} -showcerts </dev/null shows what it presents"
    again = f"{fleet.playbook('nginx')} writes a good one"
    if refusal.kind == "early":
        return f"compare the clocks of this machine and of the balancer (date); {shows}"
    if refusal.kind in _PROTOCOL:
        return f"{fleet.playbook('nginx')} writes nginx's ports from the inventory (nginx_listen, nginx_tls_listen)"
    if refusal.kind == "name":
        return f"{shows}; {again} for nginx_tls_names (a certificate of your own: get one with this name)"
    if refusal.kind == "authority":
        return f"{shows}; nginx_tls_ca_file names what is trusted, and {again}"
    return f"{again} (a certificate of your own: renew it first); {shows}"
