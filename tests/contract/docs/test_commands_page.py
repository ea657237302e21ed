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
from obsctl.checks.balance import model, stopping
from obsctl.checks.canary import collect as canary_collect
from obsctl.checks.canary import judge as canary
from obsctl.checks.certs import collect as certs_collect
from obsctl.checks.certs import judge as certs
from obsctl.checks.consumer import judge as consumer
from obsctl.checks.health import clocks
from obsctl.checks.health import collect as health_collect
from obsctl.checks.health.rules import disks as host_disks
from obsctl.checks.kafka import collect as kafka_collect
from obsctl.checks.kafka import elect, second_look, view
from obsctl.checks.kafka import judge as kafka
from obsctl.checks.kafka.rules import disks, followers, leaders
from obsctl.checks.lag import rules as lag
from obsctl.checks.logs import collect as logs_collect
from obsctl.checks.logs import follow as logs_follow
from obsctl.checks.logs import judge as logs
from obsctl.checks.ready import collect as ready_collect
from obsctl.checks.ready import judge as ready
from obsctl.checks.vip import collect as vip
from obsctl.cli import settings
from obsctl.core.errors import ExitCode
from tests.contract.docs.program import COMMANDS

PAGE = Path(__file__).resolve().parents[3] / "docs/reference/commands.md"
RUNBOOKS = PAGE.parents[1] / "runbooks"
SOURCE = PAGE.parents[2] / "src"
#: Where checks judge: what stands there in numbers, somebody wants to know.
JUDGES = sorted(
    path for pattern in ("judge", "view", "rules/*") for path in (SOURCE / "obsctl/checks").glob(f"*/{pattern}.py")
)
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
    cells = (cell.replace("|", r"\|") for cell in (name, f"{required}{parameter.help}"))
    return f"| {' | '.join(cells)} |"


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
    paragraph = "\n".join(SECTIONS["Options of every check"]).strip().split("accept them")[0]
    assert set(re.findall(r"`([a-z ]+)`", paragraph)) == taking


def test_the_exit_codes_are_the_programs() -> None:
    lines = [re.match(r"\| (\d+) \| ([a-z ]+) \|", line) for line in SECTIONS["Exit codes"]]
    found = {int(line[1]): line[2] for line in lines if line}
    assert found == {code.value: code.name.lower().replace("_", " ") for code in ExitCode}


def test_each_code_of_a_finding_has_its_page_and_each_page_its_mention() -> None:
    families = "ALERT|ARTIFACT|CERT|CONSUMER|DRILL|FLEET|HEALTH|KAFKA|LAB|LB|LOGS|PRE|VIP"
    named = set(re.findall(rf"`((?:{families})_[A-Z_]+)`", PAGE.read_text()))
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
    Threshold("verify lb", r"chi-square p < (\S+)", model, "SIGNIFICANCE"),
    Threshold("verify lb", r"a share off by more than (\d+) %", model, "TOLERANCE", 100),
    Threshold("verify lb", r"answers take (\d+) times the others'", model, "SLOW_TIMES"),
    Threshold("verify lb", r"times the others' and (\d+) ms more", model, "SLOW_MS"),
    Threshold("verify lb", r"a warning from (\d+) % of them", balance, "RETRIES_WARNING", 100),
    Threshold("verify lb", r"critical from (\d+) % of them", model, "ERRORS_CRITICAL", 100),
    Threshold("verify lb", r"fewer than (\d+) answers per back end", balance, "MIN_ANSWERS"),
    Threshold("verify lb", r"after (\d+) failed answers", stopping, "ONLY_ERRORS"),
    Threshold("verify lb", r"and after (\d+) s if", stopping, "SLOW_RUN_S"),
    Threshold("verify lb", r"over ssh \((\d+) s; as root", lb, "SSH_DEADLINE_S"),
    Threshold("verify lb", r"By default (\d+) requests for each worker", lb, "REQUESTS_PER_WORKER_AND_BACKEND"),
    Threshold("verify lb", r"for each worker\s+\((\d+) per host\s+are\s+assumed", lb, "ASSUMED_WORKERS"),
    Threshold("verify lb", r"and back end, at least (\d+)", lb, "MIN_REQUESTS"),
    Threshold("verify lb", r"nothing answers: stops after (\d+) requests", lb, "HOPELESS_IN_A_ROW"),
    Threshold("verify lb", r"requests \((\d+) if something had answered", lb, "LOST_IN_A_ROW"),
    Threshold("verify lb", r"Each request has (\d+) s", lb, "REQUEST_DEADLINE_S"),
    Threshold("verify lb", r"the run (\d+) s", lb, "RUN_DEADLINE_S"),
    Threshold("verify lb", r"the run took longer than (\d+) s", lb, "RUN_DEADLINE_S"),
    Threshold("verify vip", r"over ssh \((\d+) s each", vip, "SSH_DEADLINE_S"),
    Threshold("certs status", r"less than (\d+) days and", certs, "SOON_DAYS"),
    Threshold("certs status", r"over ssh \((\d+) s\)", certs_collect, "SSH_DEADLINE_S"),
    Threshold("certs status", r"handshake \((\d+) s\)", certs_collect, "HANDSHAKE_S"),
    Threshold("verify logs", r"at most (\d+) for each", logs_follow, "TRIES_PER_BACKEND"),
    Threshold("trace", r"at most (\d+) ms late", logs_follow, "ROW_EVERY_S", 1000),
    Threshold("verify logs", r"over ssh \((\d+) s\)", logs_collect, "HOST_DEADLINE_S"),
    Threshold("verify logs", r"queried again (\S+) s later", logs_collect, "BETWEEN_S"),
    Threshold("verify logs", r"lines wait for more than (\d+) s", logs, "LATE_S"),
    Threshold("verify logs", r"critical from (\d+) s if", logs, "LATE_CRITICAL_S"),
    Threshold("verify logs", r"removed logs of (\d+) GiB", logs, "REMOVED_BYTES", 1 / 1024**3),
    Threshold("verify vip", r"again\s+for up to (\d+) s", vip, "PATIENCE_S"),
    Threshold("kafka status", r"brokers have (\S+) s\s+to\s+answer", kafka_collect, "DEADLINE_S"),
    Threshold("kafka status", r"busy\s+machine (\S+) s", kafka_collect, "_LEAST_S"),
    Threshold("kafka status", r"behind for more than (\d+) s", view, "VOTER_BEHIND_MS", 0.001),
    Threshold("kafka status", r"by more than ([\d,]+) records", view, "VOTER_BEHIND_RECORDS"),
    Threshold("kafka status", r"more than ([\d,]+) messages behind", kafka, "LAG_WARNING"),
    Threshold("kafka status", r"a group has not read has reached (\d+) % of the retention", lag, "EXPIRY_WARNING", 100),
    Threshold("kafka status", r"not read has reached \d+ % of the retention, (\d+) %", lag, "EXPIRY_CRITICAL", 100),
    Threshold("kafka status", r"less than (\d+) % of a log directory free", disks, "DISK_WARNING", 100),
    Threshold("kafka status", r"directory free, less than (\d+) %", disks, "DISK_CRITICAL", 100),
    Threshold("kafka status", r"more than (\S+) times its share", leaders, "LEADER_SKEW"),
    Threshold("kafka status", r"sampled again after (\S+) s", second_look, "_SOON_S"),
    Threshold("kafka status", r"still behind after (\S+) s", second_look, "_LAST_S"),
    Threshold("kafka status", r"not advanced for at least (\S+) s", followers, "STUCK_S"),
    Threshold("kafka status", r"fetched nothing for at least (\S+) s", followers, "STUCK_S"),
    Threshold("kafka rebalance-leaders", r"its\s+leader\s+again, (\d+)\s+partitions at a\s+time", elect, "BATCH"),
    Threshold("kafka status", r"messages older than (\d+) minutes", kafka_collect, "SETTLED_S", 1 / 60),
    Threshold("kafka lag", r"and (\d+) times the group's longest pause", lag, "SILENCE"),
    Threshold("kafka lag", r"reached (\d+) % of the retention", lag, "EXPIRY_WARNING", 100),
    Threshold("kafka lag", r"of the retention, (\d+) %", lag, "EXPIRY_CRITICAL", 100),
    Threshold("kafka canary", r"above (\d+) ms and", canary, "SLOW_LEAST_MS"),
    Threshold("kafka canary", r"ms and (\d+) times that", canary, "SLOW_TIMES"),
    Threshold("kafka canary", r"or above (\d+) ms", canary, "SLOW_MS"),
    Threshold("kafka canary", r"after (\d+) s counts", canary_collect, "DEADLINE_S"),
    Threshold("consumer status", r"stored for (\d+) minutes", consumer, "_STILL_S", 1 / 60),
    Threshold("consumer status", r"fewer than (\d+) coming days", consumer, "_DAYS_AHEAD"),
    Threshold("health", r"a file system has less than (\d+) % free", host_disks, "DISK_WARNING", 100),
    Threshold("health", r"% free, less than (\d+) %", host_disks, "DISK_CRITICAL", 100),
    Threshold("health", r"disks over ssh \((\S+) s\)", health_collect, "_HOST_DEADLINE_S"),
    Threshold("health", r"off by (\d+) s or more", clocks, "_WARNING_S"),
    Threshold("health", r"s or more, (\d+) s", clocks, "_CRITICAL_S"),
    Threshold("health", r"each host over ssh \((\S+) s\)", ready_collect, "_HOST_DEADLINE_S"),
    Threshold("health", r"less than (\d+) GiB free for packages", ready, "_DISK_WARNING_BYTES", 2**-30),
    Threshold("health", r"packages and data, less than (\d+) GiB", ready, "_DISK_CRITICAL_BYTES", 2**-30),
    Threshold("health", r"`/healthz` \((\S+) s\)", health_collect, "_BACKEND_DEADLINE_S"),
    Threshold("health", r"as the reading user \((\S+) s\)", database, "_DEADLINE_S"),
]
#: Numbers of the checks that no verdict depends on, or that follow from another.
_NO_THRESHOLDS = {
    "obsctl.checks.logs.judge._NAMED", "obsctl.checks.logs.judge._UNSEEN_S", "obsctl.checks.logs.judge._ROW_KEPT_S",
    "obsctl.checks.certs.judge._DAY_S", "obsctl.checks.certs.judge.SOON_SHARE",
    "obsctl.checks.kafka.rules.topics._HOUR_MS", "obsctl.checks.kafka.rules.topics._DAY_MS",
    "obsctl.checks.kafka.rules.topics._WRITTEN_OUT",
}  # fmt: skip


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=str)
def test_a_threshold_is_the_programs(threshold: Threshold) -> None:
    text = "\n".join(SECTIONS[threshold.section])
    found = re.search(threshold.pattern, text)
    assert found, f"{threshold}: `{threshold.pattern}` is not in the section {threshold.section}"
    value = getattr(threshold.module, threshold.constant) * threshold.scale
    assert float(found[1].replace(",", "")) == pytest.approx(value), f"{threshold} is {value}"


def test_the_later_looks_at_followers_end_when_the_page_says() -> None:
    found = re.search(r"end at most (\S+) s after the first request", "\n".join(SECTIONS["kafka status"]))
    assert found
    last = kafka_collect._FIRST_LOOK_S + second_look._LAST_S + second_look._ROUND_S
    assert float(found[1]) == pytest.approx(last)


def test_every_number_of_a_check_is_a_documented_threshold() -> None:
    numbers = {
        f"{module.__name__}.{name}"
        for module in (import_module(".".join(path.relative_to(SOURCE).with_suffix("").parts)) for path in JUDGES)
        for name, value in vars(module).items()
        if isinstance(value, int | float) and name.isupper()
    }
    documented = {str(threshold) for threshold in THRESHOLDS}
    assert numbers - documented - _NO_THRESHOLDS == set()
    assert numbers >= _NO_THRESHOLDS
