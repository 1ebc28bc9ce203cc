"""Are forecasts calibrated? Small campaigns on truths that the planner does not know the kind of.

Every seed draws a truth: a landscape of a few bumps of random place, height and width, which is no
Gaussian process; a proxy that bends it and adds a smooth error; medians of cost and time that
differ from what is declared; and failures that nobody declared. The planner is told the
population's mean and spread, as somebody would be who has seen such materials before, and nothing
else. Each campaign is forecast before it starts and again when half of its credits are spent.

    python -m benchmarks.forecast --seeds 0-39 --worlds 20 --out runs/bench/forecast.jsonl

A seed that is in the file already is skipped. ``--table`` prints the coverage of what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import cache
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from probewise.campaign._loop import Loop
from probewise.planner import (
    TARGET,
    Forecast,
    Spread,
    contenders,
    forecasts,
    make_policy,
    rehearse,
    tasks_for,
)
from probewise.planner._rehearsal import branched
from probewise.workflow import (
    Action,
    ArrayRef,
    Assessed,
    Budget,
    Commitment,
    Estimate,
    Failure,
    Issued,
    Maximize,
    Observation,
    State,
    Step,
    Verdict,
    VirtualClock,
    Workflow,
)

CREDITS = 80.0
HOURS = 60.0
GOAL = Maximize(quantity="strength", worth_credits=600)
_FAILURE_RATE = 0.04


@final
class Bumps:
    """A truth: bumps on the unit square, a bent proxy of it, and true prices."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 4711])
        self.seed = seed
        n = int(rng.integers(2, 5))
        self._centres = rng.random((n, 2))
        self._heights = rng.uniform(0.3, 1.0, n)
        self._widths = rng.uniform(0.12, 0.4, n)
        self._bend = rng.uniform(0.5, 1.5)
        self._waves = rng.standard_normal((3, 2)) * 4.0
        self._phases = rng.uniform(0, 2 * np.pi, 3)
        self._error = rng.uniform(0.02, 0.12)
        self.price = {s.name: np.exp(0.15 * rng.standard_normal(2)) for s in workflow().steps}

    def strength(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The goal (n,) at unit designs (n, 2)."""
        square = np.sum((x[:, None, :] - self._centres) ** 2, -1)
        return np.sum(self._heights * np.exp(-0.5 * square / self._widths**2), 1)

    def proxy(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The cheap look (n,): the truth bent, with a smooth error."""
        error = np.sum(np.sin(x @ self._waves.T + self._phases), 1)
        return self.strength(x) ** self._bend + self._error * error

    def best(self) -> tuple[float, float]:
        """Largest value and median over the square."""
        axis = np.linspace(0, 1, 201)
        values = self.strength(np.stack([g.ravel() for g in np.meshgrid(axis, axis)], 1))
        return float(values.max()), float(np.median(values))


@cache
def population() -> dict[str, dict[str, float]]:
    """Mean and spread of strength and proxy over designs and truths."""
    x = np.random.default_rng(0).random((64, 2))
    found: dict[str, list[NDArray[np.float64]]] = {"strength": [], "proxy": []}
    for seed in range(10_000, 10_300):
        truth = Bumps(seed)
        found["strength"].append(truth.strength(x))
        found["proxy"].append(truth.proxy(x))
    return {q: {"mean": float(np.mean(v)), "std": float(np.std(v))} for q, v in found.items()}


@cache
def workflow(priors: bool = False) -> Workflow:
    """Strips of five sites with a gradient, looked at and tested to pieces."""
    variables = [{"name": "mix", "low": 0, "high": 1}, {"name": "heat", "low": 0, "high": 1}]
    steps: list[dict[str, Any]] = [
        {
            "name": "grow", "level": 4, "makes": {"sites": 5, "gradient": {"mix": 0.3}},
            "cost_credits": 10, "latency_h": 3,
        },
        {
            "name": "load", "level": 4, "acts_on": "sample", "requires": "grow", "mounts": True,
            "cost_credits": 2, "latency_h": 0.3,
        },
        {
            "name": "look", "level": 3, "acts_on": "site", "requires": "load",
            "produces": "proxy", "noise": {"proxy": 0.05}, "cost_credits": 1, "latency_h": 0.2,
        },
        {
            "name": "test", "level": 4, "acts_on": "site", "requires": "grow", "destroys": True,
            "produces": "strength", "noise": {"strength": 0.02}, "cost_credits": 8,
            "latency_h": 1,
        },
    ]  # fmt: skip
    return Workflow.model_validate(
        {
            "space": variables,
            "steps": steps,
            "sources": {"strength": ["proxy"]},
            "priors": population() if priors else {},
        }
    )


@final
class Hall:
    """All workers of a campaign, on a truth; a runtime without processes."""

    def __init__(self, truth: Bumps) -> None:
        self._truth = truth
        self._done: list[Observation] = []

    def review(self, action: Action, step: Step, commitment: Commitment) -> Verdict:
        return Verdict(allowed=True, reason="nothing is forbidden")

    def submit(self, issued: Issued, step: Step) -> None:
        action = issued.action
        rng = np.random.default_rng([self._truth.seed, action.seed])
        factor = self._truth.price[step.name] * np.exp(0.1 * rng.standard_normal(2))
        cost = min(step.cost_credits.median * factor[0], issued.commitment.credits)
        hours = min(step.latency_h.median * factor[1], issued.commitment.hours)
        failed = rng.random() < _FAILURE_RATE
        x = np.array([list(action.target.design.values())])
        values = {
            p.name: Estimate(
                value=float(getattr(self._truth, p.name)(x)[0])
                + step.noise[p.name] * float(rng.standard_normal()),
                std=step.noise[p.name],
            )
            for p in step.produces
        }
        seen = Observation(
            action_id=action.id,
            worker=issued.worker,
            values={} if failed else values,
            arrays={p.name: _nothing(action) for p in step.records},
            cost_credits=cost,
            queued_h=issued.hour,
            start_h=issued.hour,
            end_h=issued.hour + hours,
            failure=Failure(kind="instrument", message="it slipped") if failed else None,
        )
        self._done.append(seen)

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        done, self._done = self._done, []
        return done


def _nothing(action: Action) -> ArrayRef:
    return ArrayRef(file=action.id, dataset="", sha256="", shape=())


def start(seed: int) -> State:
    """The state before the first event."""
    flow = workflow(priors=True)
    return State(
        flow,
        GOAL,
        Budget(credits=CREDITS, hours=HOURS, credits_per_hour=0.3),
        seed=seed,
        capacity={"oven": 1, "eye": 1, "rig": 1},
        offers={"grow": ("oven",), "load": ("eye",), "look": ("eye",), "test": ("rig",)},
    )


def foresee(state: State, worlds: int) -> Forecast:
    """The planner's forecast from a state."""
    return forecasts(map(rehearse, tasks_for(state, contenders(GOAL, ["planner"]), worlds)))[0]


def run(seed: int, worlds: int) -> dict[str, Any]:
    """One campaign with its two forecasts, as a record."""
    truth, state = Bumps(seed), start(seed)
    began = time.process_time()
    before = foresee(state, worlds)
    middle = None
    best, median = truth.best()
    curve: list[tuple[float, float, float]] = []
    loop = Loop(
        state,
        make_policy("planner", state.workflow, GOAL),
        Hall(truth),  # type: ignore[arg-type]
        VirtualClock(),
        lambda *events: None,
    )
    for event in loop.events():
        if isinstance(event, Assessed):
            x = state.workflow.space.encode([event.recommendation.design])
            gain = (float(truth.strength(x)[0]) - median) / (best - median)
            curve.append((event.credits, event.hour, gain))
        if middle is None and state.spent_credits >= CREDITS / 2 and event.kind == "assessed":
            middle = foresee(branched(state), worlds)
    found = state.recommendation
    assert found is not None
    value = float(truth.strength(state.workflow.space.encode([found.design]))[0])
    kept = None
    for moment in reversed(curve):
        if moment[2] < TARGET:
            break
        kept = moment
    return {
        "seed": seed,
        "worlds": worlds,
        "actual": {
            "value": value,
            "gain": (value - median) / (best - median),
            "credits": state.spent_credits,
            "hours": state.now_h,
            "credits_to_target": kept and kept[0],
            "hours_to_target": kept and kept[1],
            "stopped": state.stopped,
        },
        "before": before.model_dump(),
        "middle": middle and middle.model_dump(),
        "processor_s": time.process_time() - began,
    }


WHAT = ("value", "gain", "credits", "hours", "credits_to_target", "hours_to_target")


def table(records: list[dict[str, Any]]) -> str:
    """Share of campaigns whose outcome lay in the forecast's 80 % interval, as Markdown."""
    lines = ["| Outcome | Before the start | At half of the credits |", "|---|---|---|"]
    for what in WHAT:
        cells = []
        for when in ("before", "middle"):
            own = [r for r in records if r[when] is not None]
            hits = [Spread.model_validate(r[when][what]).contains(r["actual"][what]) for r in own]
            cells.append(f"{sum(hits)} of {len(hits)}")
        lines.append(f"| {what} | {cells[0]} | {cells[1]} |")
    reached = [r["actual"]["credits_to_target"] is not None for r in records]
    said = [r["before"]["chance"] for r in records]
    lines.append(f"\nReached the target: {np.mean(reached):.0%}; forecast: {np.mean(said):.0%}.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    parser.add_argument("--seeds", default="0-39", help="such as 0-39")
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/forecast.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the coverage and stop")
    args = parser.parse_args()
    lines = args.out.read_text().splitlines() if args.out.exists() else []
    records = [json.loads(line) for line in lines]
    if args.table:
        print(table(records))
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    first, _, last = args.seeds.partition("-")
    done = {r["seed"] for r in records}
    for seed in range(int(first), int(last or first) + 1):
        if seed in done:
            continue
        record = run(seed, args.worlds)
        with args.out.open("a") as file:
            file.write(json.dumps(record) + "\n")
        actual = record["actual"]
        print(f"seed {seed}: gain {actual['gain']:.3f} for {actual['credits']:.0f} credits, "
              f"{record['processor_s']:.0f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
