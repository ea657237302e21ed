"""Stage 8: which channels get a notification, and which one also gets it if one of these cannot deliver."""

from __future__ import annotations

import msgspec

from obsctl.alerter.notify.filters import RANK
from obsctl.alerter.notify.memory import FailOver
from obsctl.alerter.notify.notification import name_of
from obsctl.alerter.notify.options import RouteOptions
from obsctl.alerter.notify.turn import PassOn, Stage, Suppressed, Turn


class Routing(Stage):
    """Gives each notification its channels.

    A channel that has been unable to deliver for ``fail_over_after_min`` keeps its messages and will deliver them
    later; meanwhile the channel ``fail_over`` gets them as well: those that are waiting, once, and each new one.
    """

    name = "route"

    def run(self, turn: Turn) -> None:
        """Set the notifications' channels."""
        helped = self._fail_overs(turn)
        routed = []
        for notification in turn.notifications:
            options = turn.plan.routes[notification.route].options
            if not options.channels:
                for alert in notification.alerts[:1]:
                    turn.suppressed.append(
                        Suppressed(
                            self.name,
                            options.name,
                            alert.rule,
                            alert.labels,
                            alert.incident,
                            options.name,
                            turn.now,
                            ended=notification.started,
                        )
                    )
                continue
            channels = (*options.channels, options.fail_over) if options.name in helped else options.channels
            routed.append(msgspec.structs.replace(notification, channels=channels))
        # The worst first, in case a channel's rate limit lets only some through.
        turn.notifications = sorted(routed, key=lambda notification: -RANK[notification.severity])

    def _fail_overs(self, turn: Turn) -> set[str]:
        """Return the names of the routes with a channel that cannot deliver."""
        memory, helped = turn.memory, set()
        current: dict[str, FailOver] = {}
        for route in turn.plan.routes.values():
            for channel in _unable(turn, route.options):
                entry_id = "f:" + name_of((route.options.name, channel, route.options.fail_over))
                current[entry_id] = FailOver(
                    id=entry_id, route=route.options.name, channel=channel, to=route.options.fail_over, since=turn.now
                )
                helped.add(route.options.name)
        for entry in list(memory.fail_overs.values()):
            if entry.id not in current:
                memory.forget_fail_over(entry)
        for entry in current.values():
            if entry.id not in memory.fail_overs:
                memory.add(entry)
                turn.pass_on.append(PassOn(entry.route, entry.channel, entry.to))
        return helped


def _unable(turn: Turn, options: RouteOptions) -> list[str]:
    if not options.fail_over:
        return []
    since = [(channel, turn.unable_since.get(channel)) for channel in options.channels]
    limit = options.fail_over_after_min * 60.0
    return [channel for channel, at in since if at is not None and turn.now - at >= limit]
