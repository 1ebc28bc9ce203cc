"""Policies to compare with: a fixed workflow, random choices, and the dear test alone.

The first two recommend from the same belief as the planner, given what they measured: what is
compared is what they chose to measure, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import final

import numpy as np

from ..workflow import (
    Decision,
    Design,
    Goal,
    Recommendation,
    Sample,
    State,
    Workflow,
)
from ._evidence import consumed, measured_ends
from ._planner_for import planner_for
from ._scripted import Scripted
from ._settings import PlannerSettings


@final
class FixedWorkflow(Scripted):
    """What a careful human would do: a grid of samples, everything measured on each.

    Two levels of every variable at a quarter and three quarters of its range, then the centre,
    then three levels; the order within a grid is shuffled by the seed so that an early end is not
    biased.
    """

    name = "fixed"

    def next_design(self, state: State, number: int) -> Design | None:
        space = state.workflow.space
        rng = np.random.default_rng([state.seed, 17])
        points: list[tuple[float, ...]] = []
        for levels in ((0.25, 0.75), (0.5,), (1 / 6, 0.5, 5 / 6)):
            grid = [p for p in product(levels, repeat=space.dim) if p not in points]
            points += [grid[i] for i in rng.permutation(len(grid))]
        if number >= len(points):
            return None
        return space.decode(np.array(points[number]))[0]

    def screened(self, state: State, sample: Sample) -> Sequence[int]:
        return range(len(sample.sites))

    def tested(self, state: State, sample: Sample) -> Sequence[int]:
        return range(len(sample.sites))


@final
class RandomSearch(Scripted):
    """Random samples, half of their sites screened, two of these tested."""

    name = "random"

    def next_design(self, state: State, number: int) -> Design | None:
        space = state.workflow.space
        rng = np.random.default_rng([state.seed, 19, number])
        return space.decode(rng.random(space.dim))[0]

    def _order(self, state: State, sample: Sample) -> list[int]:
        number = list(state.inventory.samples).index(sample.id)
        rng = np.random.default_rng([state.seed, 23, number])
        return [int(i) for i in rng.permutation(len(sample.sites))]

    def screened(self, state: State, sample: Sample) -> Sequence[int]:
        return self._order(state, sample)[: max(len(sample.sites) // 2, 1)]

    def tested(self, state: State, sample: Sample) -> Sequence[int]:
        return self._order(state, sample)[:2]


@final
class _SpaceFilling(Scripted):
    """As many spread samples as the space has dimensions, two sites tested on each."""

    name = "single-source"

    def next_design(self, state: State, number: int) -> Design | None:
        space = state.workflow.space
        if number >= max(space.dim, 2):
            return None
        return space.decode(space.sobol(max(space.dim, 2), seed=state.seed))[number]

    def screened(self, state: State, sample: Sample) -> Sequence[int]:
        return ()

    def tested(self, state: State, sample: Sample) -> Sequence[int]:
        sites = len(sample.sites)
        return sorted({sites // 4, (3 * sites) // 4})


@final
class SingleSource:
    """Bayesian optimization on the goal's own measurement alone, whatever it costs.

    A space-filling start, then the planner's own values on a belief that sees nothing else.
    """

    name = "single-source"

    def __init__(
        self, workflow: Workflow, goal: Goal, settings: PlannerSettings | None = None
    ) -> None:
        self._start = _SpaceFilling(workflow, goal)
        seen = consumed(workflow, *measured_ends(workflow, goal))
        self._search = planner_for(workflow, goal, seen, settings)

    def decide(self, state: State) -> Decision:
        if state.sessions:  # the start opens none: the search has begun
            return self._search.decide(state)
        decision = self._start.decide(state)
        return self._search.decide(state) if decision.kind == "stop" else decision

    def recommend(self, state: State) -> Recommendation:
        return self._search.recommend(state)
