"""The rules about a group in a partition, each by the windows that it is for and those next to them."""

from __future__ import annotations

import pytest

from obsctl.checks.lag import rules
from obsctl.checks.lag.rules import Expiry, Look, Pace, Verdict, Window

HISTORY = 130.0


def window(
    positions: list[int],
    ends: list[int],
    *,
    start: int = 0,
    log_ends: list[int] | None = None,
    commits: tuple[float, ...] = (),
    history: float | None = HISTORY,
    moved: float | None = None,
) -> Window:
    """Return a window with a look a second."""
    looks = [
        Look(float(at), position, start, end, (log_ends or ends)[at])
        for at, (position, end) in enumerate(zip(positions, ends, strict=True))
    ]
    return Window(looks, commits, history, moved)


STANDS = [100] * 11
TEN = [200] * 11
GROWS = list(range(200, 310, 10))
EACH_SECOND = tuple(float(at) for at in range(-120, 11))

CASES = {
    # 1. beyond
    "behind the end in every look": (window([500] * 11, TEN), Verdict.BEYOND),
    "behind the end once, as between two brokers' answers": (window([201] + [200] * 10, TEN), Verdict.REWIND),
    # 2. rewind
    "reset to the beginning": (window([150] * 5 + [0] * 6, TEN, commits=EACH_SECOND), Verdict.REWIND),
    "reset while all was read": (window([200] * 5 + [100] + [200] * 5, TEN), Verdict.REWIND),
    # 3. held
    "all read, and more is written": (window([200] * 11, TEN, log_ends=GROWS[:0] + [215] * 11), Verdict.HELD),
    "all read, the high watermark moves": (window(GROWS, GROWS, log_ends=[end + 5 for end in GROWS]), Verdict.OK),
    "held once, in flight": (window([200] * 11, TEN, log_ends=[200] * 10 + [201]), Verdict.OK),
    "not all read, and more is written": (
        window(STANDS, TEN, log_ends=[215] * 11, commits=EACH_SECOND),
        Verdict.STALL,
    ),
    # 4. ok: caught up
    "all read": (window([200] * 11, TEN), Verdict.OK),
    "all read once": (window([200] * 11, [200] + [250] * 10), Verdict.OK),
    "nothing but what is deleted (B41)": (window([100] * 11, [1_000_000] * 11, start=1_000_000), Verdict.OK),
    # 5. stall
    "the same position each second": (window(STANDS, TEN, commits=EACH_SECOND), Verdict.STALL),
    "the same position, once in the window": (window(STANDS, TEN, commits=(4.0,)), Verdict.STALL),
    # 6. stop
    "nothing committed for minutes": (window(STANDS, TEN), Verdict.STOP),
    "nothing since the window began": (window(STANDS, TEN, commits=EACH_SECOND[:118]), Verdict.STOP),
    "one that commits each half minute, its pause not over": (
        window(STANDS, TEN, commits=(-110.0, -80.0, -50.0, -20.0)),
        Verdict.OK,
    ),
    "one that commits each half minute, silent for two pauses": (
        window(STANDS, TEN, commits=(-110.0, -80.0, -51.0)),
        Verdict.STOP,
    ),
    "one commit is known, its pause is not": (window(STANDS, TEN, commits=(-40.0,)), Verdict.OK),
    "commits cannot be read": (window(STANDS, TEN, history=None), Verdict.STOP),
    "the database moved it a while ago": (window(STANDS, TEN, history=None, moved=11.0), Verdict.STOP),
    "the database moved it in the window, by nothing": (window(STANDS, TEN, history=None, moved=3.0), Verdict.OK),
    # 7. slow
    "the lag grows": (window(list(range(100, 155, 5)), GROWS, commits=EACH_SECOND), Verdict.SLOW),
    "the lag grows and shrinks": (
        window([100, 101, 102, 103, 104, 145, 146, 147, 148, 149, 150], GROWS, commits=EACH_SECOND),
        Verdict.OK,
    ),
    # 8. ok
    "the lag shrinks": (window(list(range(100, 155, 5)), TEN, commits=EACH_SECOND), Verdict.OK),
    "the lag stays": (window(list(range(100, 210, 10)), GROWS, commits=EACH_SECOND), Verdict.OK),
    # nothing to compare
    "one look": (window([1], [2]), Verdict.UNKNOWN),
    "no look": (window([], []), Verdict.UNKNOWN),
}


@pytest.mark.parametrize("name", CASES)
def test_a_window(name: str) -> None:
    seen, verdict = CASES[name]
    assert rules.judge(seen) is verdict


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.UNKNOWN])
def test_each_verdict_has_its_case(verdict: Verdict) -> None:
    assert any(wanted is verdict for _, wanted in CASES.values())


@pytest.mark.parametrize(
    ("position", "start", "end", "unread", "gone"),
    [
        (100, 1_000_000, 1_000_000, 0, 999_900),  # B41: a phantom of 999,900 records
        (100, 50, 200, 100, 0),
        (100, 150, 200, 50, 50),
        (300, 0, 200, 0, 0),
        (200, 0, 200, 0, 0),
    ],
)
def test_what_can_be_read_and_what_is_gone(position: int, start: int, end: int, unread: int, gone: int) -> None:
    look = Look(0.0, position, start, end, end)
    assert (look.unread, look.gone) == (unread, gone)


@pytest.mark.parametrize(
    ("pace", "unread", "eta"),
    [
        (Pace(10.0, 60.0), 500, 10.0),
        (Pace(10.0, 10.0), 500, None),
        (Pace(10.0, 5.0), 500, None),
        (Pace(10.0, 5.0), 0, 0.0),
        (Pace(None, None), 500, None),
    ],
)
def test_when_all_is_read(pace: Pace, unread: int, eta: float | None) -> None:
    assert pace.eta_s(unread) == eta


def test_the_pace_of_a_window() -> None:
    assert rules.pace(window(list(range(100, 155, 5)), GROWS)) == Pace(10.0, 5.0)
    assert rules.pace(window([150, 0], [200, 200])) == Pace(0.0, None), "what went back was not read"
    assert rules.pace(window([150], [200])) == Pace(None, None)


@pytest.mark.parametrize(
    ("age", "retention", "eta", "moves", "expected"),
    [
        (10.0, 100.0, None, False, Expiry(90.0, "")),
        (75.0, 100.0, None, False, Expiry(25.0, "warning")),
        (90.0, 100.0, 1.0, True, Expiry(10.0, "critical")),
        (120.0, 100.0, None, False, Expiry(-20.0, "critical")),
        (10.0, 100.0, 91.0, True, Expiry(90.0, "warning")),  # reads, and too slowly
        (10.0, 100.0, 89.0, True, Expiry(90.0, "")),
        (10.0, None, None, False, None),
        (None, 100.0, None, False, None),
    ],
)
def test_records_that_will_be_deleted_unread(
    age: float | None, retention: float | None, eta: float | None, moves: bool, expected: Expiry | None
) -> None:
    assert rules.expiry(age, retention, eta, moves=moves) == expected
