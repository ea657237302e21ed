"""Stage 4: alerts that people silenced are not sent."""

from __future__ import annotations

from collections.abc import Sequence

from obsctl.alerter.notify.filters import Filter
from obsctl.alerter.notify.silences import Silence, SilenceState
from obsctl.alerter.notify.turn import Stage, Turn
from obsctl.core.errors import ConfigError


class Silencing(Stage):
    """Holds alerts back while a silence is in force."""

    name = "silence"

    def __init__(self) -> None:
        self._known: Sequence[Silence] | None = None
        self._active: dict[str, Filter] = {}
        #: The earliest time at which another silence begins or ends.
        self._next_change = float("inf")
        self._filters: dict[tuple[str, str], Filter | None] = {}

    def wake(self, turn: Turn) -> None:
        """Judge again the alerts that were held back by silences that have ended."""
        if turn.silences is self._known and turn.now < self._next_change:
            return
        before = self._active
        self._known = turn.silences
        self._active = {}
        current = [silence for silence in turn.silences if silence.state(turn.now) is not SilenceState.ENDED]
        self._filters = {(silence.id, silence.filter): self._filter(turn, silence) for silence in current}
        for silence in current:
            found = self._filters[silence.id, silence.filter]
            if found is not None and silence.state(turn.now) is SilenceState.ACTIVE:
                self._active[silence.id] = found
        self._next_change = min(
            (silence.starts if turn.now < silence.starts else silence.ends for silence in current),
            default=float("inf"),
        )
        for silence_id in before:
            if silence_id not in self._active:
                turn.release(self.name, silence_id)

    def run(self, turn: Turn) -> None:
        """Hold back silenced alerts."""
        if not self._active:
            return
        for member in list(turn.moving.values()):
            for silence_id, fits in self._active.items():
                if fits(member.alert):
                    turn.park(member, self.name, silence_id)
                    break

    def _filter(self, turn: Turn, silence: Silence) -> Filter | None:
        known = (silence.id, silence.filter)
        if known in self._filters:
            return self._filters[known]
        try:
            return turn.plan.read(silence.filter)
        except ConfigError as error:
            # The filter uses a label that no rule has any more. Silencing too little is better than too much.
            turn.problems.append(
                f"the silence {silence.id} suppresses nothing, because its filter cannot be read: {error}"
            )
            return None
