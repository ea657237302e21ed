"""Which alerts a route, an inhibition, a mute window or a silence matches."""

from __future__ import annotations

from collections.abc import Callable, Collection

from obsctl.alerter.alerts import Alert, Level
from obsctl.core.config_file import InvalidValueError
from obsctl.core.errors import ConfigError

#: Returns whether a filter matches an alert.
Filter = Callable[[Alert], bool]
#: Parses a text in the filter language; raises ConfigError (with a hint) if it is invalid.
ReadFilter = Callable[[str], Filter]

#: The fields that every alert has besides its labels.
FIELDS = ("rule", "kind", "severity", "incident")
#: The severities, from the least to the worst.
RANK = {level: rank for rank, level in enumerate(Level)}


def value(alert: Alert, field: str) -> str | None:
    """Return an alert's value for one of :data:`FIELDS` or for a label; None for a label that it does not have."""
    if field in FIELDS:
        return str(getattr(alert, field))
    return alert.labels.get(field)


def worst(levels: Collection[Level]) -> Level:
    """Return the worst of some severities."""
    return max(levels, key=RANK.__getitem__)


def compiled(text: str, severities: Collection[Level], key: str, read: ReadFilter) -> Filter:
    """Return the filter for a text and a list of severities; both must match, and an empty one always does.

    Args:
        text: in the filter language.
        severities: of the alerts.
        key: place of the text in the file, for errors.
        read: reads the text.

    Raises:
        InvalidValueError: the text is no filter.
    """
    parts: list[Filter] = []
    if severities:
        wanted = frozenset(severities)
        parts.append(lambda alert: alert.severity in wanted)
    if text:
        try:
            parts.append(read(text))
        except ConfigError as error:
            raise InvalidValueError(key, str(error), hint=error.hint) from None
    match parts:
        case []:
            return lambda _: True
        case [only]:
            return only
    return lambda alert: all(part(alert) for part in parts)
