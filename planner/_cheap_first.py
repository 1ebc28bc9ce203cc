"""The baseline that embarrasses planners: screen with what is cheap, then verify the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from ..workflow import Decision, Design, Sample, State, Target
from ._build import build_action
from ._scripted import Scripted

_SHARE = 0.5
"""The part of the budget that is spent on screening."""
_UNLIMITED = 200.0
"""Credits spent on screening where the budget has no limit."""


@final
class CheapFirst(Scripted):
    """Half of the budget screens random designs with the cheapest source, the rest tests the best.

    With samples, every site of random samples is screened; without, the cheapest source of the
    goal is asked, or the first quantity on its chain. Sites and designs are tested in the order of
    what screening gave, the largest first: the source is taken at its word.
    """

    name = "cheap-first"

    def next_design(self, state: State, number: int) -> Design | None:
        if not self._is_screening(state):
            return None
        rng = np.random.default_rng([state.seed, 29, number])
        space = state.workflow.space
        pool = space.pool()
        x = rng.random(space.dim) if pool is None else pool[rng.integers(len(pool))]
        return space.decode(x)[0]

    def screened(self, state: State, sample: Sample) -> Sequence[int]:
        return range(len(sample.sites))

    def tested(self, state: State, sample: Sample) -> Sequence[int]:
        if self._is_screening(state):
            return ()
        if not self._screens:
            return range(len(sample.sites))
        best = self._best_sites(state)
        return [site for name, site in best[:1] if name == sample.id]

    def _is_screening(self, state: State) -> bool:
        limit = state.budget.credits
        return state.spent_credits < (_UNLIMITED if limit is None else _SHARE * limit)

    def _best_sites(self, state: State) -> list[tuple[str, int]]:
        """Screened sites that can still be tested, the most promising first."""
        found: list[tuple[float, str, int]] = []
        for sample in state.inventory.samples.values():
            for site in range(len(sample.sites)):
                values = state.inventory.status((sample.id, site, ())).values
                told = next((values[q] for q in reversed(self._screens) if q in values), None)
                if told is not None and self._open_test(state, sample, site) is not None:
                    found.append((-told.value, sample.id, site))
        return [(name, site) for _, name, site in sorted(found)]

    def _next_chain(self, state: State) -> Decision | None:
        """Without samples: the cheap quantity at random designs, then the end where it was best."""
        if state.running or self._final.acts_on != "design":
            return None
        cheap = self._cheapest(state)
        if self._is_screening(state) and cheap != self._goal.quantity:
            step = state.workflow.producer(cheap)
            tried = sum(a.step == step.name for a in state.actions.values())
            design = self.next_design(state, tried)
            target = Target(design=design or {})
            first = state.workflow.open_steps(step, target, state.inventory)[0]
            action = build_action(state, first, target)
            if not self._can(state, first, action, None):
                return None
            return self._act(state, action, f"screen design {tried + 1}")
        for target in self._promising(state, cheap):
            step = state.workflow.open_steps(self._final, target, state.inventory)[0]
            action = build_action(state, step, target)
            if self._can(state, step, action, None):
                return self._act(state, action, "test what screened best")
        return None

    def _cheapest(self, state: State) -> str:
        """The cheapest source of the goal, else the first quantity on its chain."""
        workflow, name = state.workflow, self._goal.quantity
        while workflow.cheaper(name) or workflow.parents(name):
            name = (*workflow.cheaper(name), *workflow.parents(name))[0]
        return name

    def _promising(self, state: State, cheap: str) -> list[Target]:
        """Designs where the cheap quantity is known and the goal is not, the best first."""
        step = state.workflow.producer(cheap).name
        found: dict[tuple[float, ...], tuple[float, Target]] = {}
        for action in state.actions.values():
            value = state.inventory.value(cheap, action.target)
            if action.step != step or value is None:
                continue
            if state.inventory.value(self._goal.quantity, action.target) is None:
                found[tuple(action.target.design.values())] = (-value.value, action.target)
        return [target for _, target in sorted(found.values(), key=lambda pair: pair[0])]
