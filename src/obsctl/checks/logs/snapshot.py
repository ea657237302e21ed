"""Each host's log files, the Filebeat that reads them, and their rows in the database."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """The main process of a systemd unit.

    Attributes:
        pid: 0 if the unit is not running.
        state: the kernel's letter for its state (``S``, ``R``, ``T`` for stopped by a signal); empty if unknown.
    """

    pid: int = 0
    state: str = ""

    @property
    def frozen(self) -> bool:
        """Whether a signal or a debugger keeps it from running."""
        return self.state in ("T", "t")


class OpenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A regular file that a process holds open.

    Attributes:
        path: its present name, with links resolved.
        descriptor: the process's number for it.
        device: number of its file system.
        inode: its number there.
        size: bytes.
        modified: seconds since the epoch.
        position: of the next byte that the process reads.
        writes: whether the process may write to it.
        appends: whether it writes at the file's end.
        removed: it has no name any more.
    """

    path: str
    descriptor: int = 0
    device: int
    inode: int
    size: int
    modified: float = 0.0
    position: int = 0
    writes: bool = False
    appends: bool = False
    removed: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """What makes it this file, whatever its name is."""
        return self.device, self.inode


class FoundFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a path of an input matches.

    Attributes:
        path: the name that the input finds it by.
        link: whether that name is a symbolic link.
        readable: whether the shipper's account may read it; None if that could not be tried.
    """

    path: str
    device: int
    inode: int
    size: int
    modified: float = 0.0
    link: bool = False
    readable: bool | None = None

    @property
    def key(self) -> tuple[int, int]:
        """What makes it this file, whatever its name is."""
        return self.device, self.inode


class Offset(msgspec.Struct, frozen=True, kw_only=True):
    """How far a file was delivered and acknowledged by Kafka, according to the shipper's registry.

    Attributes:
        input: id of the input that reads the file.
        source: the name under which it was found.
        offset: bytes. It is outdated if Filebeat lost the entry of a file that it keeps reading.
        forgotten: whether the file was removed, so that a new one with its inode begins at 0.
    """

    input: str
    device: int
    inode: int
    source: str
    offset: int
    forgotten: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """The file."""
        return self.device, self.inode


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """An input of the shipper's configuration, as it is on the disk.

    Attributes:
        paths: globs.
        log_type: ``access`` or ``error``.
        excluded: regular expressions of names to leave out.
        links: whether symbolic links are followed.
        ignores_old: whether old files are left out on purpose.
    """

    id: str
    paths: tuple[str, ...] = ()
    log_type: str = ""
    excluded: tuple[str, ...] = ()
    links: bool = False
    ignores_old: bool = False


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """The shipper's own counters of events, since its start.

    Attributes:
        acked: acknowledged by Kafka.
        failed: failed attempts, which are retried.
        dropped: given up; these lines are lost.
        published: read and put into the queue.
        released: published ones that were acknowledged or given up, counted in queue order.
    """

    acked: int = 0
    failed: int = 0
    dropped: int = 0
    published: int = 0
    released: int = -1


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was searched for, and its place.

    Attributes:
        id: of the request.
        offset: number of bytes before it in its file.
    """

    id: str
    device: int
    inode: int
    offset: int


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A host's logs at one moment; times are by the host's clock.

    Attributes:
        at: seconds since the epoch.
        name: the host's name for the shipper.
        nginx, filebeat: their processes.
        written: the files that nginx appends to.
        opened: the files that the shipper reads.
        found: the files that its inputs' paths match.
        offsets: of its registry.
        inputs: of its configuration; None if it cannot be read.
        events: its counters; None if its page does not answer.
        newest_line: time in the newest line of the access logs that is not one of obsctl's own requests; None if there
            is none among the last lines.
        unshipped_since: ``DEVICE-INODE`` to the time in the first line that was undelivered in the previous sample;
            without files whose only such line is incomplete.
        marks: the searched lines that were found in the access logs that nginx writes.
    """

    at: float = 0.0
    name: str = ""
    nginx: Unit = Unit()
    filebeat: Unit = Unit()
    written: tuple[OpenFile, ...] = ()
    opened: tuple[OpenFile, ...] = ()
    found: tuple[FoundFile, ...] = ()
    offsets: tuple[Offset, ...] = ()
    inputs: tuple[Input, ...] | None = None
    events: Events | None = None
    newest_line: float | None = None
    unshipped_since: dict[str, float | None] = {}
    marks: tuple[Mark, ...] = ()


class HostLogs(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the group filebeat.

    Attributes:
        failure: why it could not be asked; then the others are meaningless.
        refused: whether it answers over ssh but does not let us examine its logs.
        first: the first sample.
        second: a sample about a second later; None if everything was delivered in the first one.
        clock_s: by how much its clock is ahead of this machine's, seconds, with an error of at most ``clock_error_s``.
        newest_stored: whether the newest line has a row, or is in quarantine; None if that could not be queried, or if
            a loss of expired records was noticed later than the line: it may be one of these.
    """

    name: str
    failure: str = ""
    refused: bool = False
    first: Sample = Sample()
    second: Sample | None = None
    clock_s: float = 0.0
    clock_error_s: float = 0.0
    newest_stored: bool | None = None

    @property
    def last(self) -> Sample:
        """The later sample."""
        return self.second or self.first


class LineSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A marked request and how far its line got; times are seconds since the epoch, 0 for not reached.

    Attributes:
        id: its mark.
        target: address and port that it was sent to.
        host: the balancer that answered; if none did, the one that it was sent to (empty for the virtual address).
        backend: the back end that answered.
        status: of the answer.
        failure: why there was no answer; empty if there was one.
        sent, answered: by this machine's clock.
        written: when nginx wrote the line, by the host's clock.
        read: when the shipper read it, by the host's clock.
        kafka: when it was in Kafka, by this machine's clock.
        partition, offset: its place there.
        stored: when its row was there, by this machine's clock.
        evaluated: when the alerter's page showed that it had read it, by this machine's clock.
        in_file: whether nginx's log has it; None if that was not checked.
        read_by_shipper: whether the shipper has read it; None if that was not checked.
    """

    id: str
    target: str = ""
    host: str = ""
    backend: str = ""
    status: int = 0
    failure: str = ""
    sent: float = 0.0
    answered: float = 0.0
    written: float = 0.0
    read: float = 0.0
    kafka: float = 0.0
    partition: int = 0
    offset: int = 0
    stored: float = 0.0
    evaluated: float = 0.0
    in_file: bool | None = None
    read_by_shipper: bool | None = None


class LogsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The logs of hosts, and the lines that were followed.

    Attributes:
        hosts: those of the group filebeat; if lines were followed, only those on which lines got stuck.
        lines: the followed ones; empty if no requests were sent.
        deadline_s: their time limit, seconds.
    """

    hosts: tuple[HostLogs, ...] = ()
    lines: tuple[LineSeen, ...] = ()
    deadline_s: float = 0.0
    errors: tuple[Fault, ...] = ()
