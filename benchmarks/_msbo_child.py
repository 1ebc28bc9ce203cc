"""Run by the interpreter of MSBO's own environment: one trial, its trajectory as JSON lines.

On stdout: first the interpreter and its packages, then every point as soon as it is paid for, so
that a trial that is cut short leaves what it had. What MSBO recommends is its best measured sample.
Imports nothing of probewise. Arguments: folder of the repository, algorithm (theirs is ``msbo``,
their own Bayesian optimization of the whole is ``global``), seed, targets of the stages, budget.
Settings are those of their main script.
"""

import contextlib
import importlib
import json
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

COSTS = (0.02, 0.98)


def main() -> None:
    folder, algorithm, seed, points, budget = sys.argv[1:]
    sys.path.insert(0, folder)
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    loop = importlib.import_module("msbo.optimizer.BO")
    laboratory = importlib.import_module("msbo.simulator.laboratory")
    config = importlib.import_module("yaml").full_load(
        Path(folder, "msbo", "config", "standard.yml").read_text(encoding="utf-8")
    )
    stages = [int(n) for n in points.split("_")]
    config |= {"complexity": dict(enumerate(stages)), "seed": int(seed)}
    known = 2 * (sum(config["input_dim"].values()) + 1)
    stdout = sys.stdout
    mark = time.process_time()

    def tell(record: dict[str, Any]) -> None:
        print(json.dumps(record), file=stdout, flush=True)

    class Model(loop.Cascade_GP):
        def fit(self) -> None:  # a decision begins here
            nonlocal mark
            mark = time.process_time()
            if not started:
                value = self.dataset[max(self.dataset)]["y"].max().item()
                started.append(True)
                tell({"cost": 0.0, "value": value, "seconds": 0.0})
            super().fit()

    class Summary(loop.OptimizationSummary):
        def update(self, *args: Any) -> None:  # and ends here, with the best measured value
            counts = optimizer.oracle.samples_per_process()
            cost = sum(c * n for c, n in zip(COSTS, counts, strict=True)) - known
            seconds = time.process_time() - mark
            tell({"cost": round(cost, 9), "value": float(args[4]), "seconds": seconds})

    started: list[bool] = []
    vars(loop).update(Cascade_GP=Model, OptimizationSummary=Summary)
    packages = ("botorch", "gpytorch", "torch", "numpy")
    tell({"python": platform.python_version(), "versions": {p: version(p) for p in packages}})
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as own:
        optimizer = loop.BayesOptimizer(
            oracle=laboratory.Laboratory(config),
            save_path=own,
            name=algorithm,
            global_optimization=algorithm == "global",
        )
        optimizer.run(
            epochs=float(budget) + known,
            n_trials=1,
            initial_data=known,
            save=False,
            verbose=False,
            global_every=1000,
            acq_funcs=["qEI"] if algorithm == "global" else ["qEI", "qUCB"],
            cost_ratios=list(COSTS),
        )


if __name__ == "__main__":
    main()
