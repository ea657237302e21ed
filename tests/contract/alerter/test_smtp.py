"""Mail: delivered is 250 after DATA; who is left out, how it is encrypted, what the server's other answers mean."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.registry import parse_channels
from obsctl.alerter.messages.message import channel_test
from obsctl.alerter.messages.templates import Templates
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret
from rig.waiting import HANGS_S
from tests.contract.alerter.network import Authority


class Server:
    """A mail server whose answers, by command, the test sets; several answers take turns.

    Args:
        tls: for STARTTLS, or for TLS from the first byte.
        implicit: which of them.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, implicit: bool = False) -> None:
        self._tls, self._implicit = tls, implicit
        self.answers: dict[str, str | list[str]] = {
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
            with suppress(OSError), connection:
                line = (
                    self._tls.wrap_socket(connection, server_side=True) if self._implicit and self._tls else connection
                )
                with line.makefile("rwb") as wire:
                    self._talk(line, wire)

    def _talk(self, line: socket.socket, wire: Any, greets: bool = True) -> None:
        if greets and not self._say(wire, ""):
            return
        while said := wire.readline():
            verb = said.decode(errors="replace").split()[0].split(":")[0].upper()
            self.commands.append(said.decode(errors="replace").strip())
            if not self._say(wire, verb):
                return
            if verb == "STARTTLS" and self._tls is not None:
                with self._tls.wrap_socket(line, server_side=True) as inner, inner.makefile("rwb") as below:
                    self._talk(inner, below, greets=False)
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
        if isinstance(answer, list):
            answer = answer.pop(0)
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
    return spec.open(lambda reference: Secret("mail-pass-31", reference)).send(
        channel_test(time.time(), "app1", Templates())
    )


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
    assert time.monotonic() - started < HANGS_S
    assert delivery.verdict is verdict
    assert delivery.code == (answer[:3] if answer not in ("", "-", "drip") else "")
    assert delivery.hint


@pytest.mark.parametrize("refusal", ["550 5.1.1 no such mailbox", "450 greylisted"])
@pytest.mark.parametrize("first", [True, False])
def test_a_refused_recipient_is_named_and_keeps_nobody_from_the_mail(server: Server, refusal: str, first: bool) -> None:
    server.answers["RCPT"] = [refusal, "250 ok"] if first else ["250 ok", refusal]
    delivery = send(server.port)
    left_out, there = ("one", "two") if first else ("two", "one")
    assert (delivery.verdict, delivery.code) == (Verdict.DELIVERED, "250")
    assert f"{left_out}@example.com ({refusal})" in delivery.summary
    assert f"{left_out}@example.com did not get the mail" in delivery.hint
    assert f"{there}@example.com" not in delivery.summary + delivery.hint
    assert len(server.mails) == 1


def test_whom_the_server_may_take_later_keeps_a_mail_that_nobody_has_alive(server: Server) -> None:
    server.answers["RCPT"] = ["550 no such mailbox", "451 greylisted"]
    delivery = send(server.port)
    assert (delivery.verdict, delivery.code, server.mails) == (Verdict.DEFERRED, "451", [])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_mail_goes_through_tls_with_its_login(authority: Authority, tls: str, tmp_path: Path) -> None:
    server = Server(authority.context(), implicit=tls == "implicit")
    server.answers |= {
        "EHLO": "250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN",
        "STARTTLS": "220 go on",
        "AUTH": "235 ok",
    }
    options = {"tls": tls, "username": "ops", "password": "env:MAIL"}
    assert send(server.port, **options, ca_file=str(authority.ca_file)).delivered
    assert len(server.mails) == 1
    # The password crosses nothing but TLS.
    auth = [number for number, command in enumerate(server.commands) if command.startswith("AUTH")]
    assert auth
    assert tls == "implicit" or server.commands.index("STARTTLS") < auth[0]
    other = Authority(tmp_path / "other")
    for trusted in ({}, {"ca_file": str(other.ca_file)}):
        delivery = send(server.port, **options, **trusted)
        assert (delivery.verdict, len(server.mails)) == (Verdict.UNREACHABLE, 1)
        assert "no trusted TLS" in delivery.summary
    server.close()


@pytest.mark.parametrize(
    ("port", "tls", "used"),
    [
        (25, None, "none"),
        (465, None, "implicit"),
        (587, None, "starttls"),
        (2525, None, "none"),
        (465, "starttls", "starttls"),
        (587, "none", "none"),
        (25, "implicit", "implicit"),
    ],
)
def test_the_port_says_how_it_is_encrypted_unless_tls_does(port: int, tls: str | None, used: str) -> None:
    entry = {"name": "m", "type": "smtp", "host": "h", "port": port, "sender": "a@b.c", "recipients": ["d@e.f"]}
    (spec,) = parse_channels([entry | ({"tls": tls} if tls else {})], "test")
    opened = spec.open(lambda reference: Secret("x", reference))
    assert opened.preview(channel_test(time.time(), "app1", Templates()))["tls"] == used


def test_a_server_that_waits_for_tls_is_not_a_matter_of_routes(authority: Authority) -> None:
    """It sends nothing before TLS, and the client waits for its greeting."""
    server = Server(authority.context(), implicit=True)
    delivery = send(server.port)
    server.close()
    assert delivery.verdict is Verdict.UNREACHABLE
    assert "465 is usual with tls: implicit" in delivery.hint
    assert "routes" not in delivery.hint


def test_a_server_that_does_not_speak_tls_at_once_is_named(server: Server) -> None:
    delivery = send(server.port, tls="implicit")
    assert delivery.verdict is Verdict.UNREACHABLE
    assert "does not use implicit TLS" in delivery.hint


def test_a_closed_port_is_no_delivery_for_sure(closed_port: int) -> None:
    assert send(closed_port).verdict is Verdict.UNREACHABLE


def test_starttls_that_is_not_offered_is_refused_before_anything_is_said(server: Server) -> None:
    delivery = send(server.port, tls="starttls", username="u", password="env:MAIL")
    assert delivery.verdict is Verdict.REFUSED
    assert "STARTTLS" in delivery.summary
    assert not any(c.upper().startswith(("AUTH", "MAIL")) for c in server.commands)


def test_a_password_never_crosses_the_network_in_clear() -> None:
    with pytest.raises(ConfigError, match="unencrypted"):
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
    entry = {"name": "mail", "type": "smtp", "host": "h", "sender": "a@b.c", "recipients": ["d@e.f"], "tls": "starttls"}
    (spec,) = parse_channels([entry | login], "test")
    with pytest.raises(ConfigError, match=f"mail: the {part} contains non-ASCII characters") as refused:
        spec.open(lambda reference: Secret("gehéim-4711" if part == "password" else "plain", reference))
    assert "gehéim" not in f"{refused.value} {refused.value.hint}"
