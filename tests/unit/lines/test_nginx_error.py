"""Whose context a line of the error log has: nginx's own, whatever a client or an application writes beside it.

nginx escapes nothing in this log, so both can write what reads as a context. No text may make a row name a client that
nginx does not name; and unless a text imitates nginx's words on both sides of the context, the row names nginx's.
"""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest

from obsctl.lines.formats import registry
from obsctl.lines.formats.line import ErrorLine

OWN, FORGED = "203.0.113.9", "192.0.2.66"
FORGED_CONTEXT = f', client: {FORGED}, server: s, request: "GET / HTTP/1.1"'
STDERR = 'FastCGI sent in stderr: "{}" while reading response header from upstream'
#: Messages in nginx's own words, and with a text of somebody else's where there is one.
PLAIN = [
    'limiting requests, excess: 10.420 by zone "one"',
    "connect() failed (111: Connection refused) while connecting to upstream",
]
OF_THE_PATH = [
    'open() "/srv{}" failed (2: No such file or directory)',
    'directory index of "/srv{}/" is forbidden',
    '"/srv{}/index.html" is not found (2: No such file or directory)',
    'rewritten data: "{}", args: ""',
]
OF_OTHERS = [
    STDERR,
    'FastCGI sent in stderr: "{}" while reading upstream',
    'user "{}": password mismatch',
    'user "{}" was not found in "/etc/nginx/.htpasswd"',
    'client sent too long header line: "{}..." while reading client request headers',
    'ModSecurity: Access denied (phase 2). Matched "x" against `ARGS:q\' (Value: `{}\' ) [file "a"] [ref "v1,2"]',
]
PIECES = [
    *(FORGED_CONTEXT, f", client: {FORGED}", f", client: {FORGED}, server: s", f", udp client: {FORGED}, server: s"),
    *(', request: "', '", upstream: "http://u/', '", host: "', '", referrer: "', '"', " ", "\n", ", ", "/", "?", "x"),
    *("HTTP/1.1", " while reading response header from upstream", '" failed (2: No such file or directory)', "%22"),
]


def read(
    message: str, *, target: str = "/", host: str = "a.example.com", referrer: str = "", more: str = ""
) -> ErrorLine:
    line = (
        f"2022/10/04 01:44:15 [error] 20#20: *7 {message}, client: {OWN}, server: www.example.com,"
        f' request: "GET {target} HTTP/1.1"{more}, host: "{host}"' + f', referrer: "{referrer}"' * bool(referrer)
    )
    found = registry.formats()["error"](line)
    assert isinstance(found, ErrorLine)
    return found


def random_text(rand: random.Random) -> str:
    return "".join(rand.choice(PIECES) for _ in range(rand.randint(1, 6)))


def in_one_line(text: str) -> str:
    """Return what a request's line or header can hold of a text: no line feed."""
    return text.replace("\n", "")


def filled(message: str, text: str) -> str:
    return message.replace("{}", text)


@pytest.mark.parametrize("message", [*PLAIN, *OF_THE_PATH, *OF_OTHERS])
@pytest.mark.parametrize("place", ["target", "host", "referrer"])
def test_no_request_chooses_the_client(message: str, place: str) -> None:
    """The message's own text is harmless here: nginx's context is named, unless the request repeats nginx's words."""
    rand = random.Random(f"{message}{place}")  # noqa: S311  the same lines each time
    for _ in range(3000):
        text = in_one_line(random_text(rand))
        found = read(filled(message, "/x"), **{place: text}, more=', upstream: "fastcgi://127.0.0.1:9000"')
        imitates = message in OF_OTHERS and " while " in text
        assert found.client_addr in ({OWN, ""} if imitates else {OWN}), text
        assert found.message == filled(message, "/x") or not found.client_addr


@pytest.mark.parametrize("place", ["target", "host", "referrer"])
@pytest.mark.parametrize("message", [*PLAIN, *OF_THE_PATH, *OF_OTHERS])
def test_a_quote_and_a_whole_context_in_the_request_are_part_of_it(message: str, place: str) -> None:
    text = f'/x"{FORGED_CONTEXT}, upstream: "http://192.0.2.77/'
    found = read(filled(message, "/x"), **{place: text})
    assert (found.client_addr, found.server_name) == (OWN, "www.example.com")
    assert found.message == filled(message, "/x")


@pytest.mark.parametrize("message", OF_OTHERS)
def test_no_text_that_a_message_repeats_chooses_the_client(message: str) -> None:
    rand = random.Random(message)  # noqa: S311  the same lines each time
    own = 0
    for _ in range(3000):
        text = random_text(rand)
        found = read(filled(message, text))
        imitates = " while " in text
        assert found.client_addr in ({OWN, ""} if imitates else {OWN}), text
        own += found.client_addr == OWN
    assert own > 1500


@pytest.mark.parametrize("message", OF_THE_PATH)
def test_no_path_chooses_the_client(message: str) -> None:
    """The path is the decoded target, which the request shows as it was sent."""
    rand = random.Random(message)  # noqa: S311  the same lines each time
    own = 0
    for _ in range(3000):
        path = "/" + random_text(rand)
        found = read(filled(message, path), target=quote(path, safe=rand.choice(("", "/,: ", '"/'))))
        assert found.client_addr in {OWN, ""}, path
        own += found.client_addr == OWN
    assert own > 1000


@pytest.mark.parametrize("ending", [": password mismatch", " while reading response header from upstream"])
def test_of_two_contexts_that_may_both_be_nginxs_none_is_taken(ending: str) -> None:
    """An application that repeats a whole line of this log, and a request that goes on in nginx's words."""
    head = 'user "' if "password" in ending else 'FastCGI sent in stderr: "'
    text = f'x"{ending}{FORGED_CONTEXT}, host: "h'
    for found in (read(f'{head}{text}"{ending}'), read(f'{head}x"{ending}', referrer=text)):
        assert found.client_addr == ""
        assert FORGED in found.message, "nothing of the line is lost"
        assert OWN in found.message


def test_an_application_that_writes_without_quotes_names_no_client() -> None:
    assert read(f"[lua] a.lua:1: bad{FORGED_CONTEXT}").client_addr == ""
    assert read("[lua] a.lua:1: bad").client_addr == OWN


@pytest.mark.parametrize("after", ["server: b", 'server: b, request: "GET / HTTP/1.1"', "server: b, requ"])
def test_a_referrer_that_is_cut_right_behind_a_context_of_its_own(after: str) -> None:
    line = (
        f"2022/10/04 01:44:15 [error] 20#20: *7 limiting requests, client: {OWN}, server: a, request:"
        f' "GET / HTTP/1.1", host: "a", referrer: "x, client: {FORGED}, {after}'
    )
    found = registry.formats()["error"](line)
    assert isinstance(found, ErrorLine)
    assert (found.client_addr, found.server_name) == (OWN, "a")


def test_an_address_that_a_cut_ends_is_none() -> None:
    found = registry.formats()["error"](f"2022/10/04 01:44:15 [error] 20#20: *7 {'x' * 1990}, client: 203.0.113.1")
    assert isinstance(found, ErrorLine)
    assert found.client_addr == ""


def test_a_server_that_a_cut_ends_within_the_next_key() -> None:
    found = registry.formats()["error"]("2022/10/04 01:44:15 [error] 2#2: *7 x, client: 203.0.113.9, server: a, requ")
    assert isinstance(found, ErrorLine)
    assert (found.client_addr, found.server_name) == (OWN, "a")


@pytest.mark.parametrize(
    "piece",
    [f", client: {FORGED}, server: s", f'" while x{FORGED_CONTEXT}', f'" while x, client: {FORGED}, server: a b', '"'],
)
@pytest.mark.parametrize("message", [*OF_THE_PATH, *OF_OTHERS])
@pytest.mark.timeout(5)
def test_thousands_of_contexts_are_read_quickly(message: str, piece: str) -> None:
    assert read(filled(message, piece * 2000)).client_addr in {OWN, ""}
