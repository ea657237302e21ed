"""``obsctl-console --check``: what a provider of OpenID Connect needs is there, and what is missing is named."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from obsctl.console import service
from obsctl.console.config import load
from obsctl.core.errors import ConfigError
from rig.authority import Authority


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a provider, its secrets and its authority."""
    (tmp_path / "database").write_text("a password\n")
    (tmp_path / "client").write_text("a client's secret\n")
    oidc = {
        "issuer": "https://id.example.com", "client_id": "obsctl", "client_secret": f"file:{tmp_path}/client",
        "url": "https://console.example.com:8443", "ca_file": str(Authority(tmp_path / "authority").ca_file),
    }  # fmt: skip
    path = tmp_path / "console.yml"
    path.write_text(
        yaml.safe_dump(
            {
                "listen": {"address": "127.0.0.1", "port": 8443},
                "database": {
                    "host": "127.0.0.1", "port": 1, "name": "x", "user": "x", "password": f"file:{tmp_path}/database",
                },
                "people": {"oidc": oidc},
            }
        )
    )  # fmt: skip
    return path


def check(config: Path) -> int:
    with pytest.raises(SystemExit) as ended:
        service.main(["--check", "--config", str(config)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_provider_with_all_that_it_needs_is_good(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(config) == 0
    assert capsys.readouterr() == ("", "")


def test_a_secret_that_cannot_be_read_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "client").unlink()
    assert check(config) == 78
    said = capsys.readouterr().err
    assert f"the secret file:{config.parent}/client cannot be read" in said
    assert "hint: check the path" in said


@pytest.mark.parametrize(
    ("text", "says"), [(None, "No such file or directory"), ("no certificate\n", "it holds no certificate")]
)
def test_authorities_that_cannot_be_used_are_named(
    config: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    path = config.parent / "authority" / "ca.pem"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert check(config) == 78
    said = capsys.readouterr().err
    assert f"people.oidc.ca_file {path} cannot be used: {says}" in said
    assert "hint: name a PEM file" in said


def test_a_missing_library_is_named(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "find_spec", lambda name: None if name == "jwt" else name)
    assert check(config) == 69
    assert "PyJWT, which is missing\nhint: pip install 'obscraft[console]'" in capsys.readouterr().err


def test_a_port_that_is_in_use_is_named(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        config.write_text(config.read_text().replace("port: 8443\n", f"port: {port}\n"))
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            service._serve(load(config))
