"""Every text of the pages stands there in every language, with the same places for values; the script has its own."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from pathlib import Path

import pytest
import yaml

from obsctl.console.people.roles import Role
from obsctl.console.web import app
from obsctl.console.web.page import ADMINISTRATION, NAVIGATION
from obsctl.console.web.texts import LANGUAGES, chosen, texts

WEB = resources.files("obsctl.console.web")
FILES = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in WEB.joinpath("wording").iterdir()]
RAW = {key: both for file in FILES for key, both in file.items()}
TEMPLATES = "".join(path.read_text(encoding="utf-8") for path in WEB.joinpath("templates").iterdir())
ROUTES = "".join(
    path.read_text(encoding="utf-8") for path in WEB.joinpath("routes").iterdir() if path.name.endswith(".py")
)
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


def test_no_key_is_a_method_of_the_dictionary_that_templates_are_given() -> None:
    assert not [key for key in RAW if hasattr(dict, key)]


def test_a_key_stands_in_one_file() -> None:
    assert sum(map(len, FILES)) == len(RAW)


def test_each_text_is_used_and_each_that_is_used_exists() -> None:
    used = set(re.findall(r"\bt\.(\w+)", TEMPLATES)) | {*NAVIGATION, *ADMINISTRATION}
    for ages, start in re.findall(r'in (\("\d+[mhd]"[^)]*\)) %\}.+?t\["(\w+_)" ~', TEMPLATES):
        used |= {start + age for age in re.findall(r'"(\w+)"', ages)}
    for ages in re.findall(r"time_range\((\([^)]*\))\)", TEMPLATES):
        used |= {f"last_{age}" for age in re.findall(r'"(\w+)"', ages)}
    used |= set(re.findall(r'said\["(\w+)"\]', ROUTES))
    of_script = set(re.findall(r'\bsay\("(\w+)"', SCRIPTS)) | set(re.findall(r"\btexts\.(\w+)", SCRIPTS))
    of_script |= {"found_more", "found_all", "out_of_time"} | {f"role_{role}" for role in Role}
    of_script |= {
        "no_quarantined",
        "quarantined_count",
        "more_quarantined",
        "replay_plan",
        "replay_done",
        "replay_none",
    }
    handed_over = {key for subject in app._SUBJECTS for key in getattr(subject, "TEXTS", ())}
    assert handed_over == of_script
    assert used | handed_over == set(RAW)


def test_the_files_of_others_are_those_that_are_named() -> None:
    vendor = Path(str(WEB.joinpath("static/vendor")))
    named = dict(re.findall(r"\| `(\S+?/\S+?)` \| `([0-9a-f]{64})` \|", (vendor / "README.md").read_text()))
    found = {path.relative_to(vendor).as_posix(): path for path in vendor.rglob("*") if path.is_file()}
    del found["README.md"]
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in found.items()} == named
    for name in named:
        assert name.endswith("LICENSE") or f"/static/vendor/{name}" in TEMPLATES, f"{name}: no page uses it"


def test_an_unknown_language_is_the_sites_own() -> None:
    assert chosen("zh", "en") == "zh"
    assert chosen("xx", "en") == chosen("", "en") == "en"
    assert texts("zh")["search"] != texts("en")["search"]
