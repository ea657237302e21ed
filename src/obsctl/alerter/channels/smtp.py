"""E-mail: delivered when the server answers 250 to the message itself.

If the server rejects a recipient, the others still get their mail, and the rejected one is named.
"""

from __future__ import annotations

import contextlib
import enum
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import formatdate
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from obsctl.alerter.channels.channel import SECRET, ChannelOptions, Resolve
from obsctl.alerter.channels.http import trusting
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.messages.message import Message
from obsctl.core.deadline import Deadline
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, redact
from obsctl.core.settings import Port

#: Nothing but ASCII on the wire: no server needs to offer 8BITMIME or SMTPUTF8.
_PLAIN = policy.SMTP.clone(cte_type="7bit")
#: Time limits in seconds: for connecting, and for the rest up to the answer after DATA.
_CONNECT_S = 5.0
_TOTAL_S = 15.0


#: The ports on which servers expect TLS from the first byte, and on which they offer STARTTLS.
_IMPLICIT_PORT, _SUBMISSION_PORT = 465, 587


class Tls(enum.StrEnum):
    """How the connection is encrypted."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


class _Client(smtplib.SMTP):
    """The library's client on a connection that ends at the deadline.

    Args:
        host: the server; its certificate has to be for this name.
        deadline: of the connection.
        context: for TLS from the first byte; None begins unencrypted.
        reached: called when a step of connecting begins.
    """

    def __init__(
        self, host: str, deadline: Deadline, context: ssl.SSLContext | None, reached: Callable[[str], None]
    ) -> None:
        self._deadline = deadline
        self._context = context
        self._reached = reached
        super().__init__()
        # STARTTLS checks the certificate for this name; the library sets it only if it connects by itself.
        self._host = host

    def _get_socket(self, host: str, port: int, _timeout: float) -> socket.socket:
        line = self._deadline.connect(host, port, at_most_s=_CONNECT_S)
        if self._context is not None:
            self._reached("the TLS handshake")
            line = self._context.wrap_socket(line, server_hostname=host)
        self._reached("the greeting")
        return line


@dataclass
class _Talk:
    """How far an SMTP session got.

    Attributes:
        where: host and port.
        step: the command that was sent last; empty before the server was reached.
    """

    where: str
    step: str = ""

    def reached(self, step: str) -> None:
        """Record that the session got this far."""
        self.step = step

    def broken(self, why: str) -> Delivery:
        """Return the outcome when the session ends here without an answer."""
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
                f"{self.where}: {why} after DATA; the mail may or may not have been accepted",
                "check the mailbox before sending again; the alerter itself resends it and marks it as a "
                "possible duplicate",
            )
        return Delivery(
            Verdict.UNREACHABLE,
            "",
            f"{self.where}: {why} at {self.step}",
            "check port and tls: 465 is usual with tls: implicit, 587 with tls: starttls, 25 with either or none",
        )


class SmtpOptions(ChannelOptions, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="smtp"):
    """A mail server that relays to the recipients."""

    host: Annotated[str, Meta(description="The mail server.")]
    sender: Annotated[str, Meta(description="Address of the sender, NAME@DOMAIN.")]
    recipients: Annotated[tuple[str, ...], Meta(min_length=1, description="Addresses of the recipients, NAME@DOMAIN.")]
    port: Annotated[Port, Meta(description="Its TCP port: 25, 465, 587 or another.")] = 25
    tls: Annotated[
        Tls | None,
        Meta(
            description="How the connection is encrypted and the server's certificate checked: implicit is TLS from "
            "the first byte; by default implicit on port 465, starttls on 587, none on others."
        ),
    ] = None
    ca_file: Annotated[
        str,
        Meta(description="CA certificates (PEM) to trust instead of this machine's, a path on the host that sends."),
    ] = ""
    username: Annotated[str, Meta(description="Account at the mail server (ASCII); empty for none.")] = ""
    password: Annotated[str, Meta(description="Its password (ASCII, only with TLS), as a reference.", extra=SECRET)] = (
        ""
    )

    delivered: ClassVar[str] = "250 after DATA; recipients that the server rejected are named"

    @property
    def encryption(self) -> Tls:
        """How the connection is encrypted, by the option or by the port."""
        by_port = {_IMPLICIT_PORT: Tls.IMPLICIT, _SUBMISSION_PORT: Tls.STARTTLS}
        return self.tls if self.tls is not None else by_port.get(self.port, Tls.NONE)

    def open(self, resolve: Resolve) -> Smtp:
        """Check the addresses and read the password."""
        for address in (self.sender, *self.recipients):
            if not _is_plain(address):
                raise ConfigError(
                    f"alert channel {self.name}: {address!r} is not an address that every mail server accepts",
                    hint="write NAME@DOMAIN in ASCII, without spaces and without the person's name",
                )
        if not _is_host(self.host):
            raise ConfigError(f"alert channel {self.name}: {self.host!r} is not a host name or address")
        if bool(self.username) != bool(self.password):
            raise ConfigError(f"alert channel {self.name}: username and password must be given together")
        if self.password and self.encryption is Tls.NONE:
            raise ConfigError(
                f"alert channel {self.name}: the password would be sent unencrypted",
                hint="set tls: starttls (or implicit), or leave username and password out",
            )
        password = resolve(self.password) if self.password else None
        for part, value in (("username", self.username), ("password", password.reveal() if password else "")):
            if not value.isascii():
                raise ConfigError(
                    f"alert channel {self.name}: the {part} contains non-ASCII characters, which not every mail "
                    "server accepts",
                    hint="choose another one for the mail account",
                )
        return Smtp(self, password, trusting(self.ca_file, f"alert channel {self.name}"))


class Smtp:
    """A mail server that relays to the recipients.

    Args:
        options: checked.
        password: for AUTH; None sends none.
        context: which certificates are trusted.
    """

    def __init__(self, options: SmtpOptions, password: Secret | None, context: ssl.SSLContext) -> None:
        self._options = options
        self._context = context
        self._password = password

    def mail(self, message: Message) -> EmailMessage:
        """Return the mail that is sent."""
        mail = EmailMessage(policy=_PLAIN)
        mail["From"] = self._options.sender
        mail["To"] = ", ".join(self._options.recipients)
        keyword = f"{self._options.keyword} " if self._options.keyword else ""
        mail["Subject"] = f"{keyword}{message.title}"
        mail["Date"] = formatdate(localtime=False)
        # The same id if the message is sent again, so that mail programs show only one of the two.
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
            "tls": self._options.encryption.value,
            "login": "***" if self._options.username else "",
            "headers": dict(mail.items()),
            "body": mail.get_content(),
        }

    def send(self, message: Message) -> Delivery:
        """Hand the mail to the server once and judge its answers."""
        talk = _Talk(f"{self._options.host}:{self._options.port}")
        try:
            implicit = self._context if self._options.encryption is Tls.IMPLICIT else None
            deadline = Deadline(_TOTAL_S)
            client = _Client(self._options.host, deadline, implicit, talk.reached)
            with deadline, contextlib.closing(client):
                return self._converse(client, talk, message)
        except TimeoutError:
            return talk.broken(f"no answer within {_TOTAL_S:g} s")
        except smtplib.SMTPResponseException as error:
            return _answered(talk.where, talk.step, error.smtp_code, _text(error.smtp_error))
        except ssl.SSLError as error:
            hint = (
                "check the server's certificate, the CA certificates (this machine's, or the channel's ca_file) and "
                "this machine's clock"
            )
            if error.reason in ("WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE"):
                hint = "the server does not use implicit TLS on this port: set tls: starttls, or port: 465"
            return Delivery(Verdict.UNREACHABLE, "", f"{talk.where}: no trusted TLS connection", hint)
        except smtplib.SMTPNotSupportedError:
            return Delivery(
                Verdict.REFUSED,
                "",
                f"{talk.where} does not offer {talk.step}",
                "check port and tls, and whether the server requires a login there",
            )
        except (OSError, smtplib.SMTPException):
            return talk.broken("the connection broke")

    def _converse(self, client: smtplib.SMTP, talk: _Talk, message: Message) -> Delivery:
        code, said = client.connect(self._options.host, self._options.port)
        if code != 220:
            return _answered(talk.where, talk.step, code, _text(said))
        talk.step = "EHLO"
        client.ehlo_or_helo_if_needed()
        if self._options.encryption is Tls.STARTTLS:
            talk.step = "STARTTLS"
            client.starttls(context=self._context)
            client.ehlo()
        if self._options.username and self._password is not None:
            talk.step = "AUTH"
            client.login(self._options.username, self._password.reveal())
        talk.step = "MAIL FROM"
        code, said = client.docmd(f"MAIL FROM:<{self._options.sender}>")
        if code // 100 != 2:
            return _answered(talk.where, talk.step, code, _text(said))
        talk.step = "RCPT TO"
        refused = self._name_recipients(client)
        if len(refused) == len(self._options.recipients):
            # As long as one recipient may be accepted later, the mail is retried.
            code, said = next((answer for answer in refused.values() if answer[0] < 500), next(iter(refused.values())))
            return _answered(talk.where, talk.step, code, _text(said))
        talk.step = "DATA"
        code, said = client.data(self.mail(message).as_bytes())
        if code != 250:
            return _answered(talk.where, "DATA", code, _text(said))
        # The server has accepted the mail; its answer to QUIT does not matter.
        if not refused:
            return Delivery(Verdict.DELIVERED, "250", f"{talk.where}: 250 after DATA")
        named = ", ".join(f"{who} ({code} {_text(said)})" for who, (code, said) in refused.items())
        return Delivery(
            Verdict.DELIVERED,
            "250",
            f"{talk.where}: 250 after DATA, but the server rejected {named}",
            f"{' and '.join(refused)} did not get the mail: correct the channel's recipients, or ask whether the "
            "mailbox exists",
        )

    def _name_recipients(self, client: smtplib.SMTP) -> dict[str, tuple[int, bytes]]:
        """Send RCPT for every recipient and return the server's answers about those that it rejects."""
        answers = {address: client.docmd(f"RCPT TO:<{address}>") for address in self._options.recipients}
        return {address: (code, said) for address, (code, said) in answers.items() if code // 100 != 2}


def _answered(where: str, step: str, code: int, said: str) -> Delivery:
    summary = f"{where} answered {code} to {step}: {said!r}"
    if 400 <= code < 500:
        return Delivery(
            Verdict.DEFERRED,
            str(code),
            summary,
            "the server may accept it later (greylisting, or an internal error): try again in a few minutes",
        )
    hints = {
        "AUTH": "check username and password",
        "MAIL FROM": "the server rejects this sender: check sender, and whether the server requires a login",
        "RCPT TO": "the server rejects this recipient: check recipients, and whether the server requires a login",
    }
    return Delivery(
        Verdict.REFUSED, str(code), summary, hints.get(step, "the server rejects the mail: its text says why")
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
