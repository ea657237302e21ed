"""The two ways in which building artifacts fails, apart from a missing tool, which is the contract's."""

from __future__ import annotations

from obsctl.core.errors import ConfigError, ExitCode, ObsctlError


class BuildError(ObsctlError):
    """A step of the build did not work; the message names the step and what the tool said.

    Attributes:
        said: everything that is left of the tool's own words.
    """

    exit_code = ExitCode.CRITICAL

    def __init__(self, message: str, *, said: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said


class ChecksumError(ConfigError):
    """Something that was fetched is not what the lock names; nothing of it was installed."""

    def __init__(self, file: str, expected: str, got: str) -> None:
        super().__init__(
            f"wrong checksum of {file}: expected {expected}, got {got}; nothing was installed",
            hint="fetch it again; if the source really changed, examine it first, then run `obsctl artifacts lock`",
        )
