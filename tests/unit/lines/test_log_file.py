"""Which files are the same log."""

from __future__ import annotations

import pytest

from obsctl.lines.log_file import log_of


@pytest.mark.parametrize(
    "rotated",
    [
        "access.log",
        "access.log.1",
        "access.log.42",
        "access.log-20260131",
        "access.log-20260131-1769817600",
        "access.log.2026-01-31",
        "access.log_2026-01-31_235959",
        "access-20260131.log",
        "access.log-20260131.1",
        "access.log.old",
        "access.log-202601",
        "access.log.2026-01",
        "access.log-1769817600",
    ],
)
def test_a_rotated_file_is_the_same_log(rotated: str) -> None:
    assert log_of(f"/var/log/nginx/{rotated}") == "/var/log/nginx/access.log"


@pytest.mark.parametrize("rotated", ["access_log.1", "access_log-20260131", "access_log-202601"])
def test_apaches_name_has_no_ending_and_is_rotated_as_well(rotated: str) -> None:
    assert log_of(f"/var/log/httpd/{rotated}") == "/var/log/httpd/access_log"


@pytest.mark.parametrize(
    "path",
    [
        "/var/log/nginx/site-80.log",
        "/var/log/nginx/site-443.log",
        "/var/log/nginx/app2.log",
        "/var/log/nginx/port.8080",
        "/var/log/nginx/access.80",
        "/var/log/nginx/20260131.log",
        "/var/log/20260131/a.log",
        "/var/log/nginx/tenant-201011.log",
        "/var/log/nginx/tenant-1769817600.log",
        "/var/log/nginx/tenant-201011",
        "/srv/v1.2/logs/a",
        "relative.log",
        "",
    ],
)
def test_a_name_that_no_rotation_makes_stays(path: str) -> None:
    assert log_of(path) == path
