"""What the observations of a state say about quantities, gathered for a belief."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..workflow import (
    Design,
    Discriminate,
    Estimate,
    Goal,
    Grid,
    Maximize,
    Pareto,
    Place,
    State,
    Step,
    Workflow,
    place_of,
)
from ._belief import Belief
from ._node import Data


def measured_ends(workflow: Workflow, goal: Goal) -> tuple[str, ...]:
    """Measured quantities that a goal's value and conditions are computed from, its own first."""
    guards = goal.subject_to if isinstance(goal, Maximize) else ()
    waiting = [*goal.quantities, *(n for g in guards for n in g.names)]
    found: dict[str, None] = {}
    while waiting:
        name = waiting.pop(0)
        if name in workflow.formulas:
            waiting = [*workflow.formulas[name].names, *waiting]
        elif name not in workflow.space.names:
            found[name] = None
    return tuple(found)


def looked_at(workflow: Workflow, goal: Goal) -> tuple[str, ...]:
    """Quantities that a goal asks for, and what theories predict of its hypotheses."""
    more = goal.predictions if isinstance(goal, Discriminate) else ()
    return tuple(dict.fromkeys((*measured_ends(workflow, goal), *more)))


def relevant_quantities(workflow: Workflow, *goals: str) -> tuple[str, ...]:
    """Quantities with all that they depend on: consumed scalars and cheaper sources."""
    wanted = {*goals}
    for quantity in reversed(workflow.scalars):
        if quantity in wanted:
            wanted.update(workflow.parents(quantity))
            wanted.update(workflow.cheaper(quantity))
    return tuple(q for q in workflow.scalars if q in wanted)


def consumed(workflow: Workflow, *quantities: str) -> tuple[str, ...]:
    """Quantities with the scalars that they cannot be had without; no other source of them."""
    found: dict[str, None] = {}
    for quantity in quantities:
        found |= dict.fromkeys((*consumed(workflow, *workflow.parents(quantity)), quantity))
    return tuple(found)


def belief_from(state: State, quantities: Sequence[str], quick: bool = False) -> Belief:
    """The belief about ``quantities`` after all observations of a state, for a Pareto goal with
    kernels of smooth functions where they are likelier; ``quick`` takes the best of a few kernels.
    """
    rows: dict[str, dict[object, tuple[Design, Estimate, dict[str, float]]]] = {
        q: {} for q in quantities
    }
    grids: dict[str, Grid] = {}
    for number, observation in enumerate(state.observations):
        if observation.failure is not None:
            continue
        grids.update({q: g for q, g in observation.grids.items() if q in quantities})
        action = state.actions[observation.action_id]
        step = state.workflow.step(action.step)
        place: Place = place_of(action.target, step.acts_on)
        for quantity, estimate in observation.values.items():
            if quantity not in rows:
                continue
            key = place if step.cumulative else (place, number)
            parents = {
                p: found.value
                for p in state.workflow.parents(quantity)
                if (found := state.inventory.value(p, action.target)) is not None
            }
            rows[quantity][key] = (action.target.design, estimate, parents)
    space = state.workflow.space
    data: dict[str, Data] = {}
    for quantity, found in rows.items():
        if not found:
            continue
        designs, estimates, parents = zip(*found.values(), strict=True)
        data[quantity] = Data(
            space.encode(designs),
            np.array([e.value for e in estimates]),
            np.array([e.std**2 for e in estimates]),
            {
                p: np.array([row.get(p, np.nan) for row in parents])
                for p in state.workflow.parents(quantity)
            },
        )
    smooth = isinstance(state.goal, Pareto)
    return Belief(state.workflow, quantities, data, grids, quick, smooth)


def measurement_noise(belief: Belief, quantity: str) -> float:
    """Standard deviation of the next measurement: what past ones said, else the step's own."""
    step = belief.workflow.producer(quantity)
    data = belief.data.get(quantity)
    if data is not None and len(data.y):
        return float(np.sqrt(np.median(data.noise)))
    return float(step.noise.get(quantity, 0.0) / np.sqrt(_positions(belief.workflow, step)))


def _positions(workflow: Workflow, step: Step) -> int:
    """Positions behind one estimate of a step that reduces a positions step's arrays."""
    counts = [
        producer.batch
        for port in step.consumes
        if (producer := workflow.producer(port.name)).acts_on == "positions"
    ]
    return max(counts, default=1)
