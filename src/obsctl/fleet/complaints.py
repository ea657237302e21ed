"""Explains why Ansible could not read an inventory: the file and line, the host and variable, the vault."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from obsctl.core.errors import ConfigError
from obsctl.core.nearest import did_you_mean
from obsctl.fleet import inventory_files

#: The most files of an inventory folder. Ansible tries every file with one plugin after the other: /etc takes a
#: minute.
_MOST_FILES = 200
_FATAL = re.compile(r"^fatal: \[([^\] ]+)[^\]]*\]: FAILED! => (\{.*\})$", re.MULTILINE)
#: A part of an error's chain of causes: what was wrong, and in which line.
_ORIGIN = re.compile(r"^(.+)\nOrigin: (\S.*:\d+:\d+)$", re.MULTILINE)
_UNDEFINED = re.compile(r"'(\w+)' is undefined")
#: A variable of the fleet's own playbook: an error about it is caused by a host's variables.
_OWN = "__fleet_document"
_VAULT_PASSWORD = "export ANSIBLE_VAULT_PASSWORD_FILE=~/.obsctl-vault-password"  # noqa: S105 - a path
#: How many characters of Ansible's own message about one host are shown.
_LONGEST = 300


def refuse_other_folders(path: Path) -> None:
    """Refuse a folder that cannot be an inventory, before Ansible spends a minute on it.

    Raises:
        ConfigError: it contains more files than any inventory.
    """
    if not path.is_dir():
        return
    found = 0
    for _folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name not in inventory_files.VARIABLES and not name.startswith(".")]
        found += len(files)
        if found > _MOST_FILES:
            raise ConfigError(
                f"{path} is not an inventory: it contains more than {_MOST_FILES} files, and Ansible would try "
                "each one",
                hint="give the file with the hosts, or the folder that contains it: --inventory inventories/prod",
            )


def refuse_broken_yaml(path: Path) -> None:
    """Refuse an inventory with a file that is not YAML: Ansible would ignore the file and its hosts.

    Raises:
        ConfigError: with the file, the line and the column of each.
    """
    broken = [fault for file in inventory_files.yaml_files(path) for fault in _yaml_fault(file)]
    if broken:
        raise ConfigError(
            "\n".join(broken),
            hint="YAML requires the same indentation for all keys of a level, a space after each colon, and quotes "
            "around a value that begins with a brace",
        )


def unreadable(path: Path, output: str) -> ConfigError:
    """Return the meaning of Ansible's complaint about an inventory.

    Args:
        output: what ansible-playbook printed, results as JSON on one line.
    """
    preflight = f"ansible-playbook playbooks/preflight.yml -i {shlex.quote(str(path))}"
    closed = _closed_vault(path, output)
    if closed is not None:
        return closed
    lacking, other = _per_host(output)
    if lacking or other:
        places = _places(path, output)
        lines = [
            f"{_listed(hosts)} no {name}{_wanted_by(places.get(_undefined(name)))}" for name, hosts in lacking.items()
        ]
        lines += [
            f"{f'{place}: ' if (place := places.get(words)) else ''}{words} ({', '.join(sorted(hosts))})"
            for words, hosts in other.items()
        ]
        names = [name for name in lacking if name.startswith("vault_")]
        return ConfigError(
            f"the inventory {path} {'cannot be evaluated' if other else 'is incomplete'}: " + "; ".join(lines),
            hint=(_missing_vault(path) if names else "")
            or f"{'correct' if other else 'set'} it in host_vars or group_vars; `{preflight}` lists everything that is "
            f"{'wrong' if other else 'missing'}",
        )
    return ConfigError(
        f"Ansible cannot read {path}:\n{complaint(output)}", hint=f"`{preflight}` shows what is wrong in the inventory"
    )


def no_value(path: Path, what: str, name: str, output: str) -> ConfigError:
    """Return why a variable of the inventory has no value.

    Args:
        what: what the variable is needed for, as the subject of the sentence.
        name: its name; if Ansible misses another variable, that one is reported.
        output: what Ansible printed.
    """
    closed = _closed_vault(path, output)
    if closed is not None:
        return ConfigError(f"{what} cannot be read: {closed}", hint=closed.hint)
    missing = _missing_vault(path)
    if missing:
        return ConfigError(f"{what} has no value: {_vars_of_all(path)} has no vault.yml", hint=missing)
    name = next(iter(_UNDEFINED.findall(output)), name)
    names = _plain_names(path)
    vault = shlex.quote(str(_vars_of_all(path) / "vault.yml"))
    return ConfigError(
        f"{what} has no value: the inventory {path} defines no variable {name}",
        hint=did_you_mean(name, names, f"define it for the group all: `ansible-vault edit {vault}`"),
    )


def complaint(output: str) -> str:
    """Return the lines of Ansible's output that say what is wrong."""
    lines = [line for line in output.splitlines() if line.strip()]
    words = ("ERROR", "fatal:", "Origin:", "line ", "parsing failed", "Unable to parse", "Failed to parse inventory:")
    # Each plugin reports the same error twice, once as a warning.
    marked = [line for line in lines if any(word in line for word in words) and "plugin:" not in line]
    return "\n".join(list(dict.fromkeys(marked) or lines)[-8:])


def _closed_vault(path: Path, output: str) -> ConfigError | None:
    """Return why the vault cannot be opened; None if that is not the problem."""
    named = os.environ.get("ANSIBLE_VAULT_PASSWORD_FILE", "")
    absent = re.search(r"vault password file (\S+) was not found", output)
    if absent:
        return ConfigError(
            f"the vault password file does not exist: {absent.group(1)}",
            hint=f"write the password into it (mode 0600), or point to another file: {_VAULT_PASSWORD}",
        )
    files = filter(inventory_files.is_encrypted, inventory_files.files(path))
    encrypted = " and ".join(map(str, files)) or f"a value of {path}"
    if "no vault secrets found" in output:
        return ConfigError(
            f"{encrypted} is encrypted, but Ansible was given no password for it",
            hint=f"`{_VAULT_PASSWORD}` points to a file that contains it",
        )
    if "Decryption failed" in output:
        return ConfigError(
            f"the vault's password{f' in {named}' * bool(named)} does not decrypt {encrypted}",
            hint=f"correct it, or point to another file: {_VAULT_PASSWORD}",
        )
    return None


def _per_host(output: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the hosts by missing variable, and by other error text."""
    lacking: dict[str, list[str]] = defaultdict(list)
    other: dict[str, list[str]] = defaultdict(list)
    for host, result in _FATAL.findall(output):
        message = _message(result)
        undefined = _UNDEFINED.findall(message)
        if undefined:
            lacking[undefined[-1]].append(host)
        elif message and f"attribute '{_OWN}" not in message:
            other[_short(message).rstrip(".")].append(host)
    return lacking, other


def _places(path: Path, output: str) -> dict[str, str]:
    """Return the places in the inventory by Ansible's error (ansible-core 2.19 and newer)."""
    inside = f"{inventory_files.root(path).resolve()}/"
    found = ((_short(said), place) for said, place in _ORIGIN.findall(output) if place.startswith(inside))
    return {said.rstrip("."): place for said, place in found}


def _undefined(name: str) -> str:
    return f"'{name}' is undefined"


def _wanted_by(place: str | None) -> str:
    return f", which {place} wants" if place else ""


def _message(result: str) -> str:
    try:
        return str(json.loads(result).get("msg", ""))
    except ValueError:
        return ""


def _short(message: str) -> str:
    # The last part of the chain is the cause.
    last = " ".join(message.splitlines()[0].split()).rpartition("': ")[2]
    return last if len(last) <= _LONGEST else f"{last[:_LONGEST]}..."


def _listed(hosts: list[str]) -> str:
    return f"{', '.join(sorted(hosts))} {'have' if len(hosts) > 1 else 'has'}"


def _vars_of_all(path: Path) -> Path:
    return inventory_files.root(path) / "group_vars/all"


def _missing_vault(path: Path) -> str:
    """Return what to do if the vault's file was never created; empty if it exists or is not needed."""
    folder = _vars_of_all(path)
    vault, example = folder / "vault.yml", folder / "vault.yml.example"
    if vault.exists() or not example.is_file():
        return ""
    copied, made = (shlex.quote(str(file)) for file in (example, vault))
    return f"`cp {copied} {made}`, put your own values in, then `ansible-vault encrypt {made}`"


def _yaml_fault(file: Path) -> Iterator[str]:
    import yaml

    if inventory_files.is_encrypted(file):
        return
    try:
        with file.open("rb") as text:
            # Tags such as !vault are Ansible's own; the values do not matter here.
            list(yaml.compose_all(text, Loader=inventory_files.loader()))
    except OSError:
        return  # Ansible reports it if it needs that file
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        begin = error.context_mark
        where = f" (in what begins in line {begin.line + 1})" if begin and mark and begin.line != mark.line else ""
        yield f"{file}{place}: {error.problem or error.context}{where}"
    except yaml.YAMLError as error:
        yield f"{file}: {str(error).splitlines()[0]}"


def _plain_names(path: Path) -> list[str]:
    """Return the variables of the group all that are in unencrypted files."""
    files = inventory_files.variables_files(path, "group_vars", "all")
    return [name for file in files for name in inventory_files.variables(file)]
