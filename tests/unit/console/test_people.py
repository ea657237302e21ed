"""Roles, passwords, and how long somebody waits after failed logins."""

from __future__ import annotations

import base64
import datetime

import pytest

from obsctl.console.people import login, passwords
from obsctl.console.people.passwords import UnfitPasswordError
from obsctl.console.people.roles import Role
from obsctl.console.people.sessions import csrf_of, id_of
from obsctl.console.web.found import cursor_of, place_of
from obsctl.search.question import Place


def test_a_role_includes_the_ones_before_it() -> None:
    included = [(one, other) for one in Role for other in Role if one.includes(other)]
    assert included == [
        (Role.VIEWER, Role.VIEWER),
        (Role.OPERATOR, Role.VIEWER), (Role.OPERATOR, Role.OPERATOR),
        (Role.ADMIN, Role.VIEWER), (Role.ADMIN, Role.OPERATOR), (Role.ADMIN, Role.ADMIN),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "at least 12"),
        ("x" * 257, "at most 256"),
        ("ada-ada-12345", "the user's name"),
        ("abababababababab", "fewer than five"),
    ],
)
def test_a_password_that_is_refused_is_told_why(password: str, says: str) -> None:
    with pytest.raises(UnfitPasswordError, match=says) as refused:
        passwords.hashed(password, "ada")
    assert password not in str(refused.value)


def test_a_password_is_kept_as_a_salted_hash() -> None:
    kept = passwords.hashed("correct horse battery", "ada")
    assert kept.startswith("$argon2id$")
    assert kept != passwords.hashed("correct horse battery", "ada")
    assert passwords.fits(kept, "correct horse battery")
    assert not passwords.fits(kept, "correct horse batterY")
    assert not passwords.fits(None, "")
    assert not passwords.fits("damaged", "correct horse battery")


@pytest.mark.parametrize(
    ("counted", "failures", "wait_s"),
    [
        ("pair a b", 4, 0), ("pair a b", 5, 30), ("pair a b", 6, 60), ("pair a b", 50, 3600),
        ("addr a", 29, 0), ("addr a", 30, 30), ("name b", 99, 0), ("name b", 100, 30), ("name b", 10**9, 3600),
    ],
)  # fmt: skip
def test_each_failure_beyond_the_bound_doubles_the_wait(counted: str, failures: int, wait_s: int) -> None:
    assert login._bound(counted, failures) == wait_s


def test_nothing_of_a_token_is_shown() -> None:
    token = "a-token"
    assert token not in id_of(token) + csrf_of(token)
    assert id_of(token) != csrf_of(token) != csrf_of("another")


def test_a_place_survives_as_a_text() -> None:
    place = Place(datetime.datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=datetime.UTC), bytes(range(16)))
    assert place_of(cursor_of(place)) == place


@pytest.mark.parametrize("text", ["", "A", "AAAA", "*" * 32, "A" * 33, base64.urlsafe_b64encode(b"\xff" * 24).decode()])
def test_a_text_that_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        place_of(text)
