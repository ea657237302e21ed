"""Times of log lines, as UTC text. A second is parsed once: logs name each one many times."""

from __future__ import annotations

import datetime
import re
import zoneinfo

from obsctl.lines.formats.line import LineError

#: What the stores can hold and logs can mean; a clock far outside is broken, and the line's day is unknown.
_FIRST_YEAR, _LAST_YEAR = 1970, 2099
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_CACHE_SIZE = 20_000
#: Digits are 0 to 9: int() takes also those of other scripts, and underscores between them.
_local = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)([0-5]\d)", re.ASCII).fullmatch
_MILLISECONDS = tuple(f".{number:03d}" for number in range(1000))


class _Seconds(dict[str, str]):
    """Text of a log's time → ``YYYY-MM-DD HH:MM:SS`` in UTC."""

    def __missing__(self, text: str) -> str:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[text] = value = self.parse(text)
        return value

    def parse(self, text: str) -> str:
        raise NotImplementedError


class _LocalSeconds(_Seconds):
    """``02/Jan/2026:03:04:05 +0100``, nginx's ``$time_local`` and Apache's ``%t``, in the C locale always."""

    def parse(self, text: str) -> str:
        match = _local(text)
        try:
            if match is None:
                raise ValueError("no digits")  # noqa: TRY301  one place words the refusal
            day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
            offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
            moment = datetime.datetime(
                int(year),
                _MONTHS[month],
                int(day),
                int(hour),
                int(minute),
                int(second),
                tzinfo=datetime.timezone(-offset if sign == "-" else offset),
            )
        except (ValueError, KeyError):
            raise LineError("time", f"no time: {text[:40]!r}") from None
        return as_utc(moment)


class _BracketedSeconds(_LocalSeconds):
    """The same as two words of a line, put together: ``[02/Jan/2026:03:04:05+0100]``; the value has milliseconds."""

    def parse(self, text: str) -> str:
        if len(text) != 27 or text[0] != "[" or text.find("]") != 26:
            raise LineError("time", f"no time: {text[:40]!r}")
        return super().parse(f"{text[1:21]} {text[21:26]}") + ".000"


class _Iso(_Seconds):
    """``2026-01-02T03:04:05+01:00``, nginx's ``$time_iso8601``, and with a fraction; the value has milliseconds."""

    def parse(self, text: str) -> str:
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            raise LineError("time", f"no time: {text[:40]!r}") from None
        if moment.tzinfo is None:
            raise LineError("time", f"a time without its zone: {text[:40]!r}")
        carry, milliseconds = divmod(round(moment.microsecond / 1000), 1000)  # rounded as those of $msec are
        return as_utc(moment, carry) + _MILLISECONDS[milliseconds]


class _ZonelessSeconds(_Seconds):
    """``2026/01/02 03:04:05``, nginx's error log: the host's zone is not in it and has to be configured."""

    def __init__(self, zone: datetime.tzinfo) -> None:
        super().__init__()
        self._zone = zone

    def parse(self, text: str) -> str:
        try:
            # The hour that a clock change repeats is read as its first pass: always the same day for the same line.
            moment = datetime.datetime.strptime(text, "%Y/%m/%d %H:%M:%S").replace(tzinfo=self._zone, fold=0)
        except ValueError:
            raise LineError("time", f"no time: {text[:40]!r}") from None
        return as_utc(moment)


class _EpochSeconds(dict[int, str]):
    """Seconds since 1970 → ``YYYY-MM-DD HH:MM:SS`` in UTC."""

    def __missing__(self, second: int) -> str:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        try:
            moment = datetime.datetime.fromtimestamp(second, datetime.UTC)
        except (ValueError, OverflowError, OSError):
            raise LineError("time", f"no time: {second} seconds since 1970") from None
        self[second] = value = as_utc(moment)
        return value


def as_utc(moment: datetime.datetime, more_seconds: int = 0) -> str:
    """Return an aware moment's second in UTC as text.

    Raises:
        LineError: the year is not one that a log can mean.
    """
    try:
        utc = moment.astimezone(datetime.UTC) + datetime.timedelta(seconds=more_seconds)
    except OverflowError:
        raise LineError("time", f"the time {moment} is out of range") from None
    if not _FIRST_YEAR <= utc.year <= _LAST_YEAR:
        raise LineError("time", f"the year {utc.year} is not within {_FIRST_YEAR}-{_LAST_YEAR}")
    return utc.strftime("%Y-%m-%d %H:%M:%S")


#: Look-ups by the text of the line.
LOCAL: dict[str, str] = _LocalSeconds()
BRACKETED: dict[str, str] = _BracketedSeconds()
ISO: dict[str, str] = _Iso()
_EPOCH = _EpochSeconds()


def zoneless(zone_name: str) -> dict[str, str]:
    """Return a look-up for error log times in the given IANA zone."""
    return _ZonelessSeconds(zoneinfo.ZoneInfo(zone_name))


def from_epoch(seconds: float) -> str:
    """Return seconds since 1970, which nginx's ``$msec`` gives with milliseconds, as UTC text with milliseconds.

    Raises:
        LineError: out of range.
    """
    try:
        milliseconds = round(seconds * 1000)
    except (ValueError, OverflowError):
        raise LineError("time", f"no time: {seconds} seconds since 1970") from None
    second = milliseconds // 1000
    return _EPOCH[second] + _MILLISECONDS[milliseconds - second * 1000]
