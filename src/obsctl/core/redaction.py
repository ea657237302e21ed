"""Masks secrets in texts of other programs: configurations, logs, answers that leave this machine.

Values that this process has read are masked by value (:func:`obsctl.core.secrets.redact`). Others are recognised by
the text around them; masking too much does less harm than revealing a secret.
"""

from __future__ import annotations

import re
from typing import Any

from obsctl.core.secrets import redact

MASK = "***"

# Every run that may begin anywhere is bounded: a line that a client chose must not take minutes.
#: ``become_pass`` and the like, but for nginx's ``proxy_pass``, ``proxy_cache_bypass`` and their kin.
_PASS = r"(?!(?:proxy|fastcgi|uwsgi|scgi|grpc|memcached)_pass\b)[\w.-]{0,64}(?<!by)pass(?![\w.-])"  # noqa: S105 - a pattern
_WORD = (
    rf"(?:{_PASS}|[\w.-]{{0,64}}(?:passw(?:or)?d|passwd|pwd|passphrase|auth_pass|token|secret|credential"
    r"|(?:api|auth|access|private)[-_.]?key|jaas\.config|authorization|cookie|secure_link_md5)[\w.-]{0,64})"
)
_QUOTED = r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)"
#: The word before it says what kind of secret follows, so this must be matched before that word itself is taken for a
#: secret.
_SCHEMES = (re.compile(r"(?i)\b(bearer|basic|digest)([ \t]+)[\w.~+/=-]{8,}"), rf"\1\2{MASK}")
#: A reference only says where a secret is, so it is not masked.
_REFERENCE = r"(?!(?:vault|file|env):[\w/.~-]+[\"']?\s*$)"
_IS_REFERENCE = re.compile(r"(?:vault|file|env):[\w/.~-]+").fullmatch
#: A setting of its own line: the rest of the line is its value, blanks included.
_SETTING = re.compile(
    r"(?im)^(?P<before>[ \t>#;-]*(?:(?:export|set|proxy_set_header|add_header)\s+)?"
    rf"[\"']?{_WORD}[\"']?(?:\s*[:=]\s*|[ \t]+))"
    rf"{_REFERENCE}(?P<value>\S.*)$"
)
#: In the middle of a line, such as JSON, a URL, arguments, a message.
_INSIDE = re.compile(
    rf"(?i)(?P<before>\\?[\"']?\b{_WORD}\\?[\"']?\s*[:=]\s*)"
    r"(?!(?:\\?[\"'])?(?:vault|file|env):)"
    r"(?P<value>\\\"(?:[^\"\\]|\\[^\"])*\\\"|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s&\"'<>,;)\]}]+)"
)
#: Arguments of a command line.
_ARGUMENT = re.compile(rf"(?i)(?P<before>--?{_WORD}[ \t]+)(?P<value>[^\s-]\S*)")
_OTHERS = (
    (re.compile(r"(?is)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)"), rf"\1{MASK}\2"),
    (re.compile(r"(?i)(\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+)(?:'[^']*'|\"[^\"]*\")"), rf"\1'{MASK}'"),
    # A login in an address.
    (re.compile(r"(//[^\s/:@\"']*:)[^\s/@\"']+@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)(\bhttps?://)[^\s/:@\"']+@"), rf"\1{MASK}@"),
    # Short options of programs that take a password on their command line.
    (re.compile(rf"(\bsshpass\s+-p\s*){_QUOTED}"), rf"\1{MASK}"),
    (re.compile(rf"(\b(?:mysql|mariadb)[a-z-]{{0,20}}\b[^\n|;]{{0,200}}?\s-p){_QUOTED}"), rf"\1{MASK}"),
    (
        re.compile(
            r"(\bcurl\b[^\n|;]{0,200}?\s(?:-[a-zA-Z]{0,8}[uU]\s*|--(?:proxy-)?user[ =])['\"]?[^\s:'\"]+:)[^\s'\"]+"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(rf"(\bredis-cli\b[^\n|;]{{0,200}}?\s-a\s+){_QUOTED}"), rf"\1{MASK}"),
    (re.compile(r"(\bpass:)[^\s'\"]+"), rf"\1{MASK}"),
    # What looks like a token wherever it stands.
    (re.compile(r"\beyJ[\w-]{8,1000}\.[\w-]{1,4000}\.[\w-]*"), MASK),
    (re.compile(r"\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk_live_|AKIA)[\w-]{8,}"), rf"\1{MASK}"),
    # What a robot's or a webhook's address holds is all that is needed to write to it.
    (re.compile(r"(?i)([?&](?:key|sign|signature|ticket|code|sig|auth|session|sid|otp)=)[^\s&\"'<>]+"), rf"\1{MASK}"),
    (
        re.compile(r"(?i)(://[^\s\"'<>?]{0,300}/(?:hooks?|services|webhooks?|robot|bot|send|ping)/)[^\s\"'<>?]+"),
        rf"\1{MASK}",
    ),
)


def scrub(text: str) -> str:
    """Return the text with secrets masked: those known by value, and values in typical places of secrets."""
    text = redact(text)
    text = _SCHEMES[0].sub(_SCHEMES[1], text)
    text = _SETTING.sub(_masked, text)
    text = _INSIDE.sub(_masked, text)
    text = _ARGUMENT.sub(_masked, text)
    for pattern, replacement in _OTHERS:
        text = pattern.sub(replacement, text)
    return text


def scrubbed(document: Any) -> Any:
    """Return a JSON document with secrets masked; it stays valid, and references to secrets stay."""
    if isinstance(document, dict):
        return {name: _entry(str(name), value) for name, value in document.items()}
    if isinstance(document, (list, tuple)):
        return [scrubbed(part) for part in document]
    return scrub(document) if isinstance(document, str) else document


def _entry(name: str, value: Any) -> Any:
    if isinstance(value, str) and value and re.fullmatch(rf"(?i){_WORD}", name):
        return value if _IS_REFERENCE(value) else MASK
    return scrubbed(value)


def _masked(found: re.Match[str]) -> str:
    value = found["value"]
    for quote in ('\\"', '"', "'"):
        if value.startswith(quote):
            # What follows the quoted value stays: it ends a JSON object, or a line's directive.
            end = value.find(quote, len(quote))
            rest = value[end + len(quote) :] if end > 0 else ""
            return f"{found['before']}{quote}{MASK}{quote}{_tail(rest)}"
    return f"{found['before']}{MASK}"


def _tail(rest: str) -> str:
    # Punctuation alone; another word may be a part of the secret.
    return rest if not re.search(r"\w", rest) else f" {MASK}"
