# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Gathers what the preflight's rules need, on the control node, and fails with all problems at once."""

from __future__ import annotations

import functools
import os
import pathlib
import re
import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from ansible import constants, context
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader
from ansible.release import __version__ as core_version
from ansible_collections.obscraft.fleet.plugins.filter.alert_channels import channel_secrets as secrets_of_channel
from ansible_collections.obscraft.fleet.plugins.lookup import secret
from ansible_collections.obscraft.fleet.plugins.plugin_utils import certificate_authority as authority
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.alert_channels import ON_THE_WIRE
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.alert_templates import LANGUAGES
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.certificates import (
    USES,
    has_certificate,
    has_own_file,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.kafka_access import USERS as KAFKA_USERS
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.look import read_look, said_once
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import (
    ROLES_OF_GROUP,
    Fleet,
    Problem,
    Variables,
)
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.rules import find_problems
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.secrets import STORE, secret_fault
from ansible_collections.obscraft.fleet.plugins.plugin_utils.ready_certificate import check_own, read_ready

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
PLAYBOOKS = (ROLES.parent / "playbooks").resolve()
#: Variables that name files of the control node, and the group whose hosts need them.
FILES = (
    ("kafka", "kafka_archive"),
    ("filebeat", "filebeat_archive"),
    ("lb", "nginx_tls_certificate_file"),
    ("kafka", "kafka_client_ca_file"),
    ("kafka", "kafka_client_certificate_file"),
    ("kafka", "kafka_client_key_file"),
    ("consumer", "console_oidc_ca_file"),
)
#: Optional secrets: without them a role still works, but does less.
OPTIONAL_SECRETS = frozenset(
    (
        "nginx_test_secret",
        "nginx_tls_key",
        "kafka_client_password",
        "consumer_kafka_password",
        "consumer_alert_kafka_password",
        "console_kafka_password",
        "console_database_password",
        "mysql_console_password",
        "console_replay_password",
        "console_redis_url",
        "console_oidc_client_secret",
        "mysql_replay_password",
        "filebeat_kafka_password",
        *(f"kafka_{user}_password" for user in KAFKA_USERS),
    )
)
#: Secrets that are written to a Java properties file, or sent unchanged.
PLAIN_SECRETS = frozenset(f"kafka_{user}_password" for user in KAFKA_USERS)
#: Those that are PEM, whose lines belong to them.
PEM_SECRETS = frozenset(("nginx_tls_key",))
#: Widths of the report, in characters.
HOST_WIDTH, TEXT_WIDTH = 24, 100

Specs = Mapping[str, Mapping[str, Any]]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Compare the inventory with the rules; see ``plugin_utils/preflight``."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("looks",))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return ``problems``, failed when there are any."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        fleet = gather(self._templar, known["hostvars"], known["groups"], self._task.args["looks"])
        problems = find_problems(fleet)
        result.update(changed=False, problems=[problem._asdict() for problem in problems])
        if problems:
            result.update(failed=True, msg=report(problems))
        return result


def gather(templar: Any, hostvars: Any, groups: Mapping[str, Sequence[str]], looks: Sequence[str]) -> Fleet:
    """Return what the rules judge.

    Args:
        templar: an Ansible templar; its variables do not matter.
        hostvars: the variables of all hosts, Ansible's own object.
        groups: group to its hosts.
        looks: names of the variables with what the host said about itself; a later one counts where it is there.
    """
    specs = {path.name: role_options(path) for path in sorted(ROLES.iterdir()) if path.is_dir()}
    defaults = role_defaults()
    members = {host for name in ROLES_OF_GROUP for host in groups.get(name, ())}
    hosts = {host: HostView(templar, host, hostvars, groups, defaults) for host in sorted(members)}
    return Fleet(
        hosts=hosts,
        groups={name: list(groups.get(name, ())) for name in ROLES_OF_GROUP},
        inventory_names={host: view.inventory_names() for host, view in hosts.items()},
        broken={host: view.broken(specs) for host, view in hosts.items()},
        specs=specs,
        looks={host: read_look(said) for host, view in hosts.items() for said in answer_of(view, looks)},
        core=tuple(int(part) for part in core_version.split(".")[:2]),
        missing_files=missing_files(hosts, groups),
        unusable_secrets={host: unusable_secrets(view, specs) for host, view in hosts.items()},
        strays=strays(groups),
        login=given_login(),
        tags=given_tags(),
        known_tags=known_tags(),
        certificate_faults=certificate_faults(
            {host: [use for group, use in USES.items() if host in groups.get(group, ())] for host in hosts},
            lambda host, use: HostView(templar, host, hostvars, groups, {**defaults, "certificates_use": use}),
        ),
        alert_templates=alert_templates({host: hosts[host] for host in groups.get("consumer", ())}),
    )


def strays(groups: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return host to its groups, for the hosts that are in groups, and in none that a playbook of ours knows."""
    known = {host for name in ROLES_OF_GROUP for host in groups.get(name, ())}
    found: dict[str, list[str]] = {}
    for name, hosts in groups.items():
        for host in hosts if name not in ("all", "ungrouped") else ():
            if host not in known:
                found.setdefault(host, []).append(name)
    return found


def answer_of(view: Variables, looks: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the last answer of a host, none for one that was not asked."""
    return [view[name] for name in looks if name in view and not view[name].get("skipped")][-1:]


def given_tags() -> list[str]:
    """Return the tags that the command line asks for; none if it runs a foreign playbook.

    Such a playbook may import ours, and have tags of its own. A tag that it leaves out and no play has does no harm.
    """
    line = context.CLIARGS
    if not all(map(_is_ours, line.get("args") or ())):
        return []
    return sorted({str(tag) for tag in line.get("tags") or ()})


def _is_ours(playbook: str) -> bool:
    path = pathlib.Path(playbook).resolve()
    ours = path.parent == PLAYBOOKS or path == ROLES.parent / "site.yml"
    return ours or playbook.startswith("obscraft.fleet.")


def known_tags() -> list[str]:
    """Return the tags that the plays of our playbooks have."""
    plays = [play for path in PLAYBOOKS.glob("*.yml") for play in yaml.safe_load(path.read_text(encoding="utf-8"))]
    return sorted({str(tag) for play in plays for tag in play.get("tags", ())} - {"always"})


def given_login() -> dict[str, str]:
    """Return what the command line or ansible.cfg gives where the inventory is silent; ``inventory``: its options."""
    line = context.CLIARGS
    # Its settings are known once it is loaded.
    connection_loader.get("ssh", class_only=True)
    configured = constants.config.get_config_value("ssh_args", plugin_type="connection", plugin_name="ssh")
    given = {
        "ansible_user": line.get("remote_user") or constants.DEFAULT_REMOTE_USER,
        "ansible_port": constants.DEFAULT_REMOTE_PORT,
        "ansible_connection": line.get("connection") or "",
        "ansible_ssh_private_key_file": line.get("private_key_file") or constants.DEFAULT_PRIVATE_KEY_FILE,
        "ansible_ssh_args": line.get("ssh_args") or configured,
        "ansible_ssh_common_args": line.get("ssh_common_args"),
        "ansible_ssh_extra_args": line.get("ssh_extra_args"),
        # The password itself is not needed here.
        "ansible_password": "given" if line.get("ask_pass") or line.get("connection_password_file") else "",
        "inventory": " ".join(f"-i {shlex.quote(source)}" for source in line.get("inventory") or ()),
    }
    return {name: str(value) for name, value in given.items() if value}


class HostView(Mapping[str, Any]):
    """A host's variables over the roles' defaults, each templated when it is asked for.

    A variable whose template fails is absent, so that one bad value causes one problem and not the end of the check.
    """

    def __init__(
        self, templar: Any, host: str, hostvars: Any, groups: Mapping[str, Sequence[str]], defaults: Variables
    ) -> None:
        self._own = hostvars[host]
        self._raw = layered(hostvars, host, groups, defaults)
        self._templar = templar.copy_with_new_env(available_variables=self._raw)
        self._values: dict[str, Any] = {}
        self._faults: dict[str, str] = {}

    def inventory_names(self) -> set[str]:
        """Return the names that the inventory or the command line sets."""
        return set(self._own)

    def broken(self, specs: Specs) -> dict[str, str]:
        """Return the declared variables, and those of the login, whose value cannot be computed, with the reason."""
        login = [
            name
            for name in self._own
            if name.startswith("ansible_") and not isinstance(self._raw.get(name), (Mapping, list))
        ]
        for name in [option for options in specs.values() for option in options] + login:
            self.get(name)
        return dict(self._faults)

    def secret_fault(self, reference: object, *, on_the_wire: bool, is_pem: bool = False) -> str | None:
        """Return why a reference gives no secret on this host, or None; never the secret."""
        try:
            value = secret.resolve(str(reference), self._raw, self._templar)
        except AnsibleError as error:
            text = " ".join(str(error).split())
            # A template's error may contain a value; the lookup's own messages never do.
            return text[len("secret: ") :] if text.startswith("secret: ") else f"{reference}: its template fails"
        return secret_fault(value, on_the_wire=on_the_wire, is_pem=is_pem)

    def secret(self, reference: object) -> str:
        """Return the secret that a reference leads to on this host."""
        return secret.resolve(str(reference), self._raw, self._templar)

    def __getitem__(self, name: str) -> Any:
        if name not in self._values and name not in self._faults:
            self._resolve(name)
        if name in self._faults:
            raise KeyError(name)
        return self._values[name]

    def _resolve(self, name: str) -> None:
        raw = self._raw[name]
        try:
            # Not through hostvars: before 2.19 that hands out a template that cannot be resolved as it stands.
            value = self._templar.template(raw)
            # Before 2.19 a variable of `!vault` stays encrypted until it is read as a text.
            self._values[name] = str(value) if type(value).__name__ == "AnsibleVaultEncryptedUnicode" else value
        except Exception as error:  # any exception of a template is a fault of the inventory
            self._faults[name] = said_once(str(error))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def layered(hostvars: Any, host: str, groups: Mapping[str, Sequence[str]], defaults: Variables) -> dict[str, Any]:
    """Return the host's variables over the defaults, untemplated, as the plain dictionary that a templar wants."""
    # The view's mapping itself would template each variable, and fail at the first that cannot be.
    own = getattr(hostvars[host], "_vars", hostvars[host])
    return {**{name: trusted(value) for name, value in defaults.items()}, **own, "hostvars": hostvars, "groups": groups}


def trusted(value: Any) -> Any:
    """Mark the collection's own defaults as templates: since 2.19 only trusted text is templated."""
    try:
        from ansible.template import trust_as_template
    except ImportError:
        return value
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return value


def role_defaults() -> dict[str, Any]:
    """Return the defaults of all roles, untemplated."""
    defaults: dict[str, Any] = {}
    for path in sorted(ROLES.iterdir()):
        defaults.update(read_yaml(path / "defaults" / "main.yml"))
    return defaults


def role_options(path: pathlib.Path) -> dict[str, Any]:
    """Return the options of a role's main entry point."""
    specs = read_yaml(path / "meta" / "argument_specs.yml").get("argument_specs") or {}
    return (specs.get("main") or {}).get("options") or {}


def read_yaml(path: pathlib.Path) -> dict[str, Any]:
    """Return a YAML file's mapping; empty where there is no file."""
    return dict(_parsed(path))


@functools.cache
def _parsed(path: pathlib.Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def unusable_secrets(view: HostView, specs: Specs) -> dict[str, str]:
    """Return secret to the reason why it cannot be used, for the roles that run on the host."""
    found: dict[str, tuple[object, bool]] = {}
    for group, names in ROLES_OF_GROUP.items():
        if group not in view["group_names"]:
            continue
        options = {name: spec for role in names for name, spec in specs.get(role, {}).items()}
        # What cannot even be templated is named as such.
        found.update(
            {
                name: (view[name], name in PLAIN_SECRETS)
                for name, spec in options.items()
                if spec.get("no_log") and name in view and (view[name] or name not in OPTIONAL_SECRETS)
            }
        )
    found.update(alert_secrets(view) if "consumer" in view["group_names"] else {})
    faults = {
        name: view.secret_fault(reference, on_the_wire=on_the_wire, is_pem=name in PEM_SECRETS)
        for name, (reference, on_the_wire) in found.items()
    }
    return {name: reason for name, reason in faults.items() if reason}


def alert_secrets(view: Variables) -> dict[str, tuple[object, bool]]:
    """Return the secrets of alert channels and heartbeat by name: the reference, and whether it is sent as it is."""
    found: dict[str, tuple[object, bool]] = {}
    channels = view.get("consumer_alert_channels")
    # What is of another kind is named as such.
    for channel in channels if isinstance(channels, Iterable) else ():
        if isinstance(channel, Mapping):
            found |= {
                f"{option} of alert channel {channel.get('name')}": (
                    reference,
                    (channel.get("type"), option.rpartition("_")[2]) in ON_THE_WIRE,
                )
                for option, reference in secrets_of_channel(channel)
            }
    heartbeat = view.get("consumer_alert_heartbeat")
    if isinstance(heartbeat, Mapping) and heartbeat.get("url"):
        found["url of consumer_alert_heartbeat"] = (heartbeat["url"], True)
    return found


def missing_files(hosts: Mapping[str, Variables], groups: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the files that the control node lacks, by the variable that names them."""
    missing = {}
    for group, variable in FILES:
        for host in groups.get(group, ()):
            path = hosts[host].get(variable)
            # The run that begins now creates the fleet's own CA.
            if path and path == hosts[host].get("fleet_tls_ca_file"):
                continue
            if path and not pathlib.Path(str(path)).expanduser().is_file():
                missing[variable] = str(path)
    return missing


def certificate_faults(uses: Mapping[str, Sequence[str]], view_of: Callable[[str, str], HostView]) -> list[Problem]:
    """Return what is wrong with the CA and with ready certificates, of the hosts that have one.

    Args:
        uses: host to the uses of its certificates.
        view_of: from host and use to the host's variables there.
    """
    found: list[Problem] = []
    for host, use in ((host, use) for host, names in uses.items() for use in names):
        view = view_of(host, use)
        try:
            if has_certificate(view, use):
                _check_certificate(view, use)
            elif has_own_file(view, use):
                _check_own_file(view)
        except authority.AuthorityError as error:
            found.append(Problem("control node", error.problem, error.fix))
    return list(dict.fromkeys(found))


def _check_certificate(view: HostView, use: str) -> None:
    """Raise what is wrong with the CA, or with the ready certificate of one use."""
    folder = authority.Folder(
        *(pathlib.Path(str(view.get(name) or "")).expanduser() for name in ("fleet_tls_ca_file", "fleet_tls_ca_dir"))
    )
    ready, key = (str(view.get(f"certificates_ready_{part}") or "") for part in ("certificate", "key"))
    if ready and key:
        names = [view.get("ansible_host"), view.get("fleet_vip") if use == "nginx" else None]
        read_ready(pathlib.Path(ready).expanduser(), pathlib.Path(key).expanduser(), folder.trusted, use,
                   [str(name) for name in names if name])  # fmt: skip
    elif not ready:
        reference = view.get("fleet_tls_ca_passphrase") or ""
        fault = view.secret_fault(reference, on_the_wire=False) if reference else None
        if fault:
            raise authority.AuthorityError(f"fleet_tls_ca_passphrase cannot be used: {fault}", STORE)
        authority.prepare(folder, view.secret(reference) if reference else "", 1, dry=True)


def _check_own_file(view: HostView) -> None:
    """Raise why nginx could not use the site's own certificate; what is missing altogether is another rule's."""
    path, reference = pathlib.Path(str(view["nginx_tls_certificate_file"])).expanduser(), view.get("nginx_tls_key")
    if path.is_file() and reference and not view.secret_fault(reference, on_the_wire=False, is_pem=True):
        check_own(path, view.secret(reference), "nginx_tls_key")


def alert_templates(hosts: Mapping[str, Variables]) -> dict[str, dict[str, str | None]]:
    """Return the sites' own templates of messages by host, of each folder that can be read."""
    found: dict[str, dict[str, str | None]] = {}
    for host, view in hosts.items():
        folder = pathlib.Path(str(view.get("consumer_alert_templates") or ""))
        if not folder.is_absolute() or not os.access(folder, os.R_OK | os.X_OK) or not folder.is_dir():
            continue
        files: list[pathlib.Path] = []
        for path in folder.iterdir():
            # Below others, such as those of a folder that was not meant, nothing is looked at.
            files += filter(pathlib.Path.is_file, path.rglob("*")) if path.name in LANGUAGES else [path]
        found[host] = {path.relative_to(folder).as_posix(): _text_of(path) for path in files}
    return found


def _text_of(path: pathlib.Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def report(problems: Sequence[Problem]) -> str:
    """Return the problems as a text for people: host, what is wrong, what to do."""
    width = min(HOST_WIDTH, max(len(problem.host) for problem in problems))
    gap = " " * (width + 2)
    lines = [f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found; no host was touched.", ""]
    for problem in problems:
        head = problem.host.ljust(width)
        # A long list of hosts gets a line of its own.
        first = f"{head}  " if len(problem.host) <= width else f"{problem.host}\n{gap}"
        lines.append(first + _folded(problem.problem, gap))
        lines.append(gap + "-> " + _folded(problem.fix, gap + "   "))
    return "\n".join(lines)


def _folded(text: str, gap: str) -> str:
    # A command (in backticks), a path or an address is not wrapped, so that it can be read and copied.
    whole = re.sub(r"`[^`]*`", lambda command: command.group().replace(" ", "\0"), text)
    lines = textwrap.fill(whole, TEXT_WIDTH, subsequent_indent=gap, break_long_words=False, break_on_hyphens=False)
    return lines.replace("\0", " ")
