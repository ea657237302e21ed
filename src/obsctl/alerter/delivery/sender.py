"""One thread for each channel: it takes what is due from the outbox, tries once, and stores the outcome.

The messages of a pool are spread over its robots; the outbox decides whose turn it is.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing

from obsctl.alerter.channels.channel import ChannelOptions, Resolve
from obsctl.alerter.channels.outcome import Attempts, Delivery, attempted
from obsctl.alerter.delivery.history_of_attempt import carried, of_attempt
from obsctl.alerter.history.records import GivenUp
from obsctl.alerter.messages.templates import Templates
from obsctl.alerter.state import outbox
from obsctl.alerter.state.changelog import LeadershipLostError
from obsctl.alerter.state.outbox import DeadLetters, Pace, Parcel
from obsctl.alerter.state.state_file import State
from obsctl.alerter.state.transaction import Connection, note, transaction

LOG = logging.getLogger(__name__)

#: How often the outbox is checked without being woken, seconds.
_LOOK_EVERY_S = 5.0


class Sender(threading.Thread):
    """Delivers one channel's messages.

    Args:
        channel: where to, and how often.
        state: holds the outbox.
        resolve: reads the channel's secrets, again for each attempt: a changed secret needs no restart.
        on_failure: called with the reason when the thread cannot go on.
        templates: of the digest, and of the mark of a possible repetition.
    """

    def __init__(
        self,
        channel: ChannelOptions,
        state: State,
        resolve: Resolve,
        on_failure: Callable[[Exception], None],
        templates: Templates,
    ) -> None:
        super().__init__(name=f"channel {channel.name}", daemon=True)
        self.channel = channel
        self.pace = Pace()
        self.dead = DeadLetters()
        self.attempts = Attempts()
        self._robots = {robot.name: robot for robot in channel.each_robot()}
        self._state = state
        self._resolve = resolve
        self._templates = templates
        self._on_failure = on_failure
        self._wake = threading.Event()
        self._stopping = False

    def wake(self) -> None:
        """Wake the thread: the outbox has new messages."""
        self._wake.set()

    def stop(self) -> None:
        """End after the attempt that is under way."""
        self._stopping = True
        self._wake.set()

    def run(self) -> None:
        """Deliver until stopped."""
        try:
            with closing(self._state.connect()) as connection:
                while not self._stopping:
                    self._wake.clear()
                    wait_s = self._turn(connection)
                    if wait_s > 0:
                        self._wake.wait(wait_s)
        except Exception as error:
            # A restart is better than a channel that has stopped unnoticed.
            if not isinstance(error, LeadershipLostError):
                LOG.exception("a channel's thread failed", extra={"channel": self.channel.name})
            self._on_failure(error)

    def _turn(self, connection: Connection) -> float:
        """Send what is due and return for how long nothing else will be due, seconds."""
        name = self.channel.name
        now = time.time()
        with transaction(connection):
            parcel = outbox.claim(
                connection,
                name,
                self.channel.per_minute,
                now,
                self._templates,
                robots=tuple(self._robots),
                gap_s=self.channel.gap_s,
            )
            self.pace = outbox.pace(connection, name, tuple(self._robots))
            self.dead = outbox.dead_letters(connection, name, now)
        if not isinstance(parcel, Parcel):
            return min(max(parcel - now, 0.05), _LOOK_EVERY_S)
        began = time.monotonic()
        delivery = self._attempt(parcel)
        took_s, now = time.monotonic() - began, time.time()
        with transaction(connection):
            note(connection, [of_attempt(connection, name, parcel, delivery, took_s=took_s, now=now)])
            pace = outbox.settle(connection, name, parcel, delivery, now, robots=tuple(self._robots))
            buried = outbox.bury(connection, name, now)
            note(connection, [GivenUp(at=now, channel=name, message=carried(message)) for message in buried])
        # The health page shows a message as delivered only when that is committed.
        self.pace = pace
        self.attempts.add(delivery)
        self._log(parcel, delivery)
        for message in buried:
            LOG.error(
                "a message is abandoned: the vendor has refused it for a day",
                extra={"channel": name, "title": message.title, "result": delivery.summary, "hint": delivery.hint},
            )
        return 0.0

    def _attempt(self, parcel: Parcel) -> Delivery:
        delivery = self._send(parcel)
        if len(self._robots) > 1:
            delivery = dataclasses.replace(delivery, summary=f"robot {parcel.robot}: {delivery.summary}")
        return delivery

    def _send(self, parcel: Parcel) -> Delivery:
        return attempted(lambda: self._robots[parcel.robot].open(self._resolve).send(parcel.message))

    def _log(self, parcel: Parcel, delivery: Delivery) -> None:
        about = {"channel": self.channel.name, "title": parcel.message.title, "result": delivery.summary}
        if delivery.delivered and not delivery.hint:
            LOG.info("message delivered", extra=about)
            return
        if delivery.delivered:
            LOG.warning("message delivered, but not to everybody", extra=about | {"hint": delivery.hint})
            return
        LOG.log(
            logging.ERROR if delivery.verdict.permanent else logging.WARNING,
            "message not delivered",
            extra=about
            | {
                "verdict": delivery.verdict.value,
                "waiting": self.pace.waiting,
                "next_try_s": round(max(0.0, self.pace.next_try - time.time())),
                "hint": delivery.hint,
            },
        )
