# Copyright (c) The ObsCraft authors
# Apache-2.0 (see LICENSE)
"""The site's own templates of messages: what obsctl-alerter would refuse and the file alone shows.

What a template does with its variables is tried on the host before the alerter starts (``obsctl-alerter --check``).
"""

from __future__ import annotations

from collections.abc import Iterator

import jinja2
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.model import Fleet, Problem
from ansible_collections.obscraft.fleet.plugins.plugin_utils.preflight.rule_options import KINDS

LANGUAGES = ("en", "zh")
#: The files of one language, beside one in ``kinds`` for each kind of rule; a contract test compares them.
NAMES = (
    "body.j2",
    "cut.j2",
    "digest_body.j2",
    "digest_title.j2",
    "notice_body.j2",
    "notice_title.j2",
    "rule_test_body.j2",
    "rule_test_title.j2",
    "sent_again.j2",
    "silence_reason.j2",
    "test_body.j2",
    "test_title.j2",
    "title.j2",
    "words.j2",
)
_KNOWN = "en and zh have {}, and kinds/KIND.j2 for the kinds of rules".format(", ".join(NAMES))


def alert_templates(fleet: Fleet) -> Iterator[Problem]:
    for host, variables in fleet.group("consumer"):
        folder = variables.get("consumer_alert_templates")
        if not folder:
            continue
        if not str(folder).startswith("/"):
            yield Problem(
                host,
                f"consumer_alert_templates is {str(folder)!r}, not an absolute path",
                'write the whole path, or "{{ inventory_dir }}/alert-templates"',
            )
            continue
        files = fleet.alert_templates.get(host)
        if files is None:
            yield Problem(
                "control node",
                f"consumer_alert_templates is no folder that this user can read: {folder}",
                "create the folder, or leave consumer_alert_templates empty",
            )
            continue
        for name, text in sorted(files.items()):
            fault = _fault(f"{folder}/{name}", name, text)
            if fault is not None:
                yield Problem("control node", *fault)


def _fault(path: str, name: str, text: str | None) -> tuple[str, str] | None:
    """Return (what is wrong, what to do) about a file, or None."""
    language, _, rest = name.partition("/")
    if language not in LANGUAGES or not (rest in NAMES or _is_of_kind(rest)):
        return f"{path}: no template of messages has this name, so nothing would use it", _KNOWN
    if text is None:
        return f"{path}: is not text in UTF-8", "save it as UTF-8"
    try:
        jinja2.Environment().parse(text)  # noqa: S701 - only read, and the messages are plain text
    except jinja2.TemplateSyntaxError as error:
        return f"{path}:{error.lineno}: {error.message}", "docs/reference/alert-messages.md shows what a template says"
    return None


def _is_of_kind(name: str) -> bool:
    return name in {f"kinds/{kind}.j2" for kind in KINDS}
