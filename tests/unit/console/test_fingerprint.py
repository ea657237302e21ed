"""Errors by fingerprint: what is masked, what stays, and the filter that finds a group's lines again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsctl.console.errors.fingerprint import LONGEST, filter_of, fingerprint, mask, path_of
from obsctl.lines.formats.line import AccessLine, ErrorLine
from obsctl.query.fields import ACCESS, ERROR
from obsctl.query.parse import parse
from obsctl.query.predicate import compile_predicate

#: Texts of what messages and targets are made of, so that masks meet each other.
TEXTS = st.text() | st.lists(
    st.sampled_from(
        ["a", "Z", "7", "0", ":", "::", ".", "-", "_", "*", '"', "'", " ", "\n", "/", "%2e", "%", "?", "dead", "beef",
         "é", "٣", "1f0c5a3e-8f1b-4d6e-9a51-0123456789ab", "abcdefab-cdef-abcd-efab-cdefabcdefab", "2001:db8::1",
         "fe80::a", "10.0.0.1:80", "deadbeef", "while", '"/srv/x"', '"a b"', "x" * 45]
    )
).map("".join)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('open() "/srv/x7" failed (2: No such file or directory)', 'open() "*" failed (*: No such file or directory)'),
        ("connect() failed (111: Connection refused)", "connect() failed (*: Connection refused)"),
        ("limiting requests, excess: 10.420 by zone \"one\"", 'limiting requests, excess: * by zone "*"'),
        ("worker process 4711 exited on signal 11", "worker process * exited on signal *"),
        ("SSL: error:0A00006C:SSL routines::bad key share", "SSL: error:*:SSL routines::bad key share"),
        ('stderr: "Warning: x in /srv/a.php on line 12" while', 'stderr: "Warning: x in /srv/a.php on line *" while'),
        ("to 10.0.0.1:8080 and [2001:db8::7]:443", "to * and [*]:*"),
        ("for fe80::a from dead::beef", "for * from *"),
        ("/item/42/edit", "/item/*/edit"),
        ("/u/1f0c5a3e-8f1b-4d6e-9a51-0123456789ab/a", "/u/*/a"),
        ("/u/abcdefab-cdef-abcd-efab-cdefabcdefab", "/u/*"),
        ("/static/app.3f2a1c.js", "/static/app.*.js"),
        ("/a%2e%2e/b", "/a*/b"),
        ("/t/" + "q" * 60, "/t/*"),
        ("2026/01/02 03:04:05", "*/*/* *"),
        ("x" * 10 + " y" * 400, "x" * 10 + (" y" * 400)[: LONGEST - 11] + "*"),
    ],
)  # fmt: skip
def test_what_varies_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(TEXTS)
def test_masking_twice_is_masking_once_and_no_digit_survives(text: str) -> None:
    masked = mask(text)
    assert mask(masked) == masked
    assert not any(map(str.isdecimal, masked))
    assert len(masked) <= LONGEST


@given(TEXTS, st.sampled_from(["warn", "error", "emerg"]))
def test_the_filter_of_a_group_finds_its_error_lines(text: str, level: str) -> None:
    line = ErrorLine("2026-01-02 03:04:05.000", level, 1, 1, text)
    asked = filter_of(ERROR, level, mask(text))
    assert compile_predicate(parse(asked, ERROR), ERROR)(line), asked


@given(TEXTS, st.sampled_from(["", "GET", "M-SEARCH"]))
def test_the_filter_of_a_group_finds_its_requests(uri: str, method: str) -> None:
    line = AccessLine("2026-01-02 03:04:05.000", "192.0.2.1", 502, 0, method=method, uri=uri)
    asked = filter_of(ACCESS, f"502 {method}".strip(), mask(path_of(uri)))
    assert compile_predicate(parse(asked, ACCESS), ACCESS)(line), asked


def test_the_filter_of_a_group_leaves_others_out() -> None:
    refused = filter_of(ERROR, "error", mask("connect() failed (111: Connection refused) while connecting"))
    fits = compile_predicate(parse(refused, ERROR), ERROR)
    for message, wanted in (
        ("connect() failed (61: Connection refused) while connecting", True),
        ("connect() failed (110: Connection timed out) while connecting", False),
    ):
        assert fits(ErrorLine("2026-01-02 03:04:05.000", "error", 1, 1, message)) is wanted
    for table, wanted in ((ERROR, "level:>=warn"), (ACCESS, "status:>=500")):
        assert filter_of(table, "", "*") == wanted


def test_groups_differ_by_table_kind_and_masked_text_alone() -> None:
    one = fingerprint("access_log", "502 GET", "/item/1")
    assert one == fingerprint("access_log", "502 GET", "/item/22")
    others = [
        ("error_log", "502 GET", "/item/1"),
        ("access_log", "503 GET", "/item/1"),
        ("access_log", "502 GET", "/a/1"),
    ]
    assert len({one.error_id, *(fingerprint(*other).error_id for other in others)}) == 4


def test_the_messages_of_real_error_lines_stay_readable(project: Path) -> None:
    """Those of the golden lines, which were taken from real logs."""
    golden = project / "tests" / "contract" / "lines" / "golden" / "error.jsonl"
    messages = [row["message"] for line in golden.read_text().splitlines() if (row := json.loads(line).get("row"))]
    assert len(messages) > 20
    for message in messages:
        masked = mask(message)
        letters = sum(map(str.isalpha, masked)) / sum(map(str.isalpha, message))
        assert letters > 0.5, (message, masked)


@pytest.mark.parametrize("name", ["apache_logs.gz", "ocatak_acunetix.gz", "ocatak_netsparker.gz"])
def test_the_filter_of_a_group_finds_its_real_requests(real_logs: Path, name: str) -> None:
    parsed = (
        line.split() for line in gzip.decompress((real_logs / name).read_bytes()).decode(errors="replace").splitlines()
    )
    targets = sorted({parts[6] for parts in parsed if len(parts) > 6})[::10]
    assert len(targets) > 30
    for uri in targets:
        line = AccessLine("2026-01-02 03:04:05.000", "192.0.2.1", 502, 0, method="GET", uri=uri)
        asked = filter_of(ACCESS, "502 GET", mask(path_of(uri)))
        assert compile_predicate(parse(asked, ACCESS), ACCESS)(line), (uri, asked)
