"""The records of the history as they stand in Kafka: readers of other releases and other programs rely on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from obsctl.alerter.history import records
from obsctl.alerter.history.records import (
    Abandoned,
    About,
    AnyRecord,
    Carried,
    Decided,
    Delivered,
    Ended,
    GivenUp,
    HeldBack,
    Lost,
    Omitted,
    Started,
    decode,
    encode,
)
from obsctl.core.decoding import UndecodableError

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/notifications.md"
ABOUT = About(
    rule="rate", kind="frequency", labels={"client_addr": "192.0.2.7"}, severity="warning", incident="9f86d081884c",
    started=1_800_000_000, last_true=1_800_000_060, ended=1_800_000_090,
)  # fmt: skip
CARRIED = Carried(message_id="41c02f9a77d1e0b3", thread="28d6058cc28f4f10", title="[FIRING] rate 192.0.2.7")
HEAD: dict[str, Any] = {"at": 1_800_000_000.5, "id": "0" * 32}
_ABOUT = {
    "rule": "rate", "kind": "frequency", "labels": {"client_addr": "192.0.2.7"}, "severity": "warning",
    "incident": "9f86d081884c", "started": 1_800_000_000, "last_true": 1_800_000_060, "ended": 1_800_000_090,
}  # fmt: skip
_CARRIED = {"message_id": "41c02f9a77d1e0b3", "thread": "28d6058cc28f4f10", "title": "[FIRING] rate 192.0.2.7"}
#: What is in Kafka, and what it says.
GOLDEN: list[tuple[AnyRecord, dict[str, Any]]] = [
    (Started(**HEAD, alert=ABOUT), {"event": "started", "alert": _ABOUT}),
    (Ended(**HEAD, alert=ABOUT), {"event": "ended", "alert": _ABOUT}),
    (
        HeldBack(**HEAD, stage="silence", cause="41c0", rule="rate", labels={}, incident="9f", route="default", gone=2),
        {
            "event": "held_back", "stage": "silence", "cause": "41c0", "rule": "rate", "labels": {}, "incident": "9f",
            "route": "default", "gone": 2,
        },
    ),
    (
        Decided(
            **HEAD, message_id="m", thread="t", reason="first", route="default", channels=("ops",), labels={},
            severity="warning", title="[FIRING] rate", started=1, resolved=0, firing=1, total=1, alerts=(ABOUT,),
        ),
        {
            "event": "message", "message_id": "m", "thread": "t", "reason": "first", "route": "default",
            "channels": ["ops"], "labels": {}, "severity": "warning", "title": "[FIRING] rate", "started": 1,
            "resolved": 0, "firing": 1, "total": 1, "alerts": [_ABOUT],
        },
    ),
    (
        Delivered(
            **HEAD, channel="ops", robot="ops#1", verdict="delivered", code="0", summary="ok", took_ms=7,
            messages=(CARRIED,),
        ),
        {
            "event": "delivery", "channel": "ops", "robot": "ops#1", "verdict": "delivered", "code": "0",
            "summary": "ok", "took_ms": 7, "messages": [_CARRIED],
        },
    ),
    (
        Abandoned(**HEAD, channel="ops", message=CARRIED),
        {"event": "abandoned", "channel": "ops", "message": _CARRIED},
    ),
    (
        GivenUp(**HEAD, channel="ops", message=CARRIED),
        {"event": "given_up", "channel": "ops", "message": _CARRIED},
    ),
    (
        Omitted(**HEAD, what="held_back", rule="rate", stage="silence", records=9),
        {"event": "omitted", "what": "held_back", "rule": "rate", "stage": "silence", "records": 9},
    ),
    (Lost(**HEAD, records=9), {"event": "lost", "records": 9}),
]  # fmt: skip


@pytest.mark.parametrize(("record", "fields"), GOLDEN, ids=lambda value: type(value).__name__)
def test_a_record_in_kafka(record: AnyRecord, fields: dict[str, Any]) -> None:
    stored = {**HEAD, "schema": "obsctl/alert-history/v1", **fields}
    assert json.loads(encode(record)) == stored
    assert decode(json.dumps(stored).encode()) == record
    # A field that a later release adds is no obstacle.
    assert decode(json.dumps(stored | {"later": 1}).encode()) == record


def test_each_kind_of_record_is_here_and_on_the_page() -> None:
    assert {type(record) for record, _ in GOLDEN} == set(get_args(records.AnyRecord))
    page = PAGE.read_text(encoding="utf-8")
    for record, _ in GOLDEN:
        assert f"| `{record.__struct_config__.tag}` |" in page
        for field in msgspec.structs.fields(record):
            assert f"`{field.encode_name}`" in page, f"{type(record).__name__}.{field.name}"


@pytest.mark.parametrize(
    "stored",
    [
        b"", b"no", b"{}", b"[]", b"\xff",
        b'{"schema": "obsctl/alert-history/v2", "event": "lost", "at": 1, "records": 1}',
        b'{"schema": "obsctl/alert-history/v1", "event": "unheard-of", "at": 1}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_record_of_this_version_is_refused(stored: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode(stored)
