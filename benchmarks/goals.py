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

from ._goal_problems import PARETO, REGIONS, SPACES, TRUTHS, Problem
from ._goal_runs import discriminate, explore, pareto, region, tune


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
