"""Reports as pages: they stand for themselves, and what others wrote is text in them."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import msgspec
import pytest

from obsctl.checks.balance.judge import describe_balancer, judge_balancer
from obsctl.checks.balance.snapshot import BackendTally, BalancerSnapshot
from obsctl.core.report import Fault, Report, verdict
from obsctl.render.page import page
from tests.unit.render.snapshots import BALANCED, DEAD_VIP, FLEET, SILENT_BACKEND, TIMED

HOSTILE = "</style><script>alert(1)</script>\x1b[2J\"'"


def made(seen: BalancerSnapshot, *errors: Fault) -> str:
    findings = judge_balancer(FLEET, seen)
    report = Report(
        command="verify lb",
        status=verdict(findings, errors),
        checked_at="2026-01-01T00:00:00.000Z",
        took_ms=42,
        findings=tuple(findings),
        errors=errors,
        data=describe_balancer(FLEET, seen),
    )
    return page(report, "verify-lb")


FOREIGN = msgspec.structs.replace(
    BALANCED,
    marked=False,
    unmarked=HOSTILE,
    backends=(BackendTally(name=HOSTILE, answers=9, errors=0, p50_ms=1, p99_ms=2), *BALANCED.backends),
)
PAGES = {
    "ok": BALANCED, "timed": TIMED, "silent": SILENT_BACKEND, "dead": DEAD_VIP, "foreign": FOREIGN,
    "nothing": BalancerSnapshot(target="", wanted=600, sent=0),
}  # fmt: skip


class _Elements(HTMLParser):
    """All elements with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(text)
    return parser.found


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fetches_nothing_and_runs_nothing(name: str) -> None:
    found = elements(made(PAGES[name], Fault(code="X", object="y", summary=HOSTILE)))
    assert not {"script", "link", "img", "iframe", "object", "form"} & {tag for tag, _ in found}
    attributes = {attribute for _, attrs in found for attribute in attrs}
    assert not {a for a in attributes if a.startswith("on")} | (attributes & {"src", "href", "style", "action"})


@pytest.mark.parametrize("name", PAGES)
def test_the_policy_allows_the_pages_own_style_alone(name: str) -> None:
    text = made(PAGES[name])
    (policy,) = (attrs["content"] for tag, attrs in elements(text) if tag == "meta" and "http-equiv" in attrs)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_what_others_wrote_is_text() -> None:
    text = made(FOREIGN)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;" in text


def test_shares_and_times_are_drawn() -> None:
    drawn = elements(made(TIMED))
    assert sum(tag == "svg" for tag, _ in drawn) == 4, "the shares, and the times of each back end"
    bars = [float(attrs["width"] or 0) for tag, attrs in drawn if tag == "rect" and attrs.get("height") == "18"]
    assert len(bars) == 3
    assert len(set(bars)) == 1
    assert all(0 < width <= 460 for width in bars)


def test_findings_stand_on_the_page_with_what_to_do() -> None:
    text = made(SILENT_BACKEND)
    assert "LB_BACKEND_SILENT" in text
    assert "systemctl status obs-backend" in text
