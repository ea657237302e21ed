"""From records to a batch."""

from __future__ import annotations

import ipaddress

import pytest

from obsctl.consumer.assembler import Assembler
from obsctl.kafka.partition import TopicPartition
from obsctl.lines.client_address import TrustedProxies
from obsctl.lines.formats import registry
from obsctl.lines.formats.line import AccessLine
from obsctl.store.batch import Source, Step
from rig.records import json_line, marked, record
from tests.unit.consumer.messages import run_of

PLACE = TopicPartition("nginxlog", 0)
OTHER = TopicPartition("nginxlog", 1)
SOURCES = {PLACE: Source(1, "cluster"), OTHER: Source(2, "cluster")}
ASSEMBLER = Assembler(registry.formats(), TrustedProxies(()))


def assemble(*values: bytes | None):
    return ASSEMBLER.assemble([run_of(*values, first=100)], SOURCES, {PLACE: 100})


def test_steps_and_order() -> None:
    early, late = record(json_line(1, msec=1000.0), 0), record(json_line(2, msec=2000.5), 300)
    batch = ASSEMBLER.assemble(
        [run_of(late, first=100), run_of(early, first=5, partition=1), run_of(None, first=101)],
        SOURCES,
        {PLACE: 98, OTHER: 5},
    )
    assert batch.steps == {1: Step(98, 102), 2: Step(5, 6)}
    assert [row.ts for row in batch.access] == ["1970-01-01 00:16:40.000", "1970-01-01 00:33:20.500"]
    assert batch.newest_event == {1: "1970-01-01 00:33:20.500", 2: "1970-01-01 00:16:40.000"}
    assert batch.records == 3


def test_a_line_twice_in_a_batch_is_one_row() -> None:
    value = record(json_line(1, msec=1.0), 0)
    resent = value.replace(b"2026-01-01T00:00:00.000Z", b"2026-01-01T00:00:09.000Z")
    assert resent != value
    batch = assemble(value, resent, b"no json", record("rubbish", 300), record("rubbish", 300))
    assert (len(batch.access), len(batch.quarantined), batch.repeated) == (1, 2, 2)


def test_equal_lines_at_other_places_are_rows_of_their_own() -> None:
    line = json_line(1, msec=1.0)
    batch = assemble(
        record(line, 0), record(line, 300), record(line, 0, host="node2"), record(line, 0, log_input="replay")
    )
    assert len(batch.access) == 4


def test_two_logs_of_one_input_are_told_apart_and_a_rotated_file_is_not() -> None:
    """Two quiet virtual hosts that one monitor probes in step: the same bytes at the same offsets."""
    logs = [f"/var/log/nginx/{name}.vhost.log" for name in ("a", "b")]
    values = [
        record(json_line(n, msec=1.0), n * 300, log_input="vhosts", log_file=log) for n in range(5) for log in logs
    ]
    rotated = [value.replace(b".vhost.log", b".vhost.log.1") for value in values]
    batch = assemble(*values, *rotated)
    assert (len(batch.access), batch.repeated) == (10, 10)
    broken = [record("rubbish", 0, log_input="vhosts", log_file=log) for log in logs]
    assert len(assemble(*broken, *broken).quarantined) == 2


def test_a_record_of_several_logs_that_does_not_name_its_file_is_quarantined() -> None:
    value = record(json_line(1), 0, log_file="/var/log/a.log").replace(b'"path"', b'"pfad"')
    (row,) = assemble(value).quarantined
    assert (row.reason, row.log_format) == ("envelope", "json")
    assert "log.file.path" in row.detail


@pytest.mark.parametrize(
    ("value", "reason", "host"),
    [
        (None, "null_value", ""),
        (b"", "not_json", ""),
        (b"\xff\xfe", "not_json", ""),
        (b'{"message": "a\xff", "host": {"name": "n"}, "log": {"offset": 1}}', "envelope", "n"),
        (b"[]", "not_json", ""),
        (b"{}", "envelope", ""),
        (b'{"message": "x", "log": {"offset": 1}}', "envelope", ""),
        (b'{"message": "x", "host": {"name": "n"}, "log": {"offset": "1"}}', "envelope", ""),
        (b'{"host": {"name": "n"}, "log": {"offset": 1}}', "no_message", "n"),
        (b'{"message": null, "host": {"name": "n"}, "log": {"offset": 1}}', "no_message", "n"),
        (b'{"message": 5, "host": {"name": "n"}, "log": {"offset": 1}}', "envelope", "n"),
        (b'{"message": "\\ud800", "host": {"name": "n"}, "log": {"offset": 1}}', "not_json", ""),
        (b'{"any": ' + b"[" * 3000 + b"]" * 3000 + b"}", "not_json", ""),
        (b'{"message": "x", "log": ' + b"[" * 3000 + b"]" * 3000 + b"}", "not_json", ""),
        (record('{"a": ' + "[" * 3000 + "]" * 3000 + "}", 1), "parse", "node1"),
        (record("x", 1, log_format="syslog"), "format", "node1"),
        (record("x", 1), "parse", "node1"),
        (record(json_line(1), 1, host="h" * 65), "field_length", "h" * 65),
    ],
)
def test_what_is_no_line_is_quarantined_whole(value: bytes | None, reason: str, host: str) -> None:
    (row,) = assemble(value).quarantined
    assert (row.reason, row.host, row.value, row.offset, row.source_id) == (reason, host, value, 100, 1)
    assert not row.dead_letter


def test_a_fault_of_a_parser_costs_its_record_only() -> None:
    def faulty(_line: str) -> AccessLine:
        raise KeyError("not foreseen")

    assembler = Assembler({**registry.formats(), "faulty": faulty}, TrustedProxies(()))
    values = [record("x", 0, log_format="faulty"), record(json_line(1), 9)]
    batch = assembler.assemble([run_of(*values, first=100)], SOURCES, {PLACE: 100})
    assert [(row.reason, row.value) for row in batch.quarantined] == [("internal", values[0])]
    assert len(batch.access) == 1
    assert batch.steps == {1: Step(100, 102)}


def test_broken_lines_at_the_same_place_of_two_files_are_kept_each() -> None:
    values = [b'{"message": %d, "host": {"name": "n"}, "log": {"offset": 0}}' % n for n in (1, 2, 2)]
    batch = assemble(*values)
    assert [row.value for row in sorted(batch.quarantined, key=lambda q: q.offset)] == values[:2]


def test_records_without_an_origin_are_kept_each() -> None:
    assert len(assemble(None, None, b"x", b"x").quarantined) == 4
    again = assemble(None, None, b"x", b"x").quarantined  # a replay of the same offsets
    assert {row.line_id for row in again} == {row.line_id for row in assemble(None, None, b"x", b"x").quarantined}


def test_a_line_finds_its_record_again() -> None:
    values = [record(json_line(n, msec=9.0 - n), n) for n in range(4)]
    batch = ASSEMBLER.assemble(
        [run_of(*values[:2], first=100), run_of(values[2], first=101, partition=1), run_of(values[3], first=105)],
        SOURCES,
        {PLACE: 100, OTHER: 101},
    )
    assert [batch.value(line) for line in batch.access] == values[::-1]


def test_the_client_behind_a_trusted_proxy() -> None:
    assembler = Assembler(registry.formats(), TrustedProxies([ipaddress.ip_network("198.51.100.0/24")]))
    run = run_of(record(json_line(1, x_forwarded_for="203.0.113.9"), 0))
    (row,) = assembler.assemble([run], SOURCES, {PLACE: 0}).access
    assert (row.client_addr, row.proxy_addr) == ("203.0.113.9", "198.51.100.7")


def test_requests_of_a_test_are_no_rows() -> None:
    lines = [json_line(number, msec=float(number)) for number in range(6)]
    marks = ("0123456789ab", "probe-0123456789ab", "0123456789ab")
    tests = [record(marked(lines[n], mark), 300 * n) for n, mark in enumerate(marks)]
    people = [record(line, 300 * n) for n, line in enumerate(lines[3:], start=3)]
    badly_marked = record(marked(lines[0], "-"), 9000)
    batch = assemble(*tests, *people, badly_marked, people[0])
    assert (len(batch.access), batch.tests, batch.repeated, batch.quarantined) == (4, 3, 1, [])
    assert batch.steps == {1: Step(100, 108)}, "the position goes on as usual"
    assert batch.newest_event == {1: "1970-01-01 00:00:05.000"}


def test_a_batch_of_tests_alone_moves_the_position() -> None:
    batch = assemble(*(record(marked(json_line(n), "0123456789ab"), 300 * n) for n in range(5)))
    assert (batch.access, batch.tests, batch.steps, batch.newest_event) == ([], 5, {1: Step(100, 105)}, {})


def test_a_marked_line_that_cannot_be_read_is_quarantined_like_any_other() -> None:
    batch = assemble(record('{"obscraft_test":"0123456789ab","status":"x"}', 0))
    assert (batch.tests, [row.reason for row in batch.quarantined]) == (0, ["parse"])
