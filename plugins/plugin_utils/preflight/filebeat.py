# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The inputs of Filebeat: if two share an id or files, lines are shipped twice or not at all."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterator

from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem, Variables

#: The role's own inputs: id, the variable that holds the folder, and the file's glob (roles/filebeat/vars/main.yml).
OWN_INPUTS = (
    ("nginx-access", "filebeat_nginx_log_dir", "access.log*"),
    ("nginx-error", "filebeat_nginx_log_dir", "error.log*"),
    ("obs-replay-combined", "filebeat_replay_dir", "access.log*"),
)


def inputs(fleet: Fleet) -> Iterator[Problem]:
    for host, variables in fleet.group("filebeat"):
        extra = [
            (str(entry["id"]), [str(path) for path in entry["paths"]])
            for entry in variables.get("filebeat_inputs") or ()
            if "id" in entry and "paths" in entry  # what is missing is named by another rule
        ]
        for name, paths in extra:
            for path in paths:
                if not path.startswith("/"):
                    yield Problem(
                        host,
                        f"{path!r} of the input {name} in filebeat_inputs is not an absolute path",
                        "write the path from / on",
                    )
        for (one, ones), (other, others) in itertools.combinations([*_own(variables), *extra], 2):
            if one == other:
                yield Problem(
                    host,
                    f"two inputs have the id {one}: Filebeat would mix up how far it has read them",
                    "give each entry of filebeat_inputs an id of its own, other than "
                    + ", ".join(name for name, _folder, _glob in OWN_INPUTS),
                )
            for path, also in itertools.product(ones, others):
                if _overlap(path, also):
                    yield Problem(
                        host,
                        f"{path} of the input {one} and {also} of {other} match the same files: each of their lines "
                        "would be stored twice",
                        "narrow the paths of one of them in filebeat_inputs",
                    )


def _own(variables: Variables) -> Iterator[tuple[str, list[str]]]:
    for name, folder, glob in OWN_INPUTS:
        if variables.get(folder) and (folder != "filebeat_replay_dir" or variables.get("filebeat_replay")):
            yield name, [f"{variables[folder]}/{glob}"]


def _overlap(one: str, other: str) -> bool:
    """Whether a name that certainly matches one glob also matches the other."""
    ones, others = one.split("/"), other.split("/")
    return len(ones) == len(others) and (_takes(others, ones) or _takes(ones, others))


def _takes(globs: list[str], names: list[str]) -> bool:
    # A star also matches the empty text.
    return all(fnmatch.fnmatchcase(name.replace("*", ""), glob) for name, glob in zip(names, globs, strict=True))
