"""Where things are that the servers need, and whether they are there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "obsctl"
#: The program of a MySQL server to test with, instead of MariaDB.
MYSQLD = os.environ.get("OBSCTL_TEST_MYSQLD", "")


def kafka_archives() -> list[Path]:
    """Return the Kafka archives of the artifact folder, the newest last."""
    return sorted((CACHE / "artifacts" / "kafka").glob("kafka_*.tgz"))


def kafka_archive() -> Path | None:
    """Return the newest Kafka archive of the artifact folder, or None."""
    found = kafka_archives()
    return found[-1] if found else None


def missing_tools() -> str:
    """Return why the servers cannot be started here, or an empty string."""
    if shutil.which("java") is None:
        return "java is not installed"
    if kafka_archive() is None:
        return f"no Kafka archive in {CACHE / 'artifacts' / 'kafka'} (obsctl artifacts build)"
    return missing_database()


def missing_database() -> str:
    """Return why no database can be started here, or an empty string."""
    if MYSQLD:
        return "" if shutil.which(MYSQLD) else f"OBSCTL_TEST_MYSQLD names no program: {MYSQLD}"
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        return "mariadb-server is not installed"
    return ""
