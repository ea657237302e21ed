"""From a filter's text to its tree."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, cast

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from obsctl.core.nearest import did_you_mean
from obsctl.query import patterns, values
from obsctl.query.errors import QueryError
from obsctl.query.fields import TABLES, Field, Kind, Table
from obsctl.query.tree import (
    All,
    Condition,
    Exists,
    InNetwork,
    Mark,
    Network,
    Node,
    Not,
    Pattern,
    Range,
    Term,
    Value,
    Wildcard,
    Words,
    conjunction,
    disjunction,
)

#: Characters of a filter: some hundred addresses, and read in a fraction of a second.
MAX_LENGTH = 8192
#: Parentheses and NOTs inside each other. Python and the databases read nested conditions by recursion.
MAX_DEPTH = 32

#: Characters of a wrong name that a message repeats.
_SHOWN = 40

Part = Tree[Token] | Token

_OPERATORS = frozenset(("and", "or", "not", "to"))
#: Names under which nginx's variables, its JSON lines and Kibana's usual fields are known.
_KNOWN_AS = {
    "remote_addr": "client_addr",
    "clientip": "client_addr",
    "client.ip": "client_addr",
    "source.ip": "client_addr",
    "request_uri": "uri",
    "url.path": "uri",
    "url.original": "uri",
    "path": "uri",
    "verb": "method",
    "request_method": "method",
    "http.request.method": "method",
    "response": "status",
    "http.response.status_code": "status",
    "body_bytes_sent": "bytes",
    "http.response.body.bytes": "bytes",
    "http_user_agent": "user_agent",
    "agent": "user_agent",
    "user_agent.original": "user_agent",
    "http_referer": "referer",
    "referrer": "referer",
    "http.request.referrer": "referer",
    "time": "ts",
    "@timestamp": "ts",
    "log.level": "level",
    "severity": "level",
    "url.domain": "vhost",
    "server": "host",
    "host.name": "host",
}
_BETWEEN = "an operator goes between two conditions, as in status:404 AND method:GET"
#: What may not stand in a word, and what to do about it.
_CHARACTERS = {
    "^": ("a filter has no weights (^)", "omit ^ and its number; for the literal character write \\^"),
    "~": (
        "a filter has no fuzzy search (~)",
        "use wildcards, such as uri:*admin*; for the literal character write \\~",
    ),
    '"': ("the quotes are not closed", 'end the text with "; for the literal character write \\"'),
    "\\": ("there is no character after the backslash", "for a literal backslash write \\\\"),
    ":": ("there is no field name before the colon", "write it as in status:404; for the literal character \\:"),
    "!": ("! cannot follow the colon", "write it before the field, as in NOT method:GET"),
    "=": ("a field is compared with a colon, without =", "write it as in status:404; for the literal character \\="),
    **dict.fromkeys(
        "<>",
        (
            "a comparison follows a field and its colon",
            "write it as in status:>=500; for the literal character \\>",
        ),
    ),
    **dict.fromkeys(
        "[]{}",
        (
            "a range follows a field and its colon",
            "write it as in status:[500 TO 599]; for the literal character \\[",
        ),
    ),
}


def parse(text: str, table: Table) -> Node:
    """Read a filter for lines of one kind.

    Raises:
        QueryError: it is no filter, names a field that these lines do not have, or a value of another type.
    """
    if len(text) > MAX_LENGTH:
        problem = f"the filter has {len(text)} characters; at most {MAX_LENGTH} are allowed"
        raise QueryError(problem, text, MAX_LENGTH, MAX_LENGTH + 1, hint="split it into two filters")
    if not text.strip():
        raise QueryError("the filter is empty", text, 0, 0, hint="to match every line write *")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise QueryError("this is not valid UTF-8", text, error.start, error.start + 1) from None
    try:
        (root,) = _grammar().parse(text).children
    except UnexpectedInput as error:
        _refuse(error, text)
    return _Reader(text, table).whole(root)


@functools.cache
def _grammar() -> Lark:
    return Lark(
        Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8"), parser="lalr", maybe_placeholders=False
    )


class _Reader:
    """Turns what the grammar found into a tree with the types of the fields."""

    def __init__(self, text: str, table: Table) -> None:
        self._text = text
        self._table = table

    def whole(self, part: Part) -> Node:
        """Return the tree of a filter."""
        return self._anything(part, 0, self._outer)

    def _anything(self, part: Part, depth: int, leaf: Callable[[Part, int], Node]) -> Node:
        """Return the tree of a part; ``leaf`` reads what no operator joins."""
        if depth > MAX_DEPTH:
            problem = f"more than {MAX_DEPTH} parentheses and NOTs are nested"
            raise self._error(problem, _first(part), hint="remove those that change nothing")
        if isinstance(part, Tree):
            match str(part.data):
                case "or":
                    return disjunction([self._anything(each, depth + 1, leaf) for each in part.children])
                case "and":
                    return conjunction([self._anything(each, depth + 1, leaf) for each in part.children])
                case "not":
                    return Not(self._anything(part.children[-1], depth + 1, leaf))
        return leaf(part, depth)

    def _outer(self, part: Part, depth: int) -> Node:
        if isinstance(part, Token):
            return self._words(part)
        name, inner = _token(part.children[0]), part.children[1]
        if part.data == "condition":
            return self._named(name, inner)
        field = self._field(name)
        return self._anything(inner, depth + 1, lambda each, _: self._condition(field, each))

    def _named(self, name: Token, part: Part) -> Node:
        word = _name(name)
        if word == "*" and part == "*":
            return All()
        if word == "_exists_" and isinstance(part, Token):
            return Exists(self._field(part, patterns.literal(self._pattern(part)) or part).name)
        return self._condition(self._field(name), part)

    def _field(self, token: Token, name: str = "") -> Field:
        name = name or _name(token)
        if found := self._table.fields.get(name):
            return found
        title = self._table.title
        fields = list(self._table.fields)
        problem = f"the {title} has no field {name[:_SHOWN]}"
        if (known := _KNOWN_AS.get(name)) in self._table.fields:
            raise self._error(problem, token, hint=f"here it is called {known}")
        elsewhere = [table.title for table in TABLES if name in table.fields]
        if elsewhere:
            hint = f"{name} is a field of the {elsewhere[0]}"
        else:
            all_fields = f"its fields are {', '.join(fields)}; put text that contains a colon in quotes"
            hint = did_you_mean(name, fields, all_fields)
        raise self._error(problem, token, hint=hint)

    def _condition(self, field: Field, part: Part) -> Condition:
        if isinstance(part, Token):
            return self._one(field, part)
        if part.data == "comparison":
            compare, token = map(_token, part.children)
            value, included = self._bound(field, token), compare.endswith("=")
            if value is None:
                raise self._error("a comparison needs a value", token, hint=f"write {field.name}:* for any value")
            if compare.startswith(">"):
                return Range(field.name, value, None, low_included=included)
            return Range(field.name, None, value, high_included=included)
        opening, first, second, closing = map(_token, part.children)
        low, high = self._bound(field, first), self._bound(field, second)
        if low is None and high is None:
            return Exists(field.name)
        if low is not None and high is not None and values.is_after(low, high):
            raise self._error("the range ends before it begins", first, second, hint="swap the two values")
        # What lies behind an open end is included or not without a difference.
        return Range(field.name, low, high, opening == "[" or low is None, closing == "]" or high is None)

    def _one(self, field: Field, token: Token) -> Condition:
        pattern = self._pattern(token)
        if pattern == (Mark.ANY,):
            return Exists(field.name)
        text = patterns.literal(pattern)
        if text is None:
            if field.kind is not Kind.TEXT:
                problem = f"{field.name} is {values.NAMES[field.kind]}, and wildcards are for texts"
                raise self._error(problem, token, hint=f"write {field.example}")
            return Wildcard(field.name, pattern)
        if token.type == "VALUE" and text.lower() in _OPERATORS:
            hint = f'write {field.example}; for the literal text {field.name}:"{text}"'
            raise self._error(f"the value of {field.name} is missing before {text}", token, hint=hint)
        self._no_operator(token, text)
        value = self._value(field, token, text)
        return InNetwork(field.name, value) if isinstance(value, values.NETWORKS) else Term(field.name, value)

    def _bound(self, field: Field, token: Token) -> Value | None:
        """Return one end of a range; None is an open one."""
        if field.kind is Kind.TEXT:
            problem = f"{field.name} is a text, and a range needs numbers, times, addresses or levels"
            raise self._error(problem, token, hint=f"write {field.example}")
        pattern = self._pattern(token)
        if pattern == (Mark.ANY,):
            return None
        text = patterns.literal(pattern)
        if text is None:
            raise self._error("the end of a range has no wildcards", token, hint=f"write {field.example}")
        value = self._value(field, token, text)
        if isinstance(value, values.NETWORKS) or (field.kind is Kind.ADDRESS and isinstance(value, str)):
            raise self._error(
                f"the ends of a {field.name} range must be addresses", token, hint=f"write {field.example}"
            )
        return value

    def _value(self, field: Field, token: Token, text: str) -> Value | Network:
        try:
            return values.read(field, text)
        except values.WrongValueError as error:
            raise self._error(str(error), token, hint=error.hint or f"write {field.example}") from None

    def _words(self, token: Token) -> Node:
        pattern = self._pattern(token)
        if pattern == (Mark.ANY,):
            return All()
        # The text may stand anywhere in the field, so these two change nothing.
        bare = pattern[pattern[0] is Mark.ANY : len(pattern) - (pattern[-1] is Mark.ANY)] if pattern else pattern
        text = patterns.literal(bare)
        if text is None:
            hint = 'write it as in uri:*admin*; for a text with such a character "what?"'
            raise self._error("wildcards inside of a word need a field", token, hint=hint)
        if not text:
            raise self._error("an empty text matches every line", token, hint="leave it out")
        self._no_operator(token, text)
        if token.type == "WORD" and (compared := re.match(r"(\w+)=", token)) and compared[1] in self._table.fields:
            hint = f"write {self._table.fields[compared[1]].example}; for the literal text put it in quotes"
            raise self._error(f"the field {compared[1]} needs a colon, not =", token, hint=hint)
        return Words(text)

    def _no_operator(self, token: Token, text: str) -> None:
        if token.type not in {"WORD", "MEMBER"}:
            return
        if text.isupper() and text.lower() in _OPERATORS:
            raise self._error(f"{text} is not allowed here", token, hint=_BETWEEN)
        if text.lower() in _OPERATORS:
            hint = f'write {text.upper()}; for the literal word "{text}"'
            raise self._error(f"the operator {text.upper()} is written in capital letters", token, hint=hint)

    def _pattern(self, token: Token) -> Pattern:
        if token.type == "REGEX":
            hint = "use wildcards, such as uri:*.php; for the literal text put it in quotes"
            raise self._error("a filter has no regular expressions (a text between slashes)", token, hint=hint)
        if token.type == "PHRASE":
            text = re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)
            return (text,) if text else ()
        pattern = patterns.read(token)
        if pattern.count(Mark.ANY) > patterns.MAX_STARS:
            raise self._error(f"a value has more than {patterns.MAX_STARS} times *", token)
        return pattern

    def _error(self, problem: str, first: Token, last: Token | None = None, *, hint: str = "") -> QueryError:
        start, end = _place(first)
        if last is not None:
            _, end = _place(last)
        return QueryError(problem, self._text, start, end, hint=hint)


def _name(token: Token) -> str:
    """Return a field's name without its colon."""
    return token[:-1].rstrip()


def _place(token: Token) -> tuple[int, int]:
    """Return where a token begins and ends; of a field, without its colon."""
    start = token.start_pos or 0
    return start, start + len(_name(token) if token.type == "FIELD" else token)


def _token(part: Part) -> Token:
    """Return a part that the grammar makes a token of."""
    return cast("Token", part)


def _first(part: Part) -> Token:
    while not isinstance(part, Token):
        part = part.children[0]
    return part


def _refuse(error: UnexpectedInput, text: str) -> NoReturn:
    """Say what the grammar did not expect, in the words of the language."""
    start, end = error.pos_in_stream or 0, None
    wanted: set[str] = set()
    if isinstance(error, UnexpectedToken):
        wanted = set(error.expected)
        start, end = (len(text), None) if error.token.type == "$END" else (start, error.token.end_pos)
    elif isinstance(error, UnexpectedCharacters):
        wanted = set(error.allowed or ())
    problem, hint = _problem(text[start:], wanted)
    raise QueryError(problem, text, start, end or start + 1, hint=hint)


def _problem(rest: str, wanted: set[str]) -> tuple[str, str]:
    """Return what is wrong with the rest of a text, and what to do about it.

    Args:
        rest: the text from the first place that does not fit.
        wanted: the grammar's names for what would fit there.
    """
    if {"BOUND", "_TO", "CLOSE"} & wanted:
        return "this range is incomplete", "write it as in status:[500 TO 599], with * for an open end"
    if not rest:
        if "_RPAR" in wanted:
            return "a closing parenthesis is missing", "end the filter with )"
        return "the filter ends where a condition or a value is missing", "write one, such as status:404"
    if found := _CHARACTERS.get(rest[0]):
        return found
    if rest[0] == ")":
        return "this parenthesis has nothing before it, or no opening one", "for the literal character write \\)"
    if rest[0] == "(":
        return "a parenthesis is not allowed here", "for the literal character write \\("
    return f"{rest.split(maxsplit=1)[0][:_SHOWN]} is not allowed here", _BETWEEN
