"""Every text of the pages stands there in every language, with the same places for values; the script has its own."""

from __future__ import annotations

import re
from importlib import resources

import pytest
import yaml

from obsctl.console.web.texts import LANGUAGES, chosen, texts

WEB = resources.files("obsctl.console.web")
RAW = yaml.safe_load(WEB.joinpath("texts.yml").read_text(encoding="utf-8"))
TEMPLATES = "".join(path.read_text(encoding="utf-8") for path in WEB.joinpath("templates").iterdir())
PAGES = WEB.joinpath("pages.py").read_text(encoding="utf-8")
SCRIPTS = "".join(
    path.read_text(encoding="utf-8") for path in WEB.joinpath("static").iterdir() if path.name.endswith(".js")
)


@pytest.mark.parametrize("key", RAW)
def test_a_text_is_complete(key: str) -> None:
    both = RAW[key]
    assert tuple(both) == LANGUAGES
    assert all(isinstance(text, str) and text for text in both.values())
    places = [set(re.findall(r"\{(\w+)\}", text)) for text in both.values()]
    assert places == places[:1] * len(places)


def test_each_text_is_used_and_each_that_is_used_exists() -> None:
    used = set(re.findall(r"\bt\.(\w+)", TEMPLATES)) | {f"last_{age}" for age in ("15m", "1h", "6h", "24h", "7d")}
    used |= set(re.findall(r'said\["(\w+)"\]', PAGES))
    of_script = set(re.findall(r'\bsay\("(\w+)"', SCRIPTS)) | set(re.findall(r"\btexts\.(\w+)", SCRIPTS))
    of_script |= {"found_more", "found_all", "out_of_time"}
    handed_over = set(re.findall(r'"(\w+)"', PAGES[PAGES.index("_OF_SCRIPT = (") : PAGES.index(")  # fmt: skip")]))
    assert handed_over == of_script
    assert used | handed_over == set(RAW)


def test_an_unknown_language_is_the_sites_own() -> None:
    assert chosen("zh", "en") == "zh"
    assert chosen("xx", "en") == chosen("", "en") == "en"
    assert texts("zh")["search"] != texts("en")["search"]
