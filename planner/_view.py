"""What the tiers look at: one pool of points, one set of worlds, one objective, for one state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import (
    Design,
    Estimate,
    Explore,
    Goal,
    LocateBoundary,
    Maximize,
    Recommendation,
    State,
    Target,
)
from ._belief import Belief
from ._evidence import belief_from, measurement_noise
from ._gp import Matrix
from ._pool import (
    Site,
    known_sites,
    library_candidates,
    line_through,
    measured_designs,
    refined,
)
from ._prices import Prices
from ._settings import DEFAULT_SETTINGS, PlannerSettings
from ._worlds import Best, Certainty, Objective, Probe, Worlds, crossings


@dataclass(frozen=True)
class LibraryCandidate:
    """A sample that could be made: its central design and the pool rows of its sites."""

    design: Design
    rows: NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class View:
    """Everything a tier needs for one decision."""

    state: State
    belief: Belief
    worlds: Worlds
    objective: Objective
    prices: Prices
    designs: list[Design]
    sites: dict[Site, int]
    libraries: tuple[LibraryCandidate, ...]
    free_rows: NDArray[np.int64]
    line: NDArray[np.int64]
    settings: PlannerSettings

    @property
    def top(self) -> int:
        """The row of the best believed design; the rows before it are spread over the space."""
        return self.settings.space_points

    def noise(self, quantity: str) -> float:
        """Standard deviation of the next measurement: what past ones said, else the step's own."""
        return measurement_noise(self.belief, quantity)

    def probe(self, quantity: str, row: int) -> Probe:
        return Probe(quantity, row, self.noise(quantity))

    def expected(self, row: int) -> dict[str, Estimate]:
        """The belief at a pool point: mean and standard deviation of every quantity."""
        return {
            q: Estimate(value=float(v[:, row].mean()), std=float(v[:, row].std()))
            for q, v in self.worlds.values.items()
        }


def informative(state: State) -> int:
    """How many observations carry numbers that a belief takes in."""
    return sum(o.failure is None and bool(o.values or o.grids) for o in state.observations)


def make_view(
    state: State, goal: Goal, quantities: Sequence[str], settings: PlannerSettings | None = None
) -> View:
    """Build pool, worlds and objective. Pure: the seed is the state's own and the count of data."""
    settings = settings or DEFAULT_SETTINGS
    belief = belief_from(state, quantities, settings.quick_fit)
    seed = int(np.random.SeedSequence([state.seed, 3, informative(state)]).generate_state(1)[0])
    space = state.workflow.space
    base = space.sobol(settings.space_points, seed=state.seed)
    top = refined(belief, goal, base, seed, settings.local_points)
    blocks: list[Matrix] = [base, top]
    line = line_through(state, goal, top[0])
    blocks.append(line)
    free = np.arange(len(base) + len(top))
    sites, site_x, known = known_sites(state)
    blocks.append(site_x)
    measured = measured_designs(state)
    blocks.append(space.encode(measured) if measured else np.zeros((0, space.dim)))
    starts = np.cumsum([0, *[len(b) for b in blocks]])
    libraries, library_x = library_candidates(
        state, belief, goal, np.concatenate([base, top]), seed, settings
    )
    pool = np.concatenate([*blocks, library_x])
    worlds = belief.worlds(pool, goal.quantity, seed, count=settings.worlds)
    designs = [*space.decode(pool[: starts[3]]), *known, *measured, *space.decode(library_x)]
    line_rows = np.arange(starts[2], starts[3])
    objective = make_objective(goal, worlds, line_rows, state, settings.space_points)
    return View(
        state,
        belief,
        worlds,
        objective,
        Prices(state),
        designs,
        {s: int(starts[3]) + i for i, s in enumerate(sites)},
        tuple(LibraryCandidate(d, r + int(starts[5])) for d, r in libraries),
        np.concatenate([free, np.arange(starts[4], starts[5])]),
        line_rows,
        settings,
    )


def make_objective(
    goal: Goal,
    worlds: Worlds,
    line: NDArray[np.int64],
    state: State,
    spread: int,
) -> Objective:
    """The objective that a goal means; the first ``spread`` pool points cover the space."""
    values = worlds.values[goal.quantity]
    match goal:
        case Maximize():
            return Best(worlds)
        case Explore():
            return Certainty(worlds, values[:, :spread])
        case LocateBoundary():
            variable = state.workflow.space.variables[
                state.workflow.space.names.index(goal.variable)
            ]
            ticks = variable.from_unit(np.linspace(0.0, 1.0, len(line)))
            return Certainty(worlds, crossings(values[:, line], ticks, goal.level)[:, None])


def recommend_from(view: View, goal: Goal) -> Recommendation:
    """The answer that a view gives to a goal."""
    unit = goal_unit(view.state, goal)
    space = view.state.workflow.space
    values = view.worlds.values[goal.quantity]
    top = view.top
    design = view.designs[top]
    match goal:
        case Maximize():
            estimate = Estimate(
                value=float(view.belief.mean(goal.quantity, view.worlds.pool[top : top + 1])[0]),
                std=float(values[:, top].std()),
            )
        case Explore():
            spread = float(values[:, :top].std(0).mean())
            estimate = Estimate(value=spread, std=0.0)
        case LocateBoundary():
            variable = space.variables[space.names.index(goal.variable)]
            ticks = variable.from_unit(np.linspace(0.0, 1.0, len(view.line)))
            places = crossings(values[:, view.line], ticks, goal.level)
            estimate = Estimate(value=float(places.mean()), std=float(places.std()))
            design = design | {goal.variable: estimate.value}
    return Recommendation(goal=goal, design=design, estimate=estimate, unit=unit)


def confirming(view: View, goal: Goal) -> View | None:
    """A view whose objective is certainty about the recommended value, where that is asked for."""
    if not isinstance(goal, Maximize) or goal.confirm_std is None:
        return None
    leader = view.worlds.values[goal.quantity][:, view.top : view.top + 1]
    if float(leader.std()) <= goal.confirm_std:
        return None
    return replace(view, objective=Certainty(view.worlds, leader))


def goal_unit(state: State, goal: Goal) -> str:
    """The unit of gains: the goal quantity's, or that of the variable along which a boundary
    lies.
    """
    if isinstance(goal, LocateBoundary):
        space = state.workflow.space
        return space.variables[space.names.index(goal.variable)].unit
    return state.workflow.unit(goal.quantity)


def site_target(view: View, site: Site) -> Target:
    """The target of a site by its sample and number."""
    return Target(design=view.designs[view.sites[site]], sample=site[0], site=site[1])
