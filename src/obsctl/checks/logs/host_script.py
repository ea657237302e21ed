"""The shell script that reports what a host's nginx writes and how far Filebeat has read, and its output's parser.

It examines the files that the processes hold open (``/proc/PID/fd``), which is right whatever the configuration says:
even for a file that was renamed or removed, a link, or a configuration that was changed but not loaded. ``fdinfo`` has
the position up to which Filebeat has read a file, and its registry the position that Kafka has acknowledged.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import yaml

from obsctl.checks.logs.registry import read_registry
from obsctl.checks.logs.snapshot import Events, FoundFile, Input, Mark, OpenFile, Sample, Unit
from obsctl.core.decoding import UndecodableError, decode_json

#: Paths and ports as the role of Filebeat sets them.
CONFIG = "/etc/filebeat/filebeat.yml"
REGISTRY = "/var/lib/filebeat/registry/filebeat"
_PAGE_PORT = 5066
#: Time limit for Filebeat's own page, seconds.
PAGE_S = 2
#: How many bytes of a line are read; its time is within these.
_HEAD_BYTES = 2048
#: How many lines at the end of an access log are searched for one that is not obsctl's own.
_LAST_LINES = 500

# Sizes are read first and the registry last, so that lines delivered meanwhile never look undelivered.
_SCRIPT = rf"""
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
echo "begin $(date +%s.%N) $(date +%z)"
pid_of() {{ systemctl show -p MainPID "$1" 2>/dev/null | cut -d= -f2; }}
files_of() {{
  find "/proc/$2/fd" -mindepth 1 -lname '/*' -printf "$1-name %f %l\n"
  find -L "/proc/$2/fd" -mindepth 1 -type f -printf "$1-file %f %D %i %s %T@\n"
  grep -H -e ^pos: -e ^flags: /proc/$2/fdinfo/* | sed "s|^/proc/[0-9]*/fdinfo/|$1-info |"
}}
nginx=$(pid_of nginx) filebeat=$(pid_of filebeat)
for unit in nginx filebeat; do
  eval "pid=\$$unit"
  [ "${{pid:-0}}" -gt 0 ] || continue
  echo "unit $unit $pid $(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$pid/status")"
  files_of "$unit" "$pid"
done 2>/dev/null
if [ "${{nginx:-0}}" -gt 0 ]; then
  for fd in $(find "/proc/$nginx/fd" -mindepth 1 -lname '*access*' -printf '%p\n'); do
    echo "last $(tail -n {_LAST_LINES} "$fd" | grep -v -e '"obsctl' -e '"obscraft_test"' | tail -n 1 \
      | head -c {_HEAD_BYTES} | base64 | tr -d '\n')"
  done
fi 2>/dev/null
echo "name $(sed -n 's/^name:[[:space:]]*//p' "$config")"
inputs=$(awk '/^[^ #-]/ {{on = /^filebeat(\.inputs)?:/}} on' "$config") && echo "inputs $(
  printf '%s' "$inputs" | base64 | tr -d '\n')"
set --
IFS=
while read -r pattern; do
  for file in $pattern; do [ -f "$file" ] && set -- "$@" "$file"; done
done <<END
$(printf '%s\n' "$inputs" | sed -n \
  's/^ *- *"\(\/.*\)" *$/\1/p; s/^ *- *'\''\(\/.*\)'\'' *$/\1/p; s/^ *- *\(\/.*\)$/\1/p' | sort -u)
END
unset IFS
if [ $# -gt 0 ]; then
  find "$@" -maxdepth 0 -type l -printf 'link %p\n'
  find -L "$@" -maxdepth 0 -type f -printf 'found %D %i %s %T@ %p\n'
  if [ "${{filebeat:-0}}" -gt 0 ]; then
    status="/proc/$filebeat/status"
    user=$(awk '/^Uid:/ {{print $3}}' "$status") group=$(awk '/^Gid:/ {{print $3}}' "$status")
    groups=$(sed -n 's/^Groups:[[:space:]]*//p' "$status" | sed 's/ *$//; s/  */,/g')
    look='for file; do [ -r "$file" ] || echo "unreadable $file"; done; echo tried'
    as="setpriv --reuid $user --regid $group --groups ${{groups:-$group}} --"
    nsenter -t "$filebeat" -m $as sh -c "$look" sh "$@" || $as sh -c "$look" sh "$@"
  fi
fi 2>/dev/null
port=$(sed -n 's/^http\.port:[[:space:]]*//p' "$config")
echo "page $(curl -s -m {PAGE_S} "http://127.0.0.1:${{port:-{_PAGE_PORT}}}/stats" | tr -d '\n')"
awk '/^[{{]"op":/ {{op = $0; next}}
  match($0, /"k":"[^"]*"/) {{last[substr($0, RSTART, RLENGTH)] = op "\t" $0}}
  END {{for (key in last) print "change " last[key]}}' "$registry/log.json" 2>/dev/null
state=$(ls "$registry" 2>/dev/null | grep -E '^[0-9]+[.]json$' | sort -n | tail -n 1)
[ -z "$state" ] || echo "state ${{state%.json}} $(tr -d '\n' <"$registry/$state")"
"""


class Wanted(NamedTuple):
    """A file whose first undelivered line is to be read.

    Attributes:
        key: ``DEVICE-INODE``.
        path: its name, or a process's handle of it.
        offset: number of delivered bytes.
    """

    key: str
    path: str
    offset: int


#: How many bytes at the end of an access log are searched for a mark.
_MARK_BYTES = 16_000_000
_LOOK = rf"""
for fd in $(find "/proc/$nginx/fd" -mindepth 1 -lname '*access*' -printf '%p\n'); do
  size=$(stat -L -c %s "$fd") from=$((size > {_MARK_BYTES} ? size - {_MARK_BYTES} : 0))
  for mark in $marks; do
    at=$(tail -c +$((from + 1)) "$fd" | grep -a -b -o -m 1 -F "$mark" | head -n 1 | cut -d: -f1)
    [ -z "$at" ] || echo "mark $mark $(stat -L -c '%d %i' "$fd") $((from + at))"
  done
done 2>/dev/null
"""


def command(
    wanted: Iterable[Wanted] = (), marks: Sequence[str] = (), *, config: str = CONFIG, registry: str = REGISTRY
) -> str:
    """Return the command line for the host's shell; needs root, or a user who may use sudo without a prompt.

    Args:
        wanted: files whose first undelivered lines are to be read as well.
        marks: plain words that are looked for in the access logs that nginx writes.
        config: Filebeat's configuration.
        registry: its registry's directory.
    """
    script = f"config={shlex.quote(config)} registry={shlex.quote(registry)}\n{_SCRIPT}"
    for one in wanted:
        script += (
            f'echo "head {one.key} $(tail -c +{one.offset + 1} {shlex.quote(one.path)} 2>/dev/null '
            f"| head -c {_HEAD_BYTES} | base64 | tr -d '\\n')\"\n"
        )
    if marks:
        script += f"marks={shlex.quote(' '.join(marks))}\n{_LOOK}"
    script += 'echo "end $(date +%s.%N)"\n'
    quoted = shlex.quote(script)
    return f'if [ "$(id -u)" = 0 ]; then sh -c {quoted}; else sudo -n sh -c {quoted}; fi'


class NotSeenError(Exception):
    """The host's answer is not the script's output; the message says why."""


class Answer(NamedTuple):
    """What a host said.

    Attributes:
        sample: what it saw.
        began: when it began, by its clock.
        ended: when it ended.
    """

    sample: Sample
    began: float
    ended: float


def read_answer(output: str) -> Answer:
    """Parse the script's output.

    Raises:
        NotSeenError: the script did not run to its end.
    """
    lines: dict[str, list[str]] = {}
    for line in output.splitlines():
        kind, _, rest = line.partition(" ")
        lines.setdefault(kind, []).append(rest)
    try:
        began, zone = lines["begin"][0].split()
        ended = float(lines["end"][0])
    except (KeyError, ValueError):
        raise NotSeenError(_instead(output)) from None
    offset_s = _zone_s(zone)
    links, unreadable = set(lines.get("link", ())), set(lines.get("unreadable", ()))
    heads = (rest.partition(" ")[::2] for rest in lines.get("head", ()))
    newest = [moment for rest in lines.get("last", ()) if (moment := written_at(_decoded(rest), offset_s)) is not None]
    sample = Sample(
        at=float(began),
        name=(lines.get("name") or [""])[0].strip().strip("'\""),
        nginx=_unit(lines, "nginx"),
        filebeat=_unit(lines, "filebeat"),
        written=tuple(file for file in _open_files(lines, "nginx") if file.appends),
        opened=tuple(file for file in _open_files(lines, "filebeat") if not file.writes),
        found=tuple(_found(lines.get("found", ()), links, unreadable, tried="tried" in lines)),
        offsets=read_registry(lines.get("state", ()), lines.get("change", ())),
        inputs=_inputs(_decoded(lines["inputs"][0])) if "inputs" in lines else None,
        events=_events((lines.get("page") or [""])[0]),
        newest_line=max(newest, default=None),
        # An incomplete line does not count yet.
        unshipped_since={
            key: written_at(text, offset_s)
            for key, head in heads
            if "\n" in (text := _decoded(head)) or len(text) >= _HEAD_BYTES
        },
        marks=tuple(_mark(rest) for rest in lines.get("mark", ())),
    )
    return Answer(sample, float(began), ended)


def _mark(rest: str) -> Mark:
    name, device, inode, offset = rest.split()
    return Mark(id=name, device=int(device), inode=int(inode), offset=int(offset))


def _instead(output: str) -> str:
    said = next((line.strip() for line in output.splitlines() if line.strip()), "")[:80]
    return f"its shell printed {said!r} instead" if said else "it needs root there, or sudo without a password"


def _unit(lines: Mapping[str, list[str]], name: str) -> Unit:
    for rest in lines.get("unit", ()):
        unit, pid, *state = rest.split()
        if unit == name:
            return Unit(pid=int(pid), state=state[0] if state else "")
    return Unit()


_DELETED = " (deleted)"
#: Flags of open(2): the access mode, and that each write goes to the end.
_ACCESS_MODE, _APPEND = 0o3, 0o2000


def _open_files(lines: Mapping[str, list[str]], who: str) -> Iterable[OpenFile]:
    names = dict(rest.split(" ", 1) for rest in lines.get(f"{who}-name", ()) if " " in rest)
    infos: dict[str, dict[str, str]] = {}
    for rest in lines.get(f"{who}-info", ()):
        number, name, value = rest.split(":", 2)
        infos.setdefault(number, {})[name] = value.strip()
    for rest in lines.get(f"{who}-file", ()):
        number, device, inode, size, modified = rest.split()
        info = infos.get(number, {})
        name = names.get(number, "")
        flags = int(info.get("flags", "0"), 8)
        if not name:
            continue
        yield OpenFile(
            path=name.removesuffix(_DELETED),
            descriptor=int(number),
            device=int(device),
            inode=int(inode),
            size=int(size),
            modified=float(modified),
            position=int(info.get("pos", "0")),
            appends=bool(flags & _APPEND),
            writes=bool(flags & _ACCESS_MODE),
            removed=name.endswith(_DELETED),
        )


def _found(lines: Iterable[str], links: set[str], unreadable: set[str], *, tried: bool) -> Iterable[FoundFile]:
    for rest in dict.fromkeys(lines):
        device, inode, size, modified, path = rest.split(" ", 4)
        yield FoundFile(
            path=path,
            device=int(device),
            inode=int(inode),
            size=int(size),
            modified=float(modified),
            link=path in links,
            readable=path not in unreadable if tried else None,
        )


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except (ValueError, binascii.Error):
        return ""


def _inputs(text: str) -> tuple[Input, ...] | None:
    """Return the inputs of a configuration, whose keys may be dotted or nested; None if it is invalid."""
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if not isinstance(config, dict):
        return None
    entries = config.get("filebeat.inputs")
    if entries is None and isinstance(config.get("filebeat"), dict):
        entries = config["filebeat"].get("inputs")
    if not isinstance(entries, list):
        return None
    flat = (dict(_flat(entry)) for entry in entries if isinstance(entry, dict))
    return tuple(_input(entry) for entry in flat if entry.get("enabled", True) is not False)


def _flat(entry: dict[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in entry.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _input(entry: dict[str, Any]) -> Input:
    return Input(
        id=str(entry.get("id", "")),
        paths=_texts(entry.get("paths")),
        log_type=str(entry.get("fields.log_type", "")),
        excluded=_texts(entry.get("prospector.scanner.exclude_files")),
        links=entry.get("prospector.scanner.symlinks") is True,
        ignores_old=bool(entry.get("ignore_older")),
    )


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


class _Output(msgspec.Struct, frozen=True):
    events: Events = Events()


class _Published(msgspec.Struct, frozen=True):
    published: int = 0


class _Queue(msgspec.Struct, frozen=True):
    acked: int = -1


class _Pipeline(msgspec.Struct, frozen=True):
    events: _Published = _Published()
    queue: _Queue = _Queue()


class _Libbeat(msgspec.Struct, frozen=True):
    output: _Output = _Output()
    pipeline: _Pipeline = _Pipeline()


class _Page(msgspec.Struct, frozen=True):
    """The fields of Filebeat's ``/stats`` that are read."""

    libbeat: _Libbeat


def _events(page: str) -> Events | None:
    try:
        libbeat = decode_json(page, _Page).libbeat if page.strip() else None
    except UndecodableError:
        return None
    if libbeat is None:
        return None
    pipeline = libbeat.pipeline
    return msgspec.structs.replace(
        libbeat.output.events, published=pipeline.events.published, released=pipeline.queue.acked
    )


_MSEC = re.compile(r'"msec": ?(\d+(?:\.\d+)?)')
_COMBINED = re.compile(r"\[(\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]")
_ERROR = re.compile(r"(\d{4}/\d{2}/\d{2} \d{2}:\d{2}:\d{2}) \[")


def written_at(line: str, zone_s: float = 0.0) -> float | None:
    """Return when a line was written, according to its beginning, seconds since the epoch; None if it does not say.

    Args:
        line: of an access log in our JSON or combined format, or of nginx's error log.
        zone_s: how far the host's local time is ahead of UTC, for the error log.
    """
    try:
        if found := _MSEC.search(line):
            return float(found[1])
        if found := _COMBINED.search(line):
            return datetime.datetime.strptime(found[1], "%d/%b/%Y:%H:%M:%S %z").timestamp()
        if found := _ERROR.match(line):
            local = datetime.datetime.strptime(f"{found[1]} +0000", "%Y/%m/%d %H:%M:%S %z")
            return local.timestamp() - zone_s
    except (ValueError, OverflowError):
        pass
    return None


def _zone_s(zone: str) -> float:
    """Return the offset that ``date +%z`` prints, such as ``+0800``, in seconds."""
    sign = -1 if zone.startswith("-") else 1
    return sign * (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60)
