"""The command line that all suites share."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ._data import VARIABLE
from ._records import Run
from ._runner import Suite, Task, run_all

RESULTS = Path("runs/bench")


def main(suite: Suite, argv: Sequence[str] | None = None) -> int:
    """Run a suite as its arguments say; 1 if a run died."""
    args = parser(suite).parse_args(argv)
    if args.data:
        os.environ[VARIABLE] = str(args.data)
    _one_thread_each()
    tasks = [
        Task(problem, policy, seed, args.budget)
        for seed in args.seeds
        for problem in chosen(args.problems, suite.problems)
        for policy in chosen(args.policies, suite.policies)
    ]
    died = 0
    for task, run in run_all(suite, tasks, args.out, workers=args.workers):
        died += bool(run.error)
        print(line(task, run), flush=True)
    return 1 if died else 0


def parser(suite: Suite) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{suite.name}",
        description=f"Problems: {' '.join(suite.problems)}. Policies: {' '.join(suite.policies)}.",
    )
    made.add_argument("--seeds", type=seed_list, default=seed_list("0-4"), help="0-29 or 1,3,5")
    made.add_argument("--problems", nargs="+", default=["all"], metavar="NAME", help="or all")
    made.add_argument("--policies", nargs="+", default=["all"], metavar="NAME", help="or all")
    made.add_argument("--out", type=Path, default=RESULTS / f"{suite.name}.jsonl")
    made.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    made.add_argument("--budget", type=float, help="credits, instead of each problem's own")
    made.add_argument("--data", type=Path, help=f"folder of recorded data (or {VARIABLE})")
    return made


def seed_list(text: str) -> list[int]:
    """``0-9`` or ``1,3,5`` or both as seeds in ascending order, each once."""
    seeds: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r}: give seeds as 0-9 or 1,3,5")
        seeds.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return sorted(seeds)


def line(task: Task, run: Run) -> str:
    """What a person reads while it runs."""
    head = f"{task.problem} {task.policy} seed {task.seed}:"
    if run.error:
        return f"{head} died: {run.error.strip().splitlines()[-1]}"
    last = run.trajectory[-1]
    seconds = [p.seconds for p in run.trajectory[1:]] or [0.0]
    stop = f"; stopped: {run.stopped}" if run.stopped else ""
    return (
        f"{head} {last.value:.4g} of {run.best:.4g} at {last.cost:g} of {run.budget:g} credits, "
        f"{np.median(seconds):.2g} s a decision{stop}"
    )


def chosen(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """Names in the order given; a name that ends in * stands for all that begin so."""
    found: list[str] = []
    everything = list(known)
    for name in names:
        match = everything if name == "all" else [k for k in everything if _fits(name, k)]
        if not match:
            sys.exit(f"unknown {name!r}: one of {' '.join(everything)}")
        found += [m for m in match if m not in found]
    return found


def _fits(name: str, known: str) -> bool:
    return known.startswith(name[:-1]) if name.endswith("*") else known == name


def _one_thread_each() -> None:
    import torch

    torch.set_num_threads(1)
