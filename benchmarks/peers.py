"""Peers that are not packages, from their own repositories: ``python -m benchmarks.peers``.

p-KGFN and fast p-KGFN on function networks, MSBO on cascades. Each run is a process of its own,
under the interpreter of an environment that suits it: BoTorch 0.8.4, GPyTorch 1.10 and NumPy below
2 for p-KGFN, BoTorch 0.6.6, GPyTorch 1.8.1, NumPy below 2, pandas, PyYAML, matplotlib and openpyxl
for MSBO. This is for their seconds a decision on this machine, and as a check of what they have
published on a few seeds. Nothing of theirs is imported here.

    python -m benchmarks.peers --p-kgfn-path partial_kgfn --python env/bin/python --seeds 0-1
    python -m benchmarks.peers --msbo-path MSBO --python other/bin/python --seeds 0-1

A decision of p-KGFN takes minutes on one core: with ``--cpu-s`` a run is cut there, and is a
line with the points that it had until then.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from . import cascades, function_networks
from ._command import chosen, line, parser
from ._problems_networks import NETWORKS
from ._records import Machine, Point, Run, append, finished, this_machine
from ._runner import Suite, Task

MODULES = {
    "ackmat": "ackmat_runner",
    "freesolv": "freesolv3_runner",
    "manufacturing": "manufacturing_runner",
    "pharma": "pharmaceutical_runner",
    "gps1": "GPs1_runner",
    "gps2": "GPs2_runner",
}
ALGORITHMS = {"p-kgfn": "pKGFN", "fast-p-kgfn": "fast_pKGFN"}
STAGED = {"msbo": "msbo", "msbo-global": "global"}
"""MSBO, and Bayesian optimization of the whole as its authors compare it with."""
SUITE = Suite(
    "peers",
    dict(function_networks.SUITE.problems) | dict(cascades.SUITE.problems),
    dict.fromkeys([*ALGORITHMS, *STAGED]),  # type: ignore[arg-type]
)
HERE = Path(__file__).parent


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing; 1 if something did not run."""
    made = parser(SUITE)
    made.add_argument("--p-kgfn-path", type=Path, help="a checkout of p-KGFN's code")
    made.add_argument("--msbo-path", type=Path, help="a checkout of MSBO's code")
    made.add_argument("--python", type=Path, required=True, help="interpreter of its environment")
    made.add_argument("--cpu-s", type=int, default=3600, help="processor seconds of one run")
    args = made.parse_args(argv)
    paths = dict.fromkeys(ALGORITHMS, args.p_kgfn_path) | dict.fromkeys(STAGED, args.msbo_path)
    problems = chosen(args.problems, SUITE.problems)
    policies = chosen(args.policies, SUITE.policies)
    done = finished(args.out)
    died = 0
    for seed, problem, policy in product(args.seeds, problems, policies):
        path: Path | None = paths[policy]
        suits = policy in (ALGORITHMS if problem in NETWORKS else STAGED)
        if path is None or not suits or (problem, policy, seed) in done:
            continue
        task = Task(problem, policy, seed, args.budget)
        run = run_peer(task, path, args.python, args.cpu_s)
        append(args.out, run)
        died += bool(run.error)
        print(line(task, run), flush=True)
    return 1 if died else 0


def run_peer(task: Task, path: Path, python: Path, cpu_s: int) -> Run:
    """One run in a process of its own; why it did not run is a value."""
    problem = SUITE.problems[task.problem](task.seed)
    budget = problem.budget if task.budget is None else task.budget
    with tempfile.TemporaryDirectory() as folder:
        told_of = _p_kgfn if task.policy in ALGORITHMS else _msbo
        child, *words = told_of(task, path, Path(folder))
        command = [python.absolute(), "-W", "ignore", HERE / child, path.resolve(), *words]
        spent = str(int(budget)) if task.policy in ALGORITHMS else str(budget)
        lines, stopped, error = _told([*map(str, command), spent], folder, cpu_s)
    about = next((told for told in lines if "versions" in told), {})
    points = [Point.model_validate(told) for told in lines if "cost" in told]
    if stopped and len(points) < 2:
        error = f"no decision in {cpu_s} s"
    return Run(
        suite=SUITE.name,
        problem=task.problem,
        policy=task.policy,
        seed=task.seed,
        budget=budget,
        best=problem.best,
        trajectory=tuple(points),
        stopped=stopped,
        error=error,
        machine=_machine(about),
    )


def _p_kgfn(task: Task, path: Path, folder: Path) -> list[str]:
    """The child and its words; a folder to work in, for results go to the working directory."""
    (folder / "partial_kgfn").symlink_to(path.resolve() / "partial_kgfn")
    name, *costs = task.problem.split("-")
    algorithm = ALGORITHMS[task.policy]
    return ["_p_kgfn_child.py", MODULES[name], algorithm, str(task.seed), "_".join(costs)]


def _msbo(task: Task, path: Path, folder: Path) -> list[str]:
    _, *points = task.problem.split("-")
    return ["_msbo_child.py", STAGED[task.policy], str(task.seed), "_".join(points)]


def _told(command: Sequence[str], folder: str, cpu_s: int) -> tuple[list[dict[str, Any]], str, str]:
    """What a command printed as JSON lines, why it was cut short, and what it died of."""
    stopped = error = ""
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 10)),
        )
    except OSError as found:
        return [], "", f"{type(found).__name__}: {found}"
    if ended.returncode == -signal.SIGXCPU:
        stopped = f"cut after {cpu_s} s of processor time"
    elif ended.returncode:
        said = ended.stderr.decode(errors="replace")[-2000:].strip()
        error = f"exit status {ended.returncode}; {said}"
    output = ended.stdout
    whole = output[: output.rfind(b"\n") + 1].splitlines()
    return [json.loads(text) for text in whole], stopped, error


def _machine(told: dict[str, Any]) -> Machine:
    """This machine with the peer's own interpreter and packages."""
    own = this_machine().model_dump() | {"threads": 1}
    own |= {k: told[k] for k in ("python", "versions") if k in told}
    return Machine.model_validate(own)


if __name__ == "__main__":
    sys.exit(main())
