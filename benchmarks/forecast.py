"""Are forecasts calibrated? Small campaigns on truths that the planner does not know exactly.

Every seed draws a truth of one of two kinds.

waves
    A smooth random landscape (squared-exponential, length scales and height drawn anew), bent
    upwards: about as rough as the planner takes it for, but of another kernel and not Gaussian.
bumps
    Two to four bumps of random place, height and width: no Gaussian process at all, and easier to
    search than the planner takes it for.

Either way the cheap look shows the truth bent and with a smooth error, the medians of cost and time
differ from what is declared, and some actions fail, which nobody declared. The planner is told the
population's mean and spread, as somebody would be who has seen such materials before, and nothing
else. Each campaign is forecast before it starts and again when half of its credits are spent.

    python -m benchmarks.forecast --truth waves --seeds 0-39 --worlds 10
    python -m benchmarks.forecast --truth waves --table

A seed that is in the file already is skipped.
"""

from __future__ import annotations

import argparse
import json
import time
from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from probewise.agents import Health
from probewise.campaign import CampaignSpec
from probewise.campaign._loop import Loop
from probewise.planner import (
    TARGET,
    Forecast,
    PlannerSettings,
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
    WorkerSpec,
    Workflow,
)

Matrix = NDArray[np.float64]
CREDITS = 60.0
HOURS = 60.0
GOAL = Maximize(quantity="strength", worth_credits=600)
_FAILURE_RATE = 0.04


class Ground(ABC):
    """A truth: a landscape on the unit square, a bent proxy of it, and true prices."""

    kind: ClassVar[str]
    bends: ClassVar[tuple[float, float]]

    def __init__(self, seed: int) -> None:
        self.seed = seed
        rng = np.random.default_rng([seed, 4711])
        self._shape(rng)
        self._bend = rng.uniform(*self.bends)
        self._waves = rng.standard_normal((3, 2)) * 4.0
        self._phases = rng.uniform(0, 2 * np.pi, 3)
        self._error = rng.uniform(0.02, 0.12)
        self.price = {s.name: np.exp(0.15 * rng.standard_normal(2)) for s in bare().steps}

    @abstractmethod
    def _shape(self, rng: np.random.Generator) -> None:
        """Draw the landscape."""

    @abstractmethod
    def strength(self, x: Matrix) -> Matrix:
        """The goal (n,) at unit designs (n, 2)."""

    def proxy(self, x: Matrix) -> Matrix:
        """The cheap look (n,): the truth bent, with a smooth error."""
        error = np.sum(np.sin(x @ self._waves.T + self._phases), 1)
        truth = self.strength(x)
        return np.sign(truth) * np.abs(truth) ** self._bend + self._error * error

    def best(self) -> tuple[float, float]:
        """Largest value and median over the square."""
        axis = np.linspace(0, 1, 201)
        values = self.strength(np.stack([g.ravel() for g in np.meshgrid(axis, axis)], 1))
        return float(values.max()), float(np.median(values))


@final
class Bumps(Ground):
    """Two to four bumps."""

    kind = "bumps"
    bends = (0.5, 1.5)

    def _shape(self, rng: np.random.Generator) -> None:
        n = int(rng.integers(2, 5))
        self._centres = rng.random((n, 2))
        self._heights = rng.uniform(0.3, 1.0, n)
        self._widths = rng.uniform(0.12, 0.4, n)

    def strength(self, x: Matrix) -> Matrix:
        square = np.sum((x[:, None, :] - self._centres) ** 2, -1)
        return np.sum(self._heights * np.exp(-0.5 * square / self._widths**2), 1)


@final
class Waves(Ground):
    """A draw of a squared-exponential process by random features, bent upwards."""

    kind = "waves"
    bends = (0.7, 1.4)
    _COUNT = 256

    def _shape(self, rng: np.random.Generator) -> None:
        rng = np.random.default_rng([self.seed, 4713])
        lengths = 0.3 * np.exp(0.3 * rng.standard_normal(2))
        self._omega = rng.standard_normal((self._COUNT, 2)) / lengths
        self._phase = rng.uniform(0, 2 * np.pi, self._COUNT)
        height = 0.4 * np.exp(0.2 * rng.standard_normal())
        self._weights = rng.standard_normal(self._COUNT) * height * np.sqrt(2 / self._COUNT)

    def strength(self, x: Matrix) -> Matrix:
        raw = np.cos(x @ self._omega.T + self._phase) @ self._weights
        return 0.5 + raw + 0.2 * raw**2


GROUNDS: dict[str, type[Ground]] = {g.kind: g for g in (Bumps, Waves)}  # type: ignore[type-abstract]


@cache
def population(kind: str) -> dict[str, dict[str, float]]:
    """Mean and spread of strength and proxy over designs and truths of a kind."""
    x = np.random.default_rng(0).random((64, 2))
    found: dict[str, list[Matrix]] = {"strength": [], "proxy": []}
    for seed in range(10_000, 10_300):
        truth = GROUNDS[kind](seed)
        found["strength"].append(truth.strength(x))
        found["proxy"].append(truth.proxy(x))
    return {q: {"mean": float(np.mean(v)), "std": float(np.std(v))} for q, v in found.items()}


@cache
def bare() -> Workflow:
    """The workflow without priors."""
    return workflow({})


def workflow(priors: dict[str, dict[str, float]]) -> Workflow:
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
            "priors": priors,
        }
    )


@final
class Hall:
    """All workers of a campaign, on a truth; a runtime without processes."""

    def __init__(self, truth: Ground) -> None:
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

    def health(self) -> dict[str, Health]:
        return {}


def _nothing(action: Action) -> ArrayRef:
    return ArrayRef(file=action.id, dataset="", sha256="", shape=())


def specification(kind: str, seed: int, credits: float = CREDITS) -> CampaignSpec:
    """The campaign; its workers are played by :class:`Hall`."""
    return CampaignSpec(
        name="forecast",
        seed=seed,
        goal=GOAL,
        budget=Budget(credits=credits, hours=HOURS, credits_per_hour=0.3),
        workflow=workflow(population(kind)),
        workers={name: WorkerSpec(type="played") for name in ("oven", "eye", "rig")},
    )


def start(kind: str, seed: int, credits: float = CREDITS) -> State:
    """The state before the first event."""
    offers = {"grow": ("oven",), "load": ("eye",), "look": ("eye",), "test": ("rig",)}
    return specification(kind, seed, credits).initial_state(offers)


def foresee(state: State, worlds: int) -> Forecast:
    """The planner's forecast from a state."""
    return forecasts(map(rehearse, tasks_for(state, contenders(GOAL, ["planner"]), worlds)))[0]


def campaign(truth: Ground, state: State, settings: PlannerSettings | None = None) -> Loop:
    """The planner's campaign on a truth, from a state that it changes."""
    return Loop(
        state,
        make_policy("planner", state.workflow, GOAL, settings),
        Hall(truth),  # type: ignore[arg-type]
        VirtualClock(),
        lambda *events: None,
        specification(truth.kind, truth.seed),
    )


def run(kind: str, seed: int, worlds: int) -> dict[str, Any]:
    """One campaign with its two forecasts, as a record."""
    truth, state = GROUNDS[kind](seed), start(kind, seed)
    began = time.process_time()
    before = foresee(state, worlds)
    middle = None
    best, median = truth.best()
    curve: list[tuple[float, float, float]] = []
    for event in campaign(truth, state).events():
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
        "truth": kind,
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
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forecast",
    )
    parser.add_argument("--seeds", default="0-39", help="such as 0-39")
    parser.add_argument("--truth", choices=sorted(GROUNDS), default="waves")
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="[runs/bench/forecast-TRUTH.jsonl]")
    parser.add_argument("--table", action="store_true", help="print the coverage and stop")
    args = parser.parse_args()
    out: Path = args.out or Path(f"runs/bench/forecast-{args.truth}.jsonl")
    lines = out.read_text().splitlines() if out.exists() else []
    records = [json.loads(line) for line in lines]
    if args.table:
        print(table(records))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    first, _, last = args.seeds.partition("-")
    done = {r["seed"] for r in records}
    for seed in range(int(first), int(last or first) + 1):
        if seed in done:
            continue
        record = run(args.truth, seed, args.worlds)
        with out.open("a") as file:
            file.write(json.dumps(record) + "\n")
        actual = record["actual"]
        print(f"seed {seed}: gain {actual['gain']:.3f} for {actual['credits']:.0f} credits, "
              f"{record['processor_s']:.0f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
