"""The commands of docs/guides/encryption-at-rest.md, run as they stand there, on a file in place of a disk."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs/guides/encryption-at-rest.md"
MARK = b"GET /marked-line-of-a-visitor"
#: XFS takes no less than 300 MB.
SIZE = 400 << 20


def _blocks() -> list[str]:
    """Return the guide's commands: variables, encryption, move, start of the host, look."""
    found = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(found) == 5, "the test knows what each block is for"
    return found


def _shell(folder: Path, device: str, *blocks: str) -> str:
    """Run blocks of the guide with our own disk, folder and service, and everything of /etc in our folder."""
    own = f"device={device} name=obs-test-{os.getpid()} directory={folder}/data unit=obs-test\n"
    script = own + "".join(blocks).replace("/etc/", f"{folder}/etc/")
    path = f"{folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(
        ["sh", "-eu", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=300,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{program} is not installed here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with data, a disk image, an empty ``etc`` and a ``systemctl`` that notes what it is asked."""
    (tmp_path / "data").mkdir(mode=0o750)
    (tmp_path / "data/segment.log").write_bytes(MARK)
    (tmp_path / "etc").mkdir()
    with (tmp_path / "disk").open("wb") as disk:
        disk.truncate(SIZE)
    (tmp_path / "bin").mkdir()
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    systemctl.chmod(0o755)
    return tmp_path


@pytest.fixture
def device(folder: Path) -> Iterator[str]:
    """The image as a block device; afterwards nothing of it is mounted or open."""
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    _needs("cryptsetup", "losetup", "mkfs.xfs", "findmnt")
    if "device-mapper" not in Path("/proc/misc").read_text():
        pytest.skip("this kernel has no device mapper")
    made = subprocess.run(["losetup", "--find", "--show", folder / "disk"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    name = made.stdout.strip()
    try:
        yield name
    finally:
        subprocess.run(["umount", folder / "data"], check=False, capture_output=True)
        subprocess.run(["cryptsetup", "close", f"obs-test-{os.getpid()}"], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", name], check=False)


def test_the_key_opens_what_was_formatted(folder: Path) -> None:
    """What needs neither root nor the kernel's help, so that the options are checked on every machine."""
    _needs("cryptsetup")
    lines = _blocks()[1].splitlines(keepends=True)
    image = str(folder / "disk")
    _shell(folder, image, *[line for line in lines if " open " not in line and "mkfs" not in line])
    (key,) = (folder / "etc/obscraft/luks").iterdir()
    assert key.stat().st_mode & 0o777 == 0o600
    opens = ["cryptsetup", "open", "--test-passphrase", "--key-file"]
    assert subprocess.run([*opens, key, image], check=False, capture_output=True).returncode == 0
    key.write_bytes(bytes(64))
    assert subprocess.run([*opens, key, image], check=False, capture_output=True).returncode != 0


def test_data_moves_below_luks_and_cannot_be_read_from_the_disk(folder: Path, device: str) -> None:
    variables, encrypt, move, boot, look = _blocks()
    assert variables.startswith("device=")
    said = _shell(folder, device, encrypt, move, boot, look)
    assert "LUKS2" in said
    data = folder / "data"
    assert os.path.ismount(data)
    assert data.stat().st_mode & 0o777 == 0o750
    assert (data / "segment.log").read_bytes() == MARK
    name = f"obs-test-{os.getpid()}"
    assert (folder / "etc/crypttab").read_text().startswith(f"{name} UUID=")
    assert f"/dev/mapper/{name} {data} xfs" in (folder / "etc/fstab").read_text()
    assert (folder / "asked").read_text().splitlines() == ["stop obs-test", "daemon-reload", "start obs-test"]
    subprocess.run(["umount", data], check=True)
    subprocess.run(["cryptsetup", "close", name], check=True)
    assert MARK not in (folder / "disk").read_bytes()
    assert MARK in (folder / "data.unencrypted/segment.log").read_bytes()
