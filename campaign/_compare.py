"""Policies compared on truth: same campaign, same seeds, same twins and budgets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from ..agents import map_tasks
from ..planner import TARGET
from ..workflow import Assessed, Event, Record, Score, SpecError, Truth
from ._campaign import Campaign, truth_of
from ._spec import CampaignSpec, policies_of, spec_from_dict


class Comparison(Record):
    """What one policy did with one seed.

    ``reached`` says whether the recommendation at the end has at least :data:`TARGET` of the gain
    from a typical design to the best; ``cost_to_95`` and ``hours_to_95`` are spent credits and
    hours from which on the recommendation kept that to the end (None if it never did).
    """

    policy: str
    seed: int
    reached: bool
    cost_to_95: float | None
    hours_to_95: float | None
    cost_credits: float
    elapsed_h: float
    regret: float
    gain: float
    stop_reason: str
    wall_s: float


def compare(
    spec: CampaignSpec, policies: Sequence[str], seeds: Sequence[int], parallel: int = 2
) -> Iterator[Comparison]:
    """Run every policy with every seed as Ray tasks, yielding records as they come.

    Raises
    ------
    SpecError
        If the campaign has no truth, or a policy cannot pursue its goal.
    """
    if spec.truth is None:
        raise SpecError(
            f"campaign {spec.name!r}",
            "no truth to compare on",
            "a campaign of twins or of a recording with 'truth'",
            "add a registered truth to the campaign",
        )
    for policy in policies:
        if policy not in policies_of(spec):
            raise SpecError(
                "policies", repr(policy), f"of {list(policies_of(spec))}", "correct the name"
            )
    tasks = [_task(spec, policy, seed) for seed in seeds for policy in policies]
    for _, record in map_tasks(run_one, tasks, parallel):
        yield Comparison.model_validate(record)


def _task(spec: CampaignSpec, policy: str, seed: int) -> str:
    """The specification as JSON, with another policy and seed, and without what may end it early.

    A policy that stops early by its own judgement could not be told from one that never gets there.
    """
    raw = spec.model_dump(mode="json") | {"policy": policy, "seed": seed}
    raw["goal"]["worth_credits"] = None
    for worker in raw["workers"].values():
        if worker["config"].get("world_seed") == spec.seed:
            worker["config"]["world_seed"] = seed
    return json.dumps(raw)


def run_one(task: str) -> dict[str, Any]:
    """Run one campaign in memory and score it; a task for a process of its own."""
    spec = spec_from_dict(json.loads(task), "comparison")
    campaign = Campaign(spec)
    result = campaign.run()
    truth = truth_of(spec)
    if truth is None:
        raise SpecError(f"campaign {spec.name!r}", "no truth", "a truth", "add one")
    score = campaign.score()
    cost, hours = first_kept(campaign.seen, truth)
    return Comparison(
        policy=spec.policy,
        seed=spec.seed,
        reached=cost is not None,
        cost_to_95=cost,
        hours_to_95=hours,
        cost_credits=result.state.spent_credits,
        elapsed_h=result.state.now_h,
        regret=score.regret if score else 1e12,
        gain=score.gain if score else 0.0,
        stop_reason=result.state.stopped or "",
        wall_s=float(result.summary["wall_s"]),
    ).model_dump()


def first_kept(events: Iterable[Event], truth: Truth) -> tuple[float | None, float | None]:
    """Credits and hours from which on the recommendation kept the target to the end."""
    cost: float | None = None
    hours: float | None = None
    for event in events:
        if not isinstance(event, Assessed):
            continue
        if is_reached(truth.score(event.recommendation)):
            if cost is None:
                cost, hours = event.credits, event.hour
        else:
            cost = hours = None
    return cost, hours


def is_reached(score: Score) -> bool:
    """At least the target's share of the gain, counted from both sides of the best."""
    span = abs(score.best - score.baseline)
    return score.regret <= (1.0 - TARGET) * span


def write_records(records: Iterable[Comparison], path: str | Path) -> None:
    """One JSON record per line."""
    lines = [json.dumps(r.model_dump()) for r in records]
    Path(path).write_text("\n".join(lines) + "\n", "utf-8")


def comparison_table(records: Sequence[Comparison]) -> Table:
    """Median, quartiles and chance per policy. A run that never got there counts as infinite."""
    table = Table(title=f"Cost and time to {TARGET:.0%} of the achievable gain")
    for name in ("policy", "seeds", "reached", "credits to 95 %", "hours to 95 %", "gain", "spent"):
        table.add_column(name, justify="left" if name == "policy" else "right")
    for policy in dict.fromkeys(r.policy for r in records):
        own = [r for r in records if r.policy == policy]
        table.add_row(
            policy,
            str(len(own)),
            f"{np.mean([r.reached for r in own]):.0%}",
            _spread([r.cost_to_95 for r in own]),
            _spread([r.hours_to_95 for r in own]),
            _spread([r.gain for r in own], 2),
            _spread([r.cost_credits for r in own]),
        )
    return table


def _spread(values: Sequence[float | None], digits: int = 0) -> str:
    """Median and quartiles as text; ``never`` where a quantile is not finite."""
    finite = [np.inf if v is None else v for v in values]
    low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75], method="nearest")
    text = [f"{v:.{digits}f}" if np.isfinite(v) else "never" for v in (middle, low, high)]
    return f"{text[0]} ({text[1]}–{text[2]})"
