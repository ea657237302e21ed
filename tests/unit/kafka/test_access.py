"""How the inventory's settings become librdkafka's, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import confluent_kafka
import pytest

from obsctl.core.brokers import Brokers, Security
from obsctl.core.errors import ConfigError
from obsctl.kafka import clients
from obsctl.kafka.access import librdkafka, open_access
from rig.authority import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def password(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text("long-secret\n")
    return f"file:{path}"


def test_in_clear_nothing_is_set() -> None:
    assert librdkafka(Security()) == {}
    assert "security.protocol" not in clients.settings(["b:1"], "x")


def test_everything_that_is_set_reaches_the_library(authority: Authority, password: str) -> None:
    own = str(authority.issue("own"))
    security = Security(
        protocol="SASL_SSL",
        user="obsctl",
        password=password,
        ca_file=str(authority.ca_file),
        certificate_file=own,
        key_file=own,
        check_hostname=False,
    )
    settings = clients.settings(Brokers(["b:1", "b:2"], security), "x")
    assert settings["bootstrap.servers"] == "b:1,b:2"
    assert {name: value for name, value in settings.items() if name.startswith(("s",))} == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "obsctl",
        "sasl.password": "long-secret",
        "ssl.ca.location": str(authority.ca_file),
        "ssl.certificate.location": own,
        "ssl.key.location": own,
        "ssl.endpoint.identification.algorithm": "none",
        "socket.keepalive.enable": True,
    }
    confluent_kafka.Producer(settings)


def test_the_password_is_in_no_text(password: str) -> None:
    access = open_access(Security(protocol="SASL_PLAINTEXT", user="u", password=password))
    assert "long-secret" not in f"{access!r} {access.security!r} {access.password}"


def test_a_part_of_the_brokers_is_spoken_to_in_the_same_way() -> None:
    brokers = Brokers(["b:1", "b:2"], Security(protocol="SSL"))
    assert brokers[:1] == Brokers(["b:1"], Security(protocol="SSL"))
    assert (brokers[0], list(brokers), len(brokers), bool(Brokers([]))) == ("b:1", ["b:1", "b:2"], 2, False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": "SASL_SSL", "user": ""}, "SASL_SSL, and no user is set"),
        ({"protocol": "SASL_PLAINTEXT", "password": ""}, "SASL_PLAINTEXT, and no password is set"),
        ({"protocol": "SSL", "ca_file": "/nowhere.pem"}, "/nowhere.pem cannot be read: no such file"),
        ({"protocol": "SSL", "ca_file": "text"}, "holds no certificate in PEM"),
        ({"protocol": "SSL", "certificate_file": "/nowhere.pem"}, "/nowhere.pem cannot be read"),
        ({"protocol": "SSL", "certificate_file": "own", "key_file": "/nowhere.key"}, "/nowhere.key cannot be read"),
        ({"protocol": "SSL", "certificate_file": "own", "key_file": "other"}, "that belong together"),
        ({"protocol": "SSL", "certificate_file": "own", "key_file": "text"}, "that belong together"),
    ],
)
def test_what_cannot_be_used_is_named(
    tmp_path: Path, authority: Authority, password: str, changes: dict[str, str], words: str
) -> None:
    (tmp_path / "text").write_text("no certificate")
    files = {"text": tmp_path / "text", "own": authority.issue("own"), "other": authority.issue("other")}
    wanted = {"user": "u", "password": password} | {
        name: str(files.get(value, value)) if name.endswith("_file") else value for name, value in changes.items()
    }
    for use in (open_access, librdkafka):
        with pytest.raises(ConfigError, match=words) as caught:
            use(Security(**wanted))  # type: ignore[arg-type]
        assert "kafka_client_" in caught.value.hint
