"""Which certificates clients refuse or will refuse soon, and which keys are not protected. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from obsctl.checks.certs.snapshot import CertsSnapshot, HostCertificates, Served
from obsctl.core.certificate import Certificate
from obsctl.core.report import Finding, Severity
from obsctl.fleet.model import Fleet, Host

_DAY_S = 86_400.0
#: A certificate is renewed in the last third of its life. If the playbook was not run by then, the warning begins this
#: many days before the end; for a short life at the last third.
SOON_DAYS = 30
SOON_SHARE = 1 / 3
_WHERE = "docs/guides/tls.md"


def judge_certs(fleet: Fleet, snapshot: CertsSnapshot) -> list[Finding]:
    """Return the findings about certificates, and what could not be asked."""
    return [*judge_certificates(fleet, snapshot), *_not_asked(fleet, snapshot)]


def judge_certificates(fleet: Fleet, snapshot: CertsSnapshot) -> list[Finding]:
    """Return the findings about certificates."""
    if snapshot.off:
        return [_off(fleet)]
    findings = list(_authorities(fleet, snapshot))
    for host in fleet.hosts:
        files = snapshot.host(host.name)
        if files is not None and not files.failure:
            findings += _clock(snapshot, files)
            findings += _trusted_there(fleet, snapshot, files)
        for listener in host.certificates:
            findings += _of_use(fleet, snapshot, host, listener.use)
    return findings


def _of(snapshot: CertsSnapshot, host: str, use: str) -> Served | None:
    return next((one for one in snapshot.served if (one.host, one.use) == (host, use)), None)


def _off(fleet: Fleet) -> Finding:
    return Finding(
        code="FLEET_TLS_OFF",
        severity=Severity.INFO,
        object="fleet/tls",
        summary="TLS is switched off (fleet_tls: false): log lines and passwords cross the network unencrypted",
        hint=f"set fleet_tls: true in the inventory ({fleet.inventory}); {_WHERE} shows how",
    )


def _authorities(fleet: Fleet, snapshot: CertsSnapshot) -> Iterator[Finding]:
    if snapshot.ca_failure:
        yield Finding(
            code="CERT_CA_UNREADABLE",
            severity=Severity.UNKNOWN,
            object="ca/fleet",
            summary=f"{snapshot.ca_failure}: no chain could be checked from here",
            hint=f"fleet_tls_ca_file names it; {fleet.playbook('certificates')} makes it where there is none",
        )
    for certificate in snapshot.trusted:
        yield from _life(certificate, snapshot.now, "ca/fleet", f"the CA {certificate.subject}",
                         f"change the CA in three steps: {_WHERE}")  # fmt: skip


def _trusted_there(fleet: Fleet, snapshot: CertsSnapshot, files: HostCertificates) -> Iterator[Finding]:
    """Yield hosts that trust other CAs than the fleet does: a step of a CA change has not reached them."""
    if snapshot.ca_failure:
        return
    wanted, present = ({one.fingerprint: one.subject for one in held} for held in (snapshot.trusted, files.trusted))
    lacking = [wanted[one] for one in wanted if one not in present]
    foreign = [present[one] for one in present if one not in wanted]
    if lacking or foreign:
        parts = (("it does not trust", lacking), ("it also trusts", foreign))
        said = " and ".join(f"{verb} {'; '.join(names)}" for verb, names in parts if names)
        yield Finding(
            code="CERT_CA_DIFFERS",
            severity=Severity.WARNING,
            object=f"host/{files.name}",
            summary=f"its ca.pem is not the one of this machine: {said}",
            evidence={"lacking": lacking, "foreign": foreign},
            hint=fleet.playbook("certificates"),
        )


def _with_modes(files: Mapping[str, str]) -> str:
    return ", ".join(f"{file} (mode {mode})" for file, mode in sorted(files.items()))


def _of_use(fleet: Fleet, snapshot: CertsSnapshot, host: Host, use: str) -> Iterator[Finding]:
    served, files = _of(snapshot, host.name, use), snapshot.host(host.name)
    name = f"{use}/{host.name}"
    renew = fleet.playbook("certificates")
    held = files.held(use) if files is not None else None
    on_disk = held.certificate if held is not None else None
    presented = served.certificate if served is not None else None
    if files is not None and not files.failure and on_disk is None:
        why = held.failure if held is not None else "the host has no certificate for this"
        yield Finding(code="CERT_MISSING", severity=Severity.CRITICAL, object=name, summary=why, hint=renew)
    if held is not None and held.open_files:
        yield Finding(
            code="CERT_KEY_READABLE",
            severity=Severity.CRITICAL,
            object=name,
            summary=f"every user of the host can read the private key: {_with_modes(held.open_files)}",
            evidence={"files": held.open_files},
            hint=f"`{renew}` sets the modes; if somebody may have read it, replace the key too: docs/runbooks/"
            "CERT_KEY_READABLE.md",
        )
    # The main process of nginx reads it as root.
    if held is not None and held.closed_files and use != "nginx":
        yield Finding(
            code="CERT_KEY_UNREADABLE",
            severity=Severity.WARNING,
            object=name,
            summary=f"the service cannot read its private key when it next starts: {_with_modes(held.closed_files)}",
            evidence={"files": held.closed_files},
            hint=f"{renew} sets the modes",
        )
    certificate = presented or on_disk
    if certificate is None:
        return
    yield from _life(certificate, snapshot.now, name, "the certificate", renew)
    if presented is not None and on_disk is not None and presented.fingerprint != on_disk.fingerprint:
        yield Finding(
            code="CERT_NOT_LOADED",
            severity=Severity.WARNING,
            object=name,
            summary=f"the service still presents the certificate until {_day(presented.ends)}; the file on the host is "
            f"valid until {_day(on_disk.ends)}",
            evidence={"presented": presented.fingerprint, "on_disk": on_disk.fingerprint},
            hint=renew,
        )
    lacking = sorted(_wanted(fleet, host, use) - {_plain(one) for one in certificate.names})
    if lacking:
        yield Finding(
            code="CERT_NAME_MISMATCH",
            severity=Severity.CRITICAL,
            object=name,
            summary=f"it is not for {', '.join(lacking)} but for {', '.join(certificate.names) or 'no name'}: clients "
            "refuse it",
            evidence={"lacking": lacking, "names": list(certificate.names)},
            hint=renew,
        )
    if served is not None and served.untrusted:
        yield Finding(
            code="CERT_UNTRUSTED",
            severity=Severity.CRITICAL,
            object=name,
            summary=f"its chain does not end at a trusted CA ({served.untrusted}); it was issued by "
            f"{certificate.issuer}",
            evidence={"issuer": certificate.issuer, "openssl": served.untrusted},
            hint=renew,
        )
    elif held is not None and on_disk is not None and held.untrusted:
        # A broker does not start with it, and a service that still runs with its previous certificate presents it
        # after the next start.
        yield Finding(
            code="CERT_UNTRUSTED",
            severity=Severity.CRITICAL,
            object=name,
            summary=f"the chain of its file on the host does not end at a trusted CA ({held.untrusted}); it was issued "
            f"by {on_disk.issuer}",
            evidence={"issuer": on_disk.issuer, "openssl": held.untrusted},
            hint=renew,
        )


def _life(certificate: Certificate, now: float, name: str, what: str, hint: str) -> Iterator[Finding]:
    left_s = certificate.ends - now
    life_s = certificate.ends - certificate.begins
    evidence = {"days_left": round(left_s / _DAY_S, 2), "ends": _iso(certificate.ends)}
    if left_s <= 0:
        yield Finding(
            code="CERT_EXPIRED",
            severity=Severity.CRITICAL,
            object=name,
            summary=f"{what} expired {_span(-left_s)} ago, on {_day(certificate.ends)}: clients refuse it",
            evidence=evidence,
            hint=hint,
        )
    elif left_s < min(SOON_DAYS * _DAY_S, life_s * SOON_SHARE):
        yield Finding(
            code="CERT_EXPIRING",
            severity=Severity.WARNING,
            object=name,
            summary=f"{what} expires in {_span(left_s)}, on {_day(certificate.ends)}",
            evidence=evidence,
            hint=hint,
        )


def _clock(snapshot: CertsSnapshot, files: HostCertificates) -> Iterator[Finding]:
    """Yield hosts whose clock is outside a valid certificate's dates: such a host refuses everybody's certificates."""
    for certificate in [*files.trusted, *(held.certificate for held in files.uses if held.certificate is not None)]:
        if files.clock is None or not certificate.begins <= snapshot.now <= certificate.ends:
            continue
        if not certificate.begins <= files.clock <= certificate.ends:
            late = "before it begins" if files.clock < certificate.begins else "after it ends"
            yield Finding(
                code="CERT_CLOCK",
                severity=Severity.CRITICAL,
                object=f"host/{files.name}",
                summary=f"its clock says {_iso(files.clock)}, {late}: it takes a valid certificate "
                f"({certificate.subject}) for an invalid one",
                evidence={"clock": files.clock, "begins": certificate.begins, "ends": certificate.ends},
                hint=f"on {files.name}: chronyc tracking; chronyc makestep",
            )
            return


def _not_asked(fleet: Fleet, snapshot: CertsSnapshot) -> Iterator[Finding]:
    for files in snapshot.hosts:
        host = fleet.host(files.name)
        if files.failure:
            yield Finding(
                code="CERT_NOT_ASKED",
                severity=Severity.UNKNOWN,
                object=f"host/{files.name}",
                summary=f"its files could not be looked at: {files.failure}",
                evidence={"ssh": files.failure, "kind": files.failure_kind},
                hint=files.hint or (fleet.login_hint(host) if host else ""),
            )
    for served in snapshot.served:
        if served.failure:
            yield Finding(
                code="CERT_NOT_SERVED",
                severity=Severity.UNKNOWN,
                object=f"{served.use}/{served.host}",
                summary=f"port {served.port} presents no certificate: {served.failure}",
                evidence={"port": served.port, "failure": served.failure},
                hint="obsctl health shows whether the service runs",
            )


def describe_certs(fleet: Fleet, snapshot: CertsSnapshot) -> dict[str, Any]:
    """Return one row for each certificate of a service, and one for each trusted one."""
    rows = [
        _row(fleet, snapshot, host, listener.use, listener.port)
        for host in fleet.hosts
        for listener in host.certificates
    ]
    days = [row["days_left"] for row in rows if row["days_left"] is not None]
    return {
        "metrics": {"certificates": len(rows), "least_days_left": min(days, default=None)},
        "tls": not snapshot.off,
        "certificates": rows,
        "authorities": [
            {
                "authority": certificate.subject,
                "days_left": _days_left(certificate, snapshot.now),
                "ends": _iso(certificate.ends),
                "fingerprint": certificate.fingerprint,
            }
            for certificate in snapshot.trusted
        ],
    }


def _row(fleet: Fleet, snapshot: CertsSnapshot, host: Host, use: str, port: int) -> dict[str, Any]:
    served, files = _of(snapshot, host.name, use), snapshot.host(host.name)
    held = files.held(use) if files is not None else None
    certificate = (served.certificate if served else None) or (held.certificate if held else None)
    findings = list(_of_use(fleet, snapshot, host, use))
    state = ", ".join(dict.fromkeys(one.code.removeprefix("CERT_").lower().replace("_", " ") for one in findings))
    return {
        "host": host.name,
        "use": use,
        "port": port,
        "state": state or (served.failure if served is not None and served.failure else "ok"),
        "days_left": _days_left(certificate, snapshot.now) if certificate else None,
        "ends": _iso(certificate.ends) if certificate else None,
        "names": list(certificate.names) if certificate else [],
        "subject": certificate.subject if certificate else None,
        "fingerprint": certificate.fingerprint if certificate else None,
    }


def _wanted(fleet: Fleet, host: Host, use: str) -> set[str]:
    """Return the names by which clients reach a service."""
    names = {host.address}
    if use == "nginx" and fleet.vip is not None:
        names.add(fleet.vip.address)
    return {_plain(name) for name in names}


def _plain(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name.lower()


def _days_left(certificate: Certificate, now: float) -> float:
    return round((certificate.ends - now) / _DAY_S, 1)


def _span(seconds: float) -> str:
    for size, unit in ((_DAY_S, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
