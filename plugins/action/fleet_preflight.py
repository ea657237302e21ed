# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""Gathers what the preflight's rules need, on the control node, and fails with all problems at once."""

from __future__ import annotations

import collections.abc
import pathlib
import textwrap

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as core_version

from ansible_collections.obscraft.fleet.plugins.filter.alert_channels import SECRET_OPTIONS
from ansible_collections.obscraft.fleet.plugins.lookup import secret
from ansible_collections.obscraft.fleet.plugins.plugin_utils import preflight_rules as rules

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
#: Variables that name files of the control node, and the group whose hosts need them.
FILES = (("kafka", "kafka_archive"), ("filebeat", "filebeat_archive"))


class ActionModule(ActionBase):
    """Compare the inventory with the rules; see ``preflight_rules``."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("register",))

    def run(self, tmp=None, task_vars=None):
        """Return ``problems``, failed when there are any."""
        result = super().run(tmp, task_vars)
        fleet = gather(self._templar, task_vars["hostvars"], task_vars["groups"], self._task.args["register"])
        problems = rules.find_problems(fleet)
        result.update(changed=False, problems=[problem._asdict() for problem in problems])
        if problems:
            result.update(failed=True, msg=report(problems))
        return result


def gather(templar, hostvars, groups, register):
    """Return what the rules judge.

    Args:
        templar: an Ansible templar; its variables do not matter.
        hostvars: the variables of all hosts, Ansible's own object.
        groups: group to its hosts.
        register: name of the variable with what the host said about itself.
    """
    specs = {path.name: role_options(path) for path in sorted(ROLES.iterdir()) if path.is_dir()}
    defaults = {}
    for path in sorted(ROLES.iterdir()):
        defaults.update(read_yaml(path / "defaults" / "main.yml"))
    members = {host for name in rules.ROLES_OF_GROUP for host in groups.get(name, ())}
    hosts = {host: HostView(templar, host, hostvars, groups, defaults) for host in sorted(members)}
    return rules.Fleet(
        hosts=hosts,
        groups={name: list(groups.get(name, ())) for name in rules.ROLES_OF_GROUP},
        inventory_names={host: view.inventory_names() for host, view in hosts.items()},
        broken={host: view.broken(specs) for host, view in hosts.items()},
        specs=specs,
        looks={host: look_of(view, register) for host, view in hosts.items() if register in view},
        core=tuple(int(part) for part in core_version.split(".")[:2]),
        missing_files=missing_files(hosts, groups),
        unusable_secrets={host: unusable_secrets(view, specs) for host, view in hosts.items()},
    )


class HostView(collections.abc.Mapping):
    """A host's variables over the roles' defaults, each templated when it is asked for.

    A variable whose template fails is absent, so that one bad value costs one problem and not the whole answer.
    """

    def __init__(self, templar, host, hostvars, groups, defaults):
        self._own = hostvars[host]
        self._raw = layered(hostvars, host, groups, defaults)
        self._templar = templar.copy_with_new_env(available_variables=self._raw)
        self._values = {}
        self._faults = {}

    def inventory_names(self):
        """Return the names that the inventory or the command line sets."""
        return set(self._own)

    def broken(self, specs):
        """Return the declared variables whose value cannot be computed, with the reason."""
        for options in specs.values():
            for name in options:
                self.get(name)
        return dict(self._faults)

    def secret_fault(self, reference):
        """Return why a reference gives no secret on this host, or None; never the secret."""
        try:
            return rules.secret_fault(secret.resolve(str(reference), self._raw, self._templar))
        except AnsibleError as error:
            text = " ".join(str(error).split())
            # What a template complains about may hold a value; the lookup's own words never do.
            return text[len("secret: ") :] if text.startswith("secret: ") else f"{reference}: its template fails"

    def __getitem__(self, name):
        if name not in self._values and name not in self._faults:
            self._resolve(name)
        if name in self._faults:
            raise KeyError(name)
        return self._values[name]

    def _resolve(self, name):
        raw = self._raw[name]
        try:
            # Not through hostvars: before 2.19 that hands out a template that cannot be resolved as it stands.
            self._values[name] = self._templar.template(raw)
        except Exception as error:  # whatever a template raises is a fact about the inventory
            self._faults[name] = " ".join(str(error).split())

    def __contains__(self, name):
        return self.get(name) is not None

    def __iter__(self):
        return iter(self._raw)

    def __len__(self):
        return len(self._raw)


def layered(hostvars, host, groups, defaults):
    """Return the host's variables over the defaults, untemplated, as the plain dictionary that a templar wants."""
    # The view's mapping itself would template each variable, and fail at the first that cannot be.
    own = getattr(hostvars[host], "_vars", hostvars[host])
    return {**{name: trusted(value) for name, value in defaults.items()}, **own, "hostvars": hostvars, "groups": groups}


def trusted(value):
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


def role_options(path):
    """Return the options of a role's main entry point."""
    specs = read_yaml(path / "meta" / "argument_specs.yml").get("argument_specs") or {}
    return (specs.get("main") or {}).get("options") or {}


def read_yaml(path):
    """Return a YAML file's mapping; empty where there is no file."""
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def unusable_secrets(view, specs):
    """Return secret to the reason why it cannot be used, for the roles that run on the host."""
    found = {}
    for group, names in rules.ROLES_OF_GROUP.items():
        if group not in view["group_names"]:
            continue
        options = {name: spec for role in names for name, spec in specs.get(role, {}).items()}
        # What cannot even be templated is named as such.
        found.update({name: view[name] for name, spec in options.items() if spec.get("no_log") and name in view})
    for channel in (view.get("consumer_alert_channels") or []) if "consumer" in view["group_names"] else []:
        if isinstance(channel, collections.abc.Mapping):
            given = {option: channel[option] for option in SECRET_OPTIONS if channel.get(option)}
            found.update({f"{option} of alert channel {channel.get('name')}": v for option, v in given.items()})
    faults = {name: view.secret_fault(reference) for name, reference in found.items()}
    return {name: reason for name, reason in faults.items() if reason}


def look_of(view, register):
    """Return what a host said about itself."""
    answer = view[register]
    if answer.get("unreachable"):
        return {"unreachable": " ".join(str(answer.get("msg", "")).split())}
    return rules.parse_look(answer.get("stdout", ""))


def missing_files(hosts, groups):
    """Return the files that the control node lacks, by the variable that names them."""
    missing = {}
    for group, variable in FILES:
        for host in groups.get(group, ()):
            path = hosts[host].get(variable)
            if path and not pathlib.Path(path).expanduser().is_file():
                missing[variable] = path
    return missing


def report(problems):
    """Return the problems as a text for people: host, what is wrong, what to do."""
    width = min(24, max(len(problem.host) for problem in problems))
    gap = " " * (width + 2)
    lines = [f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found; no host was touched.", ""]
    for problem in problems:
        head = problem.host.ljust(width)
        # A long list of hosts gets a line of its own.
        first = f"{head}  " if len(problem.host) <= width else f"{problem.host}\n{gap}"
        lines.append(first + textwrap.fill(problem.problem, 100, subsequent_indent=gap))
        lines.append(gap + "-> " + textwrap.fill(problem.fix, 97, subsequent_indent=gap + "   "))
    return "\n".join(lines)
