"""Goals with gains in closed form: their objective, and designs worth thinking of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..workflow import (
    Discriminate,
    Explore,
    FeasibleRegion,
    Goal,
    Grid,
    Pareto,
    Space,
    State,
    Target,
)
from ._belief import Belief
from ._closed import Closed
from ._evidence import measurement_noise
from ._gp import Matrix, Vector
from ._hypotheses import Weighed, weigh
from ._moments import Moments, gaussian_moments, has_closed_form, moments_of
from ._node import Data
from ._objective_hypotheses import Separation
from ._objective_pareto import Hypervolume
from ._objective_region import Region
from ._objective_scale import Unscaled, without_scale
from ._objective_variance import IntegratedVariance
from ._settings import PlannerSettings
from ._worlds import Indices, Worlds

_ROUNDS = (0.1, 0.04, 0.015)
_LEADERS, _CHILDREN = 8, 16

ClosedGoal = Explore | Pareto | FeasibleRegion | Discriminate


def space_grid(goal: Goal, space: Space, seed: int, count: int) -> Matrix:
    """``count`` points over which a goal about the whole space integrates, a few for a front; none
    for other goals.
    """
    match goal:
        case Explore() | FeasibleRegion():
            pass
        case Pareto():
            count = max(count // 8, 1)
        case _:
            return np.zeros((0, space.dim))
    return space.sobol(count, seed=seed + 101)


def closed_objective(
    goal: ClosedGoal,
    state: State,
    belief: Belief,
    worlds: Worlds,
    moments: Moments | None,
    grid: Indices,
    told: NDArray[np.bool_],
) -> Closed:
    """The objective that a goal means; ``moments`` are those of the worlds where not given.

    ``grid`` are the pool points over which is integrated; ``told`` (M, q) says where each of the
    goal's quantities was measured.
    """
    if isinstance(goal, Discriminate):
        return Separation(worlds, goal, weigh_hypotheses(goal, state, belief))
    moments = moments or moments_of(belief, worlds)
    match goal:
        case Explore():
            return IntegratedVariance(worlds, moments, grid)
        case FeasibleRegion():
            found: Closed = Region(worlds, moments, goal.limits, grid)
        case Pareto():
            found = Hypervolume(worlds, moments, goal, told)
    unknown = without_scale(belief, goal.quantities)
    return Unscaled(found, moments, unknown, grid) if unknown else found


def weigh_hypotheses(goal: Discriminate, state: State, belief: Belief) -> Weighed:
    """Hypotheses after all that was measured. A theory counts by its first prediction: what was
    fitted to the data since would be counted twice.
    """
    first: dict[str, Grid] = {}
    for observation in state.observations:
        for quantity, grid in observation.grids.items():
            if quantity in goal.predictions and observation.failure is None:
                first.setdefault(quantity, grid)
    theories = Belief(belief.workflow, goal.predictions, {}, first)
    ensembles = {q: _remembering(theories, q) for q in first}
    space = belief.workflow.space
    nothing = Data(np.zeros((0, space.dim)), np.zeros(0), np.zeros(0))
    data = belief.data.get(goal.quantity, nothing)
    return weigh(goal, space, data, ensembles, belief.scale_of(goal.quantity))


def _remembering(theories: Belief, quantity: str) -> Callable[[Matrix], Matrix]:
    """Predictions of all members; those for the same designs are worked out once."""
    kept: dict[bytes, Matrix] = {}

    def predict(x: Matrix) -> Matrix:
        key = x.tobytes()
        if key not in kept:
            if len(kept) > 8:
                kept.clear()
            kept[key] = theories.theory_members(quantity, x)
        return kept[key]

    return predict


def told_at(state: State, goal: Goal, targets: Sequence[Target]) -> NDArray[np.bool_]:
    """Which of the goal's quantities were measured at each target, of shape (targets, q)."""
    has = [
        [state.inventory.value(q, target) is not None for q in goal.quantities]
        for target in targets
    ]
    return np.array(has, dtype=bool).reshape(len(targets), len(goal.quantities))


def promising(
    goal: ClosedGoal,
    state: State,
    belief: Belief,
    base: Matrix,
    known_x: Matrix,
    told: NDArray[np.bool_],
    settings: PlannerSettings,
    seed: int,
    count: int,
) -> Matrix:
    """``count`` designs where measuring the goal's quantities gains most, by random local search
    from many starts.
    """
    rng = np.random.default_rng([seed, 98])
    space = belief.workflow.space
    grid = space_grid(goal, space, state.seed, settings.grid_points)
    asked = [(q, measurement_noise(belief, q)) for q in goal.quantities]

    def gain(x: Matrix) -> Vector:
        pool = np.concatenate([x, grid, known_x])
        rows = np.arange(len(pool))
        exact = has_closed_form(belief) and not isinstance(goal, Discriminate)
        if exact or isinstance(goal, Discriminate):
            worlds = Worlds(pool, {}, goal.quantity, np.ones(len(pool), dtype=bool))
            moments = gaussian_moments(belief, pool) if exact else None
        else:
            worlds = belief.worlds(pool, goal.quantity, seed, count=settings.worlds)
            moments = None
        edge = len(x) + len(grid)
        where = np.concatenate([np.zeros((edge, told.shape[1]), dtype=bool), told])
        objective = closed_objective(
            goal, state, belief, worlds, moments, rows[len(x) : edge], where
        )
        return objective.several(asked, rows[: len(x)])

    wide = settings.wide_points
    near = _moved(np.concatenate([base[:0], known_x]), 0.05, 4, rng, space)[:wide]
    starts = np.concatenate([base, space.sobol(wide, seed=seed % 2**31), near])
    best = starts[np.argsort(-gain(starts), kind="stable")[:_LEADERS]]
    for width in _ROUNDS if has_closed_form(belief) else ():
        tried = np.concatenate([best, _moved(best, width, _CHILDREN, rng, space)])
        best = tried[np.argsort(-gain(tried), kind="stable")[:_LEADERS]]
    more = _moved(best, 0.06, max(count // _LEADERS, 1), rng, space)
    return np.concatenate([best, more])[:count]


def _moved(x: Matrix, width: float, copies: int, rng: np.random.Generator, space: Space) -> Matrix:
    """Copies of designs, each moved a little and snapped to what the space allows."""
    near = np.repeat(x, copies, axis=0)
    near = np.clip(near + width * rng.standard_normal(near.shape), 0.0, 1.0)
    return space.encode(space.decode(near)) if len(near) else near
