"""When an acknowledged finding becomes a warning again."""

from __future__ import annotations

import pytest

from obsctl.core.acknowledgement import Acknowledgement, applied, made
from obsctl.core.errors import UsageError
from obsctl.core.report import Finding, Severity


def loss(lost: int, topic: str = "nginxlog") -> Finding:
    return Finding(
        code="CONSUMER_RECORDS_LOST",
        severity=Severity.WARNING,
        object=f"topic/{topic}",
        summary=f"{lost} lost",
        evidence={"lost": lost},
        hint="take note",
    )


def notice(since_ms: int) -> Finding:
    return Finding(
        code="CONSUMER_NOTICE",
        severity=Severity.INFO,
        object="notice/nginxlog",
        summary="created again",
        evidence={"since_ms": since_ms},
    )


TAKEN = made(loss(1427), author="ann", reason="db1 was down", now=1000.0)
READ = made(notice(5000), author="ann", reason="on purpose", now=1000.0)


@pytest.mark.parametrize(
    ("finding", "severity"),
    [
        (loss(1427), Severity.INFO),
        (loss(1), Severity.INFO),
        (loss(1428), Severity.WARNING),
        (loss(1427, "nginxlog-error"), Severity.WARNING),
        (notice(5000), None),
        (notice(4000), None),
        (notice(5001), Severity.INFO),
    ],
)
def test_a_finding_after_an_acknowledgement(finding: Finding, severity: Severity | None) -> None:
    found = applied([finding], (TAKEN, READ))
    assert [one.severity for one in found] == ([] if severity is None else [severity])


def test_an_acknowledged_finding_names_who_and_why() -> None:
    (found,) = applied([loss(1427)], (TAKEN,))
    assert found.summary == "1427 lost (acknowledged by ann: db1 was down)"
    assert found.evidence == {"lost": 1427, "acknowledged_by": "ann", "acknowledged_reason": "db1 was down"}
    assert found.hint == ""


def test_an_acknowledgement_of_a_state_counts_for_nothing() -> None:
    """As one that another release has written."""
    state = Finding(code="KAFKA_BROKER_DOWN", severity=Severity.CRITICAL, object="broker/1", summary="down")
    one = Acknowledgement(code=state.code, object=state.object, number=9, author="a", reason="b", created=0.0)
    assert applied([state], (one,)) == [state]


@pytest.mark.parametrize(
    ("finding", "author", "reason", "words"),
    [
        (
            Finding(code="KAFKA_BROKER_DOWN", severity=Severity.CRITICAL, object="broker/1", summary=""),
            "ann",
            "x",
            "cannot be acknowledged",
        ),
        (loss(1), " ", "x", "needs an author"),
        (loss(1), "ann", "", "needs a reason"),
        (loss(1), "ann", "x" * 501, "501 characters"),
    ],
)
def test_what_is_no_acknowledgement(finding: Finding, author: str, reason: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        made(finding, author=author, reason=reason, now=0.0)


def test_one_finding_has_one_key() -> None:
    assert TAKEN.key == made(loss(9), author="bob", reason="again", now=2.0).key != READ.key
