"""p-KGFN and fast p-KGFN from their own repository: ``python -m benchmarks.peers``.

Each run is a process of its own, under the interpreter of an environment that suits them (BoTorch
0.8.4, GPyTorch 1.10, NumPy below 2): for their seconds a decision on this machine, and as a check
of the published curves on a few seeds. Nothing of theirs is imported here.

    python -m benchmarks.peers --p-kgfn-path partial_kgfn --python env/bin/python --seeds 0-1
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ._command import line, parser
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
SUITE = Suite("peers", dict.fromkeys(NETWORKS), dict.fromkeys(ALGORITHMS))  # type: ignore[arg-type]
CHILD = Path(__file__).with_name("_peer_child.py")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing; 1 if something did not run."""
    made = parser(SUITE)
    made.add_argument("--p-kgfn-path", type=Path, required=True, help="a checkout of their code")
    made.add_argument("--python", type=Path, required=True, help="interpreter of their environment")
    made.add_argument("--timeout-s", type=float, default=3600.0, help="for one run")
    args = made.parse_args(argv)
    done = finished(args.out)
    died = 0
    for seed in args.seeds:
        for problem in (p for p in NETWORKS if args.problems == ["all"] or p in args.problems):
            for policy in (a for a in ALGORITHMS if args.policies == ["all"] or a in args.policies):
                task = Task(problem, policy, seed, args.budget)
                if (problem, policy, seed) in done:
                    continue
                run = run_peer(task, args.p_kgfn_path, args.python, args.timeout_s)
                append(args.out, run)
                died += bool(run.error)
                print(line(task, run), flush=True)
    return 1 if died else 0


def run_peer(task: Task, path: Path, python: Path, timeout_s: float) -> Run:
    """One run in a process of its own; why it did not run is a value."""
    name, *costs = task.problem.split("-")
    problem = NETWORKS[task.problem]()
    budget = problem.budget if task.budget is None else task.budget
    command = [str(python.absolute()), "-W", "ignore", str(CHILD), str(path.resolve())]
    command += [MODULES[name], ALGORITHMS[task.policy], str(task.seed), "_".join(costs)]
    command.append(str(int(budget)))
    error, told = "", {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "partial_kgfn").symlink_to(path.resolve() / "partial_kgfn")
        try:
            ended = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
            if ended.returncode:
                error = ended.stderr[-2000:].strip() or f"exit status {ended.returncode}"
            else:
                told = json.loads(ended.stdout.splitlines()[-1])
        except (OSError, subprocess.TimeoutExpired, ValueError) as found:
            error = f"{type(found).__name__}: {found}"
    return Run(
        suite=SUITE.name,
        problem=task.problem,
        policy=task.policy,
        seed=task.seed,
        budget=budget,
        best=problem.best,
        trajectory=tuple(Point.model_validate(p) for p in told.get("trajectory", ())),
        error=error,
        machine=_machine(told),
    )


def _machine(told: dict[str, dict[str, str]]) -> Machine:
    """This machine with the peer's own interpreter and packages."""
    own = this_machine().model_dump() | {"threads": 1}
    own |= {k: told[k] for k in ("python", "versions") if k in told}
    return Machine.model_validate(own)


if __name__ == "__main__":
    sys.exit(main())
