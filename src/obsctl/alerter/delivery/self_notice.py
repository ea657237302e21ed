"""The notice that an alerter cannot work: the only message that needs neither Kafka nor the alerter's state.

Every other message is a decision that the active alerter has written to Kafka first. When Kafka is down, no line can
be read and no decision written, which must not look as if all was well. So each alerter, also a standby, sends a
notice when it cannot work, and another one when it works again. It records what it sent in a small file on the host,
so that a restart repeats nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from obsctl.alerter.alerts import Level
from obsctl.alerter.channels.channel import ChannelOptions, Resolve
from obsctl.alerter.channels.outcome import Delivery, Verdict, attempted
from obsctl.alerter.messages.message import Kind, Message, utc
from obsctl.alerter.messages.printable import visible
from obsctl.alerter.messages.template_variables import NoticeView
from obsctl.alerter.messages.templates import Templates

LOG = logging.getLogger(__name__)

#: How long a trouble lasts before a notice is sent (seconds): a rolling restart of the brokers or a booting host is
#: none.
WAIT_S = 120.0
#: The notice is repeated after this time; each further wait is twice the one before (seconds).
REPEAT_S = 3600.0
#: A channel that did not deliver it is tried again after this time (seconds).
RETRY_S = 60.0
_LOOK_EVERY_S = 5.0


class _Said(msgspec.Struct):
    """How many notices a channel was sent about one trouble, and when the last one (seconds since the epoch)."""

    times: int = 0
    at: float = 0.0


class _Trouble(msgspec.Struct):
    """A time in which the alerter could not work; times are seconds since the epoch, ``ended`` is 0 while it lasts."""

    since: float
    reason: str
    ended: float = 0.0
    said: dict[str, _Said] = {}


class Notices:
    """Decides which notices each channel gets; has no clock and no network.

    Args:
        path: of the file that records what was sent.
        member: name of this alerter.
        channels: names of the channels.
        templates: of the messages.
    """

    def __init__(self, path: Path, member: str, channels: Iterable[str], templates: Templates) -> None:
        self._path = path
        self._member = member
        self._channels = tuple(channels)
        self._templates = templates
        self._trouble = _load(path)
        self._not_before: dict[str, float] = {}

    def look(self, reason: str, now: float) -> None:
        """Record whether the alerter can work.

        Args:
            reason: why it cannot; empty when it can.
            now: seconds since the epoch.
        """
        trouble = self._trouble
        if reason and (trouble is None or trouble.ended):
            said = trouble.said if trouble is not None else {}
            self._keep(_Trouble(since=trouble.since if said and trouble else now, reason=reason, said=said))
        elif reason and trouble is not None:
            trouble.reason = reason
        elif trouble is not None and not trouble.ended:
            trouble.ended = now
            self._keep(trouble if trouble.said else None)

    def due(self, now: float) -> Iterator[tuple[str, Message]]:
        """Yield the notices to send now, each with its channel's name."""
        trouble = self._trouble
        if trouble is None or (not trouble.ended and now - trouble.since < WAIT_S):
            return
        for channel in self._channels:
            said = trouble.said.get(channel, _Said())
            wait_s = REPEAT_S * 2 ** (said.times - 1) if said.times else 0.0
            wanted = said.times > 0 if trouble.ended else now - said.at >= wait_s
            if wanted and now >= self._not_before.get(channel, 0.0):
                yield channel, self._message(trouble, said.times)

    def sent(self, channel: str, delivery: Delivery, now: float) -> None:
        """Record the outcome of a notice."""
        trouble = self._trouble
        if trouble is None:
            return
        # A notice without an answer may have arrived, and it will be repeated anyway.
        if not delivery.delivered and delivery.verdict is not Verdict.UNKNOWN:
            self._not_before[channel] = now + RETRY_S
            return
        if trouble.ended:
            trouble.said.pop(channel, None)
        else:
            trouble.said[channel] = _Said(trouble.said.get(channel, _Said()).times + 1, now)
        self._keep(trouble if trouble.said or not trouble.ended else None)

    def _message(self, trouble: _Trouble, times: int) -> Message:
        kind = Kind.RESOLVED if trouble.ended else Kind.REPEAT if times else Kind.FIRING
        view = NoticeView(
            kind=kind.value,
            member=visible(self._member),
            reason=visible(trouble.reason),
            since=trouble.since,
            over_at=trouble.ended,
        )
        thread = f"alerter-{self._member}-{int(trouble.since):x}"
        return Message(
            id=f"{thread}-{times}{'-end' if trouble.ended else ''}",
            thread=thread,
            kind=kind,
            title=self._templates.line("notice_title", view),
            lines=self._templates.lines("notice_body", view),
            cut=self._templates.line("cut"),
            facts={
                "severity": Level.CRITICAL.value,
                "alerter": self._member,
                "reason": trouble.reason,
                "since": utc(trouble.since),
                **({"ended_at": utc(trouble.ended)} if trouble.ended else {}),
            },
        )

    def _keep(self, trouble: _Trouble | None) -> None:
        self._trouble = trouble
        try:
            if trouble is None:
                self._path.unlink(missing_ok=True)
                return
            new = self._path.with_name(f"{self._path.name}.new")
            new.write_bytes(msgspec.json.encode(trouble))
            new.replace(self._path)
        except OSError as error:
            # A full disk may be the reason why the alerter cannot work; then a restart may repeat the notice.
            LOG.warning(
                "the notices that were sent cannot be saved", extra={"file": str(self._path), "error": error.strerror}
            )


class Watch(threading.Thread):
    """Checks the alerter every few seconds, and sends the notices.

    Args:
        notices: decides.
        channels: all of them.
        resolve: reads their secrets.
        look: returns why the alerter cannot work; empty when it can.
    """

    def __init__(
        self, notices: Notices, channels: Iterable[ChannelOptions], resolve: Resolve, look: Callable[[], str]
    ) -> None:
        super().__init__(name="notices", daemon=True)
        self._notices = notices
        self._channels = {channel.name: channel for channel in channels}
        self._resolve = resolve
        self._look = look
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    def run(self) -> None:
        """Check until stopped."""
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self._turn()
            except Exception:
                # No other message reports that this alerter cannot work.
                LOG.exception("sending notices failed; it is retried soon")

    def _turn(self) -> None:
        self._notices.look(self._look(), time.time())
        for name, message in list(self._notices.due(time.time())):
            delivery = self._send(self._channels[name], message)
            LOG.log(
                logging.INFO if delivery.delivered else logging.ERROR,
                message.title,
                extra={"channel": name, "result": delivery.summary, "hint": delivery.hint},
            )
            self._notices.sent(name, delivery, time.time())

    def _send(self, channel: ChannelOptions, message: Message) -> Delivery:
        delivery = Delivery(Verdict.UNREACHABLE, "", "the channel has no robot")
        for robot in channel.each_robot():
            # An unexpected error counts as a failed attempt, which is retried: no other message reports the trouble.
            delivery = attempted(partial(self._try, robot, message), on_bug=Verdict.REFUSED)
            if delivery.delivered:
                break
        return delivery

    def _try(self, robot: ChannelOptions, message: Message) -> Delivery:
        return robot.open(self._resolve).send(message)


def _load(path: Path) -> _Trouble | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Trouble)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        LOG.warning("the notices that were sent cannot be read", extra={"file": str(path), "error": str(error)})
        return None
