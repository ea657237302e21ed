"""What the stages remember from turn to turn: small entries; only changed ones are saved.

The caller writes :meth:`Memory.take_changes` in the transaction that puts the notifications into the outbox. So after
a crash either both exist or neither does, and a lost decision is made again with the same id.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import msgspec

from obsctl.alerter.alerts import Alert, AlertState, Key, Level
from obsctl.alerter.notify.filters import RANK

#: A rule's name and a key, which identify an alert.
Subject = tuple[str, Key]
#: A stage and its reason: what holds an alert back.
Cause = tuple[str, str]
Place = TypeVar("Place")

#: How long an ended alert is remembered (seconds): if it fires again within this time, it is the same trouble.
CALM_S = 3600.0
#: The most ended alerts that are remembered; the oldest are forgotten first.
MOST_ENDED = 20_000


class Member(msgspec.Struct, kw_only=True, tag="member"):
    """An alert on its way along one route.

    Attributes:
        id: key of the entry.
        route: name of the route.
        group: id of its group's entry.
        alert: as it was when its state or severity changed last.
        since: wall-clock time of its start, seconds since the epoch.
        ended_at: wall-clock time of its end; 0 while it fires.
        held: whether it has not fired for long enough yet.
        starts: number of starts that are not reported yet.
        ends: number of ends that are not reported yet.
        reported: whether it fires according to the last notification.
        severity: the worst one that a notification reported while it fires.
        returned: whether it fired again soon after its end.
        flaps: how many times that was reported.
        parked: the stage that holds it back; empty for none.
        cause: the stage's reason.
        parked_at: wall-clock time since when it is held back, seconds since the epoch.
    """

    id: str
    route: str
    group: str
    alert: Alert
    since: float
    ended_at: float = 0.0
    held: bool = False
    starts: int = 0
    ends: int = 0
    reported: bool = False
    severity: Level = Level.INFO
    returned: bool = False
    flaps: int = 0
    parked: str = ""
    cause: str = ""
    parked_at: float = 0.0

    @property
    def subject(self) -> Subject:
        """What identifies the alert."""
        return self.alert.rule, self.alert.key

    @property
    def firing(self) -> bool:
        """Whether its condition is true now."""
        return self.alert.state is AlertState.FIRING

    @property
    def worse(self) -> bool:
        """Whether it is worse than the last notification said."""
        return self.reported and self.firing and not self.held and RANK[self.alert.severity] > RANK[self.severity]

    @property
    def has_news(self) -> bool:
        """Whether it has a change that no notification has reported yet."""
        return bool(self.starts or self.ends or self.worse)


class Group(msgspec.Struct, kw_only=True, tag="group"):
    """Alerts that are reported together.

    Attributes:
        id: key of the entry.
        route: name of the route.
        labels: what its alerts share.
        thread: thread of all its notifications.
        sent: number of notifications so far.
        last_at: wall-clock time of the last one, seconds since the epoch; 0 for none.
        next_at: wall-clock time at which to check whether the next one is due; 0 for no news.
        firing: how many alerts fire according to the last notification.
        severity: the worst one that a notification reported; None for none.
        since: event second at which the group began to fire.
        last_true: latest event second at which one of its ended alerts was true.
        digests: how many notifications in a row only reported changes while the group kept firing.
        repeats: number of repetitions since it began to fire.
        repeat_at: wall-clock time of the next one; 0 for none.
    """

    id: str
    route: str
    labels: dict[str, str]
    thread: str
    sent: int = 0
    last_at: float = 0.0
    next_at: float = 0.0
    firing: int = 0
    severity: Level | None = None
    since: int = 0
    last_true: int = 0
    digests: int = 0
    repeats: int = 0
    repeat_at: float = 0.0


class FailOver(msgspec.Struct, kw_only=True, tag="fail_over"):
    """A channel that has been unable to deliver for so long that another channel gets its messages as well.

    Attributes:
        id: key of the entry.
        route: name of the route.
        channel: the one that cannot deliver.
        to: the other one.
        since: wall-clock time of this decision, seconds since the epoch.
    """

    id: str
    route: str
    channel: str
    to: str
    since: float


Entry = Member | Group | FailOver


class Changes(NamedTuple):
    """The entries that changed since the last call.

    Attributes:
        saved: entries to write, by id.
        gone: ids of entries to delete.
    """

    saved: dict[str, Entry]
    gone: tuple[str, ...]


class Memory:
    """All entries, with indexes.

    Args:
        entries: what an earlier process saved.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.members: dict[str, Member] = {}
        self.groups: dict[str, Group] = {}
        self.fail_overs: dict[str, FailOver] = {}
        #: Ids of members; dictionaries as ordered sets, so that a replay makes the same decisions.
        self.of_subject: dict[Subject, dict[str, None]] = {}
        self.of_group: dict[str, dict[str, None]] = {}
        #: Members with news that nothing holds back, by group.
        self.news: dict[str, dict[str, None]] = {}
        self.parked: dict[Cause, dict[str, None]] = {}
        #: Members that ended and were reported, the earliest first.
        self.ended: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        for entry in entries:
            if isinstance(entry, Member):
                self._index(entry)
            elif isinstance(entry, Group):
                self.groups[entry.id] = entry
            else:
                self.fail_overs[entry.id] = entry
        for member in sorted(self.members.values(), key=lambda member: (member.ended_at, member.id)):
            self.settle(member)

    def take_changes(self) -> Changes:
        """Return what changed since the last call; write it at once, because the entries keep changing."""
        saved: dict[str, Entry] = {}
        gone = []
        for entry_id in self._changed:
            entry = self.members.get(entry_id) or self.groups.get(entry_id) or self.fail_overs.get(entry_id)
            if entry is None:
                gone.append(entry_id)
            else:
                saved[entry_id] = entry
        self._changed.clear()
        return Changes(saved, tuple(gone))

    def changed(self, entry: Entry) -> None:
        """Record that an attribute of the entry was changed."""
        self._changed[entry.id] = None

    def add(self, entry: Entry) -> None:
        """Remember a new entry."""
        if isinstance(entry, Member):
            self._index(entry)
        elif isinstance(entry, Group):
            self.groups[entry.id] = entry
        else:
            self.fail_overs[entry.id] = entry
        self.changed(entry)

    def forget_fail_over(self, entry: FailOver) -> None:
        """Remove the entry: the channel delivers again."""
        del self.fail_overs[entry.id]
        self.changed(entry)

    def wait(self, member: Member) -> None:
        """Record that the member has news and that nothing holds it back."""
        self.unpark(member)
        self.news.setdefault(member.group, {})[member.id] = None
        self.ended.pop(member.id, None)
        self.changed(member)

    def park(self, member: Member, cause: Cause, now: float) -> int:
        """Hold a member back until its cause is gone.

        Alerts that started and ended while it was held back are in no notification. Returns their number, for the
        record.
        """
        self._drop_news(member)
        if (member.parked, member.cause) != cause:
            self.unpark(member)
            member.parked, member.cause = cause
            member.parked_at = now
        self.parked.setdefault(cause, {})[member.id] = None
        never_seen = min(member.starts, member.ends)
        member.starts -= never_seen
        member.ends -= never_seen
        self.changed(member)
        self.settle(member)
        return never_seen

    def unpark(self, member: Member) -> None:
        """Record that nothing holds the member back."""
        if member.parked:
            self._drop_parked(member)
            member.parked = member.cause = ""
            member.parked_at = 0.0
            self.changed(member)

    def reported(self, member: Member) -> None:
        """Record that all news of the member was reported."""
        self._drop_news(member)
        self.changed(member)
        self.settle(member)

    def settle(self, member: Member) -> None:
        """Record whether the member has ended and was reported, so that it can be forgotten."""
        if member.firing or member.has_news or member.reported or member.held:
            self.ended.pop(member.id, None)
        else:
            self.ended.setdefault(member.id)

    def prune(self, now: float) -> None:
        """Forget members that ended long ago, and groups without members."""
        while self.ended:
            oldest = next(iter(self.ended))
            if len(self.ended) <= MOST_ENDED and now < self.members[oldest].ended_at + CALM_S:
                break
            self.forget(self.members[oldest])

    def forget(self, member: Member) -> None:
        """Forget a member, and its group if it was the last one."""
        del self.members[member.id]
        self.ended.pop(member.id, None)
        self._drop_news(member)
        self._drop_parked(member)
        _discard(self.of_subject, member.subject, member.id)
        _discard(self.of_group, member.group, member.id)
        self.changed(member)
        if member.group not in self.of_group:
            self.changed(self.groups.pop(member.group))

    def set_back(self, now: float) -> None:
        """The clock was set back: correct stored times, so that none is in the future and no wait gets longer."""
        for member in self.members.values():
            if max(member.since, member.ended_at, member.parked_at) > now:
                member.since = min(member.since, now)
                member.ended_at = min(member.ended_at, now)
                member.parked_at = min(member.parked_at, now)
                self.changed(member)
        for group in self.groups.values():
            ahead = max(0.0, group.last_at - now)
            if ahead or group.next_at > now:
                group.last_at -= ahead
                # A check that is too early does no harm: the group is then not due.
                group.next_at = min(group.next_at, now)
                group.repeat_at = max(0.0, group.repeat_at - ahead)
                self.changed(group)

    def _index(self, member: Member) -> None:
        self.members[member.id] = member
        self.of_subject.setdefault(member.subject, {})[member.id] = None
        self.of_group.setdefault(member.group, {})[member.id] = None
        if member.parked:
            self.parked.setdefault((member.parked, member.cause), {})[member.id] = None
        elif member.has_news:
            self.news.setdefault(member.group, {})[member.id] = None

    def _drop_news(self, member: Member) -> None:
        _discard(self.news, member.group, member.id)

    def _drop_parked(self, member: Member) -> None:
        _discard(self.parked, (member.parked, member.cause), member.id)


def _discard(index: dict[Place, dict[str, None]], place: Place, member_id: str) -> None:
    ids = index.get(place)
    if ids is not None:
        ids.pop(member_id, None)
        if not ids:
            del index[place]


def encode(entry: Entry) -> bytes:
    """Return an entry encoded for saving."""
    return msgspec.json.encode(entry)


_DECODER = msgspec.json.Decoder(Entry)


def decode(saved: bytes) -> Entry:
    """Return a saved entry.

    Raises:
        msgspec.DecodeError: :func:`encode` did not make it.
    """
    entry: Entry = _DECODER.decode(saved)
    return entry
