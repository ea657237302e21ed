"""Questions at the same time: an end waits for all answers, and a breaking off for none."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from obsctl.checks.ask.at_once import AtOnce

#: Seconds that a test waits only if something is wrong.
_HANGS_S = 60


@pytest.mark.parametrize("end", [None, ValueError])
def test_a_block_that_ends_has_its_answers(end: type[Exception] | None) -> None:
    asked: list[Future[int]] = []

    def block() -> None:
        with AtOnce(0) as pool:
            asked.extend(pool.submit(abs, number) for number in (-1, -2, -3))
            if end is not None:
                raise end

    if end is None:
        block()
    else:
        with pytest.raises(end):
            block()
    assert [answer.done() for answer in asked] == [True, True, True]


def test_a_block_that_is_broken_off_waits_for_no_answer() -> None:
    answer = threading.Event()
    asked: list[Future[bool]] = []

    def block() -> None:
        with AtOnce(1) as pool:
            asked.extend(pool.submit(answer.wait, _HANGS_S) for _ in range(2))
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            block()
        first, second = asked
        assert not first.done()
        assert second.cancelled()
    finally:
        answer.set()
