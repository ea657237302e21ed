"""Where a host's lines stay, and why, from what was seen of its files; and what is read of a host's answer."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from obsctl.checks.logs.host_script import NotSeenError, read_answer, written_at
from obsctl.checks.logs.judge import describe_logs, judge_logs, judge_shipping, shipping_detail
from obsctl.checks.logs.progress import deliveries, matches
from obsctl.checks.logs.registry import read_registry
from obsctl.checks.logs.snapshot import (
    Events,
    FoundFile,
    HostLogs,
    Input,
    LogsSnapshot,
    Offset,
    OpenFile,
    Sample,
    Unit,
)
from obsctl.core.brokers import Security
from obsctl.core.report import Severity
from obsctl.fleet.model import Fleet, Host, Kafka

FLEET = Fleet(hosts=(Host(name="node1", address="192.0.2.11", groups=("lb", "filebeat")),))
NOW = 1_800_000_000.0
LOG = "/var/log/nginx/access.log"
ACCESS = Input(id="nginx-access", paths=("/var/log/nginx/access.log*",), log_type="access", excluded=("[.]gz$",))


def sample(size: int = 100, read: int | None = 100, delivered: int | None = 100, **other: Any) -> Sample:
    """Return a sample of one log that nginx writes; ``found`` changes how the input finds it."""
    found = other.pop("found", {})
    file = {"device": 1, "inode": 7, "size": size, "modified": NOW}
    parts: dict[str, Any] = {
        "at": NOW,
        "name": "node1",
        "nginx": Unit(pid=10, state="S"),
        "filebeat": Unit(pid=20, state="S"),
        "written": (OpenFile(path=LOG, descriptor=5, appends=True, **file),),
        "opened": () if read is None else (OpenFile(path=LOG, descriptor=8, position=read, **file),),
        "found": (FoundFile(path=LOG, **{**file, "readable": True, **found}),),
        "offsets": ()
        if delivered is None
        else (Offset(input="nginx-access", device=1, inode=7, source=LOG, offset=delivered),),
        "inputs": (ACCESS,),
        "events": Events(acked=1),
        "newest_line": NOW - 3,
    }
    return Sample(**(parts | other))


def seen(first: Sample, second: Sample | None = None, **other: Any) -> LogsSnapshot:
    return LogsSnapshot(hosts=(HostLogs(name="node1", first=first, second=second, **other),))


def waiting(since: float | None, *, first: Sample, second: Sample) -> LogsSnapshot:
    return seen(first, msgspec.structs.replace(second, unshipped_since={"1-7": since}))


def rotated(**other: Any) -> Sample:
    """Return a sample with a rotated file that was written an hour ago."""
    old = FoundFile(path=f"{LOG}.1", device=1, inode=6, size=50, modified=NOW - 3600, readable=True)
    whole = sample()
    return msgspec.structs.replace(whole, found=(*whole.found, msgspec.structs.replace(old, **other)))


_ELSEWHERE = (msgspec.structs.replace(ACCESS, paths=("/srv/access.log*",)),)
_REMOVED = OpenFile(path=LOG, device=1, inode=5, size=2 * 1024**3, position=2 * 1024**3, removed=True)
CASES: dict[str, tuple[LogsSnapshot, dict[str, Severity]]] = {
    "all delivered": (seen(sample()), {}),
    "closed after its last line": (seen(sample(read=None)), {}),
    "read, and acknowledged a moment later": (waiting(NOW - 1, first=sample(delivered=50), second=sample()), {}),
    "a line without an end": (seen(sample(delivered=90), sample(delivered=90)), {}),
    "one that has just been written": (
        waiting(NOW - 2, first=sample(read=90, delivered=90), second=sample(read=90, delivered=90)), {}),
    "read and not acknowledged": (
        waiting(NOW - 20, first=sample(delivered=90), second=sample(delivered=90)), {"LOGS_LATE": Severity.WARNING}),
    "not acknowledged for a minute": (
        waiting(NOW - 61, first=sample(delivered=90), second=sample(delivered=90)), {"LOGS_LATE": Severity.CRITICAL}),
    "an entry that stands still, while nothing is under way": (
        waiting(NOW - 61, first=sample(delivered=0, events=Events(published=5, released=5)),
                second=sample(delivered=0, events=Events(published=5, released=5))), {}),
    "an entry that stands still, while lines come all the time": (
        waiting(NOW - 61, first=sample(delivered=0, events=Events(published=5, released=3)),
                second=sample(delivered=0, events=Events(published=8, released=5))), {}),
    "an entry and a queue that stand still": (
        waiting(NOW - 61, first=sample(delivered=0, events=Events(published=5, released=3)),
                second=sample(delivered=0, events=Events(published=8, released=4))), {"LOGS_LATE": Severity.CRITICAL}),
    "nothing is under way, and not all was read": (
        waiting(NOW - 61, first=sample(read=90, delivered=0, events=Events(published=5, released=5)),
                second=sample(read=90, delivered=0, events=Events(published=5, released=5))),
        {"LOGS_LATE": Severity.CRITICAL}),
    "a backlog that becomes less": (
        waiting(NOW - 61, first=sample(delivered=50), second=sample(delivered=90)), {"LOGS_LATE": Severity.WARNING}),
    "frozen": (
        seen(sample(filebeat=Unit(pid=20, state="T"), events=None)), {"LOGS_SHIPPER_SILENT": Severity.CRITICAL}),
    "silent": (seen(sample(events=None)), {"LOGS_SHIPPER_SILENT": Severity.CRITICAL}),
    "unreadable": (
        seen(sample(read=None, delivered=None, found={"readable": False})), {"LOGS_UNREADABLE": Severity.CRITICAL}),
    "unreadable, and open from before": (
        seen(sample(found={"readable": False})), {"LOGS_UNREADABLE": Severity.WARNING}),
    "not tried whether it is readable": (seen(sample(found={"readable": None})), {}),
    "pointed elsewhere": (
        seen(sample(read=None, delivered=None, found={}, inputs=_ELSEWHERE)), {"LOGS_NO_INPUT": Severity.CRITICAL}),
    "pointed elsewhere, and open from before": (
        seen(sample(inputs=_ELSEWHERE)), {"LOGS_NO_INPUT": Severity.WARNING}),
    "a link": (
        seen(sample(read=None, delivered=None, found={"link": True})), {"LOGS_LINK_IGNORED": Severity.CRITICAL}),
    "a link that is followed": (
        seen(sample(found={"link": True}, inputs=(msgspec.structs.replace(ACCESS, links=True),))), {}),
    "not opened": (
        waiting(NOW - 20, first=sample(read=None, delivered=None), second=sample(read=None, delivered=None)),
        {"LOGS_NOT_OPENED": Severity.CRITICAL}),
    "not opened yet": (
        waiting(NOW - 1, first=sample(read=None, delivered=None), second=sample(read=None, delivered=None)), {}),
    "a configuration that cannot be read": (seen(sample(inputs=None)), {}),
    "a rotated file that was not read": (seen(rotated()), {"LOGS_ROTATION_UNREAD": Severity.CRITICAL}),
    "one that was rotated just now": (seen(rotated(modified=NOW - 1)), {}),
    "a packed one": (seen(rotated(path=f"{LOG}.2.gz")), {}),
    "dropped": (seen(sample(events=Events(dropped=3))), {"LOGS_DROPPED": Severity.WARNING}),
    "removed, and kept open": (
        seen(sample(opened=(*sample().opened, _REMOVED))), {"LOGS_REMOVED_KEPT_OPEN": Severity.WARNING}),
    "little of what was removed": (
        seen(sample(opened=(*sample().opened, msgspec.structs.replace(_REMOVED, size=1000)))), {}),
    "stored": (seen(sample(), newest_stored=True), {}),
    "not stored yet": (seen(sample(), newest_stored=False), {}),
    "not stored": (seen(sample(newest_line=NOW - 30), newest_stored=False), {"LOGS_ROW_MISSING": Severity.WARNING}),
    "not stored for long": (
        seen(sample(newest_line=NOW - 90), newest_stored=False), {"LOGS_ROW_MISSING": Severity.CRITICAL}),
    "a row that may be past its retention": (seen(sample(newest_line=NOW - 90_000), newest_stored=False), {}),
    "not running": (seen(sample(filebeat=Unit())), {"HEALTH_SERVICE_DOWN": Severity.CRITICAL}),
    "a host that does not answer": (seen(Sample(), failure="no route"), {"LOGS_NOT_ASKED": Severity.UNKNOWN}),
    "a host without sudo": (
        seen(Sample(), failure="it needs root", refused=True), {"LOGS_NOT_ASKED": Severity.UNKNOWN}),
    "no host": (LogsSnapshot(), {"LOGS_NOT_ASKED": Severity.UNKNOWN}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_its_findings(case: str) -> None:
    snapshot, wanted = CASES[case]
    assert {finding.code: finding.severity for finding in judge_logs(FLEET, snapshot)} == wanted
    describe_logs(FLEET, snapshot)


@pytest.mark.parametrize("case", ["not running", "a host that does not answer", "no host"])
def test_health_says_itself_what_it_knows_of_hosts_and_units(case: str) -> None:
    assert judge_shipping(FLEET, CASES[case][0]) == []


def test_a_removed_log_that_nginx_writes() -> None:
    gone = tuple(msgspec.structs.replace(file, removed=True) for file in sample().written)
    for opened, severity in ((sample().opened, Severity.WARNING), ((), Severity.CRITICAL)):
        (finding,) = judge_logs(FLEET, seen(sample(written=gone, opened=opened, found={})))
        assert (finding.code, finding.severity) == ("LOGS_WRITTEN_TO_REMOVED", severity)


def test_a_further_log_without_an_input_is_a_warning_beside_one_that_is_shipped() -> None:
    other = OpenFile(path="/srv/access.log", device=1, inode=9, size=10, appends=True)
    (finding,) = judge_logs(FLEET, seen(sample(written=(*sample().written, other))))
    assert (finding.code, finding.severity) == ("LOGS_NO_INPUT", Severity.WARNING)
    assert "/srv/access.log" in finding.summary


def test_two_logs_in_a_directory_that_is_closed_are_one_finding() -> None:
    log = "/var/log/nginx/error.log"
    file = {"device": 1, "inode": 8, "size": 10}
    closed = sample(
        read=None, delivered=None, found={"readable": False},
        written=(*sample().written, OpenFile(path=log, appends=True, **file)),
        inputs=(ACCESS, Input(id="nginx-error", paths=(f"{log}*",))),
    )  # fmt: skip
    closed = msgspec.structs.replace(closed, found=(*closed.found, FoundFile(path=log, readable=False, **file)))
    (finding,) = judge_logs(FLEET, seen(closed))
    assert finding.summary == f"Filebeat's account may not read {LOG}, {log}"


def test_old_times_of_lines_that_are_not_nginxs_alarm_nobody() -> None:
    """``obsctl lab replay`` writes lines of years ago."""
    log = OpenFile(path="/srv/replay/access.log", device=1, inode=3, size=900, modified=NOW - 1)
    replay = Input(id="replay", paths=("/srv/replay/*",))
    parts = {"opened": (*sample().opened, log), "inputs": (ACCESS, replay)}
    offset = Offset(input="replay", device=1, inode=3, source=log.path, offset=10)
    first = sample(**parts, offsets=(*sample().offsets, offset))
    second = msgspec.structs.replace(first, unshipped_since={"1-3": NOW - 1e8})
    assert judge_logs(FLEET, seen(first, second)) == []


def test_the_detail_names_who_ships_and_what_waits() -> None:
    assert shipping_detail(FLEET, seen(sample())) == "1 of 1 ship, newest line 3 s old (node1)"
    assert shipping_detail(FLEET, seen(sample(newest_line=None))) == "1 of 1 ship, no traffic"
    assert shipping_detail(FLEET, CASES["read and not acknowledged"][0]).startswith("1 of 1 ship, most behind 20 s")
    assert shipping_detail(FLEET, CASES["frozen"][0]).startswith("0 of 1 ship")
    assert shipping_detail(FLEET, CASES["a host without sudo"][0]) == "0 of 1 ship, 1 not asked"


def test_a_file_that_lost_its_entry_is_delivered_as_far_as_it_was_read() -> None:
    (gone,) = (file for file in deliveries(sample(opened=(_REMOVED,), found={})) if file.removed)
    assert gone.undelivered == 0


def test_of_two_entries_the_one_of_a_present_input_counts_and_the_one_behind() -> None:
    entries = tuple(
        Offset(input=name, device=1, inode=7, source=LOG, offset=offset)
        for name, offset in (("former", 5), ("nginx-access", 60), ("second", 40))
    )
    second = msgspec.structs.replace(ACCESS, id="second")
    (file,) = deliveries(sample(offsets=entries, inputs=(ACCESS, second)))
    assert file.delivered == 40


def test_of_two_inputs_that_read_a_file_the_one_behind_counts() -> None:
    (reader,) = sample().opened
    behind = msgspec.structs.replace(reader, descriptor=9, position=60)
    (file,) = deliveries(sample(opened=(behind, reader), delivered=0, events=Events(published=5, released=5)))
    assert file.delivered == 60


@pytest.mark.parametrize(
    ("pattern", "path", "leads"),
    [
        ("/var/log/nginx/access.log*", "/var/log/nginx/access.log", True),
        ("/var/log/nginx/access.log*", "/var/log/nginx/access.log.1", True),
        ("/var/log/nginx/access.log*", "/var/log/nginx/acces.log", False),
        ("/srv/*/access.log", "/srv/a/access.log", True),
        ("/srv/*/access.log", "/srv/a/b/access.log", False),
        ("/srv/**/access.log", "/srv/a/b/access.log", True),
        ("/srv/shop?.log", "/srv/shop1.log", True),
        ("/srv/shop[12].log", "/srv/shop2.log", True),
        ("/srv/shop[^12].log", "/srv/shop2.log", False),
        ("/srv/a+b.log", "/srv/a+b.log", True),
        ("/srv/[", "/srv/[", True),
    ],
)
def test_a_glob(pattern: str, path: str, leads: bool) -> None:
    assert matches(Input(id="x", paths=(pattern,)), path) is leads


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ('{"time":"2026-01-02T03:04:05+00:00","msec":1767323045.678,"remote_addr":"', 1767323045.678),
        ('192.0.2.1 - - [02/Jan/2026:05:04:05 +0200] "GET / HTTP/1.1" 200 1', 1767323045.0),
        ("2026/01/02 11:04:05 [error] 7#7: *1 upstream", 1767323045.0),
        ("nonsense", None),
        ("2026/13/42 11:04:05 [error] 7#7: x", None),
    ],
)
def test_the_time_of_a_line(line: str, at: float | None) -> None:
    assert written_at(line, 8 * 3600) == at


_KEY = "filestream::nginx-access::native::10076530-65024"
_SET = '{"op":"set","id":%d}\t{"k":"%s","v":{"ttl":1800000000000,"updated":[1,2],"cursor":%s,"meta":{"source":"/a"}}}'
_REMOVE = '{"op":"remove","id":3}\t{"k":"' + _KEY + '"}'
_STATE = '%d [{"_key":"%s","cursor":{"offset":4},"ttl":1,"meta":{"source":"/a"},"updated":[1,2]}]'


@pytest.mark.parametrize(
    ("states", "changes", "offsets"),
    [
        ([], [_SET % (3, _KEY, '{"offset":6}')], [6]),
        ([], [_SET % (3, _KEY, "null")], [0]),
        # As it writes after a restart what it had read back.
        ([], [(_SET % (3, _KEY, '{"offset":1.53966783e+08}')).replace("1800000000000", "1.8e+12")], [153966783]),
        ([_STATE % (2, _KEY)], [_SET % (3, _KEY, '{"offset":6}')], [6]),
        # A change that the state has already: the log is not cut yet.
        ([_STATE % (9, _KEY)], [_SET % (3, _KEY, '{"offset":1}')], [4]),
        ([_STATE % (2, _KEY)], [_REMOVE], []),
        ([], [_SET % (3, "filestream::a::b::native::1-2", '{"offset":6}')], [6]),
        ([], [_SET % (3, "filestream::a::fingerprint::abc", '{"offset":6}')], []),
        ([], [_SET % (3, "filebeat::logs::native::1-2", '{"offset":6}')], []),
        ([], ['{"op":"set","id":3}\t{"k":"half'], []),
        (["2 [half"], [], []),
    ],
)
def test_the_registry(states: list[str], changes: list[str], offsets: list[int]) -> None:
    assert [entry.offset for entry in read_registry(states, changes)] == offsets


def test_an_entry_without_time_to_live_is_one_of_a_removed_file() -> None:
    (entry,) = read_registry([], [(_SET % (3, _KEY, '{"offset":6}')).replace("1800000000000", "0")])
    assert entry.forgotten
    new = sample(read=None, offsets=(msgspec.structs.replace(entry, device=1, inode=7),))
    assert next(deliveries(new)).undelivered == 100


@pytest.mark.parametrize(
    ("output", "why"),
    [("", "root"), ("This account is currently not available.\n", "not available"), ("begin 1 +0000\n", "begin")],
)
def test_a_shell_that_does_not_run_the_script(output: str, why: str) -> None:
    with pytest.raises(NotSeenError, match=why):
        read_answer(output)


@pytest.mark.parametrize(
    ("page", "events"),
    [
        (
            '{"libbeat":{"output":{"events":{"acked":7,"active":2,"dropped":1,"failed":3}},'
            '"pipeline":{"events":{"active":2,"published":9},"queue":{"acked":8}}}}',
            Events(acked=7, failed=3, dropped=1, published=9, released=8),
        ),
        ('{"libbeat":{"output":{"events":{"acked":7}}}}', Events(acked=7)),
        ("", None),
        ("<html>", None),
    ],
)
def test_the_counters_of_a_shipper(page: str, events: Events | None) -> None:
    assert read_answer(f"begin 1 +0000\npage {page}\nend 2").sample.events == events


def test_inputs_are_read_dotted_and_nested() -> None:
    text = """
filebeat:
  inputs:
  - {type: filestream, id: a, paths: [/a*], fields: {log_type: access}, prospector: {scanner: {symlinks: true}}}
  - {type: filestream, id: b, paths: [/b*], enabled: false}
"""
    coded = base64.b64encode(text.encode()).decode()
    read = read_answer(f"begin 1.5 -0130\ninputs {coded}\nend 2.5\n")
    assert read.sample.inputs == (Input(id="a", paths=("/a*",), log_type="access", links=True),)
    assert (read.began, read.ended) == (1.5, 2.5)


def test_where_shippers_log_in_lines_that_kafka_does_not_take_may_be_for_want_of_a_right() -> None:
    late = waiting(NOW - 20, first=sample(delivered=90), second=sample(delivered=90))
    with_login = msgspec.structs.replace(
        FLEET, kafka=Kafka(client=Security(protocol="SASL_SSL", user="obsctl", password="env:X"))
    )
    hints = [finding.hint for fleet in (FLEET, with_login) for finding in judge_shipping(fleet, late)]
    assert ["gives Filebeat's user its password and rights again" in hint for hint in hints] == [False, True]


RESTART = "if it accepts them, on node1: systemctl restart filebeat sends the lines again, and none is stored twice"


@pytest.mark.parametrize(
    ("since", "first", "second", "restart"),
    [
        # Kafka takes what comes after them: a batch is lost in the shipper's client.
        (NOW - 20, Events(acked=5), Events(acked=9), True),
        # Whatever it is, it has lasted.
        (NOW - 61, Events(acked=5), Events(acked=5), True),
        # It may pass.
        (NOW - 20, Events(acked=5), Events(acked=5), False),
        # Kafka refuses them, such as those of one topic.
        (NOW - 20, Events(acked=5), Events(acked=9, failed=2), False),
    ],
)
def test_a_lost_batch_has_its_command(since: float, first: Events, second: Events, restart: bool) -> None:
    samples = (sample(delivered=90, events=first), sample(delivered=90, events=second))
    (finding,) = judge_shipping(FLEET, waiting(since, first=samples[0], second=samples[1]))
    summary, hint = finding.summary, finding.hint
    assert hint.startswith("obsctl kafka status shows whether the topic accepts records")
    assert (RESTART in hint) is restart
    behind = second.acked - first.acked if not second.failed else 0
    assert (f"which has acknowledged {behind} lines behind them" in summary) is (behind > 0)


def test_what_moves_needs_no_restart() -> None:
    first = sample(delivered=50, events=Events(acked=5))
    second = sample(delivered=90, events=Events(acked=9))
    (finding,) = judge_shipping(FLEET, waiting(NOW - 61, first=first, second=second))
    assert "restart" not in finding.hint


def test_what_is_not_read_yet_is_not_sent_again_by_a_restart() -> None:
    first, second = (sample(read=90, delivered=90, events=Events(acked=acked)) for acked in (5, 9))
    (finding,) = judge_shipping(FLEET, waiting(NOW - 61, first=first, second=second))
    assert "restart" not in finding.hint
