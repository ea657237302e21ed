"""What a service reports to systemd: that it runs, its state, a sign of life (``sd_notify(3)``)."""

from __future__ import annotations

import logging
import socket
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

_VARIABLE = "NOTIFY_SOCKET"


class Notifier:
    """Speaks to the service manager that started this process; silent if none did."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take the address out of the environment, so that no child speaks for this process."""
        self._address = environment.pop(_VARIABLE, "")
        self._refused = False

    def send(self, *states: str) -> None:
        """Send assignments such as ``READY=1`` or ``STATUS=...``; a manager that does not listen stops nothing."""
        if not self._address:
            return
        # "@" stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                # Never wait: sending a sign of life must not block the process that has to give it.
                channel.setblocking(False)
                channel.sendto("\n".join(states).encode(), address)
        except OSError as error:
            if not self._refused:
                log.warning("systemd's notification socket does not answer", extra={"error": str(error)})
            self._refused = True
        else:
            self._refused = False
