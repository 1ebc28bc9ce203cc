"""p-KGFN and fast p-KGFN from their own repository: ``python -m benchmarks.peers``.

Each run is a process of its own, under the interpreter of an environment that suits them (BoTorch
0.8.4, GPyTorch 1.10, NumPy below 2): for their seconds a decision on this machine, and as a check
of the published curves on a few seeds. Nothing of theirs is imported here.

    python -m benchmarks.peers --p-kgfn-path partial_kgfn --python env/bin/python --seeds 0-1

A decision of p-KGFN takes minutes on one core: with ``--timeout-s`` a run is cut there, and is a
line with the points that it had until then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    made.add_argument("--timeout-s", type=float, default=3600.0, help="wall time of one run")
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
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "partial_kgfn").symlink_to(path.resolve() / "partial_kgfn")
        lines, stopped, error = _told(command, folder, timeout_s)
    about = next((told for told in lines if "versions" in told), {})
    points = [Point.model_validate(told) for told in lines if "cost" in told]
    if stopped and len(points) < 2:
        error = f"no decision in {timeout_s:g} s"
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


def _told(
    command: Sequence[str], folder: str, timeout_s: float
) -> tuple[list[dict[str, Any]], str, str]:
    """What a command printed as JSON lines, why it was cut short, and what it died of."""
    stopped = error = ""
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        output = ended.stdout
        if ended.returncode:
            said = ended.stderr.decode(errors="replace")[-2000:].strip()
            error = said or f"exit status {ended.returncode}"
    except subprocess.TimeoutExpired as late:
        output, stopped = late.stdout or b"", f"cut after {timeout_s:g} s"
    except OSError as found:
        return [], "", f"{type(found).__name__}: {found}"
    whole = output[: output.rfind(b"\n") + 1].splitlines()
    return [json.loads(text) for text in whole], stopped, error


def _machine(told: dict[str, Any]) -> Machine:
    """This machine with the peer's own interpreter and packages."""
    own = this_machine().model_dump() | {"threads": 1}
    own |= {k: told[k] for k in ("python", "versions") if k in told}
    return Machine.model_validate(own)


if __name__ == "__main__":
    sys.exit(main())
