"""What the tiers look at: one pool of points, one set of worlds, one objective, for one state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import (
    Design,
    Discriminate,
    Estimate,
    FeasibleRegion,
    Goal,
    LocateBoundary,
    Maximize,
    Pareto,
    Recommendation,
    State,
    Step,
    Target,
)
from ._belief import Belief
from ._closed import Asked, Closed
from ._closed_answers import recommend_closed
from ._closed_goals import ClosedGoal, closed_objective, promising, space_grid, told_at
from ._end import End
from ._evidence import belief_from, measurement_noise
from ._gp import Matrix, Vector
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
    end: End
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
    def belief(self) -> Belief:
        return self.end.belief

    @property
    def top(self) -> int:
        """The row of the best believed design; the rows before it are spread over the space."""
        return self.settings.space_points

    def noise(self, quantity: str) -> float:
        """Standard deviation of the next measurement: what past ones said, else the step's own."""
        return measurement_noise(self.belief, quantity)

    @property
    def finals(self) -> tuple[str, ...]:
        """The quantities that the goal asks for."""
        if isinstance(self.objective, Closed):
            return self.objective.quantities
        return self.end.measured

    def step_of(self, quantity: str) -> Step:
        """The step that gives a quantity."""
        return self.state.workflow.producer(quantity)

    def asked(self, step: Step) -> list[Asked]:
        """All modelled quantities that a step measures, with their noise."""
        names = [p.name for p in step.produces if p.name in self.belief.quantities]
        return [(name, self.noise(name)) for name in names]

    def gains(self, quantity: str, rows: NDArray[np.int64]) -> Vector:
        """Expected gain (N,) of measuring a quantity, with what its step shows besides, at each of
        ``rows``.
        """
        if isinstance(self.objective, Closed):
            return self.objective.several(self.asked(self.step_of(quantity)), rows)
        return self.objective.single(quantity, rows, self.noise(quantity))

    def probe(self, quantity: str, row: int) -> Probe:
        return Probe(quantity, row, self.noise(quantity))

    def whole_gains(self, rows: NDArray[np.int64]) -> Vector:
        """Expected gain (N,) of measuring all of the goal's quantities at each of ``rows``."""
        if isinstance(self.objective, Closed):
            return self.objective.several([(q, self.noise(q)) for q in self.finals], rows)
        return self.objective.single(self.worlds.goal, rows, self._end_noise(rows))

    def whole_probes(self, row: int) -> tuple[Probe, ...]:
        """All of the goal's quantities at a point; what is computed from them is one probe."""
        if self.end.composed:
            return (Probe(self.worlds.goal, row, self._end_noise(np.array([row]))),)
        return tuple(self.probe(q, row) for q in self.finals)

    @property
    def compound(self) -> bool:
        """Whether the goal takes more than one measurement, or one that does not give it itself."""
        return len(self.finals) > 1 or self.end.composed

    def _end_noise(self, rows: NDArray[np.int64]) -> float:
        noise = [self.noise(q) for q in self.finals]
        return self.end.noise(self.worlds, rows, noise) if self.end.composed else noise[0]

    def expected(self, row: int) -> dict[str, Estimate]:
        """The belief at a pool point: mean and standard deviation of every quantity."""
        return {
            q: Estimate(value=float(v[:, row].mean()), std=float(v[:, row].std()))
            for q, v in self.worlds.values.items()
            if q in self.belief.quantities
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
    end = End(belief, goal, seed)
    space = state.workflow.space
    base = space.sobol(settings.space_points, seed=state.seed)
    sites, site_x, known = known_sites(state)
    measured = measured_designs(state)
    measured_x = space.encode(measured) if measured else np.zeros((0, space.dim))
    targets = [Target(design=d, sample=s, site=i) for (s, i), d in zip(sites, known, strict=True)]
    told = told_at(state, goal, [*targets, *[Target(design=d) for d in measured]])
    top = refined(end, base, seed, settings.local_points)
    if isinstance(goal, ClosedGoal):
        some = told.any(1)
        told_x = np.concatenate([site_x, measured_x])[some]
        more = promising(
            goal, state, belief, base, told_x, told[some], settings, seed, len(top) - 1
        )
        top = np.concatenate([top[:1], more])
    blocks: list[Matrix] = [base, top]
    line = line_through(state, goal, top[0])
    blocks.append(line)
    free = np.arange(len(base) + len(top))
    blocks += [site_x, measured_x]
    starts = np.cumsum([0, *[len(b) for b in blocks]])
    libraries, library_x = library_candidates(state, end, np.concatenate([base, top]), settings)
    grid = space_grid(goal, space, state.seed, settings.grid_points)
    pool = np.concatenate([*blocks, library_x, grid])
    worlds = end.worlds(pool, settings.worlds)
    designs = [*space.decode(pool[: starts[3]]), *known, *measured, *space.decode(library_x)]
    line_rows = np.arange(starts[2], starts[3])
    if isinstance(goal, ClosedGoal):
        grid_rows = np.arange(len(pool) - len(grid), len(pool))
        everywhere = np.zeros((len(pool), told.shape[1]), dtype=bool)
        everywhere[starts[3] : starts[5]] = told
        objective = closed_objective(goal, state, belief, worlds, None, grid_rows, everywhere)
    else:
        objective = make_objective(goal, worlds, line_rows, state)
    return View(
        state,
        end,
        worlds,
        objective,
        Prices(state, settings.cost_blind),
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
) -> Objective:
    """The objective of a goal whose gains are read from worlds."""
    values = worlds.values[goal.quantity]
    match goal:
        case Maximize():
            return Best(worlds)
        case LocateBoundary():
            variable = state.workflow.space.variables[
                state.workflow.space.names.index(goal.variable)
            ]
            ticks = variable.from_unit(np.linspace(0.0, 1.0, len(line)))
            return Certainty(worlds, crossings(values[:, line], ticks, goal.level)[:, None])
        case _:
            raise AssertionError(f"no worlds are looked at for the goal {goal.kind}")


def recommend_from(view: View, goal: Goal) -> Recommendation:
    """The answer that a view gives to a goal."""
    unit = goal_unit(view.state, goal)
    space = view.state.workflow.space
    values = view.worlds.values[view.worlds.goal]
    top = view.top
    design = view.designs[top]
    if isinstance(view.objective, Closed) and isinstance(goal, ClosedGoal):
        return recommend_closed(goal, view.objective, view.worlds, view.designs, design, unit)
    match goal:
        case Maximize():
            estimate = Estimate(
                value=float(_believed(view, top)),
                std=float(values[:, top].std()),
            )
        case LocateBoundary():
            variable = space.variables[space.names.index(goal.variable)]
            ticks = variable.from_unit(np.linspace(0.0, 1.0, len(view.line)))
            places = crossings(values[:, view.line], ticks, goal.level)
            estimate = Estimate(value=float(places.mean()), std=float(places.std()))
            design = design | {goal.variable: estimate.value}
        case _:
            raise AssertionError(f"no view answers the goal {goal.kind}")
    return Recommendation(goal=goal, design=design, estimate=estimate, unit=unit)


def _believed(view: View, row: int) -> float:
    """The end's mean at a pool point: of all its worlds where it is computed, else exact."""
    if view.end.composed:
        return float(view.worlds.values[view.worlds.goal][:, row].mean())
    return float(view.end.mean(view.worlds.pool[row : row + 1])[0])


def confirming(view: View, goal: Goal) -> View | None:
    """A view whose objective is certainty about the recommended value, where that is asked for."""
    if not isinstance(goal, Maximize) or goal.confirm_std is None:
        return None
    leader = view.worlds.values[view.worlds.goal][:, view.top : view.top + 1]
    if float(leader.std()) <= goal.confirm_std:
        return None
    return replace(view, objective=Certainty(view.worlds, leader))


def goal_unit(state: State, goal: Goal) -> str:
    """The unit of gains: the goal quantity's, that of the variable along which a boundary lies, the
    product of those of all aims, a share of the space, or bits.
    """
    match goal:
        case LocateBoundary():
            space = state.workflow.space
            return space.variables[space.names.index(goal.variable)].unit
        case Pareto():
            units = [state.workflow.unit(q) for q in goal.quantities]
            return "*".join(f"({u})" for u in units if u not in {"", "1"}) or "1"
        case FeasibleRegion():
            return "1"
        case Discriminate():
            return "bit"
        case _:
            return state.workflow.unit(goal.quantity)


def site_target(view: View, site: Site) -> Target:
    """The target of a site by its sample and number."""
    return Target(design=view.designs[view.sites[site]], sample=site[0], site=site[1])
