"""Find and read the fleet: an Ansible inventory through Ansible itself, or a ``fleet.json``.

Reading an inventory takes Ansible a second or two, so the result is cached for the user. The key covers every file
that Ansible reads (hosts, group_vars, host_vars, ansible.cfg, the roles' defaults, the lab's record); the result of an
inventory script may differ each time and is never cached.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from obsctl.core import whole_file
from obsctl.core.cachedir import cache_root
from obsctl.core.decoding import UndecodableError, decode_json
from obsctl.core.errors import ConfigError
from obsctl.core.lab_record import lab_of_tree_is_up, record_file
from obsctl.core.secrets import open_vault
from obsctl.fleet import ansible, complaints, vault
from obsctl.fleet.model import SCHEMA, Fleet

SYSTEM_FLEET = Path("/etc/obsctl/fleet.json")
#: Enough for a cold start of Ansible with a large inventory; if it takes longer, a script inventory hangs.
_ANSIBLE_DEADLINE_S = 60.0
#: Environment variables that change how Ansible logs in.
_LOGIN_SETTINGS = ("ANSIBLE_CONFIG", "ANSIBLE_SSH_", "ANSIBLE_REMOTE_", "ANSIBLE_PRIVATE_KEY_", "ANSIBLE_HOST_KEY_")
#: The beginning of a fleet.json's schema in any version.
_ANY_SCHEMA = SCHEMA.rpartition("/")[0].encode()
#: Default folder of fleet_tls_ca_dir, next to the inventory.
_CA_FOLDER = "pki"
_Part = TypeVar("_Part", bound=msgspec.Struct)


class FleetSource(msgspec.Struct, frozen=True):
    """Where the fleet is read from, and why it was chosen."""

    path: Path
    reason: str


def find(inventory: str | None, *, cwd: Path | None = None) -> FleetSource:
    """Choose the inventory: the option, the environment, the tree's lab, the tree's prod, the system's file.

    Raises:
        ConfigError: none of them exists, or a directory on the way to it cannot be read.
    """
    with _in_words():
        return _find(inventory, cwd or Path.cwd())


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Turn an error of the file system about a path into an error with a hint."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{error.filename or 'the current directory'} cannot be read: {error.strerror}",
            hint="run this as a user who may read it, or give another inventory with --inventory",
        ) from None


def _find(inventory: str | None, here: Path) -> FleetSource:
    for origin, named in (("--inventory", inventory), ("OBSCTL_INVENTORY", os.environ.get("OBSCTL_INVENTORY"))):
        if named is not None:
            return FleetSource(_existing(named, origin), origin)
    tree = next((d for d in (here, *here.parents) if (d / "inventories").is_dir()), None)
    if tree is not None:
        if (tree / "inventories/lab").is_dir() and lab_of_tree_is_up(tree):
            return FleetSource(tree / "inventories/lab", "this tree's lab is up")
        if (tree / "inventories/prod").is_dir():
            return FleetSource(tree / "inventories/prod", "the current tree")
    if SYSTEM_FLEET.is_file():
        return FleetSource(SYSTEM_FLEET, "the system's fleet file")
    raise ConfigError(
        "no inventory found",
        hint="name one with --inventory DIR or OBSCTL_INVENTORY, or run this in a tree that has inventories/prod",
    )


def _existing(named: str, origin: str) -> Path:
    if not named:
        # The result of an unset shell variable; neither the current folder nor the default was meant.
        raise ConfigError(f"{origin} is empty", hint=f"give {origin} a path, or omit it for the default")
    path = Path(named)
    if not path.exists():
        raise ConfigError(f"{origin} names {path}, which does not exist", hint="check the path")
    return path.resolve()


def load(source: FleetSource) -> Fleet:
    """Read the fleet from its source.

    Raises:
        ConfigError: the file or the inventory is invalid; the message contains Ansible's or the decoder's error.
        MissingDependencyError: an Ansible inventory, but no Ansible.
    """
    with _in_words():
        if source.path.suffix == ".json" and source.path.is_file() and _is_fleet_json(source.path):
            return _decode(source.path.read_bytes(), str(source.path))
    open_vault(vault.reader(source.path))
    cached = _cache_file(source.path)
    if cached is not None and cached.is_file():
        with contextlib.suppress(ConfigError, OSError):
            return _of(source, _decode(cached.read_bytes(), str(cached)))
    complaints.refuse_other_folders(source.path)
    complaints.refuse_broken_yaml(source.path)
    raw = _ask_ansible(source.path)
    fleet = _decode(raw, str(source.path))
    if cached is not None:
        _keep(cached, raw)
    return _of(source, fleet)


def remembered(source: FleetSource) -> Fleet | None:
    """Return the fleet from the cache, at once; None if the inventory has changed since."""
    if source.path.suffix == ".json" and source.path.is_file():
        return _decode(source.path.read_bytes(), str(source.path)) if _is_fleet_json(source.path) else None
    cached = _cache_file(source.path)
    return _of(source, _decode(cached.read_bytes(), str(cached))) if cached is not None and cached.is_file() else None


def _of(source: FleetSource, fleet: Fleet) -> Fleet:
    inventory = str(source.path)
    hosts = tuple(
        msgspec.structs.replace(host, ssh=msgspec.structs.replace(host.ssh, inventory=inventory))
        for host in fleet.hosts
    )
    return msgspec.structs.replace(fleet, inventory=inventory, hosts=hosts)


def _is_fleet_json(path: Path) -> bool:
    return _ANY_SCHEMA in path.read_bytes()[:4096]


def _decode(raw: bytes, origin: str) -> Fleet:
    try:
        # ansible-core 2.16 writes numbers as text.
        fleet = decode_json(raw, Fleet, strict=False)
    except UndecodableError as error:
        raise ConfigError(f"{origin}: not a valid fleet description: {error}") from None
    if fleet.schema != SCHEMA:
        raise ConfigError(f"{origin}: schema {fleet.schema!r}, this obsctl reads {SCHEMA!r}")
    for place, mistake in _mistakes(fleet):
        raise ConfigError(f"{origin}: {place}: {mistake}", hint="correct it in the inventory")
    return _with_home(fleet)


def _with_home(fleet: Fleet) -> Fleet:
    """Return the fleet with ``~`` expanded in this machine's paths, as Ansible does."""
    return msgspec.structs.replace(
        fleet,
        tls=_expanded(fleet.tls, "ca_file") if fleet.tls else None,
        database=_expanded(fleet.database, "ca_file"),
        kafka=msgspec.structs.replace(
            fleet.kafka, client=_expanded(fleet.kafka.client, "ca_file", "certificate_file", "key_file")
        ),
        vip=msgspec.structs.replace(fleet.vip, https=_expanded(fleet.vip.https, "ca_file", "backend_ca_file"))
        if fleet.vip and fleet.vip.https
        else fleet.vip,
    )


def _expanded(part: _Part, *names: str) -> _Part:
    # Not by Path, which fails for a user without a home.
    return msgspec.structs.replace(part, **{name: os.path.expanduser(getattr(part, name)) for name in names})  # noqa: PTH111


def _mistakes(fleet: Fleet) -> Iterator[tuple[str, str]]:
    """Yield (place, what is wrong) for values with which no connection is possible."""
    addresses = {"vip.address": fleet.vip.address} if fleet.vip else {}
    ports = {"vip.port": fleet.vip.port} if fleet.vip else {}
    if fleet.vip and fleet.vip.https:
        ports["vip.https.port"] = fleet.vip.https.port
    if fleet.database.host:
        addresses["database.host"] = fleet.database.host
    ports |= {
        "database.port": fleet.database.port,
        "consumer.metrics_port": fleet.consumer.metrics_port,
        "alerter.metrics_port": fleet.alerter.metrics_port,
    }
    for host in fleet.hosts:
        addresses[f"host {host.name}: address"] = host.address
        ports[f"host {host.name}: ssh.port"] = host.ssh.port
        if host.kafka:
            ports[f"host {host.name}: kafka.broker_port"] = host.kafka.broker_port
            ports[f"host {host.name}: kafka.replication_port"] = host.kafka.replication_port
            ports[f"host {host.name}: kafka.controller_port"] = host.kafka.controller_port
        if host.backend:
            ports[f"host {host.name}: backend.port"] = host.backend.port
        if host.console:
            ports[f"host {host.name}: console.port"] = host.console.port
        try:
            shlex.split(host.ssh.common_args)
        except ValueError as error:
            yield f"host {host.name}: ssh.common_args", str(error).lower()
    yield from ((place, f"{name!r} is not an address") for place, name in addresses.items() if not _is_address(name))
    yield from ((place, f"{port} is not a port") for place, port in ports.items() if not 0 < port < 65536)


def _is_address(name: str) -> bool:
    # ssh would take a leading dash for an option.
    if not name.isprintable() or " " in name or name.startswith("-"):
        return False
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def _cache_file(inventory: Path) -> Path | None:
    """Return the cache file for the inventory, or None if there can be none."""
    key = _cache_key(inventory)
    # Without a cache it only takes longer.
    with contextlib.suppress(ConfigError):
        return cache_root() / "fleet" / f"{key}.json" if key else None
    return None


def _keep(path: Path, raw: bytes) -> None:
    # If the cache cannot be written, the next read only takes longer.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        whole_file.write(path, raw)


def _cache_key(inventory: Path) -> str | None:
    """Return a cache key over everything that the result depends on; None for a script or an unreadable file."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(os.environ):
        if name.startswith(_LOGIN_SETTINGS):
            digest.update(f"{name}={os.environ[name]}\0".encode(errors="surrogateescape"))
    for path in sorted(_inputs(inventory)):
        if path.parent == inventory and path.is_file() and os.access(path, os.X_OK):
            return None
        digest.update(f"{path}\0".encode())
        try:
            digest.update(path.read_bytes())
        except OSError:
            return None  # Ansible reports it if it needs that file
    return digest.hexdigest()


def _inputs(inventory: Path) -> Iterator[Path]:
    folder = inventory if inventory.is_dir() else inventory.parent
    # The CA is not part of the result, and its key is readable only by its owner.
    own = (p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder).parts[0] != _CA_FOLDER)
    yield from own if inventory.is_dir() else [inventory]
    if not inventory.is_dir():
        for name in ("group_vars", "host_vars"):
            yield from (p for p in (folder / name).rglob("*") if p.is_file())
    playbook = _fleet_playbook()
    yield playbook
    root = project_root()
    yield from root.glob("roles/*/defaults/main.yml")
    # inventories/lab reads from the record which system its hosts run.
    settings = (
        os.environ.get("ANSIBLE_CONFIG", ""),
        root / "ansible.cfg",
        "~/.ansible.cfg",
        "/etc/ansible/ansible.cfg",
    )
    files = [Path(os.path.expanduser(name)) for name in settings if name]  # noqa: PTH111 - never raises
    yield from (p for p in (*files, record_file()) if p.is_file())


def _fleet_playbook() -> Path:
    """Return the playbook that renders the fleet: from the tree of this package, or from the current one."""
    for root in (Path(__file__).resolve().parents[3], Path.cwd(), *Path.cwd().parents):
        playbook = root / "ansible/playbooks/fleet.yml"
        if playbook.is_file():
            return playbook
    raise ConfigError(
        "ansible/playbooks/fleet.yml not found: an Ansible inventory is read through the collection's playbooks",
        hint="run obsctl inside the project's tree, or point --inventory to a fleet.json",
    )


def project_root() -> Path:
    """Return the root of the tree whose playbooks read the inventory.

    Raises:
        ConfigError: there is none.
    """
    return _fleet_playbook().resolve().parents[2]


def _ask_ansible(path: Path) -> bytes:
    playbook = _fleet_playbook()
    with tempfile.TemporaryDirectory(prefix="obsctl-fleet-") as folder:
        out = Path(folder) / "fleet.json"
        done = ansible.run(
            "ansible-playbook",
            [str(playbook), "-i", str(path), "-e", f"fleet_out={out}"],
            purpose=f"the inventory {path}",
            deadline_s=_ANSIBLE_DEADLINE_S,
            hint=f"ansible-inventory --graph -i {path} shows whether a plugin or a script of the inventory hangs",
            environment=ansible.readable(project_root()),
            cwd=project_root(),
        )
        if done.returncode == 0 and not out.is_file():
            raise ConfigError(
                f"the inventory {path} names no host",
                hint=f"ansible-inventory --graph -i {path} shows what Ansible reads there",
            )
        if done.returncode != 0:
            raise complaints.unreadable(path, done.stdout + done.stderr)
        return out.read_bytes()
