"""What chat robots share: codes with their hints, bodies limited in bytes, mentions, pools of robots."""

from __future__ import annotations

import abc
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeVar
from urllib.parse import quote_plus, urlencode

import msgspec
from msgspec import Meta, Struct

from obsctl.alerter.alerts import Level
from obsctl.alerter.channels import http
from obsctl.alerter.channels.channel import SECRET, Channel, ChannelOptions, Resolve
from obsctl.alerter.channels.http import Answer, Endpoint, HttpOptions, out_of_order, redirected
from obsctl.alerter.channels.outcome import Delivery, Verdict
from obsctl.alerter.channels.web_address import masked
from obsctl.alerter.messages.message import Kind, Message
from obsctl.core.errors import ConfigError
from obsctl.core.secrets import Secret, redact

#: Vendors refuse a signature whose time differs from theirs by more than this, seconds.
CLOCK_TOLERANCE_S = 3600
#: Longest title, which is shown in notifications; the body repeats it in full.
_TITLE_BYTES = 400
#: The shortest useful length of a cut text.
_LEAST_TEXT_BYTES = 300
#: Characters of a token, for all vendors; a whole URL does not match.
_TOKEN = re.compile(r"[A-Za-z0-9_./-]+\Z")

IN_GROUP = "the group may have been dissolved or the robot removed: create a robot in the group and copy its token"


class PoolRobot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One robot of a pool."""

    token: Annotated[str, Meta(description="Its token, as a reference.", extra=SECRET)]
    secret: Annotated[str, Meta(description="Its signing secret, as a reference.", extra=SECRET)] = ""


class RobotOptions(HttpOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of every chat robot."""

    # None: no secret. An empty one came from a variable whose value the control node does not see.
    token: Annotated[str | None, Meta(description="The robot's token, as a reference.", extra=SECRET)] = None
    robots: Annotated[
        tuple[PoolRobot, ...],
        Meta(
            description="Several robots of the same group instead of token: each sends up to per_minute messages, and "
            "one that is throttled or refused pauses while the others continue."
        ),
    ] = ()
    at_user_ids: Annotated[tuple[str, ...], Meta(description="Ids of the people to mention.")] = ()
    at_severities: Annotated[tuple[Level, ...], Meta(description="Severities whose messages mention these people.")] = (
        Level.CRITICAL,
    )
    at_all: Annotated[tuple[Level, ...], Meta(description="Severities whose messages mention everybody.")] = ()

    #: Whether robots of this vendor can be secured by a signature.
    signs: ClassVar[bool] = False
    #: The vendor's name for the token, and where to find it.
    found_at: ClassVar[str] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.token is not None) == bool(self.robots):
            raise ValueError("give either token, or robots for a pool")
        if getattr(self, "secret", "") and self.robots:
            raise ValueError("with a pool, put the secrets into robots")
        if any(robot.secret for robot in self.robots) and not self.signs:
            raise ValueError("robots[] takes no secret: this vendor's robots are not signed")

    def each_robot(self) -> tuple[ChannelOptions, ...]:
        """Return each robot of the pool as a channel of its own; without a pool, only this channel."""
        return tuple(
            msgspec.structs.replace(
                self,
                name=f"{self.name}#{number}",
                token=robot.token,
                robots=(),
                **({"secret": robot.secret} if self.signs else {}),
            )
            for number, robot in enumerate(self.robots, 1)
        ) or (self,)

    def open(self, resolve: Resolve) -> Channel:
        """Read token and secret; of a pool read those of all robots, and return the first robot."""
        if self.robots:
            first, *_ = [robot.open(resolve) for robot in self.each_robot()]
            return first
        self.check_url()
        token = resolve(self.token or "")
        if not _TOKEN.match(token.reveal()):
            raise ConfigError(
                f"alert channel {self.name}: {token.reference} contains no token",
                hint=f"give only {self.found_at}, on one line, without the rest of the address",
            )
        reference = getattr(self, "secret", "")
        return self.robot(self.endpoint(), token, resolve(reference) if reference else None)

    def check_url(self) -> None:
        """Refuse a url that holds what belongs in ``token``.

        Raises:
            ConfigError: it does.
        """

    def robot(self, endpoint: Endpoint, token: Secret, secret: Secret | None) -> Channel:
        """Return the robot."""
        raise NotImplementedError

    def mentioned(self, message: Message) -> tuple[str, ...]:
        """Return the ids and numbers of those who are mentioned; ``all`` is everybody."""
        people, everybody = self.mentions(message)
        named = (*self.at_user_ids, *getattr(self, "at_mobiles", ())) if people else ()
        return (*named, "all") if everybody else named

    def mentions(self, message: Message) -> Mention:
        """Return who is mentioned: people are mentioned when a problem starts or goes on, not when it has ended."""
        severity = message.facts.get("severity")
        if message.kind is Kind.RESOLVED or severity not in set(Level):
            return Mention(people=False, everybody=False)
        return Mention(people=severity in self.at_severities, everybody=severity in self.at_all)


class Mention(NamedTuple):
    """Who is mentioned.

    Attributes:
        people: those whom the channel names.
        everybody: the whole group.
    """

    people: bool
    everybody: bool


class Known(NamedTuple):
    """One of the vendor's codes, and how it is handled.

    Attributes:
        code: as the vendor writes it.
        verdict: the outcome.
        hint: what to do about it.
        said: texts in lower case, one of which must be in the vendor's answer; empty for any answer.
        too_long: the vendor finds the message too long; it is shortened and sent once more.
        signature: the signature is or may be wrong, perhaps because of this host's clock.
        unsigned: the hint where the channel has no secret.
    """

    code: str
    verdict: Verdict
    hint: str
    said: tuple[str, ...] = ()
    too_long: bool = False
    signature: bool = False
    unsigned: str = ""


@dataclass(frozen=True)
class Said:
    """What a vendor answered.

    Attributes:
        code: its code.
        text: its message.
        success: whether the code is the one of success.
        name: what the vendor calls its code, for people.
    """

    code: str
    text: str
    success: bool
    name: str


Options = TypeVar("Options", bound=RobotOptions)


class Robot(abc.ABC, Generic[Options]):
    """A chat robot: posts, judges the vendor's code, and shortens once what the vendor finds too long.

    Args:
        options: the channel's.
        endpoint: the robot's address without its token.
        token: identifies the robot to the vendor.
        secret: signs the requests; None for robots that are not secured by a signature.
    """

    #: The vendor's name.
    vendor: ClassVar[str]
    #: Where to find the vendor's robots, for people.
    address: ClassVar[str]
    #: The vendor's codes; the first match counts.
    known: ClassVar[tuple[Known, ...]]
    #: Where people can look up an unknown code.
    elsewhere: ClassVar[str]
    #: The longest message that the vendor accepts, bytes.
    limit: ClassVar[int]

    def __init__(self, options: Options, endpoint: Endpoint, token: Secret, secret: Secret | None) -> None:
        self._options = options
        self._endpoint = endpoint
        self._token = token
        self._secret = secret

    @abc.abstractmethod
    def frame(self, message: Message, text: str) -> dict[str, Any]:
        """Return the body that carries the text, without a signature."""

    @abc.abstractmethod
    def text(self, message: Message, room: int) -> str:
        """Return the message's text, limited to a number of bytes, counted as :meth:`frame` encodes it."""

    @abc.abstractmethod
    def read(self, answer: Answer) -> Said | None:
        """Return the vendor's answer; None where the body is not one of that vendor's answers."""

    def path(self, token: str) -> str:
        """Return what follows the url's path."""
        del token
        return ""

    def query(self, token: str) -> list[tuple[str, str]]:
        """Return what is added to the url's query, not yet encoded."""
        del token
        return []

    def signed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body with its signature, for vendors that want it there."""
        return body

    def room(self, message: Message, limit: int) -> int:
        """Return how many bytes the text may have if the vendor limits the size of the whole body."""
        return limit - len(msgspec.json.encode(self.signed(self.frame(message, ""))))

    def payload(self, message: Message, limit: int | None = None) -> dict[str, Any]:
        """Return the body that is posted, without a signature, shortened to the vendor's limit or to a smaller one."""
        return self.frame(message, self.text(message, self.room(message, limit or self.bound(message))))

    def bound(self, message: Message) -> int:
        """Return the limit for this message, bytes."""
        del message
        return self.limit

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do, without any secret."""
        url = masked(self._endpoint.url)
        query = "&".join(f"{key}=***" for key, _ in self.query(""))
        if query:
            url += ("&" if "?" in url else "?") + query
        return {"method": "POST", "url": url, "body": dict.fromkeys(self.signed({}), "***") | self.payload(message)}

    def send(self, message: Message) -> Delivery:
        """Post the message and judge the vendor's answer; if it is too long for the vendor, post it shortened."""
        begun, limit = time.monotonic(), self.bound(message)
        delivery, too_long = self._once(message, limit, http.TOTAL_TIMEOUT_S)
        half = min(limit, len(msgspec.json.encode(self.payload(message)))) // 2
        if too_long and self.room(message, half) >= _LEAST_TEXT_BYTES:
            left = max(0.1, http.TOTAL_TIMEOUT_S - (time.monotonic() - begun))
            delivery, _ = self._once(message, half, left)
        return delivery

    def _once(self, message: Message, limit: int, within_s: float) -> tuple[Delivery, bool]:
        """Return the outcome, and whether the vendor finds the message too long."""
        token = self._token.reveal()
        answer = self._endpoint.post(
            msgspec.json.encode(self.signed(self.payload(message, limit))),
            path=self.path(token),
            # Each value is encoded once; a signature that is encoded twice is refused.
            query=urlencode(self.query(token), quote_via=quote_plus),
            within_s=within_s,
        )
        if isinstance(answer, Delivery):
            return answer, False
        where = self._endpoint.where
        other = redirected(answer, where) or out_of_order(answer, where)
        if other is not None:
            return other, False
        said = self.read(answer)
        if said is None:
            return (
                Delivery(
                    Verdict.REFUSED,
                    str(answer.status),
                    f"{where} answered HTTP {answer.status}, which is not how a {self.vendor} robot answers",
                    f"check the url: the robot's address is {self.address}",
                ),
                False,
            )
        return self._judge(said, answer)

    def _judge(self, said: Said, answer: Answer) -> tuple[Delivery, bool]:
        where = self._endpoint.where
        if said.success:
            return Delivery(Verdict.DELIVERED, said.code, f"{where}: {said.name} {said.code}"), False
        code = redact(said.code)[:80]
        summary = f"{where}: {said.name} {code}" + (f", {redact(said.text)[:200]!r}" if said.text else "")
        known = self.find(said)
        if known is None:
            return Delivery(Verdict.REFUSED, code, summary, f"look up the code: {self.elsewhere}"), False
        hint, skew = known.hint, answer.clock_skew_s
        if known.signature and skew is not None and abs(skew) > CLOCK_TOLERANCE_S:
            hint = f"the signature is out of date: this machine's clock is {-skew:+.0f} s off; set it"
        elif known.unsigned and self._secret is None:
            hint = known.unsigned
        return Delivery(known.verdict, code, summary, hint, answer.retry_after_s), known.too_long

    @classmethod
    def find(cls, said: Said) -> Known | None:
        """Return the table's entry for the vendor's answer."""
        text = said.text.lower()
        for known in cls.known:
            if known.code == said.code and (not known.said or any(word in text for word in known.said)):
                return known
        return None


def on_the_wire(text: str) -> int:
    """Return the bytes of a text as JSON, without its quotes."""
    return len(msgspec.json.encode(text)) - 2


def in_utf8(text: str) -> int:
    """Return the bytes of a text."""
    return len(text.encode())


def title_of(message: Message) -> str:
    """Return the message's title, short enough for a field of its own."""
    return bounded([message.title], [], room=_TITLE_BYTES, size=on_the_wire, notice="…")


def bounded(
    parts: Sequence[str],
    tail: Sequence[str],
    *,
    room: int,
    size: Callable[[str], int],
    separator: str = "\n",
    notice: str,
) -> str:
    """Return the parts, cut between two characters if they do not fit, followed by the whole tail.

    Args:
        parts: the text.
        tail: what must not be cut: the keyword that the vendor requires, the mentions.
        room: limit of the whole text, bytes.
        size: counts the bytes of a text.
        separator: stands between the parts.
        notice: is added where the text was cut.
    """
    whole = separator.join((*parts, *tail))
    if size(whole) <= room:
        return whole
    text = separator.join(parts)

    def first(count: int) -> str:
        return separator.join((text[:count] + notice, *tail))

    least, most = 0, len(text)
    while least < most:
        count = (least + most + 1) // 2
        least, most = (count, most) if size(first(count)) <= room else (least, count - 1)
    return first(least)
