"""The real Filebeat with the role's configuration, whose events go to files instead of Kafka."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from rig.ending import with_us
from rig.tools import CACHE


def archive() -> Path | None:
    """Return the newest archive of the artifact folder, or None."""
    found = sorted((CACHE / "artifacts" / "filebeat").glob("filebeat-*.tar.gz"))
    return found[-1] if found else None


def unpack(folder: Path) -> Path:
    """Unpack the archive and return the program."""
    packed = archive()
    assert packed is not None
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    (binary,) = folder.glob("filebeat-*/filebeat")
    return binary


def with_files(config: str, out: Path) -> str:
    """Return the role's configuration with an output of files."""
    text, count = re.subn(r"(?ms)^output\.kafka:\n.*?(?=^http\.)", f'output.file.path: "{out}"\n\n', config)
    assert count == 1
    return text


class Shipper:
    """A Filebeat that runs, stops and runs again on one folder.

    Args:
        binary: the program.
        folder: for its configuration, data and events.
        config: text of the configuration.
        account: number of the user that it runs as; None for the present one.
    """

    def __init__(self, binary: Path, folder: Path, config: str, account: int | None = None) -> None:
        self.config, self.data, self._account = folder / "filebeat.yml", folder / "data", account
        self._binary = binary
        self.log = folder / "filebeat.log"
        for path in (self.data, folder / "out"):
            path.mkdir(exist_ok=True)
            path.chmod(0o777)
        self.config.write_text(config)
        self.config.chmod(0o644)

    @property
    def registry(self) -> Path:
        """The directory of what it remembers."""
        return self.data / "registry" / "filebeat"

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it."""
        command = [self._binary, "-e", "-c", self.config, "--strict.perms=false"]
        command += ["--path.data", self.data, "--path.logs", self.data]
        with (
            self.log.open("ab") as log,
            subprocess.Popen(with_us(command), stderr=log, stdout=log, user=self._account, group=self._account,
                             extra_groups=[] if self._account is not None else None) as process,
        ):  # fmt: skip
            try:
                yield process
            finally:
                process.kill()
