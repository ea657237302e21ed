"""The exchange of RFC 7677, and what a server may not do."""

from __future__ import annotations

import pytest

from obsctl.kafka.scram import ScramClient, ScramError, plain

NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = f"r={NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()


def client() -> ScramClient:
    return ScramClient("sha256", "user", "pencil", NONCE)


def test_the_example_of_rfc_7677() -> None:
    one = client()
    assert one.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert one.final(SERVER_FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    one.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_a_user_with_a_comma_is_one_name() -> None:
    assert ScramClient("sha512", "a,b=c", "x", "n").first() == b"n,,n=a=2Cb=3Dc,r=n"


def test_two_logins_have_different_nonces() -> None:
    assert ScramClient("sha512", "a", "x").first() != ScramClient("sha512", "a", "x").first()


@pytest.mark.parametrize(
    "server_first",
    [
        b"",
        b"\xff",
        SERVER_FIRST.replace(NONCE.encode(), b"another"),
        f"r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode(),
        SERVER_FIRST.replace(b"4096", b"4095"),
        SERVER_FIRST.replace(b"4096", b"1000001"),
        SERVER_FIRST.replace(b"4096", b"-1"),
        SERVER_FIRST.replace(b"s=W22", b"s=%%%"),
    ],
)
def test_an_answer_that_is_none_ends_the_login(server_first: bytes) -> None:
    with pytest.raises(ScramError):
        client().final(server_first)


def test_a_server_has_proved_nothing_before_it_was_answered() -> None:
    with pytest.raises(ScramError, match="prove"):
        client().verify(b"v=")


def test_the_message_of_plain() -> None:
    assert plain("user", "pencil") == b"\0user\0pencil"
