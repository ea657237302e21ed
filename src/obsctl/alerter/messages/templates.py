"""The templates of messages: the program's own in each language, and a site's templates that replace them.

They are Jinja templates of plain text: a channel adds its own markup, so nothing is escaped here. All templates are
read and compiled at the start: a later change of a file has no effect on a running alerter, and an invalid template of
the site is an error at the start. If one fails later, the program's own template is used instead, so no message waits
for a template.
"""

from __future__ import annotations

import copy
import enum
import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

import obsctl
from obsctl.core.errors import ConfigError

LOG = logging.getLogger(__name__)

#: The program's own templates, one folder for each language.
BUILT_IN = Path(obsctl.__file__).parent / "templates" / "alerts"
#: The prefix under which a site's template finds the program's own, to extend or include it.
_PREFIX = "built-in/"
_SUFFIX = ".j2"
#: Macros are called from a template, so that an error in one has a line number.
_CALL = "call"
_CALLING = "{% import name as kind %}{{ kind[macro](*arguments) }}"


class Language(enum.StrEnum):
    """The language of the messages."""

    ENGLISH = "en"
    CHINESE = "zh"


class TemplateFaultError(Exception):
    """A site's template cannot be used.

    Args:
        path: the file.
        line: in the file; 0 where it is not known.
        problem: what is wrong with it.
    """

    def __init__(self, path: str, line: int, problem: str) -> None:
        super().__init__(f"{path}{f':{line}' if line else ''}: {problem}")


class Templates:
    """All templates of one language.

    Args:
        language: of the texts.
        zone: of the times in them.
        folder: a site's own templates, one folder for each language; None for none.

    Raises:
        ConfigError: the site's folder cannot be read, or has a file that is not one of the templates or not valid
            Jinja; with file and line.
    """

    def __init__(self, language: Language = Language.ENGLISH, zone: tzinfo = UTC, folder: Path | None = None) -> None:
        own = _read(BUILT_IN / language)
        self._zone = zone
        self._own = self._environment(own)
        self._site: jinja2.Environment | None = None
        self._failed: set[str] = set()
        self._on_fault: Callable[[TemplateFaultError], None] = self._log_once
        if folder is not None and (theirs := _overrides(folder)[language]):
            self._site = self._environment({**{_PREFIX + name: text for name, text in own.items()}, **own, **theirs})
            for name in theirs:
                try:
                    self._site.get_template(name)
                except jinja2.TemplateError as error:
                    raise ConfigError(str(_fault(error, name))) from None

    @property
    def customized(self) -> bool:
        """Whether the site has templates of its own."""
        return self._site is not None

    def raising(self) -> Templates:
        """Return the same templates, but a site's template that fails raises :class:`TemplateFaultError`."""
        strict = copy.copy(self)
        strict._on_fault = _raise
        return strict

    def text(self, name: str, view: msgspec.Struct | None = None) -> str:
        """Return a template's text.

        Args:
            name: such as ``title``, without its suffix.
            view: its fields are the variables; None for none.
        """
        variables = {} if view is None else {field: getattr(view, field) for field in view.__struct_fields__}
        return self._filled(name + _SUFFIX, lambda found: found.get_template(name + _SUFFIX).render(variables))

    def line(self, name: str, view: msgspec.Struct | None = None) -> str:
        """Return a template's text on one line."""
        return " ".join(self.text(name, view).split())

    def lines(self, name: str, view: msgspec.Struct | None = None) -> tuple[str, ...]:
        """Return the lines of a template's text, without empty ones."""
        return tuple(stripped for line in self.text(name, view).split("\n") if (stripped := line.strip()))

    def of_kind(self, kind: str, macro: str, *arguments: Any) -> str:
        """Return the text of a macro for a kind of rules.

        Args:
            kind: of the rule; ``kinds/KIND.j2`` has the macros.
            macro: ``headline``, ``measured`` or ``limit``.
            arguments: of the macro.
        """
        name = f"kinds/{kind}{_SUFFIX}"
        variables = {"name": name, "macro": macro, "arguments": arguments}
        text = self._filled(name, lambda found: found.get_template(_CALL).render(variables))
        return " ".join(text.split())

    def _filled(self, name: str, fill: Callable[[jinja2.Environment], str]) -> str:
        if self._site is not None:
            try:
                text = fill(self._site)
            except Exception as error:  # a template can raise whatever Python can
                self._on_fault(_fault(error, name))
            else:
                if text.strip() or name.endswith(f"body{_SUFFIX}"):
                    return text
                self._on_fault(TemplateFaultError(name, 0, "says nothing"))
        return fill(self._own)

    def _log_once(self, fault: TemplateFaultError) -> None:
        if str(fault) not in self._failed:
            self._failed.add(str(fault))
            LOG.error("a template of messages failed; the built-in one is used", extra={"error": str(fault)})

    def _environment(self, sources: Mapping[str, tuple[str, str]]) -> jinja2.Environment:
        def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
            found = (_CALL, _CALLING) if name == _CALL else sources.get(name)
            return None if found is None else (found[1], found[0], lambda: True)

        environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FunctionLoader(load),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["time"] = self._time
        return environment

    def _time(self, seconds: float) -> str:
        """Return a time in the site's time zone, with its UTC offset."""
        if self._zone is UTC:
            return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return datetime.fromtimestamp(seconds, self._zone).isoformat(sep=" ", timespec="seconds")


def _read(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the files of a folder by their relative names, each with its path and its text."""
    return {
        path.relative_to(folder).as_posix(): (str(path), path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _overrides(folder: Path) -> dict[Language, dict[str, tuple[str, str]]]:
    """Return a site's templates by language.

    Raises:
        ConfigError: the folder cannot be read, or a file is not one of the templates and so would never be used.
    """
    try:
        found = {language: _read(folder / language) for language in Language}
        strays = [path for path in sorted(folder.iterdir()) if path.name not in set(Language)]
    except OSError as error:
        raise ConfigError(f"{error.filename or folder} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{folder}: a template is not text in UTF-8") from None
    known = [path.relative_to(BUILT_IN / "en").as_posix() for path in sorted((BUILT_IN / "en").rglob(f"*{_SUFFIX}"))]
    strays += [Path(path) for files in found.values() for name, (path, _) in files.items() if name not in known]
    if strays:
        raise ConfigError(
            f"{strays[0]}: there is no template of this name, so it would not be used",
            hint=f"there are, in {' and '.join(Language)}: {', '.join(known)}",
        )
    return found


def _fault(error: Exception, path: str) -> TemplateFaultError:
    """Return what is wrong with a template, with the place of the innermost template involved."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return TemplateFaultError(error.filename or path, error.lineno, error.message or "is no Jinja template")
    if isinstance(error, jinja2.TemplateNotFound):
        problem = f"there is no template {error}"
    else:
        problem = f"{type(error).__name__}: {error}" if not isinstance(error, jinja2.TemplateError) else str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(_SUFFIX)]
    if not frames:
        return TemplateFaultError(path, 0, problem)
    return TemplateFaultError(frames[-1].filename, frames[-1].lineno or 0, problem)


def _raise(fault: TemplateFaultError) -> None:
    raise fault
