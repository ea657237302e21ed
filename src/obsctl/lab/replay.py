"""Lines of a real log, written to a host at a given pace, each of them whole.

A small program on the host does the writing. It receives blocks of whole lines, appends a block only when it is
complete, and acknowledges it. So no interruption on this side leaves a partial line, and the number of written lines
is known exactly.
"""

from __future__ import annotations

import gzip
import signal
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any

from obsctl.core.errors import ObsctlError, UsageError

#: What Filebeat ships from the host as combined format.
TARGET = "/var/log/obs-replay/access.log"

_GZIP_MAGIC = b"\x1f\x8b"
_BLOCK_BYTES = 64 * 1024
#: Time between two blocks of a paced replay: short enough to look steady, long enough to cost little.
_TICK_S = 0.02
_PROGRESS_S = 5.0
#: The signals that end a command.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# The file is opened for each block, so that a rotation by rename is followed. A torn last line, left by a host that
# crashed, is ended first: it must not swallow the next one.
_WRITER = """
import os, sys
path = sys.argv[1]
os.makedirs(os.path.dirname(path), exist_ok=True)
while True:
    head = sys.stdin.buffer.read(4)
    size = int.from_bytes(head, "big")
    block = sys.stdin.buffer.read(size)
    if len(head) < 4 or len(block) < size:
        break
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    end = os.fstat(fd).st_size
    if end and os.pread(fd, 1, end - 1) != b"\\n":
        block = b"\\n" + block
    while block:
        block = block[os.write(fd, block):]
    os.close(fd)
    sys.stdout.buffer.write(b".")
    sys.stdout.buffer.flush()
"""


def writer_command() -> list[str]:
    """The program and its arguments that must run on the host, with this side on its standard input and output."""
    return ["python3", "-c", _WRITER, TARGET]


def replay(path: Path, command: list[str], rate: float | None, note: Callable[[str], None]) -> int:
    """Append the file's lines to the host's log and return how many, when all are written.

    Args:
        path: a text file, or one compressed by gzip. Lines go as they are; a missing last newline is added.
        command: an argument list that runs :func:`writer_command` on the host.
        rate: lines a second, or None for no pause at all.
        note: called with each line of progress.

    Raises:
        UsageError: the file cannot be read to its end; nothing is written then.
        KeyboardInterrupt: a signal, after the block that was on its way is written, with the count noted.
        ObsctlError: the connection broke; the lines of one block are unknown, all before are written.
    """
    total = _count(path)
    stopping: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)
        # The first signal ends the replay cleanly; a second one means that the person does not want to wait for a dead
        # host.
        signal.signal(number, before[number])

    handlers = {number: signal.getsignal(number) for number in _ENDING}
    # What is ignored stays so (nohup).
    before: dict[int, Any] = {number: one for number, one in handlers.items() if one is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    # A session of its own: the terminal's interruption must reach us alone.
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0)
    assert writer.stdin is not None  # noqa: S101 - a pipe was asked for
    assert writer.stdout is not None  # noqa: S101
    written = 0
    reported = began = time.monotonic()
    try:
        for count, block in _paced(_lines(path), rate, stopping):
            if not _deliver(block, writer.stdin, writer.stdout):
                raise ObsctlError(
                    f"the connection to the host broke: {written:,} lines were written, "
                    f"and it is unknown whether the next {count:,} were"
                )
            written += count
            if time.monotonic() - reported > _PROGRESS_S:
                reported = time.monotonic()
                note(f"{written:,} of {total:,} lines written ({written / (reported - began):,.0f}/s)")
    except KeyboardInterrupt:
        # The second one: the host does not answer, and what is on its way is given up.
        writer.kill()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.stdin.close()
        writer.wait()
        note(f"{written:,} of {total:,} lines written in {time.monotonic() - began:.1f} s")
    if stopping:
        # Whose handler it was knows what it means.
        signal.raise_signal(stopping[0])
        raise KeyboardInterrupt
    return written


def _count(path: Path) -> int:
    """Return the number of lines, and with it the certainty that the whole file can be read."""
    try:
        return sum(1 for _ in _lines(path))
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as probe:
        packed = probe.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        for line in file:
            yield line if line.endswith(b"\n") else line + b"\n"


def _paced(lines: Iterator[bytes], rate: float | None, stopping: list[int]) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines, each as soon as the pace allows: number of lines and their bytes."""
    began = time.monotonic()
    sent = 0
    block: list[bytes] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        due = size >= _BLOCK_BYTES if rate is None else sent + len(block) >= (time.monotonic() - began) * rate
        if due:
            yield len(block), b"".join(block)
            sent += len(block)
            block, size = [], 0
            while rate is not None and not stopping and (time.monotonic() - began) * rate < sent:
                time.sleep(min(_TICK_S, max(0.0, sent / rate - (time.monotonic() - began))))
        if stopping:
            return
    if block:
        yield len(block), b"".join(block)


def _deliver(block: bytes, to: IO[Any], answer: IO[Any]) -> bool:
    """Send one block and wait for its acknowledgement; False when the host is gone."""
    message = memoryview(len(block).to_bytes(4, "big") + block)
    try:
        while message:
            message = message[to.write(message) :]
    except BrokenPipeError:
        return False
    return bool(answer.read(1) == b".")
