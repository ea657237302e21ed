"""Times of log lines, as UTC text. Each second is parsed only once, because many lines have the same one.

A leap second, 23:59:60 in UTC, becomes 23:59:59.999: no store accepts a second 60, and so the line keeps its day and
sorts after those of the previous second.
"""

from __future__ import annotations

import datetime
import re
import zoneinfo

from obsctl.lines.formats.line import LineError

#: The range that the stores can hold and that is plausible; with a time outside, the clock was broken and the line's
#: day is unknown.
_FIRST_YEAR, _LAST_YEAR = 1970, 2099
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_CACHE_SIZE = 20_000
#: Only the digits 0 to 9: int() also accepts those of other scripts, and underscores.
_local = re.compile(
    r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? ([+-])(\d\d)([0-5]\d)", re.ASCII
).fullmatch
#: The place of the seconds, with the colon before them, in ISO 8601 and in the error log's time.
_SECONDS = slice(16, 19)
_LEAP = ":60"
_MILLISECONDS = tuple(f".{number:03d}" for number in range(1000))


class _Times(dict[str, str]):
    """Maps the text of a log's time to ``YYYY-MM-DD HH:MM:SS.mmm`` in UTC."""

    def __missing__(self, text: str) -> str:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[text] = value = self.parse(text)
        return value

    def parse(self, text: str) -> str:
        raise NotImplementedError


class _Local(_Times):
    """``02/Jan/2026:03:04:05 +0100``, nginx's ``$time_local`` and Apache's ``%t``, in the C locale always.

    Also with a fraction (``03:04:05.678``), as Apache writes its ``msec_frac`` and ``usec_frac``, and nginx's
    ``$time_iso8601`` in its place. The value has milliseconds.
    """

    def parse(self, text: str) -> str:
        match = _local(text)
        if match is None:
            return ISO[text]
        day, month, year, hour, minute, second, fraction, sign, hours, minutes = match.groups()
        leap = second == _LEAP[1:]
        try:
            offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
            moment = datetime.datetime(
                int(year),
                _MONTHS[month],
                int(day),
                int(hour),
                int(minute),
                59 if leap else int(second),
                tzinfo=datetime.timezone(-offset if sign == "-" else offset),
            )
        except (ValueError, KeyError):
            raise _no_time(text) from None
        return _with_milliseconds(moment, int((fraction or "").ljust(9, "0")) / 1_000_000, text if leap else "")


class _Bracketed(_Local):
    """The same, given as two joined words of a line: ``[02/Jan/2026:03:04:05+0100]``; without a fraction."""

    def parse(self, text: str) -> str:
        if len(text) != 27 or text[0] != "[" or text.find("]") != 26:
            raise _no_time(text)
        return super().parse(f"{text[1:21]} {text[21:26]}")


class _Iso(_Times):
    """``2026-01-02T03:04:05+01:00``, nginx's ``$time_iso8601``, and with a fraction; the value has milliseconds."""

    def parse(self, text: str) -> str:
        leap = text[_SECONDS] == _LEAP
        try:
            moment = datetime.datetime.fromisoformat(_before_leap(text) if leap else text)
        except ValueError:
            raise _no_time(text) from None
        if moment.tzinfo is None:
            raise LineError("time", f"a time without a time zone: {text[:40]!r}")
        return _with_milliseconds(moment, moment.microsecond / 1000, text if leap else "")


class _Zoneless(_Times):
    """``2026/01/02 03:04:05``, nginx's error log: it does not contain the host's zone, which must be configured."""

    def __init__(self, zone: datetime.tzinfo) -> None:
        super().__init__()
        self._zone = zone

    def parse(self, text: str) -> str:
        leap = text[_SECONDS] == _LEAP
        try:
            # In the hour that a clock change repeats, the first pass is assumed: so the same line always gets the same
            # day.
            moment = datetime.datetime.strptime(_before_leap(text) if leap else text, "%Y/%m/%d %H:%M:%S").replace(
                tzinfo=self._zone, fold=0
            )
        except ValueError:
            raise _no_time(text) from None
        return _with_milliseconds(moment, 0, text if leap else "")


def _no_time(text: str) -> LineError:
    return LineError("time", f"not a time: {text[:40]!r}")


def _before_leap(text: str) -> str:
    return f"{text[: _SECONDS.start]}:59{text[_SECONDS.stop :]}"


def _with_milliseconds(moment: datetime.datetime, milliseconds: float, leap: str) -> str:
    """Return a time in UTC with milliseconds.

    Args:
        moment: an aware datetime; its own fraction is ignored.
        milliseconds: of the second, with a fraction; rounded like those of $msec.
        leap: the text of a leap second, if ``moment`` is the second before one; otherwise empty.

    Raises:
        LineError: the year is implausible, or there is no leap second at this time of day.
    """
    if leap:
        found = as_utc(moment)
        if not found.endswith("23:59:59"):
            raise _no_time(leap)
        return found + _MILLISECONDS[-1]
    carry, whole = divmod(round(milliseconds), 1000)
    return as_utc(moment, carry) + _MILLISECONDS[whole]


class _EpochSeconds(dict[int, str]):
    """Maps seconds since 1970 to ``YYYY-MM-DD HH:MM:SS`` in UTC."""

    def __missing__(self, second: int) -> str:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        try:
            moment = datetime.datetime.fromtimestamp(second, datetime.UTC)
        except (ValueError, OverflowError, OSError):
            raise LineError("time", f"not a time: {second} seconds since 1970") from None
        self[second] = value = as_utc(moment)
        return value


def as_utc(moment: datetime.datetime, more_seconds: int = 0) -> str:
    """Return the second of an aware datetime, in UTC, as text.

    Raises:
        LineError: the year is implausible.
    """
    try:
        utc = moment.astimezone(datetime.UTC) + datetime.timedelta(seconds=more_seconds)
    except OverflowError:
        raise LineError("time", f"the time {moment} is out of range") from None
    if not _FIRST_YEAR <= utc.year <= _LAST_YEAR:
        raise LineError("time", f"the year {utc.year} is not within {_FIRST_YEAR}-{_LAST_YEAR}")
    return utc.strftime("%Y-%m-%d %H:%M:%S")


#: Tables by the text in the line; all values have milliseconds.
LOCAL: dict[str, str] = _Local()
BRACKETED: dict[str, str] = _Bracketed()
ISO: dict[str, str] = _Iso()
_EPOCH = _EpochSeconds()


def zoneless(zone_name: str) -> dict[str, str]:
    """Return the table for error log times in the given IANA zone."""
    return _Zoneless(zoneinfo.ZoneInfo(zone_name))


def from_epoch(seconds: float) -> str:
    """Return seconds since 1970, which nginx's ``$msec`` gives with milliseconds, as UTC text with milliseconds.

    Raises:
        LineError: out of range.
    """
    try:
        milliseconds = round(seconds * 1000)
    except (ValueError, OverflowError):
        raise LineError("time", f"not a time: {seconds} seconds since 1970") from None
    second = milliseconds // 1000
    return _EPOCH[second] + _MILLISECONDS[milliseconds - second * 1000]
