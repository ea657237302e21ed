"""Every text that people read in a message, in each language: each kind of rule, each reason, digest and test.

``OBSCTL_GOLDEN=write pytest tests/unit/alerter/messages/test_message_texts.py`` writes golden/messages.LANGUAGE.txt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from obsctl.alerter.alerts import Level
from obsctl.alerter.messages.message import Kind, Message, Writer, channel_test, digest, sent_again
from obsctl.alerter.messages.templates import BUILT_IN, Language, Templates
from obsctl.alerter.messages.templates_check import AT, NOTICES, TOP, samples
from obsctl.alerter.rules.registry import KINDS
from obsctl.alerter.rules.rule import TABLES, Rule

GOLDEN = Path(__file__).parent / "golden"
#: What a kind cannot do without, beside its name.
OPTIONS: dict[str, dict[str, Any]] = {
    "cardinality": {"of": "uri", "threshold": 5, "by": ["client_addr"]},
    "change": {"of": "upstream_addr", "by": ["vhost"]},
    "flatline": {"by": ["host"], "filter": "status:200", "window_s": 3600},
    "frequency": {"threshold": 5, "filter": "status:404"},
    "match": {"lines": "error", "filter": "level:>=crit", "by": ["host"], "severity": "critical"},
    "metric": {"metric": "obsctl_consumer_lag", "above": 1000, "match": {"topic": "nginxlog"}, "severity": "critical"},
    "new_term": {"by": ["vhost"], "severity": "info"},
    "percentile": {"above": 1.5},
    "ratio": {"hits": "status:[500 TO 599]", "share": 0.05, "by": ["upstream_addr"]},
    "requests_per_client": {"threshold": 5},
    "spike": {"factor": 2.5},
    "status_4xx": {"threshold": 5},
    "status_5xx_share": {"share": 0.05, "min_requests": 1, "severity": "critical"},
}
#: Words of Chinese messages that are no Chinese: names, units, and what a person types.
_TECHNICAL = {"crit", "TO", "xx", "topic", "nginxlog", "source", "obsctl_consumer_lag"} | {
    name for table in TABLES.values() for name in table.fields
}
_ENGLISH = re.compile(r"[A-Za-z_]{2,}")
#: What is typed, and what the inventory named: no words of a language.
_VERBATIM = re.compile(
    r"obsctl alert .*|obsctl search .*|obsctl health|obsctl verify lb|obsctl-alerter|[a-z0-9_]+-rule"
    r"|\b[0-9a-f]{12}\b|app1|node\d|/login"
)


def rule(kind: str) -> Rule:
    (made,) = KINDS.read([{"name": f"{kind}-rule", "kind": kind, **OPTIONS.get(kind, {})}], "rules")
    return made


def templates(language: Language) -> Templates:
    return Templates(language, ZoneInfo("Asia/Shanghai"))


def of_kind(kind: str, language: Language) -> Iterator[Message]:
    """Yield the messages of all reasons about a rule of a kind."""
    made = rule(kind)
    writer = Writer((made,), templates(language))
    for about in samples(made):
        yield writer.message(about, {about.alerts[0].incident: TOP})


def of_none(language: Language) -> Iterator[Message]:
    """Yield the messages that belong to no rule, or to one that was removed."""
    chosen = templates(language)
    orphan = Writer((), chosen)
    for about in samples(rule("status_4xx")):
        yield orphan.message(about, {})
    for notice in NOTICES:
        yield Message(
            id="1",
            kind=Kind(notice.kind),
            title=chosen.line("notice_title", notice),
            lines=chosen.lines("notice_body", notice),
            cut=chosen.line("cut"),
        )
    for severity in (None, *Level):
        test = channel_test(AT, "app1", chosen, severity)
        yield test
    yield sent_again(digest([test, test], AT, chosen), chosen)


def written(messages: Iterator[Message]) -> str:
    return "\n\n".join("\n    ".join((message.title, *message.lines, message.cut)) for message in messages) + "\n"


@pytest.mark.parametrize("language", Language)
def test_the_texts_are_those_that_were_looked_at(language: Language) -> None:
    text = "\n".join([*(written(of_kind(kind, language)) for kind in sorted(KINDS.by_tag)), written(of_none(language))])
    path = GOLDEN / f"messages.{language}.txt"
    if os.environ.get("OBSCTL_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", sorted(KINDS.by_tag))
def test_a_kind_has_its_words(kind: str, language: Language) -> None:
    assert (BUILT_IN / language / "kinds" / f"{kind}.j2").is_file(), f"templates/alerts/{language}/kinds/{kind}.j2"
    made = rule(kind)
    for about in samples(made):
        words = templates(language)
        for macro, arguments in (("headline", (made, about.alerts[0].peak)), ("measured", (made, about.alerts[0].peak)),
                                 ("limit", (made,))):  # fmt: skip
            assert words.of_kind(kind, macro, *arguments).strip(), f"{kind}.j2: {macro} says nothing"


def test_both_languages_have_the_same_templates() -> None:
    files = [
        {path.relative_to(BUILT_IN / language).as_posix() for path in (BUILT_IN / language).rglob("*.j2")}
        for language in Language
    ]
    assert files[0] == files[1]
    assert {name for name in files[0] if name.startswith("kinds/")} == {f"kinds/{kind}.j2" for kind in KINDS.by_tag}


@pytest.mark.parametrize("kind", [*sorted(KINDS.by_tag), "no rule"])
def test_no_english_is_left_in_chinese(kind: str) -> None:
    for message in of_none(Language.CHINESE) if kind == "no rule" else of_kind(kind, Language.CHINESE):
        for line in (message.title, *message.lines, message.cut):
            left = set(_ENGLISH.findall(_VERBATIM.sub("", line))) - _TECHNICAL
            assert not left, f"{kind}: {left} in {line!r}"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", sorted(KINDS.by_tag))
def test_a_title_begins_with_what_matters(kind: str, language: Language) -> None:
    """A lock screen shows 30 to 60 characters: state, severity, rule and whom it is about are among them."""
    for message in of_kind(kind, language):
        place = message.title.index(f"{kind}-rule")
        assert place <= len("[STARTED AND ENDED] CRITICAL ")
        assert message.title.startswith("[")


def test_what_machines_read_has_no_language() -> None:
    for english, chinese in zip(of_kind("ratio", Language.ENGLISH), of_kind("ratio", Language.CHINESE), strict=True):
        assert english.title != chinese.title
        assert (english.facts, english.kind, english.id) == (chinese.facts, chinese.kind, chinese.id)
