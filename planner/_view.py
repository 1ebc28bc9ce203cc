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
    Step,
    Target,
)
from ._belief import Belief, belief_from
from ._gp import Matrix
from ._prices import Prices
from ._worlds import Best, Certainty, Objective, Probe, Worlds, crossings

_SPACE_POINTS = 192
_LOCAL_POINTS = 64
_LINE_POINTS = 41
_LIBRARIES = 24

Site = tuple[str, int]


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

    def noise(self, quantity: str) -> float:
        """Standard deviation of the next measurement: what past ones said, else the step's own."""
        step = self.state.workflow.producer(quantity)
        declared = step.noise.get(quantity, 0.0) / np.sqrt(self._positions(step))
        data = self.belief.data.get(quantity)
        if data is None or not len(data.y):
            return float(declared)
        return float(np.sqrt(np.median(data.noise)))

    def _positions(self, step: Step) -> int:
        """Positions behind one estimate of a step that reduces a positions step's arrays."""
        counts = [
            producer.batch
            for port in step.consumes
            if (producer := self.state.workflow.producer(port.name)).acts_on == "positions"
        ]
        return max(counts, default=1)

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


def make_view(state: State, goal: Goal, quantities: Sequence[str]) -> View:
    """Build pool, worlds and objective. Pure: the seed is the state's own and the count of data."""
    belief = belief_from(state, quantities)
    seed = int(np.random.SeedSequence([state.seed, 3, informative(state)]).generate_state(1)[0])
    space = state.workflow.space
    base = space.sobol(_SPACE_POINTS, seed=state.seed)
    top = _refined(belief, goal, base, seed)
    blocks: list[Matrix] = [base, top]
    line = _line(state, goal, top[0])
    blocks.append(line)
    free = np.arange(len(base) + len(top))
    sites, site_x, known = _known_sites(state)
    blocks.append(site_x)
    measured = _measured_designs(state)
    blocks.append(space.encode(measured) if measured else np.zeros((0, space.dim)))
    starts = np.cumsum([0, *[len(b) for b in blocks]])
    libraries, library_x = _libraries(state, belief, goal, np.concatenate([base, top]), seed)
    pool = np.concatenate([*blocks, library_x])
    worlds = belief.worlds(pool, goal.quantity, seed)
    designs = [*space.decode(pool[: starts[3]]), *known, *measured, *space.decode(library_x)]
    line_rows = np.arange(starts[2], starts[3])
    objective = make_objective(goal, worlds, line_rows, free, state)
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
    )


def make_objective(
    goal: Goal,
    worlds: Worlds,
    line: NDArray[np.int64],
    free: NDArray[np.int64],
    state: State,
) -> Objective:
    """The objective that a goal means."""
    values = worlds.values[goal.quantity]
    match goal:
        case Maximize():
            return Best(worlds)
        case Explore():
            return Certainty(worlds, values[:, free])
        case LocateBoundary():
            variable = state.workflow.space.variables[
                state.workflow.space.names.index(goal.variable)
            ]
            ticks = variable.from_unit(np.linspace(0.0, 1.0, len(line)))
            return Certainty(worlds, crossings(values[:, line], ticks, goal.level)[:, None])


def _refined(belief: Belief, goal: Goal, base: Matrix, seed: int) -> Matrix:
    """The best believed point first, then points around the best few."""
    rng = np.random.default_rng([seed, 99])
    space = belief.workflow.space
    wide = np.concatenate([base, space.sobol(1024, seed=seed % 2**31)])
    best = wide[np.argsort(-belief.mean(goal.quantity, wide), kind="stable")[:8]]
    for width in (0.08, 0.03, 0.012):
        near = np.repeat(best, 24, axis=0)
        near = np.clip(near + width * rng.standard_normal(near.shape), 0.0, 1.0)
        near = space.encode(space.decode(near))
        near = np.concatenate([best, near])
        best = near[np.argsort(-belief.mean(goal.quantity, near), kind="stable")[:8]]
    around = np.repeat(best[:1], _LOCAL_POINTS - len(best), axis=0)
    around = np.clip(around + 0.06 * rng.standard_normal(around.shape), 0.0, 1.0)
    return np.concatenate([best, space.encode(space.decode(around))])


def _line(state: State, goal: Goal, top: Matrix) -> Matrix:
    """Points along the goal's variable through ``top``; none for other goals."""
    if not isinstance(goal, LocateBoundary):
        return np.zeros((0, state.workflow.space.dim))
    line = np.repeat(top[None, :], _LINE_POINTS, axis=0)
    line[:, state.workflow.space.names.index(goal.variable)] = np.linspace(0, 1, _LINE_POINTS)
    return line


def _known_sites(state: State) -> tuple[list[Site], Matrix, list[Design]]:
    """Sites of samples that exist or are being made."""
    space = state.workflow.space
    found: dict[Site, Design] = {}
    for sample in state.inventory.samples.values():
        found.update({(sample.id, i): d for i, d in enumerate(sample.sites)})
    for issued in state.running.values():
        step = state.workflow.step(issued.action.step)
        if step.makes is not None and issued.action.target.sample is not None:
            sites = step.makes.designs(issued.action.target.design, space)
            found.update({(issued.action.target.sample, i): d for i, d in enumerate(sites)})
    designs = list(found.values())
    x = space.encode(designs) if designs else np.zeros((0, space.dim))
    return list(found), x, designs


def _measured_designs(state: State) -> list[Design]:
    """Designs without a sample at which something was measured or is being measured."""
    seen: dict[tuple[float, ...], Design] = {}
    for action in state.actions.values():
        if state.workflow.step(action.step).acts_on == "design" and action.target.sample is None:
            seen[tuple(action.target.design.values())] = action.target.design
    return list(seen.values())


def _libraries(
    state: State, belief: Belief, goal: Goal, pool: Matrix, seed: int
) -> tuple[list[tuple[Design, NDArray[np.int64]]], Matrix]:
    """Samples worth thinking of: spread over the space, and around the optima of sampled worlds."""
    maker = next((s for s in state.workflow.steps if s.makes is not None), None)
    space = state.workflow.space
    if maker is None or maker.makes is None:
        return [], np.zeros((0, space.dim))
    worlds = belief.worlds(pool, goal.quantity, seed)
    optima = worlds.values[goal.quantity].argmax(1)
    found, counts = np.unique(optima, return_counts=True)
    likely = found[np.argsort(-counts, kind="stable")][: _LIBRARIES // 2]
    centres = [pool[len(pool) - _LOCAL_POINTS], *pool[likely]]
    centres += list(space.sobol(_LIBRARIES - _LIBRARIES // 2, seed=state.seed + 1))
    rows: list[tuple[Design, NDArray[np.int64]]] = []
    blocks: list[Matrix] = []
    for centre in centres:
        design = space.decode(centre)[0]
        sites = space.encode(maker.makes.designs(design, space))
        rows.append((design, np.arange(len(sites)) + sum(len(b) for b in blocks)))
        blocks.append(sites)
    return rows, np.concatenate(blocks)


def recommend_from(view: View, goal: Goal) -> Recommendation:
    """The answer that a view gives to a goal."""
    unit = goal_unit(view.state, goal)
    space = view.state.workflow.space
    values = view.worlds.values[goal.quantity]
    top = _SPACE_POINTS
    design = view.designs[top]
    match goal:
        case Maximize():
            estimate = Estimate(
                value=float(view.belief.mean(goal.quantity, view.worlds.pool[top : top + 1])[0]),
                std=float(values[:, top].std()),
            )
        case Explore():
            spread = float(values[:, view.free_rows].std(0).mean())
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
    leader = view.worlds.values[goal.quantity][:, _SPACE_POINTS : _SPACE_POINTS + 1]
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
