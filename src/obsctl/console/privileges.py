"""The privileges that the console's database account needs; the role grants exactly these."""

from __future__ import annotations

_READ = ("SELECT",)
_KEPT = ("SELECT", "INSERT", "DELETE")
_WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")

PRIVILEGES = {
    "access_log": _READ,
    "error_log": _READ,
    "rollup_minute": _READ,
    "rollup_hour": _READ,
    # For the quarantine's page, and for the overview's check of the positions.
    "quarantine": _READ,
    "log_source": _READ,
    "console_user": _WRITE,
    "console_session": _WRITE,
    "console_login_failure": _WRITE,
    "console_query": _WRITE,
    "console_project": _WRITE,
    "console_member": _KEPT,
    "console_token": _WRITE,
    "console_identity": _KEPT,
    "console_oidc_used": _KEPT,
    "console_error": _WRITE,
    "console_error_minute": _WRITE,
    "console_error_round": _WRITE,
    # The console cannot change or remove audit records.
    "console_audit": ("SELECT", "INSERT"),
}

#: The privileges of the second account (``replay`` in console.yml), which only moves lines out of the quarantine:
#: searches, whose conditions people write, never run under it.
REPLAY_PRIVILEGES = {
    "access_log": ("SELECT", "INSERT", "UPDATE"),
    "error_log": ("SELECT", "INSERT", "UPDATE"),
    "rollup_minute": ("SELECT", "INSERT", "UPDATE"),
    "rollup_hour": ("SELECT", "INSERT", "UPDATE"),
    "quarantine": ("SELECT", "UPDATE", "DELETE"),
    "log_source": _READ,
}
