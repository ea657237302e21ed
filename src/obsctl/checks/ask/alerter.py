"""Gets the alerter's health page, which is only served on its host's loopback address."""

from __future__ import annotations

from typing import TypeVar

from obsctl.checks.ask import ssh
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ObsctlError
from obsctl.fleet.model import Fleet, Host

T = TypeVar("T")


class NoPageError(ObsctlError):
    """The page could not be fetched; the message says why."""


def ask_alerter(fleet: Fleet, host: Host, kind: type[T], *, deadline_s: float) -> T:
    """Return the health page of a host's alerter.

    Args:
        kind: the fields of the page to read.
        deadline_s: time limit for login and answer together, seconds.

    Raises:
        NoPageError: the host or the page does not answer, or the page is unreadable.
        ObsctlError: the login cannot be tried from here.
    """
    command = f"curl -s -m 2 http://127.0.0.1:{fleet.alerter.metrics_port}/health"
    answer = ssh.run(host, command, deadline_s=deadline_s)
    if answer.failure or not answer.output:
        raise NoPageError(answer.failure or "obsctl-alerter's health page does not answer")
    try:
        return decode_json(answer.output, kind)
    except UndecodableError as error:
        raise NoPageError(str(error)) from None
