"""Makes a handshake with each service that speaks TLS, and reads the files of each host, all at the same time."""

from __future__ import annotations

import re
import shlex
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import msgspec

from obsctl.checks.ask import database, ssh
from obsctl.checks.ask.at_once import AtOnce
from obsctl.checks.ask.failure import in_words
from obsctl.checks.certs.snapshot import CertsSnapshot, Held, HostCertificates, Served
from obsctl.core.certificate import Certificate, read, read_pem
from obsctl.fleet import passwords
from obsctl.fleet.model import Fleet, Host, TlsListener

#: Time limit for each host over ssh, and for each handshake, seconds.
SSH_DEADLINE_S = 4.0
HANDSHAKE_S = 2.0
#: The largest file of certificates, bytes.
_LONGEST_BYTES = 1024 * 1024
#: Bits of a file's mode: any access of others, and reading by the group.
_OTHERS, _GROUP_READS = 0o007, 0o040
#: OpenSSL's errors about validity dates, which are judged by the dates themselves: not yet valid, expired.
_ABOUT_TIME = (9, 10)
#: How ``openssl verify`` prints an error of a chain: number, depth, text; version 1.0.2 without the blank.
_FAULT = re.compile(r"error (\d+) at \d+ depth lookup: ?(.*)")


def collect_certs(fleet: Fleet) -> CertsSnapshot:
    """Ask each service for its certificate, and each host for its files.

    Raises:
        MissingDependencyError: there is no ssh client.
    """
    wanted = fleet.tls
    if wanted is None:
        return CertsSnapshot(off=True, now=time.time())
    hosts = [host for host in fleet.hosts if host.certificates]
    listeners = [(host, listener) for host in hosts for listener in host.certificates]
    trusted, failure = _authorities(wanted.ca_file)
    passwords.prepare(hosts)
    with AtOnce(len(hosts) + len(listeners)) as pool:
        files = [pool.submit(_files, host, wanted.directory) for host in hosts]
        served = [pool.submit(_served, fleet, host, one, "" if failure else wanted.ca_file) for host, one in listeners]
    return CertsSnapshot(
        now=time.time(),
        trusted=trusted,
        ca_failure=failure,
        served=tuple(future.result() for future in served),
        hosts=tuple(future.result() for future in files),
    )


def _authorities(path: str) -> tuple[tuple[Certificate, ...], str]:
    """Return the certificates of a file, or why there is none."""
    try:
        with Path(path).open("rb") as file:
            found = tuple(read_pem(file.read(_LONGEST_BYTES).decode("utf-8", "replace")))
    except OSError as error:
        return (), f"{path} cannot be read: {in_words(error)}"
    except ValueError:
        return (), f"{path} holds a certificate that cannot be read"
    return found, "" if found else f"{path} holds no certificate"


def _served(fleet: Fleet, host: Host, listener: TlsListener, ca_file: str) -> Served:
    """Return the certificate that a service presents.

    Args:
        ca_file: the trusted certificates; empty if there are none.
    """
    answer = Served(host=host.name, use=listener.use, port=listener.port)
    try:
        if listener.use == "mysql":
            return _database(fleet, answer)
        return _handshake(answer, host.address, ca_file)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        return msgspec.structs.replace(answer, failure=f"no TLS connection: {reason}")
    except OSError as error:
        return msgspec.structs.replace(answer, failure=in_words(error))
    except ValueError:
        return msgspec.structs.replace(answer, failure="its certificate cannot be read")


def _handshake(answer: Served, address: str, ca_file: str) -> Served:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the judge compares names, and lists those in the certificate
    if ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.verify_mode = ssl.CERT_NONE
    untrusted = ""
    try:
        encoded = _presented(context, address, answer.port)
    except ssl.SSLCertVerificationError as error:
        untrusted = "" if error.verify_code in _ABOUT_TIME else error.verify_message
        context.verify_mode = ssl.CERT_NONE
        encoded = _presented(context, address, answer.port)
    return msgspec.structs.replace(answer, certificate=read(encoded), untrusted=untrusted)


def _presented(context: ssl.SSLContext, address: str, port: int) -> bytes:
    with (
        socket.create_connection((address, port), timeout=HANDSHAKE_S) as line,
        context.wrap_socket(line, server_hostname=address) as encrypted,
    ):
        return encrypted.getpeercert(binary_form=True) or b""


def _database(fleet: Fleet, answer: Served) -> Served:
    """Return what the database presents to the reading user.

    A handshake without a login would count as a failed connection, and a server blocks an address after a hundred of
    these (max_connect_errors).
    """
    try:
        encoded = database.ask(fleet, _presented_to)
    except (database.NotAskedError, database.SilentError) as error:
        return msgspec.structs.replace(answer, failure=str(error))
    if not encoded:
        return msgspec.structs.replace(answer, failure="the connection is not encrypted")
    return msgspec.structs.replace(answer, certificate=read(encoded))


def _presented_to(cursor: Any) -> bytes:
    line = getattr(cursor.connection, "_sock", None)
    return (line.getpeercert(binary_form=True) or b"") if isinstance(line, ssl.SSLSocket) else b""


def _script(directory: str) -> str:
    """Return the shell script that prints the input of :func:`read_files`; it does not read files with keys."""
    return (
        f"export LC_ALL=C; date '+clock %s.%N'; cd {shlex.quote(directory)} 2>/dev/null || {{ echo end; exit 0; }}; "
        "for f in */key.pem */keystore.pem; do [ ! -e $f ] || stat -L -c 'mode %n %a' $f; done; "
        # Only by the host's own CA file, as its services do it.
        "for f in */cert.pem; do SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/nonexistent "
        'openssl verify -CAfile ca.pem -untrusted $f $f 2>&1 | sed -n "s#^error #chain $f &#p"; done; '
        'for f in ca.pem */cert.pem; do [ ! -e $f ] || { echo "pem $f"; cat $f 2>/dev/null; echo; }; done; echo end'
    )


def _files(host: Host, directory: str) -> HostCertificates:
    answer = ssh.run(host, _script(directory), deadline_s=SSH_DEADLINE_S)
    if not answer.failure and not answer.output.rstrip().endswith("end"):
        answer = ssh.refused_by_shell(host, answer.output.strip().partition("\n")[0][:80])
    if answer.failure:
        return HostCertificates(name=host.name, failure=answer.failure, failure_kind=answer.kind, hint=answer.hint)
    try:
        return read_files(host.name, answer.output)
    except ValueError:
        failure = "their list cannot be read"
        return HostCertificates(name=host.name, failure=failure, hint=f"on {host.name}: ls -lR {directory}/")


def read_files(name: str, output: str) -> HostCertificates:
    """Parse the script's output.

    Its lines are ``clock SECONDS``, ``mode FILE OCTAL``, ``chain FILE FAULT``, and ``pem FILE`` before each file.

    Raises:
        ValueError: a line is none of these, such as one from a damaged file that looks like them.
    """
    clock: float | None = None
    modes: dict[str, dict[str, str]] = {}
    chains: dict[str, list[str]] = {}
    texts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in output.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "clock":
            clock = float(rest) if rest.replace(".", "", 1).isdigit() else None
        elif kind == "mode":
            path, _, mode = rest.rpartition(" ")
            use, _, file = path.partition("/")
            modes.setdefault(use, {})[file] = mode
        elif kind == "chain":
            path, _, fault = rest.partition(" ")
            chains.setdefault(path.partition("/")[0], []).append(fault)
        elif kind == "pem":
            current = texts.setdefault(rest, [])
        else:
            current.append(line)
    uses = sorted({path.partition("/")[0] for path in texts if "/" in path} | set(modes))
    trusted, _failure = _certificates(texts.get("ca.pem", []))
    return HostCertificates(
        name=name,
        clock=clock,
        trusted=trusted,
        uses=tuple(_held(use, texts.get(f"{use}/cert.pem"), modes.get(use, {}), chains.get(use, [])) for use in uses),
    )


def _held(use: str, text: list[str] | None, modes: dict[str, str], chain: list[str]) -> Held:
    found, failure = _certificates(text or [])
    return Held(
        use=use,
        certificate=found[0] if found else None,
        failure="cert.pem is missing" if text is None else failure,
        untrusted=_untrusted(chain) if found else "",
        open_files={file: mode for file, mode in modes.items() if int(mode, 8) & _OTHERS},
        closed_files={file: mode for file, mode in modes.items() if not int(mode, 8) & _GROUP_READS},
    )


def _untrusted(faults: list[str]) -> str:
    """Return the first fault of a chain that is not about its dates."""
    found = [match for fault in faults if (match := _FAULT.match(fault))]
    return next((match[2] for match in found if int(match[1]) not in _ABOUT_TIME), "")


def _certificates(lines: list[str]) -> tuple[tuple[Certificate, ...], str]:
    try:
        found = tuple(read_pem("\n".join(lines)))
    except ValueError:
        return (), "cert.pem cannot be read"
    return found, "" if found else "cert.pem holds no certificate"
