"""A login by SCRAM-SHA-512 as a broker of Kafka 3.9 answered it, byte for byte, and brokers that do not keep to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from obsctl.checks.kafka import wire
from obsctl.checks.kafka.snapshot import LOGIN, MECHANISM, NO_SASL
from obsctl.core.brokers import Security
from obsctl.kafka import scram
from obsctl.kafka.access import open_access
from rig.peers import peer

#: What was recorded: ``>`` the client's bytes, ``<`` the broker's.
RECORDED = (Path(__file__).parent / "golden/scram-sha-512.hex").read_text().splitlines()
FRAMES = [(line[0], bytes.fromhex(line[2:])) for line in RECORDED]


@pytest.fixture(autouse=True)
def nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's nonce of the recording."""
    monkeypatch.setattr(scram.secrets, "token_bytes", lambda count: bytes(range(count)))


def broker(said: list[bytes], change: Callable[[int, bytes], bytes] = lambda _, data: data) -> Callable[..., None]:
    """Return a broker that answers as recorded, but for what ``change`` makes of its answer number so and so."""

    def talk(line: socket.socket) -> None:
        number = 0
        for sign, data in FRAMES:
            if sign == ">":
                said.append(line.recv(len(data), socket.MSG_WAITALL))
            else:
                line.sendall(change(number, data))
                number += 1
        line.recv(1)

    return talk


def log_in(port: int, folder: Path, mechanism: str = "SCRAM-SHA-512") -> None:
    (folder / "password").write_text("a=long,secret")
    security = Security(
        protocol="SASL_PLAINTEXT",
        mechanism=mechanism,  # type: ignore[arg-type]
        user="obsctl",
        password=f"file:{folder / 'password'}",
    )
    wire.Conversation("127.0.0.1", port, time.monotonic() + 2, open_access(security)).close()


def test_the_exchange_is_that_of_the_recording(tmp_path: Path) -> None:
    said: list[bytes] = []
    with peer(broker(said)) as port:
        log_in(port, tmp_path)
    assert said == [data for sign, data in FRAMES if sign == ">"]
    assert b"a=long,secret" not in b"".join(said)


def _with_code(code: int, at: int) -> Callable[[int, bytes], bytes]:
    """Change the error code of one answer: it stands behind size and correlation id."""
    return lambda number, data: data[:8] + code.to_bytes(2) + data[10:] if number == at else data


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (_with_code(33, 1), MECHANISM, "takes no login by SCRAM-SHA-512; it knows SCRAM-SHA-512, PLAIN"),
        (_with_code(34, 1), NO_SASL, "takes no login"),
        (_with_code(58, 2), LOGIN, "refuses the login of user obsctl by SCRAM-SHA-512"),
        (_with_code(58, 3), LOGIN, "refuses the login of user obsctl by SCRAM-SHA-512"),
        (_with_code(34, 3), LOGIN, "breaks the login off: ILLEGAL_SASL_STATE"),
        (lambda n, data: data.replace(b"r=AAEC", b"r=BBEC") if n == 2 else data, LOGIN, "nonce does not continue"),
        (lambda n, data: data.replace(b"i=4096", b"i=0001") if n == 2 else data, LOGIN, "asks for 0001 iterations"),
        (lambda n, data: data.replace(b"v=2q", b"v=AA") if n == 3 else data, LOGIN, "does not prove"),
        (lambda n, data: data.replace(b"v=2q", b"e=2q") if n == 3 else data, LOGIN, "the broker refuses: 2q"),
    ],
)
def test_a_broker_that_does_not_keep_to_it_gets_no_further(
    tmp_path: Path, change: Callable[[int, bytes], bytes], kind: str, words: str
) -> None:
    with peer(broker([], change)) as port, pytest.raises(wire.BrokerSilentError, match=words) as caught:
        log_in(port, tmp_path)
    assert caught.value.kind == kind
    assert "a=long,secret" not in str(caught.value)
