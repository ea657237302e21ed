"""The page of alerts: a rule is evaluated over the stored lines, as it is and with another limit."""

from __future__ import annotations

import pytest

from rig.browser import Browser
from rig.console import Console
from tests.browser import steps

#: What stands below the first rule.
_BELOW = "#rules tr.details"


@pytest.fixture
def rules(page: Browser, site: Console) -> Browser:
    """The page, as a viewer sees it."""
    steps.opened(page, site, "/alerts")
    page.wait("the rules", lambda: page.texts("#rules tbody td:first-child") == ["bad-gateway", "lag"])
    return page


def _evaluated(page: Browser, before: str = "") -> str:
    """Return what the page says after a click, instead of what it has said ``before``."""
    page.click(f"{_BELOW} form button")

    def result() -> str:
        return next((one for one in page.texts(f"{_BELOW} div p") if "fired" in one and one != before), "")

    return page.wait("the result", result)


def test_a_rule_would_not_have_fired_and_with_a_lower_limit_it_would(rules: Browser, axe_script: str) -> None:
    rules.click("#rules tbody tr:first-child button")
    assert rules.one(f"{_BELOW} [name=threshold]").get_property("value") == "100"
    assert rules.one(f"{_BELOW} [name=window_s]").get_property("value") == "300"
    rules.choose(f"{_BELOW} [name=since]", "6h")
    quiet = _evaluated(rules)
    assert quiet.startswith("It would have fired: 0 × (messages: 0).")
    rules.write(f"{_BELOW} [name=threshold]", "10")
    assert _evaluated(rules, quiet).startswith("It would have fired: 1 × ")
    assert rules.texts(f"{_BELOW} tbody td:first-child") == ["all lines"]
    assert rules.texts(f"{_BELOW} tbody td:last-child") == ["15 lines"]
    assert "The history cannot be read" in " ".join(rules.texts(f"{_BELOW} div p"))
    assert rules.barriers(axe_script) == []
    rules.click("#rules tbody tr:first-child button")
    rules.wait("it is closed", lambda: not rules.all(_BELOW))


def test_why_a_rule_cannot_be_evaluated_is_said_below_it(rules: Browser) -> None:
    rules.click("#rules tbody tr:last-child button")
    rules.wait(
        "why not", lambda: "the pipeline's own numbers, which are in no line" in " ".join(rules.texts(f"{_BELOW} p"))
    )
