"""The schema that this code was written for, and what its database user needs."""

from __future__ import annotations

#: The newest migration that this code relies on. Newer ones only add.
SCHEMA_VERSION = 3
#: What the consumer's database user needs; the role grants exactly this.
PRIVILEGES = {
    "log_source": ("SELECT", "INSERT", "UPDATE"),
    "access_log": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "error_log": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "rollup_minute": ("SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP"),
    "quarantine": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "schema_migrations": ("SELECT",),
}
