"""docs/architecture.md and CONTRIBUTING.md name files and folders that exist, and all rooms of the source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_PATH = re.compile(r"`(\w[\w./{},-]*/[\w./{},-]*)`")
#: What a name of our own stands for in a path.
_ANY_NAME = re.compile(r"\b[A-Z]{4,}\b")
#: From where the pages write a path: the project, the source, the alerter, a role.
_PLACES = ("", "src/obsctl/", "src/obsctl/alerter/", "roles/*/")
_ALTERNATIVES = re.compile(r"\{(.*?)\}")


def paths(text: str) -> set[str]:
    """Return the paths in a text, with ``*`` where any name may stand."""
    found = set()
    for path in _PATH.findall(text):
        some = _ANY_NAME.sub("*", path)
        alternatives = _ALTERNATIVES.search(some)
        names = alternatives[1].split(",") if alternatives else [""]
        found |= {_ALTERNATIVES.sub(name, some, count=1) for name in names}
    return found


def exists(project: Path, path: str) -> bool:
    """Say whether a path leads to something, from one of the places or, with another first part, outside of them."""
    first = path.partition("/")[0]
    return not any(list(project.glob(f"{place}{first}")) for place in _PLACES) or any(
        list(project.glob(f"{place}{path}")) for place in _PLACES
    )


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_what_a_page_names_exists(page: str, project: Path) -> None:
    found = paths((project / page).read_text())
    assert len(found) > 20
    assert [path for path in sorted(found) if not exists(project, path)] == []


def test_a_file_that_moved_is_missed(project: Path) -> None:
    wrong = paths(
        "`src/obsctl/alerter/view.py` `alerter/channels/{http,ftp}.py` `roles/NAME/defaults/none.yml` `GET /x/`"
    )
    assert [path for path in sorted(wrong) if not exists(project, path)] == [
        "alerter/channels/ftp.py",
        "roles/*/defaults/none.yml",
        "src/obsctl/alerter/view.py",
    ]


@pytest.mark.parametrize(("folder", "indent"), [("src/obsctl", 2), ("src/obsctl/alerter", 4)])
def test_the_list_of_rooms_is_whole(folder: str, indent: int, project: Path) -> None:
    page = (project / "docs/architecture.md").read_text()
    rooms = page[page.index("\nsrc/obsctl/\n") : page.index("\ntemplates/  ")]
    listed = set(re.findall(rf"(?m)(?:^ {{{indent}}}|(?<=\S) {{2,}})(\w+)/ ", rooms))
    packages = {path.parent.name for path in (project / folder).glob("*/__init__.py")}
    assert packages <= listed
