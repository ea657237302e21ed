"""E-mail: delivered when the server answers 250 to the message itself, for every recipient."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import formatdate
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET, ChannelOptions, Resolve
from obsctl.alerter.delivery import Delivery, Verdict
from obsctl.alerter.message import Message
from obsctl.core.deadline import Deadline
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, redact
from obsctl.core.settings import Port

#: Nothing but ASCII on the wire: no server needs to offer 8BITMIME or SMTPUTF8.
_PLAIN = policy.SMTP.clone(cte_type="7bit")
#: Seconds; for connecting alone, and for everything from there to the answer after DATA.
_CONNECT_S = 5.0
_TOTAL_S = 15.0


class _Client(smtplib.SMTP):
    """The library's client on a connection that ends with the deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__()

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:
        return self._deadline.connect(host, port, at_most_s=_CONNECT_S)


@dataclass
class _Talk:
    """How far a conversation has come.

    Attributes:
        where: host and port.
        step: the command that was sent last; empty before the server was reached.
    """

    where: str
    step: str = ""

    def broken(self, why: str) -> Delivery:
        """Return the outcome when the conversation ends here without an answer."""
        if not self.step:
            return Delivery(
                Verdict.UNREACHABLE,
                "",
                f"{self.where} cannot be reached: {why}",
                "check host, port, DNS, routes and firewalls from the host that sends",
            )
        if self.step == "DATA":
            return Delivery(
                Verdict.UNKNOWN,
                "",
                f"{self.where}: {why} after DATA; the mail may or may not have been taken",
                "look into the mailbox before sending again; the alerter itself sends it again and marks it",
            )
        return Delivery(
            Verdict.UNREACHABLE,
            "",
            f"{self.where}: {why} at {self.step}",
            "check port and starttls; a server that wants TLS from the first byte (port 465) is not supported, use 587",
        )


class SmtpOptions(ChannelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="smtp"):
    """A mail server that relays to the recipients."""

    host: Annotated[str, Meta(description="The mail server.")]
    sender: Annotated[str, Meta(description="Address of the sender, NAME@DOMAIN.")]
    recipients: Annotated[tuple[str, ...], Meta(min_length=1, description="Addresses of the recipients, NAME@DOMAIN.")]
    port: Annotated[Port, Meta(description="Its TCP port: 25, 587 (with starttls) or another.")] = 25
    starttls: Annotated[
        bool, Meta(description="Whether the connection is encrypted, and the server's certificate checked, first.")
    ] = False
    username: Annotated[str, Meta(description="Account at the mail server (ASCII); empty for none.")] = ""
    password: Annotated[
        str, Meta(description="Its password (ASCII, only with starttls), as a reference.", extra=SECRET)
    ] = ""

    delivered: ClassVar[str] = "250 after DATA, with every recipient accepted"

    def open(self, resolve: Resolve) -> Smtp:
        """Check the addresses and read the password."""
        for address in (self.sender, *self.recipients):
            if not _is_plain(address):
                raise ConfigError(
                    f"alert channel {self.name}: {address!r} is no address that every mail server takes",
                    hint="write NAME@DOMAIN in ASCII, without a blank and without the person's name",
                )
        if not _is_host(self.host):
            raise ConfigError(f"alert channel {self.name}: {self.host!r} is no host name or address")
        if bool(self.username) != bool(self.password):
            raise ConfigError(f"alert channel {self.name}: username and password belong together")
        if self.password and not self.starttls:
            raise ConfigError(
                f"alert channel {self.name}: a password would cross the network in clear",
                hint="set starttls: true, or leave username and password out",
            )
        password = resolve(self.password) if self.password else None
        for part, value in (("username", self.username), ("password", password.reveal() if password else "")):
            if not value.isascii():
                raise ConfigError(
                    f"alert channel {self.name}: the {part} holds characters beyond ASCII, which not every mail "
                    "server takes",
                    hint="give the mail account another one",
                )
        return Smtp(self, password)


class Smtp:
    """A mail server that relays to the recipients.

    Args:
        options: checked.
        password: for AUTH; None sends none.
    """

    def __init__(self, options: SmtpOptions, password: Secret | None) -> None:
        self._options = options
        self._password = password

    def mail(self, message: Message) -> EmailMessage:
        """Return the mail that is sent."""
        mail = EmailMessage(policy=_PLAIN)
        mail["From"] = self._options.sender
        mail["To"] = ", ".join(self._options.recipients)
        keyword = f"{self._options.keyword} " if self._options.keyword else ""
        mail["Subject"] = f"{keyword}{message.title}"
        mail["Date"] = formatdate(localtime=False)
        # The same for a repetition, so that mail programs show one of the two.
        mail["Message-ID"] = (
            f"<{message.id}.{message.kind.value}@{self._options.sender.rpartition('@')[2] or 'obsctl'}>"
        )
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n".join(message.lines) + "\n")
        return mail

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do, without any secret."""
        mail = self.mail(message)
        return {
            "server": f"{self._options.host}:{self._options.port}",
            "starttls": self._options.starttls,
            "login": "***" if self._options.username else "",
            "headers": dict(mail.items()),
            "body": mail.get_content(),
        }

    def send(self, message: Message) -> Delivery:
        """Hand the mail to the server once and judge its answers."""
        talk = _Talk(f"{self._options.host}:{self._options.port}")
        try:
            with Deadline(_TOTAL_S) as deadline, contextlib.closing(_Client(deadline)) as client:
                return self._converse(client, talk, message)
        except TimeoutError:
            return talk.broken(f"no answer within {_TOTAL_S:g} s")
        except smtplib.SMTPResponseException as error:
            return _answered(talk.where, talk.step, error.smtp_code, _text(error.smtp_error))
        except ssl.SSLError:
            return Delivery(
                Verdict.UNREACHABLE,
                "",
                f"{talk.where}: no trusted TLS connection",
                "check the server's certificate and this machine's CA certificates and clock",
            )
        except smtplib.SMTPNotSupportedError:
            return Delivery(
                Verdict.REFUSED,
                "",
                f"{talk.where} does not offer {talk.step}",
                "check port and starttls, and whether the server wants a login there",
            )
        except (OSError, smtplib.SMTPException):
            return talk.broken("the connection broke")

    def _converse(self, client: smtplib.SMTP, talk: _Talk, message: Message) -> Delivery:
        code, said = client.connect(self._options.host, self._options.port)
        talk.step = "the greeting"
        if code != 220:
            return _answered(talk.where, talk.step, code, _text(said))
        talk.step = "EHLO"
        client.ehlo_or_helo_if_needed()
        if self._options.starttls:
            talk.step = "STARTTLS"
            client.starttls(context=ssl.create_default_context())
            client.ehlo()
        if self._options.username and self._password is not None:
            talk.step = "AUTH"
            client.login(self._options.username, self._password.reveal())
        for step, command in self._envelope():
            talk.step = step
            code, said = client.docmd(command)
            if code // 100 != 2:
                return _answered(talk.where, step, code, _text(said))
        talk.step = "DATA"
        code, said = client.data(self.mail(message).as_bytes())
        if code != 250:
            return _answered(talk.where, "DATA", code, _text(said))
        # The server has the mail now; what it answers to QUIT does not matter.
        return Delivery(Verdict.DELIVERED, "250", f"{talk.where}: 250 after DATA")

    def _envelope(self) -> list[tuple[str, str]]:
        """Return the commands before DATA; one refused recipient refuses the mail, so none is left out in silence."""
        recipients = [("RCPT TO", f"RCPT TO:<{address}>") for address in self._options.recipients]
        return [("MAIL FROM", f"MAIL FROM:<{self._options.sender}>"), *recipients]


def _answered(where: str, step: str, code: int, said: str) -> Delivery:
    summary = f"{where} answered {code} to {step}: {said!r}"
    if 400 <= code < 500:
        return Delivery(
            Verdict.DEFERRED,
            str(code),
            summary,
            "the server takes it later, perhaps (greylisting, or a fault of its own): try again in some minutes",
        )
    hints = {
        "AUTH": "check username and password",
        "MAIL FROM": "the server does not take this sender: check sender, and whether it wants a login",
        "RCPT TO": "the server does not take this recipient: check recipients, and whether it wants a login",
    }
    return Delivery(
        Verdict.REFUSED, str(code), summary, hints.get(step, "the server refuses the mail: its text says why")
    )


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return redact(" ".join(text.split()))[:200]


def _is_plain(address: str) -> bool:
    return bool(address) and address.isascii() and address.isprintable() and not set(address) & set(" <>")


def _is_host(name: str) -> bool:
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return bool(name)
