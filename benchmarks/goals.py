"""Goals beyond the largest value against their textbook peers.

``python -m benchmarks.goals --seeds 5 --out runs/goals.jsonl`` runs what the file does not hold yet
and appends one JSON record a run; ``--table`` prints the tables of ``docs/goals.md`` from it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from probewise import (
    Budget,
    Discriminate,
    Explore,
    FeasibleRegion,
    Pareto,
    Planner,
    Tune,
    Workflow,
)
from probewise.planner import belief_from
from probewise.planner._hypervolume import hypervolume
from probewise.planner._hypotheses import weigh
from probewise.planner._node import Data
from probewise.workflow import Limit, Prior

from . import _goal_peers as peers
from ._goal_problems import PARETO, REGIONS, RIVALS, SPACES, TRUTHS, Problem, bowl

Array = NDArray[np.float64]
Choose = Callable[[Array, Array, int], Array]


def ours(
    problem: Problem, goal: Any, seed: int, noise: float = 0.0
) -> tuple[Array, Array, Planner]:
    """The planner's designs (n, dim) and what it measured (n, m)."""
    planner = Planner(
        problem.workflow(noise), goal, Budget(credits=1.5 * problem.budget), seed=seed, capacity=1
    )
    xs, ys = [], []
    for _ in range(problem.budget):
        actions = planner.suggest()
        if not actions:
            break
        x = np.array([*actions[0].target.design.values()])
        y = problem.values(x[None])[0]
        planner.ingest(actions[0], dict(zip(problem.quantities, map(float, y), strict=True)))
        xs.append(x)
        ys.append(y)
    return np.array(xs), np.array(ys), planner


def theirs(problem: Problem, choose: Choose, seed: int) -> tuple[Array, Array]:
    """A peer's designs and values: a Sobol start, then what it chooses."""
    x = peers.start(problem.dim, seed)
    y = problem.values(x)
    while len(x) < problem.budget:
        new = choose(x, y, seed)[None]
        x, y = np.concatenate([x, new]), np.concatenate([y, problem.values(new)])
    return x, y


def sobol(problem: Problem, seed: int) -> tuple[Array, Array]:
    x = qmc.Sobol(problem.dim, seed=seed).random(problem.budget)
    return x, problem.values(x)


# -- pareto ----------------------------------------------------------------------------------------


def pareto(problem: Problem, method: str, seed: int) -> dict[str, Any]:
    """log10 of the hypervolume that the measured designs still miss."""
    reference = -np.array(problem.more["reference"])
    aims = dict.fromkeys(problem.quantities, "minimize")
    given = dict(zip(problem.quantities, problem.more["reference"], strict=True))
    if method == "probewise":
        goal = Pareto.model_validate({"aims": aims, "reference": given})
        _, y, _ = ours(problem, goal, seed)
    elif method == "qLogNEHVI":
        _, y = theirs(
            problem, lambda x, y, s: peers.next_for_hypervolume(x, -y, reference, s), seed
        )
    else:
        _, y = sobol(problem, seed)
    missing = [problem.more["best"] - hypervolume(-y[: n + 1], reference) for n in range(len(y))]
    trace = [float(np.log10(max(v, 1e-9))) for v in missing]
    return {"value": trace[-1], "trace": trace}


# -- feasible region -------------------------------------------------------------------------------


def _kept(values: Array, limits: Any) -> NDArray[np.bool_]:
    inside = np.ones(len(values), dtype=bool)
    for column, (low, high) in zip(values.T, limits, strict=True):
        inside &= (column >= (-np.inf if low is None else low)) & (
            column <= (np.inf if high is None else high)
        )
    return inside


def region(problem: Problem, method: str, seed: int) -> dict[str, Any]:
    """Share of the space that is misjudged: by the same model for all, and by the planner's own."""
    limits = problem.more["limits"]
    places = qmc.Sobol(problem.dim, seed=99).random(4096)
    truth = _kept(problem.values(places), limits)
    own = None
    if method == "probewise":
        pairs = zip(problem.quantities, limits, strict=True)
        goal = FeasibleRegion(
            limits=tuple(Limit(quantity=q, above=a, below=b) for q, (a, b) in pairs)
        )
        x, y, planner = ours(problem, goal, seed)
        belief = belief_from(planner.state, problem.quantities)
        mean = np.stack([belief.mean(q, places) for q in problem.quantities], axis=1)
        own = float(np.mean(_kept(mean, limits) != truth))
    elif method == "straddle":
        x, y = theirs(problem, lambda x, y, s: peers.next_for_region(x, y, limits, s), seed)
    else:
        x, y = sobol(problem, seed)
    mean, _ = peers.believed(peers.fitted(x, y), places)
    return {"value": float(np.mean(_kept(mean, limits) != truth)), "own": own}


# -- explore ---------------------------------------------------------------------------------------


def explore(problem: Problem, method: str, seed: int) -> dict[str, Any]:
    """Root-mean-square error over the space, in units of the function's spread: of the same model
    for all, and of the planner's own.
    """
    places = qmc.Sobol(problem.dim, seed=99).random(4096)
    truth = problem.values(places)[:, 0]
    own = None
    if method == "probewise":
        x, y, planner = ours(problem, Explore(quantity="q0"), seed)
        guess = belief_from(planner.state, ("q0",)).mean("q0", places)
        own = float(np.sqrt(np.mean((guess - truth) ** 2)) / truth.std())
    elif method == "qNIPV":
        x, y = theirs(problem, peers.next_for_variance, seed)
    else:
        x, y = sobol(problem, seed)
    mean, _ = peers.believed(peers.fitted(x, y), places)
    return {"value": float(np.sqrt(np.mean((mean[:, 0] - truth) ** 2)) / truth.std()), "own": own}


# -- discriminate ----------------------------------------------------------------------------------

_NOISE, _TESTS = 0.05, 16


def discriminate(truth: str, method: str, seed: int) -> dict[str, Any]:
    """Measurements until the true hypothesis has 95 % and keeps it (one more than the budget where
    it never does), and its probability at the end. Posteriors are the planner's for all.
    """
    step = {"name": "measure", "level": 3, "produces": "y", "noise": {"y": _NOISE}}
    flow = Workflow.model_validate(
        {"space": [{"name": "x", "low": 0, "high": 10}], "steps": [step | {"cost_credits": 1}]}
    )
    goal = Discriminate.model_validate(
        {"quantity": "y", "hypotheses": RIVALS, "none_prior": 0.2, "sure_above": 0.9999}
    )
    planner = Planner(flow, goal, Budget(credits=2 * _TESTS), seed=seed, capacity=1)
    rng = np.random.default_rng([seed, 5])
    noise = np.random.default_rng([seed, 6]).standard_normal(_TESTS) * _NOISE
    places = {"spread": qmc.Sobol(1, seed=seed).random(32)[:, 0], "random": rng.random(32)}
    xs, ys, trace = [], [], []
    while len(trace) < _TESTS:
        number = len(trace)
        if method == "probewise":
            actions = planner.suggest()
            if not actions:
                trace += [trace[-1]] * (_TESTS - number)
                break
            x = actions[0].target.design["x"] / 10.0
        else:
            x = float(places[method][number])
        y = float(TRUTHS[truth](10.0 * x) + noise[number])
        if method == "probewise":
            planner.ingest(actions[0], {"y": y})
        xs.append(x)
        ys.append(y)
        data = Data(np.array(xs)[:, None], np.array(ys), np.full(len(ys), _NOISE**2))
        trace.append(weigh(goal, flow.space, data, {}).probabilities[truth])
    sure = next((n for n in range(_TESTS) if min(trace[n:]) >= 0.95), _TESTS)
    return {"value": float(sure + 1), "end": trace[-1], "trace": trace}


# -- tune ------------------------------------------------------------------------------------------

_HOURS = 40.0


def tune(setting: str, method: str, seed: int) -> dict[str, Any]:
    """Mean true quality over all hours; hours that are not worked count nothing."""
    working = setting == "checks and work"
    noise = 0.05
    rng = np.random.default_rng([seed, 8])
    check = {
        "name": "check", "level": 3, "produces": "q", "noise": {"q": noise},
        "cost_credits": 0.5, "latency_h": 0.25 if working else 0.5,
    }  # fmt: skip
    steps = [check, {"name": "work", "level": 3, "cost_credits": 0, "latency_h": 1}]
    flow = Workflow.model_validate(
        {
            "space": [{"name": f"x{i}", "low": 0, "high": 1} for i in range(2)],
            "steps": steps if working else steps[:1],
            "priors": {"q": Prior(mean=0.3, std=0.6)},
        }
    )
    goal = Tune(quantity="q", memory_h=10, working="work" if working else None, worth_credits=10)
    if method == "TV-GP-UCB":
        return _bandit(noise, seed)
    policy = "planner" if method == "probewise" else method
    budget = Budget(hours=_HOURS, credits_per_hour=1.0)
    planner = Planner(flow, goal, budget, seed=seed, policy=policy, capacity=1)
    total, checks = 0.0, 0
    while actions := planner.suggest():
        action = actions[0]
        quality = bowl(np.array([*action.target.design.values()]), planner.state.now_h)
        hours = flow.step(action.step).latency_h.typical()
        total += quality * hours if action.step == "work" or not working else 0.0
        checks += action.step == "check"
        told = {"q": quality + noise * float(rng.standard_normal())}
        planner.ingest(action, told if action.step == "check" else {})
    return {"value": total / _HOURS, "checks": checks}


def _bandit(noise: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, 8])
    x, hours, y, total = np.zeros((0, 2)), np.zeros(0), np.zeros(0), 0.0
    for n in range(int(_HOURS / 0.5) - 1):
        now = 0.5 * n
        new = peers.next_drifting(x, hours, y, noise, now, seed) if n else rng.random(2)
        quality = bowl(new, now)
        total += 0.5 * quality
        x, hours = np.concatenate([x, new[None]]), np.append(hours, now + 0.5)
        y = np.append(y, quality + noise * rng.standard_normal())
    return {"value": total / _HOURS, "checks": len(y)}


# -- the command -----------------------------------------------------------------------------------


def tasks(goals: list[str], seeds: int) -> Iterator[tuple[dict[str, Any], Callable[[], Any]]]:
    """Keys of all runs, each with what makes its record."""
    settings = ("checks and work", "every check is work")
    tuned = ("probewise", "static", "periodic", "random", "TV-GP-UCB")
    tables: list[tuple[str, Any, Any, tuple[str, ...]]] = [
        ("pareto", pareto, _named_all(PARETO), ("probewise", "qLogNEHVI", "Sobol")),
        ("discriminate", discriminate, {t: t for t in TRUTHS}, ("probewise", "spread", "random")),
        ("feasible_region", region, _named_all(REGIONS), ("probewise", "straddle", "Sobol")),
        ("explore", explore, _named_all(SPACES), ("probewise", "qNIPV", "Sobol")),
        ("tune", tune, {s: s for s in settings}, tuned),
    ]
    for seed in range(seeds):
        for goal, run, problems, methods in tables:
            for (name, problem), method in product(problems.items(), methods):
                if goal not in goals or (method == "TV-GP-UCB" and name == "checks and work"):
                    continue
                key = {"goal": goal, "problem": name, "method": method, "seed": seed}
                yield key, lambda r=run, p=problem, m=method, s=seed: r(p, m, s)


def _named_all(problems: Sequence[Problem]) -> dict[str, Problem]:
    return {p.name: p for p in problems}


def table(records: list[dict[str, Any]]) -> str:
    """Mean ± standard error of the value for each problem and method, in Markdown."""
    lines = []
    for goal in dict.fromkeys(r["goal"] for r in records):
        mine = [r for r in records if r["goal"] == goal]
        methods = list(dict.fromkeys(r["method"] for r in mine))
        lines += ["", f"**{goal}**", "", "| problem | seeds | " + " | ".join(methods) + " |"]
        lines.append("|---|---|" + "---|" * len(methods))
        for problem in dict.fromkeys(r["problem"] for r in mine):
            cells = []
            for method in methods:
                own = [r for r in mine if (r["problem"], r["method"]) == (problem, method)]
                cells.append(_cell(own))
            count = len({r["seed"] for r in mine if r["problem"] == problem})
            lines.append(f"| {problem} | {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(own: list[dict[str, Any]]) -> str:
    if not own:
        return "–"
    values = [r["value"] for r in own]
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    text = f"{np.mean(values):.3g} ± {error:.2g}"
    extra = [r["own"] for r in own if r.get("own") is not None]
    return f"{text} (own model {np.mean(extra):.3g})" if extra else text


def main() -> None:
    every = ["pareto", "discriminate", "feasible_region", "explore", "tune"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/goals.jsonl"))
    parser.add_argument("--goals", nargs="+", choices=every, default=every)
    parser.add_argument("--problems", nargs="+", default=None, help="these alone")
    parser.add_argument("--methods", nargs="+", default=None, help="these alone")
    parser.add_argument("--table", action="store_true", help="print the tables and run nothing")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    old = given.out.read_text().splitlines() if given.out.exists() else []
    records = [json.loads(line) for line in old]
    names = ("goal", "problem", "method", "seed")
    done = {tuple(r[n] for n in names) for r in records}
    for key, run in [] if given.table else tasks(given.goals, given.seeds):
        chosen = all(
            wanted is None or key[name] in wanted
            for name, wanted in (("method", given.methods), ("problem", given.problems))
        )
        if tuple(key[n] for n in names) in done or not chosen:
            continue
        begun = time.perf_counter()
        record = key | run() | {"wall_s": round(time.perf_counter() - begun, 2)}
        with given.out.open("a") as file:
            file.write(json.dumps(record) + "\n")
        records.append(record)
        print(*key.values(), f"{record['value']:.4g}", f"{record['wall_s']} s", flush=True)
    print(table([r for r in records if r["goal"] in given.goals]))


if __name__ == "__main__":
    main()
