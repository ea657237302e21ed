"""A secret is read at the moment of use and never shows itself."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from obsctl.core import secrets
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, redact, resolve


def test_the_three_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("OBS_TOKEN", "from-env")
    assert resolve(f"file:{tmp_path}/token").reveal() == "from-file"
    assert resolve("env:OBS_TOKEN").reveal() == "from-env"


def test_a_vaulted_variable_is_read_through_the_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_vault", None)
    with pytest.raises(ConfigError, match="cannot be read here"):
        resolve("vault:token")
    secrets.open_vault(lambda name: f"vaulted-{name}")
    assert resolve("vault:token").reveal() == "vaulted-token"


@pytest.mark.parametrize("reference", ["file:/no/such/file", "env:NO_SUCH_VARIABLE", "", "plain", "x:y"])
def test_a_reference_that_leads_nowhere_is_refused(reference: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(reference)
    assert caught.value.hint


def test_a_value_given_instead_of_a_reference_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("hunter2-the-real-thing")
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("s3cr3t-value", "env:X")
    assert "s3cr3t" not in f"{secret} {secret!r} {[secret]} {vars(type(secret))['__slots__']}"


def test_redact_takes_out_what_was_resolved() -> None:
    Secret("correct-horse", "env:A")
    assert redact("POST ?token=correct-horse&x=1") == "POST ?token=***&x=1"


@pytest.mark.parametrize("value", ["first-line\nsecond-line", 'quo"ted-value', "sla/sh+plus=", "back\\slash"])
def test_redact_knows_how_other_libraries_write_a_secret(value: str) -> None:
    Secret(value, "env:B")
    in_json = (json.dumps(value), json.dumps(value, ensure_ascii=False))
    for text in (value, repr(value.encode()), repr(value), quote_plus(value), quote(value), *in_json):
        assert redact(text).strip("b'\"") == "***"
