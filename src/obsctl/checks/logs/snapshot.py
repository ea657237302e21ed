"""What was seen of each host's log files, of the Filebeat that reads them, and of their rows in the database."""

from __future__ import annotations

import msgspec

from obsctl.core.report import Fault


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """The main process of a systemd unit.

    Attributes:
        pid: 0 where the unit is not running.
        state: the kernel's letter for what it does (``S``, ``R``, ``T`` for stopped by a signal); empty if unknown.
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
        path: as the kernel names it now, links resolved.
        descriptor: the process's number for it.
        device: number of its file system.
        inode: its number there.
        size: bytes.
        modified: seconds since the epoch.
        position: of the next byte that the process reads.
        writes: whether the process may write to it.
        appends: whether it writes at its end.
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
    """A file that a path of an input leads to.

    Attributes:
        path: the name that the input finds it by.
        link: that name is a symbolic link.
        readable: whether the shipper's account may read it; None where that could not be tried.
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
    """How far a file was delivered, as the shipper's registry has it: up to there Kafka has acknowledged.

    Attributes:
        input: id of the input that reads the file.
        source: the name under which it was found.
        offset: bytes. It stays behind where Filebeat lost the entry of a file that it goes on reading.
        forgotten: the file was removed, and a new one with its inode begins at 0.
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
        excluded: regular expressions of names that are left out.
        links: symbolic links are followed.
        ignores_old: old files are left out on purpose.
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
        acked: Kafka has them.
        failed: tries that failed; they are made again.
        dropped: given up: these lines are lost.
        published: were read and put into the queue.
        released: of those, acknowledged or given up, counted in the order in which they were put in.
    """

    acked: int = 0
    failed: int = 0
    dropped: int = 0
    published: int = 0
    released: int = -1


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was looked for, and where it is.

    Attributes:
        id: of the request.
        offset: bytes before it in its file.
    """

    id: str
    device: int
    inode: int
    offset: int


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A host's logs at one moment; times are by the host's clock.

    Attributes:
        at: seconds since the epoch.
        name: what the shipper calls the host.
        nginx, filebeat: their processes.
        written: the files that nginx appends to.
        opened: the files that the shipper reads.
        found: the files that its inputs lead to.
        offsets: of its registry.
        inputs: of its configuration; None where it cannot be read.
        events: its counters; None where its page does not answer.
        newest_line: when the newest line of the access logs was written that is not one of obsctl's own requests, as
            the line says; None where there is none among the last ones.
        unshipped_since: ``DEVICE-INODE`` to when the first line was written that was not delivered in the sample
            before, as the line says; nothing of a file whose last line has no end yet.
        marks: the lines that were looked for in the access logs that nginx writes, and found.
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
        failure: why it could not be asked; the others mean nothing then.
        refused: it answers over ssh and does not let its logs be looked at.
        first: what was seen.
        second: the same about a second later; None where everything was delivered already in the first.
        clock_s: by how much its clock is ahead of this machine's, seconds; the truth is within ``clock_error_s`` of it.
        newest_stored: whether the newest line has its row, or is in quarantine; None where that could not be asked, or
            where records that expired before they were stored were noticed after it: it may be one of them.
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
    """A marked request and how far its line came; moments are seconds since the epoch, 0 for not.

    Attributes:
        id: its mark.
        target: address and port that it was sent to.
        host: the balancer that answered; the one that it was sent to where none did, empty for the virtual address.
        backend: the back end that answered.
        status: of the answer.
        failure: why there was no answer; empty where there was one.
        sent, answered: by this machine's clock.
        written: when nginx wrote the line, by the host's clock.
        read: when the shipper read it, by the host's clock.
        kafka: when it was in Kafka, by this machine's clock.
        partition, offset: where.
        stored: when it had its row, by this machine's clock.
        evaluated: when the alerter was seen to have read it, by this machine's clock.
        in_file: whether nginx's log has it; None where that was not looked for.
        read_by_shipper: whether the shipper has read it; None where that was not looked for.
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
        hosts: those of the group filebeat; where lines were followed, those on which lines stayed.
        lines: that were followed; empty where nothing was sent.
        deadline_s: what they had, seconds.
    """

    hosts: tuple[HostLogs, ...] = ()
    lines: tuple[LineSeen, ...] = ()
    deadline_s: float = 0.0
    errors: tuple[Fault, ...] = ()
