"""Tiers against one flat choice among all actions, on samples that have sites.

The problem is that of :mod:`benchmarks.forecast` on bumps: strips of five sites are grown, loaded,
looked at site by site and tested to pieces; 80 credits. The tiered planner lets a session choose
among its own sites, holds it to a reservation rate, and looks at new samples only in between. The
flat policy values every action there is at every decision: every new strip and every strip that
exists, for every number of its sites, every single site of the mounted one, every test; it holds
sessions to no rate, and unmounts a strip as soon as something that needs the instrument has a
better one. Both ask the same worlds, and do one thing at a time.

    python -m benchmarks.tiers --seeds 0-11
    python -m benchmarks.tiers --table
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np

from probewise.campaign._loop import Loop
from probewise.planner import HierarchicalPlanner, View
from probewise.planner._build import build_action
from probewise.planner._options import Option, plan_price, session_quantities
from probewise.planner._sample_options import site_options
from probewise.planner._view import site_target
from probewise.workflow import (
    Action,
    Assessed,
    Decision,
    Goal,
    Grant,
    Inventory,
    Maximize,
    Recommendation,
    State,
    Target,
    VirtualClock,
    Workflow,
)

from .forecast import Bumps, Hall, specification, start

_GOAL = Maximize(quantity="strength")
_SITES = 5
_CREDITS = 80.0


@final
class Flat:
    """Values all actions at every decision and takes the best rate; no sessions of its own."""

    name = "flat"

    def __init__(self, workflow: Workflow, goal: Goal) -> None:
        self._views = HierarchicalPlanner(workflow, goal)
        self._goal = goal

    def recommend(self, state: State) -> Recommendation:
        return self._views.recommend(state)

    def decide(self, state: State) -> Decision:
        view = self._views.view(state)
        options = sorted(self.options(view), key=lambda o: -o.index)
        for option in options:
            decision = self._try(state, option)
            if option.value > 0 and decision is not None:
                return decision
        return Decision(number=state.decisions, kind="stop", reason="nothing pays")

    def _try(self, state: State, option: Option) -> Decision | None:
        """The decision that takes an option, or first frees the instrument for it."""
        held = next(iter(state.open_sessions().items()), None)
        inside = held is not None and held[1].grant.sample == option.sample
        looks = option.step.name in state.workflow.session_steps
        session = held[0] if held and inside and looks else None
        action = build_action(state, option.step, option.target, session=session)
        commitment = state.commitment(action)
        if commitment.credits > state.free_credits or option.price.credits > state.free_credits:
            return None
        if held is not None and looks != inside:
            return Decision(
                number=state.decisions,
                kind="close",
                tier="session",
                session=held[0],
                reason=f"{option.label} is worth more",
            )
        grant = None
        if option.step.mounts:
            session = f"session-{len(state.sessions) + 1:03d}"
            every = state.workflow.producer("proxy").cost_credits.cap()
            most = commitment.credits + _SITES * every
            grant = Grant(
                session=session,
                sample=option.sample or "",
                credits=min(most, state.free_credits),
                hours=1e6,
                reservation_rate=0.0,
            )
            action = action.model_copy(update={"session": session})
        return self._act(state, option, action, grant, session)

    def _act(
        self,
        state: State,
        option: Option,
        action: Action,
        grant: Grant | None,
        session: str | None,
    ) -> Decision:
        return Decision(
            number=state.decisions,
            kind="act",
            actions=(action,),
            grant=grant,
            session=session,
            value=option.value,
            price_credits=option.cost,
            index=option.index,
            reason=option.label,
        )

    def options(self, view: View) -> list[Option]:
        """Every action, with every number of sites that it could be for."""
        found = [*self._new(view), *self._tests(view)]
        held = {s.grant.sample for s in view.state.open_sessions().values()}
        for sample in view.state.inventory.samples.values():
            sites = [(sample.id, i) for i in range(len(sample.sites))]
            if sample.id in held:
                found += site_options(view, session_quantities(view), sites)
            else:
                found += self._mounts(view, sites)
        return found

    def _tests(self, view: View) -> list[Option]:
        return site_options(view, [view.worlds.goal], list(view.sites))

    def _mounts(self, view: View, sites: list[tuple[str, int]]) -> list[Option]:
        """Mount a strip and look at its best 1, 2, ... sites."""
        state, (quantity,) = view.state, session_quantities(view)
        mount = state.workflow.mount
        assert mount is not None
        usable = [s for s in sites if state.inventory.alive(site_target(view, s))]
        rows = np.array([view.sites[s] for s in usable], dtype=np.int64)
        if not len(rows):
            return []
        gains = view.objective.single(quantity, rows, view.noise(quantity))
        order = np.argsort(-gains, kind="stable")
        step = state.workflow.producer(quantity)
        options = []
        for size in range(1, len(usable) + 1):
            chosen = [usable[i] for i in order[:size]]
            probes = tuple(view.probe(quantity, view.sites[s]) for s in chosen)
            price = plan_price(view, step, [site_target(view, s) for s in chosen])
            value = view.objective.joint(probes)
            cost = price.at(state.budget.credits_per_hour)
            target = Target(sample=sites[0][0])
            label = f"{size} sites of {sites[0][0]}"
            options.append(
                Option(label, "session", mount, target, value, price, cost, probes, sites[0][0])
            )
        return options

    def _new(self, view: View) -> list[Option]:
        """Grow a strip, look at 0, 1, ... of its sites and test 0 or 1 of them."""
        state = view.state
        maker = next(s for s in state.workflow.steps if s.makes is not None)
        quantity, goal = session_quantities(view)[-1], view.worlds.goal
        look, test = state.workflow.producer(quantity), state.workflow.producer(goal)
        empty = replace(view, state=replace(state, inventory=Inventory()))
        options = []
        for candidate in view.libraries:
            targets = [
                Target(design=view.designs[r], sample="?new", site=i)
                for i, r in enumerate(candidate.rows)
            ]
            gains = view.objective.single(quantity, candidate.rows, view.noise(quantity))
            order = np.argsort(-gains, kind="stable")
            ends = view.objective.single(goal, candidate.rows, view.noise(goal))
            end = view.probe(goal, int(candidate.rows[int(np.argmax(ends))]))
            for size in range(len(order) + 1):
                probes = tuple(view.probe(quantity, int(candidate.rows[i])) for i in order[:size])
                price = plan_price(empty, look, [targets[i] for i in order[:size]])
                if not size:
                    price = view.prices.of(maker)
                for more in ((), (end,)):
                    if not probes and not more:
                        continue
                    whole = price + view.prices.of(test) if more else price
                    value = view.objective.joint((*probes, *more))
                    cost = whole.at(state.budget.credits_per_hour)
                    target = Target(design=candidate.design)
                    label = f"a strip with {size} looks and {len(more)} tests"
                    options.append(
                        Option(label, "library", maker, target, value, whole, cost, probes)
                    )
        return options


@final
class Timed:
    """A policy with a clock: processor seconds of every decision.

    One action at a time, so that neither policy decides on half of the news.
    """

    def __init__(self, policy: Flat | HierarchicalPlanner) -> None:
        self.name, self._policy = policy.name, policy
        self.seconds: list[float] = []

    def decide(self, state: State) -> Decision:
        if state.running:
            return Decision(number=state.decisions, kind="wait", reason="something runs")
        began = time.process_time()
        decision = self._policy.decide(state)
        self.seconds.append(time.process_time() - began)
        return decision

    def recommend(self, state: State) -> Recommendation:
        return self._policy.recommend(state)


def run(seed: int, name: str) -> dict[str, Any]:
    """One campaign, as a record."""
    truth, state = Bumps(seed), start(Bumps.kind, seed, _CREDITS)
    state.goal = _GOAL
    made = HierarchicalPlanner(state.workflow, _GOAL)
    policy = Timed(made if name == "tiered" else Flat(state.workflow, _GOAL))
    best, median = truth.best()
    curve: list[tuple[float, float]] = []
    loop = Loop(
        state,
        policy,
        Hall(truth),  # type: ignore[arg-type]
        VirtualClock(),
        lambda *events: None,
        specification(Bumps.kind, seed, _CREDITS),
    )
    for event in loop.events():
        if isinstance(event, Assessed):
            x = state.workflow.space.encode([event.recommendation.design])
            curve.append((event.credits, (float(truth.strength(x)[0]) - median) / (best - median)))
    return {
        "seed": seed,
        "policy": name,
        "gain": curve[-1][1],
        "mean_gain": mean_gain(curve),
        "credits": state.spent_credits,
        "hours": state.now_h,
        "decisions": len(policy.seconds),
        "seconds": float(np.sum(policy.seconds)),
        "median_s": float(np.median(policy.seconds)),
        "stopped": state.stopped,
    }


def mean_gain(curve: list[tuple[float, float]]) -> float:
    """Gain of the answer, averaged over the budget's credits; 0 before the first answer."""
    at = [0.0, *[c for c, _ in curve], _CREDITS]
    values = [0.0, *[g for _, g in curve]]
    return float(np.sum(np.diff(at) * values) / _CREDITS)


def table(records: list[dict[str, Any]]) -> str:
    """Means with standard errors, as Markdown."""
    lines = [
        "| Policy | Seeds | Gain at the end | Gain, mean over the budget | Median s a decision "
        "| s a campaign |",
        "|---|---|---|---|---|---|",
    ]
    for name in ("tiered", "flat"):
        own = [r for r in records if r["policy"] == name]
        cells = [name, str(len(own))]
        for what in ("gain", "mean_gain"):
            values = np.array([r[what] for r in own])
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            cells.append(f"{values.mean():.3f} ± {error:.3f}")
        cells.append(f"{np.median([r['median_s'] for r in own]):.3f}")
        cells.append(f"{np.mean([r['seconds'] for r in own]):.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    both = {p: {r["seed"]: r for r in records if r["policy"] == p} for p in ("tiered", "flat")}
    seeds = sorted(set(both["tiered"]) & set(both["flat"]))
    for what in ("gain", "mean_gain"):
        apart = np.array([both["tiered"][s][what] - both["flat"][s][what] for s in seeds])
        error = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else 0.0
        lines.append(f"\nTiered minus flat, {what}: {apart.mean():+.3f} ± {error:.3f}.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tiers")
    parser.add_argument("--seeds", default="0-11", help="such as 0-11")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/tiers.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the table and stop")
    args = parser.parse_args()
    lines = args.out.read_text().splitlines() if args.out.exists() else []
    records = [json.loads(line) for line in lines]
    if args.table:
        print(table(records))
        return
    args.out.parent.mkdir(parents=True, exist_ok=True)
    first, _, last = args.seeds.partition("-")
    done = {(r["seed"], r["policy"]) for r in records}
    for seed in range(int(first), int(last or first) + 1):
        for name in ("tiered", "flat"):
            if (seed, name) in done:
                continue
            record = run(seed, name)
            with args.out.open("a") as file:
                file.write(json.dumps(record) + "\n")
            said = f"gain {record['gain']:.3f} in {record['decisions']} decisions"
            print(f"{name}, seed {seed}: {said}, {record['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
