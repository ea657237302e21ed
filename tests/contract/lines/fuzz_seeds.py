"""Writes what the fuzzer of the native module begins with: ``python -m tests.contract.lines.fuzz_seeds FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.contract.lines.test_native import combined, combined_line, golden, nginx_line, poison

#: What a first byte says of the others: a record, a line of JSON, a combined line (``native/fuzz/src/lib.rs``).
_RECORD, _JSON, _COMBINED = b"0", b"1", b"2"


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [_RECORD + value for value in (*golden(), *poison()) if value is not None]
    seeds += [_RECORD + combined(combined_line(number), number) for number in range(3)]
    seeds += [_JSON + nginx_line(number).encode() for number in range(3)]
    seeds += [_COMBINED + combined_line(number).encode() for number in range(3)]
    for number, seed in enumerate(seeds):
        folder.joinpath(f"{number:04d}").write_bytes(seed)


if __name__ == "__main__":
    main()
