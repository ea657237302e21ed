"""``docs/reference/commands.md`` says what the program does: commands, options, findings, exit codes, thresholds.

``OBSCTL_GOLDEN=write pytest tests/contract/docs`` writes the tables of options again from the program's help.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from obsctl.checks.ask import database
from obsctl.checks.balance import collect as lb
from obsctl.checks.balance import judge as balance
from obsctl.checks.consumer import judge as consumer
from obsctl.checks.health import collect as health_collect
from obsctl.checks.health import judge as health
from obsctl.checks.kafka import collect as kafka_collect
from obsctl.checks.kafka import judge as kafka
from obsctl.checks.vip import collect as vip
from obsctl.cli import settings
from obsctl.core.errors import ExitCode
from tests.contract.docs.program import COMMANDS

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/commands.md"
RUNBOOKS = PAGE.parents[1] / "runbooks"
JUDGES = sorted((PAGE.parents[2] / "src/obsctl/checks").glob("*/judge.py"))
_HEAD = ["| option | meaning |", "|---|---|"]
_COMMON = {"Options of every command": settings.shared, "Options of every check": settings.checking}


def declared(function: Callable[..., None]) -> set[str]:
    return {name for name in inspect.signature(function).parameters if name != "ctx"}


SHARED = declared(settings.shared) | declared(settings.checking)


def sections() -> dict[str, list[str]]:
    """Return the lines below each heading; a heading such as ``health, status`` is that of two commands."""
    found: dict[str, list[str]] = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, *lines = part.splitlines()
        found.update((name.strip(), lines) for name in heading.split(","))
    return found


SECTIONS = sections()


def row(parameter: Any) -> str:
    """Return the line of a table for an option or an argument, in the words of its help."""
    metavar = parameter.metavar or ""
    if parameter.param_type_name == "argument":
        name = f"`{metavar}`"
    else:
        *short, last = sorted(parameter.opts, key=len)
        name = ", ".join(f"`{word}`" for word in [*short, f"{last} {metavar}".strip()])
    required = "Required. " if parameter.required else ""
    return f"| {name} | {required}{parameter.help} |".replace("earliest|latest|", r"earliest\|latest\|")


def rows_of(section: str) -> list[str]:
    """Return the lines that the table of options of a section has to have."""
    if section in _COMMON:
        names = declared(_COMMON[section])
        command = COMMANDS["health"]
        return [row(parameter) for parameter in command.params if parameter.name in names]
    own = [parameter for parameter in COMMANDS[section].params if parameter.name not in SHARED - own_names(section)]
    return [row(parameter) for parameter in own]


def own_names(section: str) -> set[str]:
    """Return the names of options that a command's own function declares, as ``--until`` of a replay."""
    callback = inspect.unwrap(COMMANDS[section].callback)
    return set(inspect.signature(callback).parameters)


def table_of(lines: list[str]) -> list[str]:
    if _HEAD[0] not in lines:
        return []
    start = lines.index(_HEAD[0]) + len(_HEAD)
    end = next((at for at in range(start, len(lines)) if not lines[at].startswith("|")), len(lines))
    return lines[start:end]


@pytest.fixture(scope="module", autouse=True)
def _rewritten() -> None:
    if os.environ.get("OBSCTL_GOLDEN") != "write":
        return
    first, *parts = PAGE.read_text(encoding="utf-8").split("\n## ")
    for at, part in enumerate(parts):
        heading, *lines = part.splitlines()
        name = heading.split(",")[0].strip()
        if name not in COMMANDS and name not in _COMMON:
            continue
        if _HEAD[0] in lines:
            start = lines.index(_HEAD[0])
            del lines[start - 1 : start + len(_HEAD) + len(table_of(lines))]
        if rows := rows_of(name):
            # Below the first paragraph, which says what the command is for.
            place = lines.index("", 1) if "" in lines[1:] else len(lines)
            lines[place:place] = ["", *_HEAD, *rows]
        parts[at] = "\n".join([heading, *lines])
    text = "\n\n## ".join(part.strip("\n") for part in [first, *parts])
    PAGE.write_text(f"{text}\n", encoding="utf-8")
    SECTIONS.update(sections())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_its_section(command: str) -> None:
    assert command in SECTIONS, f"docs/reference/commands.md has no section `## {command}`"


def test_a_section_of_a_command_is_that_of_one_that_exists() -> None:
    first_words = {command.split(" ")[0] for command in COMMANDS}
    gone = [name for name in SECTIONS if name.split(" ")[0] in first_words and name not in COMMANDS]
    assert not gone, f"docs/reference/commands.md describes commands that do not exist: {gone}"


@pytest.mark.parametrize("section", [*_COMMON, *COMMANDS])
def test_each_option_is_documented_in_the_words_of_its_help(section: str) -> None:
    wanted, found = rows_of(section), table_of(SECTIONS.get(section, []))
    missing = [line for line in wanted if line not in found]
    stale = [line for line in found if line not in wanted]
    assert not missing, f"{section}: not in docs/reference/commands.md: {missing}"
    assert not stale, f"{section}: docs/reference/commands.md has what the program has not: {stale}"


def test_the_page_names_the_checks_that_take_the_options_of_checks() -> None:
    taking = {name for name, command in COMMANDS.items() if any(p.name == "from_file" for p in command.params)}
    paragraph = "\n".join(SECTIONS["Options of every check"]).strip().split("take them")[0]
    assert set(re.findall(r"`([a-z ]+)`", paragraph)) == taking


def test_the_exit_codes_are_the_programs() -> None:
    lines = [re.match(r"\| (\d+) \| ([a-z ]+) \|", line) for line in SECTIONS["Exit codes"]]
    found = {int(line[1]): line[2] for line in lines if line}
    assert found == {code.value: code.name.lower().replace("_", " ") for code in ExitCode}


def test_each_code_of_a_finding_has_its_page_and_each_page_its_mention() -> None:
    named = set(re.findall(r"`((?:ALERT|ARTIFACT|CONSUMER|HEALTH|KAFKA|LAB|LB|VIP)_[A-Z_]+)`", PAGE.read_text()))
    pages = {page.stem for page in RUNBOOKS.glob("[A-Z]*_*.md")}
    assert not named - pages, f"no page in docs/runbooks: {sorted(named - pages)}"
    assert not pages - named, f"not named in docs/reference/commands.md: {sorted(pages - named)}"


class Threshold(NamedTuple):
    """A number of the program that the page names: in this section, where the pattern's only group stands."""

    section: str
    pattern: str
    module: Any
    constant: str
    scale: float = 1

    def __str__(self) -> str:
        return f"{self.module.__name__}.{self.constant}"


THRESHOLDS = [
    Threshold("verify lb", r"chi-square p < (\S+)", balance, "SIGNIFICANCE"),
    Threshold("verify lb", r"a share off by more than (\d+) %", balance, "TOLERANCE", 100),
    Threshold("verify lb", r"critical from (\d+) % of them on", balance, "ERRORS_CRITICAL", 100),
    Threshold("verify lb", r"fewer than (\d+) answers for each back end", balance, "_MIN_FOR_SILENCE"),
    Threshold("verify lb", r"By default (\d+) requests for each worker", lb, "REQUESTS_PER_WORKER_AND_BACKEND"),
    Threshold("verify lb", r"for each worker \((\d+) are\s+assumed", lb, "ASSUMED_WORKERS"),
    Threshold("verify lb", r"and back end, at least (\d+)", lb, "MIN_REQUESTS"),
    Threshold("verify lb", r"nothing answers: ends after (\d+) requests", lb, "HOPELESS_IN_A_ROW"),
    Threshold("verify lb", r"requests \((\d+), once something had answered", lb, "LOST_IN_A_ROW"),
    Threshold("verify lb", r"Each request has (\d+) s", lb, "REQUEST_DEADLINE_S"),
    Threshold("verify lb", r"the run (\d+) s", lb, "RUN_DEADLINE_S"),
    Threshold("verify lb", r"the run took longer than (\d+) s", lb, "RUN_DEADLINE_S"),
    Threshold("verify vip", r"over ssh \((\d+) s each", vip, "SSH_DEADLINE_S"),
    Threshold("kafka status", r"they have (\S+) s\s+for everything", kafka_collect, "DEADLINE_S"),
    Threshold("kafka status", r"behind for more than (\d+) s", kafka, "VOTER_BEHIND_MS", 0.001),
    Threshold("kafka status", r"by more than ([\d,]+) records", kafka, "VOTER_BEHIND_RECORDS"),
    Threshold("kafka status", r"more than ([\d,]+) messages behind", kafka, "LAG_WARNING"),
    Threshold("kafka status", r"less than (\d+) % of a log directory free", kafka, "DISK_WARNING", 100),
    Threshold("kafka status", r"directory free, less than (\d+) %", kafka, "DISK_CRITICAL", 100),
    Threshold("kafka status", r"more than (\S+) times its share", kafka, "LEADER_SKEW"),
    Threshold("kafka status", r"messages older than (\d+) minutes", kafka_collect, "_SETTLED_S", 1 / 60),
    Threshold("consumer status", r"stored for (\d+) minutes", consumer, "_STILL_S", 1 / 60),
    Threshold("consumer status", r"fewer than (\d+) days ahead", consumer, "_DAYS_AHEAD"),
    Threshold("health", r"a file system is (\d+) % full", health, "_DISK_WARNING_PERCENT"),
    Threshold("health", r"% full, (\d+) %", health, "_DISK_CRITICAL_PERCENT"),
    Threshold("health", r"disks over ssh \((\S+) s\)", health_collect, "_HOST_DEADLINE_S"),
    Threshold("health", r"`/healthz` \((\S+) s\)", health_collect, "_BACKEND_DEADLINE_S"),
    Threshold("health", r"as the reading user \((\S+) s\)", database, "_DEADLINE_S"),
]
#: Numbers of the checks that no verdict depends on, or that follow from another.
_NO_THRESHOLDS = {
    "obsctl.checks.balance.judge._Z95", "obsctl.checks.balance.judge._MIN_EXPECTED", "obsctl.checks.kafka.judge._NAMED",
}  # fmt: skip


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=str)
def test_a_threshold_is_the_programs(threshold: Threshold) -> None:
    text = "\n".join(SECTIONS[threshold.section])
    found = re.search(threshold.pattern, text)
    assert found, f"{threshold}: `{threshold.pattern}` is not in the section {threshold.section}"
    value = getattr(threshold.module, threshold.constant) * threshold.scale
    assert float(found[1].replace(",", "")) == pytest.approx(value), f"{threshold} is {value}"


def test_every_number_of_a_check_is_a_documented_threshold() -> None:
    numbers = {
        f"{module.__name__}.{name}"
        for module in (import_module(f"obsctl.checks.{path.parent.name}.judge") for path in JUDGES)
        for name, value in vars(module).items()
        if isinstance(value, int | float) and name.isupper()
    }
    documented = {str(threshold) for threshold in THRESHOLDS}
    assert numbers - documented - _NO_THRESHOLDS == set()
    assert numbers >= _NO_THRESHOLDS
