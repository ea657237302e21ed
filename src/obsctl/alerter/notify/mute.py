"""Stage 5: alerts that can wait are held during mute windows."""

from __future__ import annotations

from datetime import datetime, timedelta

from obsctl.alerter.notify.plan import MuteWindow
from obsctl.alerter.notify.turn import Stage, Turn


class Mute(Stage):
    """Holds alerts back during mute windows."""

    name = "mute"

    def __init__(self) -> None:
        self._active: dict[str, MuteWindow] = {}

    def wake(self, turn: Turn) -> None:
        """Judge again the alerts that were held back by windows that are over."""
        before = self._active
        self._active = {window.name: window for window in turn.plan.mute_windows if is_on(window, turn.now)}
        for name in before:
            if name not in self._active:
                turn.release(self.name, name)

    def run(self, turn: Turn) -> None:
        """Hold back the alerts that can wait."""
        if not self._active:
            return
        for member in list(turn.moving.values()):
            for window in self._active.values():
                if window.holds_back(member.alert):
                    turn.park(member, self.name, window.name)
                    break


def is_on(window: MuteWindow, now: float) -> bool:
    """Whether a time (seconds since the epoch) is within the window, by local time in its zone.

    When clocks are set forward the window loses that hour, when they are set back it has the hour twice.
    """
    local = datetime.fromtimestamp(now, window.zone)
    minute = local.hour * 60 + local.minute
    if window.begin < window.end:
        return local.weekday() in window.days and window.begin <= minute < window.end
    if minute >= window.begin:
        return local.weekday() in window.days
    # The part after midnight belongs to the previous day's window.
    return minute < window.end and (local - timedelta(days=1)).weekday() in window.days
