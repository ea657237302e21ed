"""An answer in JSON lines gives its place back, whatever its client does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest

from obsctl.console.web import found
from obsctl.console.web.found import JsonLines


async def _lines() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield b"{}\n"


async def _stays() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def _leaves() -> MutableMapping[str, Any]:
    return {"type": "http.disconnect"}


async def _reads(_: MutableMapping[str, Any]) -> None:
    await asyncio.sleep(0)


async def _stops_reading(message: MutableMapping[str, Any]) -> None:
    if message["type"] == "http.response.body":
        await asyncio.Event().wait()


@pytest.mark.parametrize("receive", [_stays, _leaves])
@pytest.mark.parametrize("send", [_reads, _stops_reading])
def test_the_place_of_an_answer_is_given_back_once(receive: Any, send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "_READING_S", 0.2)
    ended: list[bool] = []
    answer = JsonLines(_lines(), 0.1, ended=lambda: ended.append(True))

    async def run() -> None:
        async with asyncio.timeout(10):
            await answer({"type": "http"}, receive, send)

    asyncio.run(run())
    assert ended == [True]
