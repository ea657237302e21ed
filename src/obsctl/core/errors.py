"""Exit codes, and the expected failures that end a program with one of them."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """Process exit codes; 0-3 are the monitoring plugins' own, the others follow sysexits.h."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3
    USAGE = 64
    MISSING_DEPENDENCY = 69
    BUG = 70
    THROTTLED = 75
    REFUSED = 77
    CONFIG = 78
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class ObsctlError(Exception):
    """An expected failure, with a message, a hint, and an exit code.

    Attributes:
        exit_code: what the process returns.
        hint: the next step for the person, or an empty string.
    """

    exit_code: ExitCode = ExitCode.UNKNOWN

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ObsctlError):
    """The command line cannot be carried out as given."""

    exit_code = ExitCode.USAGE


class ConfigError(ObsctlError):
    """A configuration or an inventory is invalid; the message names file and line where known."""

    exit_code = ExitCode.CONFIG


class MissingDependencyError(ObsctlError):
    """An optional program or library is absent."""

    exit_code = ExitCode.MISSING_DEPENDENCY


class RefusedError(ObsctlError):
    """A precheck or the person refused the action; nothing was changed."""

    exit_code = ExitCode.REFUSED
