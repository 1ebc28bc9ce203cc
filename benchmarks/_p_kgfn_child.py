"""Run by the interpreter of p-KGFN's own environment: one trial, its trajectory as JSON lines.

On stdout: first the interpreter and its packages, then every point as soon as it is paid for, so
that a trial that is cut short leaves what it had. Imports nothing of probewise. Arguments: folder
of the repository, module of the problem, algorithm, trial, costs, budget. The folder is only read;
results go to the working directory.
"""

import contextlib
import importlib
import json
import platform
import sys
import time
from importlib.metadata import version
from typing import Any


def main() -> None:
    folder, module, algorithm, trial, costs, budget = sys.argv[1:]
    sys.path.insert(0, folder)
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    run_module = importlib.import_module("partial_kgfn.run_one_trial")
    runner = importlib.import_module(f"partial_kgfn.experiments.{module}")
    recommend = run_module.optimize_posterior_mean
    stdout = sys.stdout
    mark = time.process_time()
    last: dict[str, float] = {}

    def tell(record: dict[str, Any]) -> None:
        print(json.dumps(record), file=stdout, flush=True)

    def recommended(model: Any, problem: Any, objective: Any) -> Any:
        """Their recommendation, with its true value and the processor time until then."""
        nonlocal mark
        found = recommend(model=model, problem=problem, objective=objective)
        seconds = time.process_time() - mark if last else 0.0
        first = not last
        last.update(value=objective(problem.evaluate(found[0])).item(), seconds=seconds)
        if first:
            tell(last | {"cost": 0.0})
        mark = time.process_time()
        return found

    class Paid(type(run_module.logger)):  # the running total is only in what they log, last of all
        def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
            head, _, total = str(msg).partition("total cost used: ")
            if total and not head:
                tell(last | {"cost": float(total)})

    vars(run_module)["optimize_posterior_mean"] = recommended
    run_module.logger.__class__ = Paid
    packages = ("botorch", "gpytorch", "torch", "numpy")
    tell({"python": platform.python_version(), "versions": {p: version(p) for p in packages}})
    with contextlib.redirect_stdout(sys.stderr):
        runner.main(
            trial=int(trial),
            algo=algorithm,
            costs=costs,
            budget=int(budget),
            impose_assump=algorithm == "pKGFN",
        )


if __name__ == "__main__":
    main()
