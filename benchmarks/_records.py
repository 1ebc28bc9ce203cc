"""Finished runs as JSON lines: one line a run, written whole, read back to go on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

PACKAGES = ("probewise", "botorch", "gpytorch", "torch", "numpy", "scipy")


class Point(BaseModel):
    """Where a run stood after one evaluation.

    ``value`` is the true objective at the recommended design, ``seconds`` the processor time of
    deciding: taking in the last result, recommending, choosing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cost: float
    value: float
    seconds: float


class Machine(BaseModel):
    """What the run ran on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    cores: int
    threads: int
    python: str
    versions: dict[str, str]


class Run(BaseModel):
    """One policy on one problem with one seed.

    ``stopped`` is why it ended before its budget, ``error`` what it died of, ``steps`` how often
    each was done, ``best`` the largest true value of the objective, ``order`` the candidates whose
    goal was measured, the given ones first, where there is a pool.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    problem: str
    policy: str
    seed: int
    budget: float
    best: float = 0.0
    trajectory: tuple[Point, ...] = ()
    stopped: str = ""
    error: str = ""
    steps: dict[str, int] = {}
    order: tuple[int, ...] = ()
    peak_memory_mib: float = 0.0
    machine: Machine

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.problem, self.policy, self.seed)


def this_machine() -> Machine:
    """The machine, with the threads that numerical libraries may use."""
    threads = os.environ.get("OMP_NUM_THREADS")
    cores = os.cpu_count() or 1
    return Machine(
        processor=_processor(),
        cores=cores,
        threads=int(threads) if threads else cores,
        python=platform.python_version(),
        versions={name: _version(name) for name in PACKAGES},
    )


def read_runs(path: Path) -> Iterator[Run]:
    """Runs in a file of JSON lines.

    A line torn by a crash is left out, and so are records of benchmarks that are no suites.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line) if line.endswith("\n") and line.strip() else {}
            if "suite" in record:
                yield Run.model_validate(record)


def finished(path: Path) -> set[tuple[str, str, int]]:
    """(problem, policy, seed) of runs that need not be done again; failed ones do."""
    return {run.key for run in read_runs(path) if not run.error}


def append(path: Path, run: Run) -> None:
    """Add a run as one line, after whatever a crash left at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        end_whole(file, path)
        file.write(json.dumps(run.model_dump(mode="json")).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def end_whole(file: BinaryIO, path: Path) -> None:
    """Go to the end of an open file of lines, and cut off a last one that a crash tore."""
    end = file.seek(0, os.SEEK_END)
    if end:
        file.seek(end - 1)
        if file.read(1) != b"\n":
            file.truncate(_last_line_end(path))
            file.seek(0, os.SEEK_END)


def _last_line_end(path: Path) -> int:
    """How many bytes the whole lines of a file take."""
    return path.read_bytes().rfind(b"\n") + 1


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
