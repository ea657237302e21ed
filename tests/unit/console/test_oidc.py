"""Login by OpenID Connect, the parts without a network: what a browser keeps, whom claims name, which keys count."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from obsctl.console.oidc import begun
from obsctl.console.oidc.begun import Begun, Seal
from obsctl.console.oidc.errors import UnknownKeyError, UnnamedError, UntrustedError
from obsctl.console.oidc.id_token import Wanted, claims_of, keys_of
from obsctl.console.oidc.person import groups_of, name_of, role_of
from obsctl.console.people import login
from obsctl.console.people.roles import Role
from rig.oidc_provider import SigningKey

WANTED = Wanted("https://id.example.com", "obsctl", "the nonce")


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": WANTED.issuer,
        "aud": "obsctl",
        "sub": "1",
        "nonce": WANTED.nonce,
        "iat": now,
        "exp": now + 60,
        **more,
    }


# -- what a browser keeps ------------------------------------------------------------------------------------------


def test_the_challenge_is_that_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    login_there = Begun("", "", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "")
    assert login_there.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_what_a_browser_keeps_is_opened_by_each_console_that_has_the_secret() -> None:
    one = begun.begin("/search?filter=状态")
    sealed = Seal("secret").close(one)
    assert Seal("secret").open(sealed) == one
    assert Seal("Secret").open(sealed) is None
    for part in (one.state, one.nonce, one.verifier, "search"):
        assert part not in sealed
    assert len(sealed) < 4000


def test_what_a_browser_keeps_counts_for_ten_minutes() -> None:
    seal, now = Seal("secret"), int(time.time())
    kept = msgspec.json.encode(begun.begin("/"))
    assert seal.open(seal._box.encrypt_at_time(kept, now - 590).decode()) is not None
    assert seal.open(seal._box.encrypt_at_time(kept, now - 610).decode()) is None


@pytest.mark.parametrize("sealed", ["", "x", "gAAAAA", "夜班", "\udc80", "=" * 5000])
def test_what_no_console_has_sealed_is_nothing(sealed: str) -> None:
    assert Seal("secret").open(sealed) is None


def test_a_seal_around_something_else_is_nothing() -> None:
    seal = Seal("secret")
    assert seal.open(seal._box.encrypt(b'{"state": 1}').decode()) is None


def test_a_path_is_kept_as_long_as_a_cookie_can_hold_it() -> None:
    assert begun.begin("/" + "x" * 1999).path == "/" + "x" * 1999
    assert begun.begin("/" + "夜" * 1000).path == ""
    assert len(Seal("secret").close(begun.begin("/" + "x" * 1999))) < 4000


# -- whom claims name ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "claim", "name"),
    [
        ({"preferred_username": " Ada.L "}, "preferred_username", "ada.l"),
        ({"email": "Ada@Example.com", "email_verified": True}, "email", "ada@example.com"),
        ({"upn": "ada@example.com"}, "upn", "ada@example.com"),
    ],
)
def test_a_claim_names_a_user(said: dict[str, Any], claim: str, name: str) -> None:
    assert name_of(said, claim) == name


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({}, "no text in the claim email"),
        ({"email": ["a@example.com"], "email_verified": True}, "no text in the claim email"),
        ({"email": "  ", "email_verified": True}, "no text"),
        ({"email": "a@example.com"}, "not confirmed"),
        ({"email": "a@example.com", "email_verified": "true"}, "not confirmed"),
        ({"email": "a@example.com", "email_verified": 1}, "not confirmed"),
        ({"email": "a" * 65, "email_verified": True}, "is not a valid user name"),
        ({"email": "a\ud800", "email_verified": True}, "is not a valid user name"),
    ],
)
def test_what_is_no_name_is_refused(said: dict[str, Any], says: str) -> None:
    with pytest.raises(UnnamedError, match=says):
        name_of(said, "email")


ROLES = {"ops": Role.OPERATOR, "admins": Role.ADMIN, "guests": Role.VIEWER}


@pytest.mark.parametrize(
    ("given", "role"),
    [
        (["ops"], Role.OPERATOR), (["guests", "admins", "ops"], Role.ADMIN), ("ops", Role.OPERATOR),
        (["Ops", " ops", "/ops"], Role.VIEWER), ([], Role.VIEWER), (None, Role.VIEWER), ([["ops"]], Role.VIEWER),
        ({"ops": True}, Role.VIEWER), ("ops admins", Role.VIEWER),
    ],
)  # fmt: skip
def test_the_highest_role_of_the_groups_counts(given: object, role: Role) -> None:
    assert role_of(groups_of({"groups": given}, "groups"), ROLES) is role
    assert role_of(groups_of({"groups": given}, "groups"), {}) is None


# -- which keys count ----------------------------------------------------------------------------------------------


def test_keys_that_check_signatures_are_taken_and_others_left_out() -> None:
    elliptic, large = SigningKey("e"), SigningKey("r", "RS256")
    private = RSAAlgorithm.to_jwk(large.private, as_dict=True)
    without_alg = {name: value for name, value in large.public.items() if name != "alg"}
    found = keys_of(
        [
            elliptic.public, without_alg, {**large.public, "kid": "p", "alg": "PS384"},
            {**large.public, "use": "enc"}, {**large.public, "alg": "RSA-OAEP"}, {**large.public, "alg": "HS256"},
            private, {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}, {"kty": "EC", "crv": "P-256"}, {},
            {"kty": ["EC"]}, {**elliptic.public, "crv": "secp256k1"}, {**elliptic.public, "x": "AA"},
            {**elliptic.public, "alg": "ES384"},
        ]
    )  # fmt: skip
    assert [(key.id, key.algorithms) for key in found] == [
        ("e", ("ES256",)),
        ("r", ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("p", ("PS384",)),
    ]


def test_a_signature_counts_under_the_algorithm_of_its_key_alone() -> None:
    elliptic, large = SigningKey("e"), SigningKey("r", "RS256")
    keys = keys_of([elliptic.public, large.public])
    assert claims_of(elliptic.sign(claims()), keys, WANTED)["sub"] == "1"
    assert claims_of(large.sign(claims()), keys, WANTED)["sub"] == "1"
    with pytest.raises(UnknownKeyError):
        claims_of(SigningKey("e", "RS256").sign(claims()), keys, WANTED)
    with pytest.raises(UnknownKeyError):
        claims_of(SigningKey("third").sign(claims()), keys, WANTED)
    with pytest.raises(UntrustedError, match="its signature is wrong"):
        claims_of(SigningKey("e").sign(claims()), keys, WANTED)


def test_a_token_that_names_no_key_is_compared_with_each() -> None:
    first, second = SigningKey("a"), SigningKey("b")
    keys = keys_of([first.public, second.public])
    second.name = ""
    assert claims_of(second.sign(claims()), keys, WANTED)["sub"] == "1"


@pytest.mark.filterwarnings("ignore:The RSA key")
def test_a_short_key_is_refused() -> None:
    short = SigningKey("r", "RS256", bits=1024)
    with pytest.raises(UntrustedError, match="1024"):
        claims_of(short.sign(claims()), keys_of([short.public]), WANTED)


def test_clocks_may_differ_by_a_minute() -> None:
    key, now = SigningKey("e"), int(time.time())
    keys = keys_of([key.public])
    assert claims_of(key.sign(claims(exp=now - 50, iat=now + 50)), keys, WANTED)
    with pytest.raises(UntrustedError, match="expired"):
        claims_of(key.sign(claims(exp=now - 70)), keys, WANTED)


def test_a_curve_has_its_own_algorithm() -> None:
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    (key,) = keys_of([ECAlgorithm.to_jwk(public, as_dict=True)])
    assert key.algorithms == ("ES384",)


# -- beside it -----------------------------------------------------------------------------------------------------


def test_thirty_failures_at_the_provider_are_free() -> None:
    assert [login._bound("oidc 192.0.2.1", failures) for failures in (29, 30, 31)] == [0, 30, 60]


def test_where_no_provider_is_named_its_libraries_are_not_loaded() -> None:
    program = """
import sys, msgspec
from obsctl.console.config import ConsoleConfig
from obsctl.console.web import app
database = {"host": "127.0.0.1", "port": 1, "name": "x", "user": "x", "password": "env:X"}
given = {"listen": {"address": "127.0.0.1", "port": 1}, "database": database}
app.build(msgspec.convert(given, ConsoleConfig))
print([name for name in sys.modules if name == "jwt" or name.startswith("obsctl.console.oidc")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
