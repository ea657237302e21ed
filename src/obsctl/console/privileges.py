"""What the console's database user needs; the role grants exactly this."""

from __future__ import annotations

_READ = ("SELECT",)
_WRITE = ("SELECT", "INSERT", "UPDATE", "DELETE")

PRIVILEGES = {
    "access_log": _READ,
    "error_log": _READ,
    "rollup_minute": _READ,
    "rollup_hour": _READ,
    "console_user": _WRITE,
    "console_session": _WRITE,
    "console_login_failure": _WRITE,
    "console_query": _WRITE,
    "console_project": _WRITE,
    "console_member": ("SELECT", "INSERT", "DELETE"),
    "console_token": _WRITE,
    # What was recorded cannot be changed or removed by the console.
    "console_audit": ("SELECT", "INSERT"),
}
