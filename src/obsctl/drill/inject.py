"""Breaks a target on its host and restores it; a timer on the host restores it even if this machine dies."""

from __future__ import annotations

import contextlib
import shlex
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from obsctl.checks.ask import ssh
from obsctl.core.errors import ObsctlError, RefusedError
from obsctl.drill.faults import TIMER, Aim, break_command, restore_command

#: Time limit of a command on a host, seconds.
_DEADLINE_S = 20.0
#: The exit status if a unit of this name is running: another drill.
_BUSY = 75


class NotInjectedError(ObsctlError):
    """The target could not be broken; nothing was changed, or the change was undone."""


@dataclass
class Fault:
    """A broken, or meanwhile restored, target.

    Attributes:
        restored: whether its host confirmed that it is restored.
    """

    restored: bool = False


@contextlib.contextmanager
def broken(at: Aim, restore_after_s: float, happened: Callable[[str], None]) -> Iterator[Fault]:
    """Break a target while the block runs; it is restored however the block ends.

    Args:
        restore_after_s: when the host restores by itself, seconds from now.
        happened: called with a sentence about the restoring or its failure.

    Raises:
        RefusedError: another drill is running on the host; nothing was broken or restored.
        NotInjectedError: the host cannot be reached, or a command failed there.
    """
    fault = Fault()
    begun = False
    try:
        inject(at, restore_after_s)
        begun = True
        yield fault
    except RefusedError:
        raise
    except BaseException:
        # If breaking was interrupted, its command may still be running there, so the timer is kept and restores at the
        # end.
        _put_back(at, fault, happened, restore_after_s, timer_stays=not begun)
        raise
    else:
        _put_back(at, fault, happened, restore_after_s)


def _put_back(
    at: Aim, fault: Fault, happened: Callable[[str], None], restore_after_s: float, *, timer_stays: bool = False
) -> None:
    with _undisturbed():
        fault.restored = restore(at, timer_stays=timer_stays)
    happened(
        "restored"
        if fault.restored
        else f"{at.host.name} did not confirm that it is restored; its own timer restores it {restore_after_s:.0f} s "
        "after it was broken"
    )


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore a second Ctrl-C during the restoring that the first one started; the commands have their own deadline."""
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def inject(at: Aim, restore_after_s: float) -> None:
    """Break a target, after setting a timer on its host that restores it.

    Args:
        at: what is broken.
        restore_after_s: when the host restores by itself, seconds from now.

    Raises:
        RefusedError: another drill is in progress on the host.
        NotInjectedError: the host cannot be reached, or a command failed there.
    """
    timer = [
        "systemd-run", "--quiet", f"--unit={TIMER}", f"--on-active={restore_after_s:.0f}",
        "--timer-property=AccuracySec=1s", "/bin/sh", "-c", restore_command(at),
    ]  # fmt: skip
    script = (
        f"systemctl is-active --quiet {TIMER}.timer && exit {_BUSY}\n"
        f"systemctl reset-failed {TIMER}.service {TIMER}.timer 2>/dev/null\n"
        f"{shlex.join(timer)} || exit 1\n"
        f"{break_command(at)}\n"
    )
    answer = ssh.run(at.host, script, deadline_s=_DEADLINE_S, become="root")
    if answer.failure:
        raise NotInjectedError(f"{at.host.name} cannot be reached: {answer.failure}", hint=answer.hint)
    if answer.status == _BUSY:
        raise RefusedError(
            f"another drill is in progress on {at.host.name}",
            hint=f"wait for it to end; on {at.host.name}: systemctl list-timers {TIMER}.timer shows when it restores",
        )
    if answer.status:
        raise NotInjectedError(
            f"{at.words} ended with {answer.status}, and was taken back",
            hint=f"on {at.host.name}: systemctl status {at.unit}",
        )


def restore(at: Aim, *, timer_stays: bool = False) -> bool:
    """Restore a target and stop its timer; returns whether the host confirmed it.

    Args:
        timer_stays: whether to keep the timer, which restores the target once more when it is due.
    """
    no_timer = (
        f"systemctl stop {TIMER}.timer 2>/dev/null\nsystemctl reset-failed {TIMER}.service {TIMER}.timer 2>/dev/null\n"
    )
    script = f"{restore_command(at)}\nstatus=$?\n{'' if timer_stays else no_timer}exit $status\n"
    answer = ssh.run(at.host, script, deadline_s=_DEADLINE_S, become="root")
    return not answer.failure and answer.status == 0
