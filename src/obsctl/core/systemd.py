"""Notifies systemd about a service: that it is ready, its status, and the watchdog (``sd_notify(3)``)."""

from __future__ import annotations

import logging
import socket
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

_VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Notifies the service manager that started this process, if any."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Remove the address from the environment, so that no child can send notifications for this process."""
        self._address = environment.pop(_VARIABLE, "")
        self._refused = False

    def send(self, *states: str) -> None:
        """Send assignments such as ``READY=1`` or ``STATUS=...``; errors are ignored."""
        if not self._address:
            return
        # "@" means the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                # Never wait: a notification must not block the process.
                channel.setblocking(False)
                channel.sendto("\n".join(states).encode(), address)
        except OSError as error:
            if not self._refused:
                log.warning("systemd's notification socket does not answer", extra={"error": str(error)})
            self._refused = True
        else:
            self._refused = False
