"""The texts of the pages, by language."""

from __future__ import annotations

import functools
from importlib import resources
from typing import get_args

import yaml

from obsctl.console.config import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)


@functools.cache
def texts(language: Language) -> dict[str, str]:
    """Return all texts of a language, by key."""
    folder = resources.files("obsctl.console.web").joinpath("wording")
    return {
        key: both[language]
        for file in folder.iterdir()
        for key, both in yaml.safe_load(file.read_text(encoding="utf-8")).items()
    }


def chosen(wanted: str, default: Language) -> Language:
    """Return the language that a cookie names, or the default."""
    return next((language for language in LANGUAGES if language == wanted), default)
