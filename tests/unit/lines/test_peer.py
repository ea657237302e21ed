"""Which words are a client: addresses, sockets and host names; nothing that begins a prefix or lost its beginning."""

from __future__ import annotations

import pytest

from obsctl.lines.formats import peer
from obsctl.lines.formats.line import LineError


@pytest.mark.parametrize(
    ("word", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:51234", "203.0.113.9"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:203.0.113.9", "::ffff:203.0.113.9"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("unix:", "unix:"),
        ("unix:/run/lb.sock", "unix:/run/lb.sock"),
        ("localhost", "localhost"),
        ("host.example.com", "host.example.com"),
        ("host.example.com.", "host.example.com."),
        ("web_1.default", "web_1.default"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1e100.net", "1e100.net"),
        ("dsl-1-2.3com.example", "dsl-1-2.3com.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
        (".".join(["a" * 49] * 5) + ".b1", ".".join(["a" * 49] * 5) + ".b1"),
    ],
)
def test_a_client(word: str, client: str) -> None:
    assert peer.PEERS[word] == client
    assert peer.PEERS[word] == client, "and again, from the look-up"


@pytest.mark.parametrize(
    "word",
    [
        *("", "-", ".", "_", '"', "|", "9", "14", "113.9", ".113.9", "0.113.9", "203.0.113.", "203.0.113.900"),
        *("1.2.3.4.5", "Jan", "Oct", "Dec", ":80", "a" * 64, ".".join(["a" * 50] * 6), "a" * 70_000, "1." * 30_000),
        *("<190>Oct", "<13>1", "01:44:15", "2022-10-04T01:44:15+02:00", "2022-10-04T01:44:15.1Z", "2022/10/04"),
        *("nginx:", "nginx[7]:", "[nginx]", "{app=web}", "level=info", "nginx@node1", "a/b", "host name", "host\n"),
        *('"203.0.113.9"', "203.0.113.9,", "203.0.113.9:", "203.0.113.9:123456", "203.0.113.9:x", "[203.0.113.9"),
        *("[::1", "::1]", "2001:db8:::7", "12345::", "fe80::1%", "fe80::1%eth 0", "unix:a b", "unix:" + "p" * 300),
        *("a..b", ".example.com", "-a.example", "a.-b", "host.example.123", "host\0", "käse.example"),
        *("\u0662\u0660\u0663.0.113.9", "\uff12\uff10\uff13.0.113.9"),
    ],
)  # fmt: skip
@pytest.mark.timeout(5)
def test_no_client(word: str) -> None:
    with pytest.raises(LineError) as refusal:
        peer.PEERS[word]
    assert refusal.value.reason == "client"
    assert len(refusal.value.detail) < 250
    assert word not in peer.PEERS, "what is refused is not kept"


def test_the_look_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "_CACHE_SIZE", 10)
    for number in range(100):
        assert peer.PEERS[f"192.0.2.{number}"] == f"192.0.2.{number}"
    assert len(peer.PEERS) <= 10
