"""``obsctl bundle``: what support needs to see, in one file without secrets."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from obsctl import __version__
from obsctl.cli.commands import Command, alone, examples
from obsctl.cli.settings import note
from obsctl.core.errors import ExitCode, ObsctlError
from obsctl.core.layout import Layout

if TYPE_CHECKING:
    from obsctl.checks.check import Check
    from obsctl.cli.bundle.archive import Contents
    from obsctl.fleet.model import Fleet, Host

#: Time limits for an answer of a host, and for the whole collection, seconds.
_ANSWER_S = 15.0
_COLLECTION_S = 180.0
_REFERENCE = re.compile(r"(?:vault|file|env):\S+").fullmatch
#: Checks that a bundle does not run, and why.
LEFT_OUT = {
    "verify lb": "it sends hundreds of requests; obsctl verify lb --save-snapshot FILE",
    "verify logs": "it sends requests; the snapshot of health has the state of the hosts' logs",
    "trace": "it sends requests; obsctl trace --save-snapshot FILE",
    "kafka partitions": "kafka status has the same partitions",
    "kafka topics": "kafka status has the same topics",
    "kafka quorum": "kafka status has the same quorum",
    "kafka whatif": "the snapshot of kafka status has all of its data",
    "kafka canary": "it writes records; obsctl kafka canary --save-snapshot FILE",
    "certs status": "the snapshot of health has all of its data",
    "status": "the same as health",
    "lab status": "about this machine",
    "artifacts verify": "about this machine",
}
_LAYOUTS = (
    Layout("bundle", "", ("file", "size_bytes")),
    Layout("files", "holds", ("name", "bytes", "cut")),
    Layout("missing", "could not be had", ("name", "why")),
    Layout("parts", "would ask", ("name", "command")),
)

bundle = alone()


@bundle.command(
    "bundle",
    cls=Command,
    epilog=examples("obsctl bundle", "obsctl bundle --to node2-is-slow.tar.gz", "obsctl bundle --dry-run"),
)
def make_bundle(
    ctx: typer.Context,
    *,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The archive (default: obsctl-bundle-TIME.tar.gz in the current folder)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be collected; query and write nothing.")
    ] = False,
) -> ExitCode:
    """Collect snapshots of the checks, and each host's versions, configurations and latest journal lines.

    Changes nothing on any host. Secrets are masked: the values that the inventory refers to, and everything in
    places meant for passwords, tokens and keys. Client addresses in logs are not masked; look before you send it.
    """
    from obsctl.cli.bundle import archive, host_parts
    from obsctl.cli.checking import load_fleet
    from obsctl.cli.output import publish
    from obsctl.cli.reporting import Start

    start = Start()
    path = to or Path(f"obsctl-bundle-{start.at:%Y%m%dT%H%M%SZ}.tar.gz")
    fleet = load_fleet(ctx)
    if dry_run:
        parts = [
            {"name": f"snapshots/{_name(check)}.json", "command": f"obsctl {check.command}"} for check in _checks()
        ]
        for host in fleet.hosts:
            asked = host_parts.parts_of(fleet, host).items()
            parts += [{"name": f"hosts/{host.name}/{name}", "command": command} for name, command in asked]
        publish(ctx, start.report("bundle", {"dry_run": True, "parts": parts}), _LAYOUTS)
        return ExitCode.OK
    archive.refuse_unwritable(path)
    contents = archive.Contents()
    _learn_secrets(fleet, contents)
    note(ctx, f"asking {len(fleet.hosts)} hosts ...")
    _collect(fleet, contents)
    held = [
        {"name": name, "bytes": len(content), "cut": name in contents.cut}
        for name, content in sorted(dict(contents.files).items())
    ]
    missing = [{"name": name, "why": why} for name, why in sorted(dict(contents.missing).items())]
    data: dict[str, Any] = {
        "obsctl": __version__,
        "inventory": fleet.inventory,
        "collected_at": start.at.isoformat(),
        "files": held,
        "missing": missing,
    }
    contents.document("manifest.json", _encoded(data))
    size = archive.write(contents, path)
    data["bundle"] = {"file": str(path), "size_bytes": size}
    publish(ctx, start.report("bundle", {"dry_run": False, **data}), _LAYOUTS)
    return ExitCode.OK


def _checks() -> list[Check[Any]]:
    from obsctl.checks.consumer.check import consumer_check
    from obsctl.checks.health.check import health_check
    from obsctl.checks.kafka.check import cluster_check
    from obsctl.checks.lag.check import lag_check
    from obsctl.checks.vip.check import vip_check

    return [health_check("health"), vip_check(), cluster_check(), lag_check(), consumer_check()]


def _collect(fleet: Fleet, contents: Contents) -> None:
    """Run the checks and ask the hosts, all at the same time; late answers are missing."""
    import msgspec

    contents.document("fleet.json", msgspec.json.encode(msgspec.structs.replace(fleet, alert_channels=())))
    for command, why in LEFT_OUT.items():
        contents.miss(f"snapshots/{command.replace(' ', '-')}.json", why)
    jobs: dict[str, Callable[[], None]] = {}
    for check in _checks():
        jobs[f"snapshots/{_name(check)}.json"] = lambda check=check: _check(fleet, check, contents)  # type: ignore[misc]
    for host in fleet.hosts:
        jobs[f"hosts/{host.name}"] = lambda host=host: _host(fleet, host, contents)  # type: ignore[misc]
    threads = {name: _begun(name, job, contents) for name, job in jobs.items()}
    ends = time.monotonic() + _COLLECTION_S
    for name, thread in threads.items():
        thread.join(max(0.0, ends - time.monotonic()))
        if thread.is_alive():
            contents.miss(name, f"it was not complete within {_COLLECTION_S:.0f} s")


def _begun(name: str, job: Callable[[], None], contents: Contents) -> threading.Thread:
    """Start a thread for a job; it does not keep the program from ending at Ctrl-C."""

    def carry_out() -> None:
        try:
            job()
        except Exception as error:
            # A bundle is made for unhealthy fleets: a failed part is left out, with the reason.
            contents.miss(name, f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=carry_out, name=f"bundle {name}", daemon=True)
    thread.start()
    return thread


def _check(fleet: Fleet, check: Check[Any], contents: Contents) -> None:
    import msgspec

    from obsctl.cli.checking import report_of, saved
    from obsctl.cli.reporting import Start

    start = Start()
    snapshot = check.collect(fleet)
    contents.document(f"snapshots/{_name(check)}.json", saved(check, fleet, snapshot, start.at))
    report = report_of(check, fleet, snapshot, start, start.at)
    contents.document(f"reports/{_name(check)}.json", msgspec.json.encode(report, enc_hook=str))


def _host(fleet: Fleet, host: Host, contents: Contents) -> None:
    from obsctl.checks.ask import ssh
    from obsctl.cli.bundle import host_parts

    answered = False
    for name, command in host_parts.parts_of(fleet, host).items():
        at = f"hosts/{host.name}/{name}"
        answer = ssh.run(host, host_parts.as_root(command), deadline_s=_ANSWER_S)
        if answer.failure and not answered:
            contents.miss(f"hosts/{host.name}", answer.failure)
            return
        answered = True
        if answer.failure:
            contents.miss(at, answer.failure)
            continue
        text, wrong = host_parts.read(answer.output)
        contents.text(at, text)
        if wrong:
            contents.miss(at, wrong)


def _learn_secrets(fleet: Fleet, contents: Contents) -> None:
    """Read each secret that the fleet document refers to, so that it is masked everywhere."""
    import msgspec

    from obsctl.core.secrets import resolve

    for reference in sorted(set(_references(msgspec.to_builtins(fleet)))):
        try:
            resolve(reference)
        except ObsctlError as error:
            contents.miss(reference, f"masked only in places meant for secrets: {error}")


def _references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, (list, tuple)):
        for part in document:
            yield from _references(part)
    elif isinstance(document, str) and _REFERENCE(document):
        yield document


def _name(check: Check[Any]) -> str:
    return check.command.replace(" ", "-")


def _encoded(data: dict[str, Any]) -> bytes:
    import json

    return json.dumps(data, default=str).encode()
