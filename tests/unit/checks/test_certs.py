"""Which certificates are good, which are not, and what is said of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from obsctl.checks.ask.ssh import Answer
from obsctl.checks.certs import collect
from obsctl.checks.certs.judge import SOON_DAYS, describe_certs, judge_certificates, judge_certs
from obsctl.checks.certs.snapshot import CertsSnapshot, Held, HostCertificates, Served
from obsctl.core.certificate import Certificate
from obsctl.core.report import Finding, Severity
from obsctl.fleet.login import FailureKind
from obsctl.fleet.model import Fleet, Host, Tls, TlsListener, Vip

DAY = 86_400.0
NOW = 1_795_900_000.0
FLEET = Fleet(
    vip=Vip(address="198.18.0.100"),
    hosts=(
        Host(name="node1", address="198.18.0.11", groups=("lb", "kafka"),
             certificates=(TlsListener(use="kafka", port=9094), TlsListener(use="nginx", port=443))),
        Host(name="app1", address="198.18.0.31", groups=("consumer",)),
    ),
    tls=Tls(ca_file="/pki/ca.pem"),
)  # fmt: skip
CA = Certificate(subject="CN=fleet CA", issuer="CN=fleet CA", begins=NOW - 9 * DAY, ends=NOW + 3641 * DAY)


def certificate(use: str = "kafka", **changed: Any) -> Certificate:
    values: dict[str, Any] = {
        "subject": f"CN=node1,OU={use},O=obscraft", "issuer": "CN=fleet CA", "begins": NOW - 97 * DAY,
        "ends": NOW + 300 * DAY, "names": ("198.18.0.11", "node1", "198.18.0.100"), "fingerprint": use,
    }  # fmt: skip
    return Certificate(**{**values, **changed})


def seen(kafka: Certificate | None = None, **changed: Any) -> CertsSnapshot:
    """What a fleet shows whose nginx is well."""
    kafka, nginx = kafka or certificate(), certificate("nginx")
    values: dict[str, Any] = {
        "now": NOW,
        "trusted": (CA,),
        "served": (
            Served(host="node1", use="kafka", port=9094, certificate=kafka),
            Served(host="node1", use="nginx", port=443, certificate=nginx),
        ),
        "hosts": (
            HostCertificates(
                name="node1", clock=NOW, trusted=(CA,),
                uses=(Held(use="kafka", certificate=kafka), Held(use="nginx", certificate=nginx)),
            ),
        ),
    }  # fmt: skip
    return CertsSnapshot(**{**values, **changed})


def with_file(**changed: Any) -> CertsSnapshot:
    """The same with another state of the brokers' files."""
    snapshot = seen()
    (host,) = snapshot.hosts
    kafka, nginx = host.uses
    uses = (msgspec.structs.replace(kafka, **changed), nginx)
    return msgspec.structs.replace(snapshot, hosts=(msgspec.structs.replace(host, uses=uses),))


def with_served(**changed: Any) -> CertsSnapshot:
    """The same with another answer of the broker."""
    snapshot = seen()
    kafka, nginx = snapshot.served
    return msgspec.structs.replace(snapshot, served=(msgspec.structs.replace(kafka, **changed), nginx))


def only(snapshot: CertsSnapshot, fleet: Fleet = FLEET) -> Finding:
    (finding,) = judge_certs(fleet, snapshot)
    return finding


def test_good_certificates_are_no_finding() -> None:
    assert judge_certs(FLEET, seen()) == []
    data = describe_certs(FLEET, seen())
    assert [(row["host"], row["use"], row["state"], row["days_left"]) for row in data["certificates"]] == [
        ("node1", "kafka", "ok", 300.0), ("node1", "nginx", "ok", 300.0),
    ]  # fmt: skip
    assert data["metrics"] == {"certificates": 2, "least_days_left": 300.0}


@pytest.mark.parametrize(
    ("life_days", "left_days", "warned"),
    [
        (397, SOON_DAYS + 0.1, False),
        (397, SOON_DAYS - 0.1, True),
        (60, 20.1, False),
        (60, 19.9, True),
        (0.007, 0.0024, False),
        (0.007, 0.0023, True),
    ],
)
def test_an_end_is_near_thirty_days_before_or_in_the_last_third(
    life_days: float, left_days: float, warned: bool
) -> None:
    ends = NOW + left_days * DAY
    kafka = certificate(begins=ends - life_days * DAY, ends=ends)
    codes = {(one.code, one.severity) for one in judge_certs(FLEET, seen(kafka))}
    assert codes == ({("CERT_EXPIRING", Severity.WARNING)} if warned else set())


def test_an_expired_certificate_is_critical_and_named_once() -> None:
    finding = only(seen(certificate(ends=NOW - 2 * DAY)))
    assert (finding.code, finding.severity, finding.object) == ("CERT_EXPIRED", Severity.CRITICAL, "kafka/node1")
    assert "expired 2 d ago" in finding.summary
    assert finding.hint == "ansible-playbook playbooks/certificates.yml -i inventories/prod"
    assert finding.evidence["days_left"] == -2.0


def test_the_ca_itself_ends_too() -> None:
    ending = msgspec.structs.replace(CA, ends=NOW + 3 * DAY)
    finding = only(seen(trusted=(ending,)))
    assert (finding.code, finding.object) == ("CERT_EXPIRING", "ca/fleet")


def test_a_name_that_clients_use_is_missing() -> None:
    finding = only(seen(certificate(names=("198.18.0.12", "node1"))))
    assert (finding.code, finding.severity) == ("CERT_NAME_MISMATCH", Severity.CRITICAL)
    assert "not for 198.18.0.11 but for 198.18.0.12, node1" in finding.summary


def test_nginx_needs_the_virtual_address_too() -> None:
    snapshot = seen()
    kafka, nginx = snapshot.served
    assert nginx.certificate is not None
    without = msgspec.structs.replace(nginx.certificate, names=("198.18.0.11",))
    served = (kafka, msgspec.structs.replace(nginx, certificate=without))
    finding = only(msgspec.structs.replace(snapshot, served=served))
    assert (finding.code, finding.object) == ("CERT_NAME_MISMATCH", "nginx/node1")
    assert finding.evidence["lacking"] == ["198.18.0.100"]


def test_a_key_that_others_read() -> None:
    finding = only(with_file(open_files={"key.pem": "644"}))
    assert (finding.code, finding.severity) == ("CERT_KEY_READABLE", Severity.CRITICAL)
    assert "key.pem (mode 644)" in finding.summary


def test_a_key_that_its_service_cannot_read() -> None:
    finding = only(with_file(closed_files={"key.pem": "600"}))
    assert (finding.code, finding.severity, finding.object) == ("CERT_KEY_UNREADABLE", Severity.WARNING, "kafka/node1")
    assert "key.pem (mode 600)" in finding.summary


def test_a_chain_of_another_ca() -> None:
    finding = only(with_served(untrusted="unable to get local issuer certificate"))
    assert (finding.code, finding.severity) == ("CERT_UNTRUSTED", Severity.CRITICAL)
    assert "issued by CN=fleet CA" in finding.summary


def test_a_file_of_another_ca_is_named_before_it_is_presented_and_once() -> None:
    words = "unable to get local issuer certificate"
    finding = only(with_file(untrusted=words))
    assert (finding.code, finding.severity, finding.object) == ("CERT_UNTRUSTED", Severity.CRITICAL, "kafka/node1")
    assert f"its file on the host does not end at a trusted CA ({words})" in finding.summary
    both = msgspec.structs.replace(with_file(untrusted=words), served=with_served(untrusted=words).served)
    assert "its chain does not end" in only(both).summary


def test_a_service_that_has_not_read_its_new_certificate() -> None:
    finding = only(with_file(certificate=certificate(fingerprint="newer", ends=NOW + 397 * DAY)))
    assert (finding.code, finding.severity) == ("CERT_NOT_LOADED", Severity.WARNING)


@pytest.mark.parametrize("line", ["mode kafka/key.pem none", "clock \u00b2"])
def test_a_host_that_says_something_else_does_not_end_the_check(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """Whoever is root on one host must not be able to hide the others."""
    answer = Answer(output=f"{line}\npem kafka/cert.pem\n\nend\n")
    monkeypatch.setattr(collect.ssh, "run", lambda *_given, **_named: answer)
    found = collect._files(FLEET.hosts[0], "/etc/obscraft/tls")
    assert found.failure == "their list cannot be read"
    assert found.hint == "on node1: ls -lR /etc/obscraft/tls/"


def test_files_that_are_not_there() -> None:
    finding = only(with_file(certificate=None, failure="cert.pem is missing"))
    assert (finding.code, finding.severity, finding.summary) == (
        "CERT_MISSING", Severity.CRITICAL, "cert.pem is missing",
    )  # fmt: skip
    (host,) = seen().hosts
    findings = judge_certs(FLEET, seen(hosts=(msgspec.structs.replace(host, uses=()),)))
    assert {(one.code, one.object) for one in findings} == {
        ("CERT_MISSING", "kafka/node1"), ("CERT_MISSING", "nginx/node1"),
    }  # fmt: skip


@pytest.mark.parametrize("off_days", [-400, 500])
def test_a_host_whose_clock_is_outside_a_life(off_days: int) -> None:
    (host,) = seen().hosts
    finding = only(seen(hosts=(msgspec.structs.replace(host, clock=NOW + off_days * DAY),)))
    assert (finding.code, finding.severity, finding.object) == ("CERT_CLOCK", Severity.CRITICAL, "host/node1")


def test_what_was_not_asked_is_unknown_and_health_says_it_otherwise() -> None:
    silent = HostCertificates(name="node1", failure="no answer within 4 s", failure_kind=FailureKind.TIMEOUT)
    snapshot = msgspec.structs.replace(with_served(certificate=None, failure="no answer"), hosts=(silent,))
    found = {(one.code, one.object): one.severity for one in judge_certs(FLEET, snapshot)}
    assert found == {
        ("CERT_NOT_ASKED", "host/node1"): Severity.UNKNOWN,
        ("CERT_NOT_SERVED", "kafka/node1"): Severity.UNKNOWN,
    }
    assert judge_certificates(FLEET, snapshot) == []


def test_a_host_that_a_change_of_the_ca_has_not_reached() -> None:
    following = msgspec.structs.replace(CA, subject="CN=next CA", fingerprint="next")
    finding = only(seen(trusted=(CA, following)))
    assert (finding.code, finding.severity, finding.object) == ("CERT_CA_DIFFERS", Severity.WARNING, "host/node1")
    assert finding.summary.endswith("it does not trust CN=next CA")
    finding = only(seen(trusted=(following,)))
    assert finding.summary.endswith("it does not trust CN=next CA and it also trusts CN=fleet CA")
    assert finding.evidence == {"lacking": ["CN=next CA"], "foreign": ["CN=fleet CA"]}


def test_a_file_of_authorities_that_is_not_here() -> None:
    finding = only(seen(trusted=(), ca_failure="/pki/ca.pem cannot be read: no such file or directory"))
    assert (finding.code, finding.severity) == ("CERT_CA_UNREADABLE", Severity.UNKNOWN)


def test_tls_off_is_an_information() -> None:
    finding = only(CertsSnapshot(off=True, now=NOW), Fleet())
    assert (finding.code, finding.severity) == ("FLEET_TLS_OFF", Severity.INFO)
    assert describe_certs(Fleet(), CertsSnapshot(off=True, now=NOW))["tls"] is False
