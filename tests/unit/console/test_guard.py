"""Whom the door believes of what a request says about itself."""

from __future__ import annotations

from typing import cast

import pytest
from fastapi import Request

from obsctl.console.config import PeopleConfig
from obsctl.console.database import Pool
from obsctl.console.people.sessions import Lifetime
from obsctl.console.web.guard import Door

PROXY = PeopleConfig(trusted_proxies=("10.0.0.0/8",), trusted_header="X-Remote-User")


def door(people: PeopleConfig) -> Door:
    return Door(cast("Pool", None), Lifetime(60, 60), people, https=True)


def request(peer: str, *headers: tuple[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    return Request({"type": "http", "client": (peer, 1234), "headers": raw})


@pytest.mark.parametrize(
    ("peer", "headers", "name"),
    [
        ("10.0.0.1", [("X-Remote-User", " Ada ")], "ada"),
        ("10.0.0.1", [("X-Remote-User", "ada"), ("X-Remote-User", "vera")], ""),
        ("10.0.0.1", [], ""),
        ("192.0.2.1", [("X-Remote-User", "ada")], ""),
        ("192.0.2.1", [("X-Remote-User", "ada"), ("X-Forwarded-For", "10.0.0.1")], ""),
    ],
)
def test_a_users_name_is_believed_of_a_trusted_proxy_alone(
    peer: str, headers: list[tuple[str, str]], name: str
) -> None:
    assert door(PROXY).vouched(request(peer, *headers)) == name
    assert door(PeopleConfig(trusted_proxies=("10.0.0.0/8",))).vouched(request(peer, *headers)) == ""


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
    ],
)
def test_an_address_is_believed_of_a_trusted_proxy_alone(peer: str, forwarded_for: str, address: str) -> None:
    asked = request(peer, ("X-Forwarded-For", forwarded_for))
    assert door(PROXY).client_addr(asked) == address
    assert door(PeopleConfig()).client_addr(asked) == peer
