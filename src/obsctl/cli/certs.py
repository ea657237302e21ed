"""``obsctl certs``: the certificates of the fleet."""

from __future__ import annotations

from obsctl.cli.commands import AnyCheck, check, examples, group

certs = group(
    "certs",
    help="The certificates of the fleet: how long they live, and whether clients accept them.",
    epilog=examples("obsctl certs status"),
)


@certs.callback()
def _certs() -> None:
    # A group, although it has one command so far: Typer would make that the group itself.
    pass


@check(certs, "status", "obsctl certs status", "obsctl certs status -o json", "obsctl certs status -o nagios")
def status() -> AnyCheck:
    """Check the certificate of every service on every host: days left, names, chain, and who can read its key.

    Each service that speaks TLS is asked in a handshake, and each host over ssh for its files and its clock; all at the
    same time. The keys themselves are not read.
    """
    from obsctl.checks.certs.check import certs_check

    return certs_check()
