"""When a certificate ends."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from obsctl.alerter.metrics.certificate import Certificates, not_after, presented_end


def made(folder: Path, end: str, *, name: str = "c.pem", version: int = 3) -> Path:
    """Make a certificate that ends at a moment, as openssl writes it: 20300131120000Z."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, path = folder / "key.pem", folder / name
    subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", key], check=True, capture_output=True)
    request, database = folder / "request.pem", folder / "index.txt"
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=lb", "-out", request], check=True)
    database.write_text("")
    extensions = "x509_extensions = e\n" if version == 3 else ""
    config = folder / "ca.conf"
    config.write_text(
        f"[ca]\ndefault_ca = d\n[d]\ndatabase = {database}\nnew_certs_dir = {folder}\nrand_serial = yes\n"
        f"default_md = default\npolicy = p\n{extensions}[p]\ncommonName = supplied\n[e]\nsubjectAltName = DNS:lb\n"
    )
    subprocess.run(
        ["openssl", "ca", "-batch", "-notext", "-config", config, "-selfsign", "-keyfile", key, "-in", request,
         "-startdate", "20200101000000Z", "-enddate", end, "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("end", ["20300131120000Z", "20491231235959Z", "20500101000000Z", "20990615000000Z"])
def test_the_end_is_that_of_openssl(end: str, version: int, tmp_path: Path) -> None:
    """From 2050 on a certificate writes its dates in another form, and one without extensions has another beginning."""
    found = not_after(made(tmp_path, end, version=version).read_text())
    assert datetime.fromtimestamp(found, UTC).strftime("%Y%m%d%H%M%SZ") == end


def test_the_first_certificate_of_a_chain_counts(tmp_path: Path) -> None:
    leaf = made(tmp_path, "20300131120000Z").read_text()
    chain = "subject=CN = lb\n" + leaf + made(tmp_path, "20400131120000Z", name="b.pem").read_text()
    assert not_after(chain) == not_after(leaf)


def test_days_are_counted_and_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    path = made(tmp_path, "20300131120000Z")
    end = datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()
    other = tmp_path / "other.pem"
    other.write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n\xff")
    found = Certificates([str(path), str(other), str(tmp_path / "absent")]).days_left(end - 20.5 * 86_400)
    assert found == {str(path): 20.5, str(other): None, str(tmp_path / "absent"): None}
    assert Certificates([str(path)]).days_left(end + 86_400) == {str(path): -1}


def test_a_file_that_was_cut_or_changed_anywhere_is_no_certificate_or_one(tmp_path: Path) -> None:
    whole = made(tmp_path, "20300131120000Z").read_text()
    path = tmp_path / "cut.pem"
    for length in range(0, len(whole), 7):
        path.write_text(whole[:length] + "\n-----END CERTIFICATE-----\n")
        Certificates([str(path)]).days_left(0)
        path.write_text(whole[:length] + "A" + whole[length + 1 :])
        Certificates([str(path)]).days_left(0)


class _Port:
    """What a port presents; it is down where that is None."""

    def __init__(self, end: float | None) -> None:
        self.end = end
        self.asked = 0

    def __call__(self, _name: str) -> float:
        self.asked += 1
        if self.end is None:
            raise ConnectionRefusedError
        return self.end


def test_a_port_is_asked_seldom_and_its_last_answer_counts() -> None:
    now, name = 1_800_000_000.0, "192.0.2.1:9094"
    port = _Port(now + 20 * 86_400)
    watched = Certificates([name], port)
    assert watched.days_left(now) == {name: 20}
    assert watched.days_left(now + 599)[name] == pytest.approx(20, abs=0.02)
    assert port.asked == 1
    port.end = now + 397 * 86_400
    assert watched.days_left(now + 601)[name] == pytest.approx(397, abs=0.03)
    port.end = None
    assert watched.days_left(now + 1_300)[name] == pytest.approx(397, abs=0.03)
    assert port.asked == 3


def test_a_port_that_never_answered_is_no_number_and_no_fault() -> None:
    assert Certificates(["192.0.2.1:9094"], _Port(None)).days_left(1_800_000_000.0) == {}
    assert Certificates(["127.0.0.1:99999"]).days_left(1_800_000_000.0) == {}


def test_what_a_port_presents(tmp_path: Path) -> None:
    path = made(tmp_path, "20300131120000Z")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:

        def serve() -> None:
            line, _ = listener.accept()
            with context.wrap_socket(line, server_side=True) as encrypted:
                encrypted.recv(1)

        served = pool.submit(serve)
        end = presented_end(f"127.0.0.1:{listener.getsockname()[1]}")
        served.result()
    assert end == datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()
