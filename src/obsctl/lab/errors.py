"""The lab's own failure, apart from usage, privilege and missing tools, which are the contract's."""

from __future__ import annotations

from obsctl.core.errors import ExitCode, ObsctlError


class LabError(ObsctlError):
    """A step of the lab did not work; the message names the step and what the tool said."""

    exit_code = ExitCode.CRITICAL
