"""Shared by all benchmarks: run both sides in turn, print a table for people or one JSON line for programs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def options(purpose: str, runs: int) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark takes: ``--runs`` and ``--json``."""
    parser = argparse.ArgumentParser(description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=runs, help=f"runs of each side (default {runs})")
    parser.add_argument("--json", action="store_true", help="one line with one JSON object")
    return parser


def arguments(purpose: str, runs: int) -> argparse.Namespace:
    """Return the parsed options of a benchmark that takes no others."""
    return options(purpose, runs).parse_args()


def say(text: str) -> None:
    """Report progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def seconds(command: Sequence[str | Path], *, allowed: Sequence[int] = (0,)) -> float:
    """Run a command as a whole process and return its wall time in seconds; another exit code ends the benchmark."""
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    took = time.monotonic() - began
    if done.returncode not in allowed:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took


def in_turn(sides: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Measure the sides one after the other, A B A B ..., after one uncounted round."""
    for side in sides.values():
        side()
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, side in sides.items():
            figures[name].append(side())
    return figures


def report(
    bench: str,
    unit: str,
    figures: Mapping[str, list[float]],
    *,
    as_json: bool,
    bar: str,
    beside: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Print the result; ``figures`` holds ``ours`` first. The ratio is ours/other at the medians.

    ``beside`` holds further figures of a side, by name.
    """
    beside = beside or {}
    summary = {name: _summary(values) | beside.get(name, {}) for name, values in figures.items()}
    ours, others = summary["ours"], {name: value for name, value in summary.items() if name != "ours"}
    ratio = {name: round(ours["median"] / value["median"], 3) for name, value in others.items()}
    runs = len(figures["ours"])
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "load": round(os.getloadavg()[0], 2)}
    if as_json:
        whole: dict[str, Any] = {"bench": bench, "runs": runs, "unit": unit, "ours": ours, "others": others}
        whole |= {"ratio": next(iter(ratio.values()), None), "machine": machine}
        print(json.dumps(whole))
        return
    print(f"{bench} ({unit}, {runs} runs, load {machine['load']} on {machine['cores']} cores)")
    columns = list(dict.fromkeys(name for further in beside.values() for name in further))
    heads = "".join(f"{name.removesuffix('_per_million') + '/M':>16}" for name in columns)
    print(f"{'':28}{'min':>12}{'median':>12}{'max':>12}{'ours/it':>10}{heads}")
    for name, value in summary.items():
        share = f"{ratio[name]:>10.2f}" if name in ratio else " " * 10 * bool(columns)
        more = "".join(f"{value[column]:>16.2f}" if column in value else " " * 16 for column in columns)
        line = f"{name:28}{value['min']:>12.3f}{value['median']:>12.3f}{value['max']:>12.3f}{share}{more}"
        print(line.rstrip())
    print(f"bar: {bar}")


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "min": round(min(values), 4),
        "median": round(statistics.median(values), 4),
        "max": round(max(values), 4),
    }
