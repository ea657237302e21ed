"""The consumer's page between releases: a field that is missing or not known breaks nothing."""

from __future__ import annotations

import msgspec
import pytest

from obsctl.core.consumer_page import ConsumerPage, LineCounts, Note, PartitionOnPage, WorkerOnPage


def read(text: bytes) -> ConsumerPage:
    return msgspec.json.decode(text, type=ConsumerPage)


def test_what_an_older_release_does_not_say_is_not_known() -> None:
    page = read(b'{"status": "ok", "lines": {"stored": 7}}')
    assert page.lines == LineCounts(stored=7, quarantined=None, known=None)
    assert (page.fenced, page.troubles, page.partitions, page.dead_letter_topic) == (None, {}, (), None)
    assert read(b'{"troubles": {"kafka": {"message": "away"}}}').troubles == {"kafka": Note("away", "", "")}


def test_what_a_newer_release_says_in_addition_is_passed_over() -> None:
    page = read(
        b'{"status": "ok", "mood": 3, "lines": {"stored": 7, "skipped": 1}, "workers": [{"worker": 0, "x": []}]}'
    )
    assert page.lines.stored == 7
    assert page.workers[0].worker == 0


@pytest.mark.parametrize("kind", [ConsumerPage, LineCounts, Note, PartitionOnPage, WorkerOnPage])
def test_every_field_has_a_default(kind: type[msgspec.Struct]) -> None:
    assert msgspec.json.decode(b"{}", type=kind) == kind()
