"""What is recommended for goals with gains in closed form."""

from __future__ import annotations

import numpy as np

from ..workflow import (
    Design,
    Discriminate,
    Estimate,
    Explore,
    FeasibleRegion,
    FrontPoint,
    Pareto,
    Recommendation,
)
from ._closed import Closed
from ._closed_goals import ClosedGoal
from ._hypervolume import hypervolume, nondominated_rows
from ._objective_hypotheses import Separation
from ._objective_pareto import Hypervolume
from ._objective_region import Region
from ._objective_scale import Unscaled
from ._objective_variance import IntegratedVariance
from ._worlds import Worlds


def recommend_closed(
    goal: ClosedGoal,
    objective: Closed,
    worlds: Worlds,
    designs: list[Design],
    leader: Design,
    unit: str,
) -> Recommendation:
    """The answer to a goal; ``leader`` is the design through which pictures cut."""
    if isinstance(objective, Unscaled):
        objective = objective.goal
    match goal, objective:
        case Explore(), IntegratedVariance():
            found = Recommendation(
                goal=goal, design=leader, estimate=Estimate(value=objective.spread), unit=unit
            )
        case FeasibleRegion(), Region():
            share = Estimate(
                value=float(objective.probabilities().mean()),
                std=float(_shares(goal, objective, worlds).std()),
            )
            found = Recommendation(goal=goal, design=leader, estimate=share)
        case Discriminate(), Separation():
            found = _verdict(goal, objective)
        case Pareto(), Hypervolume():
            found = _front(goal, objective, worlds, designs, unit)
        case _:
            raise AssertionError(f"{type(objective).__name__} does not answer {goal.kind}")
    return found


def _shares(goal: FeasibleRegion, objective: Region, worlds: Worlds) -> np.ndarray:
    """The feasible share of the space in each world (S,)."""
    inside = np.ones((worlds.count, len(objective.grid)), dtype=bool)
    for limit in goal.limits:
        values = worlds.values[limit.quantity][:, objective.grid]
        if limit.above is not None:
            inside &= values >= limit.above
        if limit.below is not None:
            inside &= values <= limit.below
    return inside.mean(1)


def _verdict(goal: Discriminate, objective: Separation) -> Recommendation:
    found = objective.weighed.probabilities
    leader = max(found.values())
    fallen = [h.name for h in goal.hypotheses if found[h.name] < goal.falsified_below]
    return Recommendation(
        goal=goal,
        estimate=Estimate(value=leader),
        probabilities=dict(sorted(found.items(), key=lambda item: -item[1])),
        falsified=tuple(fallen),
    )


def _front(
    goal: Pareto, objective: Hypervolume, worlds: Worlds, designs: list[Design], unit: str
) -> Recommendation:
    """Measured designs whose believed aims no other measured one beats, best in the first aim
    first.
    """
    rows = objective.known
    believed = objective.believed(rows)
    best = nondominated_rows(believed)
    best = best[np.argsort(-believed[best, 0], kind="stable")]
    front = [
        FrontPoint(
            design=designs[int(row)],
            estimates={
                q: Estimate(
                    value=float(objective.moments.mean[q][row]),
                    std=float(np.sqrt(objective.moments.variance(q, np.array([row]))[0])),
                )
                for q in goal.quantities
            },
        )
        for row in rows[best]
    ]
    signs = np.array(goal.signs)[:, None, None]
    values = np.stack([worlds.values[q][:64, rows[best]] for q in goal.quantities]) * signs
    spread = [hypervolume(v, objective.reference) for v in np.moveaxis(values, 0, -1)]
    estimate = Estimate(value=objective.cells.volume, std=float(np.std(spread)))
    design = front[0].design if front else {}
    return Recommendation(
        goal=goal, design=design, estimate=estimate, unit=unit, front=tuple(front)
    )
