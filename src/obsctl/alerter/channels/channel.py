"""What all channels share: their common options, and what a channel can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Protocol

from msgspec import Meta, Struct

from obsctl.alerter.channels.outcome import Delivery
from obsctl.alerter.messages.message import Message
from obsctl.core.secrets import Secret

#: Reads a reference such as ``file:/path``; raises ConfigError.
Resolve = Callable[[str], Secret]

#: DingTalk accepts 20 messages a minute and blocks a robot for 10 minutes beyond that; this leaves a margin.
DEFAULT_PER_MINUTE = 18
#: The schema of a message as JSON, documented in docs/reference/alerting.md.
SCHEMA = "obsctl/alert/v1"
#: Marks an option whose value is a reference to a secret.
SECRET = {"secret": True}


class Channel(Protocol):
    """What delivers a message."""

    def send(self, message: Message) -> Delivery:
        """Try once to deliver; never raises an error because of what the other side does."""

    def preview(self, message: Message) -> dict[str, Any]:
        """Return what :meth:`send` would do, without any secret."""


class ChannelOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """A channel as configured, with its secrets still references; the fields are the options of alerter.yml."""

    name: Annotated[str, Meta(min_length=1, description="Name of the channel; must be unique.")]
    per_minute: Annotated[
        int, Meta(ge=2, description="Most attempts within any 60 seconds, at least 2 (one message and one digest).")
    ] = DEFAULT_PER_MINUTE
    keyword: Annotated[
        str, Meta(description="One line that is added to each text, for robots and filters that require it.")
    ] = ""

    #: Description of the option that names the type, for the documentation.
    tag_text: ClassVar[str] = "Where the messages go."
    #: What counts as a delivery, for the documentation.
    delivered: ClassVar[str] = ""
    #: The shortest time between two attempts, seconds: some vendors limit the rate by the second.
    gap_s: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if not self.keyword.isprintable():
            raise ValueError("keyword must be one line of printable text")

    @property
    def type(self) -> str:
        """The channel's ``type`` in alerter.yml."""
        return str(self.__struct_config__.tag)

    def each_robot(self) -> tuple[ChannelOptions, ...]:
        """Return the robots that the channel's messages are spread over; each has its own name and rate limit."""
        return (self,)

    def mentioned(self, message: Message) -> tuple[str, ...]:
        """Return the people whom a message mentions, by their ids at the vendor; ``all`` is everybody."""
        del message
        return ()

    def open(self, resolve: Resolve) -> Channel:
        """Read the secrets and return the channel.

        Raises:
            ConfigError: a secret cannot be read or an option cannot work.
        """
        raise NotImplementedError


def document(message: Message, keyword: str) -> dict[str, Any]:
    """Return the message as JSON for machines: the body of a webhook, the value of a Kafka record."""
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "id": message.id,
        "thread": message.thread or message.id,
        "kind": message.kind.value,
        "title": message.title,
        "text": "\n".join(message.lines),
        "facts": message.facts,
    }
    return body | ({"keyword": keyword} if keyword else {})
