"""A site's own templates: what is refused at the start, and what a message does when one fails later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from obsctl.alerter.messages.message import Message, Writer, channel_test
from obsctl.alerter.messages.templates import Language, Templates
from obsctl.alerter.messages.templates_check import AT, TOP, check_templates, samples
from obsctl.core.errors import ConfigError
from tests.unit.alerter.builders import rate

RULE = rate(100)
Site = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Write templates of a site and return their folder."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / "en" / (name.replace("__", "/") + ".j2")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def first(templates: Templates) -> Message:
    return Writer((RULE,), templates).message(next(samples(RULE)), {})


def test_a_template_takes_the_place_of_the_programs_own(site: Site) -> None:
    templates = Templates(folder=site(title="{{ severity }} 站点甲 {{ alerts[0].headline }}"))
    check_templates((RULE,), templates)
    assert first(templates).title == "warning 站点甲 60 requests in 60 s (limit 100)"
    assert first(templates).lines == first(Templates()).lines


def test_a_template_can_take_the_programs_own_along(site: Site) -> None:
    templates = Templates(folder=site(body='wiki: https://wiki.example/alerts\n{% include "built-in/body.j2" %}'))
    assert first(templates).lines == ("wiki: https://wiki.example/alerts", *first(Templates()).lines)


def test_words_that_others_use_can_be_replaced_alone(site: Site) -> None:
    words = (Path(__file__).parents[4] / "templates/alerts/en/words.j2").read_text()
    templates = Templates(folder=site(words=words.replace('"fleet"', '"all of us"'), kinds__requests_per_client=_KIND))
    assert first(templates).title == "[FIRING] client-request-rate 203.0.113.1: 60 calls"


_KIND = """
{% macro measured(rule, window) %}{{ window.hits }} calls{% endmacro %}
{% macro headline(rule, window) %}{{ measured(rule, window) }}{% endmacro %}
{% macro limit(rule) %}{{ rule.threshold }}{% endmacro %}
"""


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("title", "one\n{% if %}", "title.j2:2: Expected an expression"),
        ("body", "{{ a b }}", "body.j2:1: expected token 'end of print statement'"),
        ("title", "{% bogus %}", "title.j2:1: Encountered unknown tag 'bogus'"),
    ],
)
def test_what_is_no_template_is_refused_with_file_and_line(site: Site, name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Templates(folder=site(**{name: text}))
    assert f"en/{said}" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("title", "\n{{ serverity }}", "title.j2:2: 'serverity' is undefined"),
        ("body", "{% if kind == 'resolved' %}\n\n{{ alerts[0].nothing }}{% endif %}", "body.j2:3: "),
        ("body", "{{ alerts[99].rule }}", "body.j2:1: "),
        ("title", "{{ 1 // (total - 30) }}", "title.j2:1: ZeroDivisionError: "),
        ("title", '{% include "absent.j2" %}', "there is no template absent.j2"),
        ("title", "{{ alerts.__class__.__mro__ }}", "title.j2:1: access to attribute '__class__'"),
        ("title", "{% for n in range(10**9) %}{% endfor %}", "title.j2:1: OverflowError: "),
        ("title", "{% if kind == 'firing' %}[FIRING]{% endif %}", "title.j2: says nothing"),
        ("cut", "{# nothing #}", "cut.j2: says nothing"),
        ("digest_title", "{{ titels }}", "digest_title.j2:1: 'titels' is undefined"),
        ("test_body", "{{ severity.x.y }}", "test_body.j2:1: "),
        ("sent_again", "{{ at }}", "sent_again.j2:1: 'at' is undefined"),
        ("silence_reason", "{{ at }}", "silence_reason.j2:1: 'at' is undefined"),
        ("kinds__requests_per_client", "{% macro limit(rule) %}{% endmacro %}", "requests_per_client.j2: "),
        ("kinds__requests_per_client", _KIND.replace("threshold", "treshold"), "requests_per_client.j2:4: "),
        ("words", "{% macro span(s) %}{% endmacro %}", ".j2:"),
    ],
)
def test_what_fails_for_any_message_is_refused_with_file_and_line(site: Site, name: str, text: str, said: str) -> None:
    """Each of them renders the first message of a sample rule, or a part of it, without an error."""
    templates = Templates(folder=site(**{name: text}))
    with pytest.raises(ConfigError) as refused:
        check_templates((RULE,), templates)
    assert said in str(refused.value)
    assert "alert-messages.md" in refused.value.hint


def test_a_file_that_nothing_would_use_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"titel\.j2: there is no template of this name") as refused:
        Templates(folder=site(titel="x"))
    assert "title.j2" in refused.value.hint
    (tmp_path / "en" / "titel.j2").unlink()
    (tmp_path / "title.j2").write_text("x")
    with pytest.raises(ConfigError, match=r"title\.j2: there is no template of this name"):
        Templates(folder=tmp_path)


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, site: Site) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Templates(folder=tmp_path / "absent")
    site(title="")
    (tmp_path / "en" / "title.j2").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        Templates(folder=tmp_path)


def test_templates_of_another_language_are_left_alone(site: Site) -> None:
    assert not Templates(Language.CHINESE, folder=site(title="{{")).customized


def test_one_that_fails_later_costs_no_message_and_is_said_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    templates = Templates(folder=site(title="{{ alerts[0].top.kept }}"))
    with caplog.at_level(logging.ERROR):
        messages = [first(templates) for _ in range(3)]
    assert messages == [first(Templates())] * 3
    (record,) = caplog.records
    assert "title.j2:1: " in record.__dict__["error"]
    about = next(samples(RULE))
    shown = Writer((RULE,), templates).message(about, {about.alerts[0].incident: TOP})
    assert shown.title == "10000"


def test_a_message_is_sent_even_if_nothing_can_write_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    templates = Templates()
    monkeypatch.setattr(templates, "line", lambda *_: 1 / 0)
    message = first(templates)
    assert message.title == "[FIRING] client-request-rate 203.0.113.1: 1 alerts, 1 firing"
    assert message.facts["alerts"]
    assert "could not be rendered" in caplog.text


def test_lines_and_titles_are_plain_lines(site: Site) -> None:
    templates = Templates(folder=site(test_title="a\n  b\n", test_body="\n  one \n\n\ttwo\n"))
    message = channel_test(AT, "app1", templates)
    assert (message.title, message.lines) == ("a b", ("one", "two"))
