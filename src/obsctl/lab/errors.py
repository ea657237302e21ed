"""The lab's own error, besides the common errors for usage, privileges and missing tools."""

from __future__ import annotations

from obsctl.core.errors import ExitCode, ObsctlError


class LabError(ObsctlError):
    """A step of the lab did not work; the message names the step and what the tool said."""

    exit_code = ExitCode.CRITICAL
