"""``obsctl lab ssh``: each argument reaches the program as it was given, whatever it looks like."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from obsctl.cli import lab, main

#: Bytes that are no UTF-8, as Python hands them over from the command line.
_BYTES = b"caf\xe9".decode("utf-8", "surrogateescape")


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was to be run on the host, a list for each call."""
    calls: list[list[str]] = []

    class Lab:
        def ssh_command(self, host: str, words: Sequence[str], *, terminal: bool) -> list[str]:
            return ["ssh", host, *words]

    monkeypatch.setattr(lab, "_lab", lambda _ctx: Lab())
    monkeypatch.setattr("os.execvp", lambda _program, argv: calls.append(argv[2:]))
    return calls


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([], []),
        (["--", "mysql", "obs", "-e", "SELECT 1; --"], ["mysql", "obs", "-e", "SELECT 1; --"]),
        (["mysql", "-e", "SELECT 1"], ["mysql", "-e", "SELECT 1"]),
        (["--", "journalctl", "-u", "kafka", "--no-pager", "-o", "json", "-q"],
         ["journalctl", "-u", "kafka", "--no-pager", "-o", "json", "-q"]),
        (["--", "echo", "--", "--help", ""], ["echo", "--", "--help", ""]),
        (["--", "sh", "-c", "echo '$HOME' \"*\" \\ | cat"], ["sh", "-c", "echo '$HOME' \"*\" \\ | cat"]),
        (["--", "echo", "中文", _BYTES], ["echo", "中文", _BYTES]),
    ],
)  # fmt: skip
def test_the_arguments_are_those_that_were_typed(reached: list[list[str]], typed: list[str], words: list[str]) -> None:
    assert main.run(["lab", "ssh", "node1", *typed]) == 0
    assert reached == [words]


def test_options_of_obsctl_stand_before_the_host(reached: list[list[str]]) -> None:
    assert main.run(["lab", "ssh", "-q", "node1", "--", "id", "-q"]) == 0
    assert reached == [["id", "-q"]]
