"""Does a campaign stop when it should, and does it know what it leaves?

Three countries over two variables, with a cheap look and a dear test, on samples or at designs.

early
    One wide hill: whatever is measured first shows where the best is.
late
    A broad hill of 0.6 that is found first, and a higher one of 1.0 in a corner.
flat
    Nothing is to be found.

Each is run twice: by a planner that is told what a unit is worth, and stops by itself, and by one
that spends the budget. Stopping is held against the best moment to stop the second in hindsight,
which no rule can know, and what is believed to be left against what is left.

    python -m benchmarks.stopping --seeds 0-9
    python -m benchmarks.stopping --table
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from probewise import Budget, Maximize, Planner, Workflow
from probewise.planner import left_on_the_table
from probewise.workflow import Assessed, Design

from ._lines import append, records

Truth = Callable[[Design], float]
CREDITS = 200.0
NEAR = 0.95
_PRIOR = {"mean": 0.3, "std": 0.4}


def hill(x: float, y: float, width: float, height: float) -> Truth:
    """A flat country of 0.1 with one hill."""

    def value(design: Design) -> float:
        square = (design["x"] - x) ** 2 + (design["y"] - y) ** 2
        return 0.1 + (height - 0.1) * float(np.exp(-0.5 * square / width**2))

    return value


def _late(design: Design) -> float:
    return max(hill(0.7, 0.3, 0.35, 0.6)(design), hill(0.1, 0.95, 0.25, 1.0)(design))


COUNTRIES: dict[str, tuple[Truth, float]] = {
    "early": (hill(0.5, 0.5, 0.5, 0.9), 0.9),
    "late": (_late, 1.0),
    "flat": (hill(0.5, 0.5, 1.0, 0.1), 0.1),
}
"""Truths with their best values."""

WORTH = {"samples": 300.0, "designs": 120.0}


def workflow(form: str) -> Workflow:
    """Looks and tests, on strips of three sites that must be grown and loaded, or anywhere."""
    look: dict[str, Any] = {
        "name": "look", "level": 3, "produces": "rough", "noise": {"rough": 0.05},
        "cost_credits": 1, "latency_h": 0.2,
    }  # fmt: skip
    test: dict[str, Any] = {
        "name": "test", "level": 4, "produces": "height", "noise": {"height": 0.02},
        "cost_credits": 8, "latency_h": 1,
    }  # fmt: skip
    steps = [look, test]
    if form == "samples":
        grow = {
            "name": "grow", "level": 4, "makes": {"sites": 3, "gradient": {"x": 0.2}},
            "cost_credits": 10, "latency_h": 2,
        }  # fmt: skip
        load = {
            "name": "load", "level": 4, "acts_on": "sample", "requires": "grow", "mounts": True,
            "cost_credits": 2, "latency_h": 0.3,
        }  # fmt: skip
        look |= {"acts_on": "site", "requires": "load"}
        test |= {"acts_on": "site", "requires": "grow", "destroys": True}
        steps = [grow, load, look, test]
    return Workflow.model_validate(
        {
            "space": [{"name": n, "low": 0, "high": 1} for n in "xy"],
            "steps": steps,
            "sources": {"height": ["rough"]},
            "priors": {"height": _PRIOR, "rough": _PRIOR},
        }
    )


def play(form: str, truth: Truth, seed: int, worth: float | None) -> tuple[Planner, list[Any]]:
    """To its end; credits spent and true value of the answer after every measurement."""
    goal, flow = Maximize(quantity="height", worth_credits=worth), workflow(form)
    planner = Planner(flow, goal, Budget(credits=CREDITS), seed=seed, capacity=1)
    rng = np.random.default_rng([seed, 3])
    curve: list[Any] = []
    while actions := planner.suggest():
        step = flow.step(actions[0].step)
        told = {
            p.name: truth(actions[0].target.design) + step.noise[p.name] * rng.standard_normal()
            for p in step.produces
        }
        planner.ingest(actions[0], told)
        found = planner.recommend()
        if told and found is not None:
            curve.append((planner.state.spent_credits, truth(found.design)))
    return planner, curve


def run(form: str, name: str, seed: int) -> dict[str, Any]:
    """Both campaigns on one country, as a record."""
    (truth, best), worth = COUNTRIES[name], WORTH[form]
    began = time.process_time()
    planner, curve = play(form, truth, seed, worth)
    _, whole = play(form, truth, seed, None)
    typical = float(np.median([truth({"x": x, "y": y}) for x in _AXIS for y in _AXIS]))
    value, spent = curve[-1][1] if curve else typical, planner.state.spent_credits
    near = [s for s, v in curve if v >= NEAR * best]
    nets = [0.0, *[worth * (v - typical) - s for s, v in whole]]
    return {
        "form": form,
        "country": name,
        "seed": seed,
        "value": value,
        "missed": best - value,
        "spent": spent,
        "found_at": near[0] if near else None,
        "net": worth * (value - typical) - spent,
        "hindsight": max(nets),
        "all_spent": nets[-1],
        "believed": _believed(planner),
        "stopped": planner.state.stopped,
        "processor_s": round(time.process_time() - began, 1),
    }


_AXIS = np.linspace(0, 1, 41)


def _believed(planner: Planner) -> list[float | None] | None:
    """What the planner takes to be left: mean and the ends of the middle 80 %."""
    found, state = planner.recommend(), planner.state
    if found is None:
        return None
    state.apply(Assessed(hour=state.now_h, credits=state.spent_credits, recommendation=found))
    left = left_on_the_table(state)
    return left and [left.expected, left.spread.low, left.spread.high]


def table(seen: Sequence[dict[str, Any]]) -> str:
    """Means over seeds for each form and country, in Markdown."""
    lines = [
        "| problem | seeds | spent | answer there at | value missed | net | best in hindsight | "
        "all spent | left, as believed | left, within the 80 % |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for form, name in dict.fromkeys((r["form"], r["country"]) for r in seen):
        own = [r for r in seen if (r["form"], r["country"]) == (form, name)]
        there = [r["found_at"] for r in own if r["found_at"] is not None]
        told = [r for r in own if r["believed"] is not None]
        inside = sum(r["believed"][1] <= r["missed"] <= r["believed"][2] for r in told)
        cells = [
            f"{name}, {form}",
            str(len(own)),
            _mean([r["spent"] for r in own]),
            f"{np.median(there):.0f} ({len(there)} of {len(own)})" if there else "never",
            _mean([r["missed"] for r in own], 3),
            *(_mean([r[k] for r in own]) for k in ("net", "hindsight", "all_spent")),
            _mean([r["believed"][0] for r in told], 3) if told else "–",
            f"{inside} of {len(told)}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(values: Sequence[float], digits: int = 0) -> str:
    return f"{np.mean(values):.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stopping")
    parser.add_argument("--seeds", default="0-9", help="such as 0-9")
    parser.add_argument("--forms", nargs="+", choices=sorted(WORTH), default=["designs", "samples"])
    parser.add_argument("--out", type=Path, default=Path("runs/bench/stopping.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the table and stop")
    args = parser.parse_args()
    seen = records(args.out)
    done = {(r["form"], r["country"], r["seed"]) for r in seen}
    first, _, last = args.seeds.partition("-")
    for seed in range(int(first), int(last or first) + 1):
        for form in args.forms:
            for name in COUNTRIES:
                if args.table or (form, name, seed) in done:
                    continue
                seen.append(run(form, name, seed))
                append(args.out, seen[-1])
                print(seen[-1], flush=True)
    print(table(seen))


if __name__ == "__main__":
    main()
