"""Mail: delivered is 250 after DATA for every recipient; what the server's other answers mean."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from typing import Any

import pytest

from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.alerter.message import channel_test
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret


class Server:
    """A mail server whose answers, by command, the test sets."""

    def __init__(self) -> None:
        self.answers = {
            "": "220 mail.test",
            "EHLO": "250 mail.test",
            "MAIL": "250 ok",
            "RCPT": "250 ok",
            "DATA": "354 go on",
            ".": "250 taken",
        }
        self.mails: list[bytes] = []
        self.commands: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), connection, connection.makefile("rwb") as wire:
                self._talk(wire)

    def _talk(self, wire: Any) -> None:
        if not self._say(wire, ""):
            return
        while line := wire.readline():
            verb = line.decode().split()[0].split(":")[0].upper()
            self.commands.append(line.decode().strip())
            if not self._say(wire, verb):
                return
            if verb == "DATA" and self.answers["DATA"].startswith("354"):
                mail = b""
                while (part := wire.readline()) != b".\r\n":
                    mail += part
                self.mails.append(mail)
                if not self._say(wire, "."):
                    return

    def _say(self, wire: Any, verb: str) -> bool:
        """Answer; an empty answer hangs up instead, and ``-`` stays silent."""
        answer = self.answers.get(verb, "502 what?")
        if answer == "-":
            time.sleep(3)
            return False
        if answer == "drip":
            with suppress(OSError):
                for _ in range(60):
                    wire.write(b"250-wait\r\n" if verb else b"220-wait\r\n")
                    wire.flush()
                    time.sleep(0.1)
            return False
        if answer:
            wire.write(f"{answer}\r\n".encode())
            wire.flush()
        return bool(answer)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def send(port: int, **options: object) -> Delivery:
    entry = {
        "name": "mail",
        "type": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "sender": "alerts@example.com",
        "recipients": ["one@example.com", "two@example.com"],
        **options,
    }
    (spec,) = parse_channels([entry], "test")
    return spec.open(lambda reference: Secret("mail-pass-31", reference)).send(channel_test(time.time(), "app1"))


def test_the_mail_arrives_whole_for_every_recipient(server: Server) -> None:
    delivery = send(server.port, keyword="日志")
    assert (delivery.verdict, delivery.code) == (Verdict.DELIVERED, "250")
    (raw,) = server.mails
    assert raw.isascii()
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Subject"] == "日志 [TEST] obsctl alert test"
    assert mail["To"] == "one@example.com, two@example.com"
    assert "Nothing is wrong" in mail.get_content()
    assert [c for c in server.commands if c.upper().startswith("RCPT")] == [
        "RCPT TO:<one@example.com>",
        "RCPT TO:<two@example.com>",
    ]


@pytest.mark.parametrize(
    ("verb", "answer", "verdict"),
    [
        ("", "554 go away", Verdict.REFUSED),
        ("", "421 busy", Verdict.DEFERRED),
        ("MAIL", "550 sender?", Verdict.REFUSED),
        ("RCPT", "550 no such mailbox", Verdict.REFUSED),
        ("RCPT", "451 greylisted", Verdict.DEFERRED),
        ("DATA", "451 later", Verdict.DEFERRED),
        (".", "451 try again later", Verdict.DEFERRED),
        (".", "550 refused by content", Verdict.REFUSED),
        (".", "", Verdict.UNKNOWN),
        (".", "-", Verdict.UNKNOWN),
        ("RCPT", "", Verdict.UNREACHABLE),
        ("", "-", Verdict.UNREACHABLE),
        ("", "drip", Verdict.UNREACHABLE),
        ("EHLO", "drip", Verdict.UNREACHABLE),
        (".", "drip", Verdict.UNKNOWN),
    ],
)
def test_what_each_answer_means(server: Server, verb: str, answer: str, verdict: Verdict) -> None:
    server.answers[verb] = answer
    started = time.monotonic()
    delivery = send(server.port)
    assert time.monotonic() - started < 2
    assert delivery.verdict is verdict
    assert delivery.code == (answer[:3] if answer not in ("", "-", "drip") else "")
    assert delivery.hint


def test_a_closed_port_is_no_delivery_for_sure(closed_port: int) -> None:
    assert send(closed_port).verdict is Verdict.UNREACHABLE


def test_starttls_that_is_not_offered_is_refused_before_anything_is_said(server: Server) -> None:
    delivery = send(server.port, starttls=True, username="u", password="env:MAIL")
    assert delivery.verdict is Verdict.REFUSED
    assert "STARTTLS" in delivery.summary
    assert not any(c.upper().startswith(("AUTH", "MAIL")) for c in server.commands)


def test_a_password_never_crosses_the_network_in_clear() -> None:
    with pytest.raises(ConfigError, match="in clear"):
        send(25, username="u", password="env:MAIL")


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipients": ["ops@example.org\nDATA"]},
        {"recipients": ["Ops <ops@example.org>"]},
        {"sender": "öps@example.org"},
        {"sender": ""},
        {"host": "a..b"},
        {"number": 65_536},
    ],
)
def test_what_no_mail_server_takes_is_a_mistake_of_the_configuration(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="mail"):
        send(int(str(wrong.pop("number", 25))), **wrong)


@pytest.mark.parametrize("part", ["username", "password"])
def test_a_login_beyond_ascii_is_refused_in_words(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"username": "ops", "password": "env:MAIL"} | ({"username": "öps"} if part == "username" else {})
    entry = {"name": "mail", "type": "smtp", "host": "h", "sender": "a@b.c", "recipients": ["d@e.f"], "starttls": True}
    (spec,) = parse_channels([entry | login], "test")
    with pytest.raises(ConfigError, match=f"mail: the {part} holds characters beyond ASCII") as refused:
        spec.open(lambda reference: Secret("gehéim-4711" if part == "password" else "plain", reference))
    assert "gehéim" not in f"{refused.value} {refused.value.hint}"
