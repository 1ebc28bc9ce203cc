"""What a goal makes large: a quantity, a formula of several, or either under conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Formula, Goal, Maximize
from ._belief import Belief
from ._evidence import measured_ends
from ._gp import Matrix, Vector
from ._network_graph import GUARDED
from ._worlds import Worlds

_MEAN_WORLDS = 128
_LEAST_NOISE = 1e-6
"""Of the end's spread: where a condition fails in every world, nothing else keeps it from zero."""


@final
@dataclass(frozen=True, eq=False)
class End:
    """The end of all chains to a goal, as a function of what is believed.

    In every possible world a formula is computed from that world's quantities, and a condition is
    kept or not; where it is not, the end counts as the worst believed so far. So a design's mean is
    its value where it is allowed, weighed with the probability that it is (the constrained
    improvement of Gardner et al. 2014, without its assumption that value and conditions are
    independent).

    Attributes
    ----------
    belief, goal
        What is believed, and what for.
    seed
        Of the worlds from which means of formulas and of conditions are taken.
    """

    belief: Belief
    goal: Goal
    seed: int

    @property
    def composed(self) -> bool:
        """Whether no single measurement gives it."""
        return bool(self._guards) or self.goal.quantity in self.belief.workflow.formulas

    @property
    def name(self) -> str:
        """The quantity's name, or that of the quantity under the goal's conditions."""
        return GUARDED.format(self.goal.quantity) if self._guards else self.goal.quantity

    @property
    def _guards(self) -> tuple[Formula, ...]:
        return self.goal.subject_to if isinstance(self.goal, Maximize) else ()

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """The measured quantities that it is computed from, the goal's own first."""
        return measured_ends(self.belief.workflow, self.goal)

    def worlds(self, pool: Matrix, count: int | None = None) -> Worlds:
        """Worlds over a pool (M, dim), the end among their quantities."""
        worlds = self.belief.worlds(pool, self.goal.quantity, self.seed, count=count)
        if not self.composed:
            return worlds
        values = worlds.values | {self.name: self._of(worlds.values, pool)}
        return replace(worlds, values=values, goal=self.name)

    def mean(self, x: Matrix) -> Vector:
        """Its expected value (n,) at unit designs (n, dim)."""
        if not self.composed:
            return self.belief.mean(self.goal.quantity, x)
        return self.worlds(x, _MEAN_WORLDS).values[self.name].mean(0)

    def noise(self, worlds: Worlds, rows: NDArray[np.int64], noise: Sequence[float]) -> float:
        """Standard deviation of the end computed from measurements at ``rows`` around the true one.

        ``noise`` are the standard deviations of its :attr:`measured` quantities. Never zero.
        """
        rng = np.random.default_rng([self.seed, 53])
        values = {q: v[:, rows] for q, v in worlds.values.items()}
        pool = worlds.pool[rows]
        seen = {
            q: values[q] + std * rng.standard_normal(values[q].shape)
            for q, std in zip(self.measured, noise, strict=True)
        }
        error = self._of(values | seen, pool) - self._of(values, pool)
        least = _LEAST_NOISE * max(abs(self._floor), float(worlds.values[self.name].std()))
        return max(float(np.sqrt(np.mean(error**2))), least, 1e-100)

    # -- inside -----------------------------------------------------------------------------------

    def _of(self, values: Mapping[str, Matrix], x: Matrix) -> Matrix:
        """The end (S, n) in worlds with ``values`` (S, n) at unit designs (n, dim)."""
        raw = self._computed(self.goal.quantity, values, x)
        kept = np.isfinite(raw)
        for guard in self._guards:
            kept &= guard({n: self._computed(n, values, x) for n in guard.names}) > 0.5
        return np.where(kept, raw, self._floor)

    def _computed(self, name: str, values: Mapping[str, Matrix], x: Matrix) -> Matrix:
        workflow = self.belief.workflow
        if name in workflow.space.names:
            column = workflow.space.names.index(name)
            return workflow.space.variables[column].from_unit(x[:, column])
        if name not in workflow.formulas:
            return values[name]
        formula = workflow.formulas[name]
        found = formula({n: self._computed(n, values, x) for n in formula.names})
        return np.broadcast_to(found, np.broadcast_shapes(found.shape, (1, len(x))))

    @cached_property
    def _floor(self) -> float:
        """The smallest value believed where anything was measured; before that, of a low world."""
        belief = self.belief
        told = [belief.data[q].x for q in self.measured if q in belief.data]
        x = np.concatenate(told) if told else np.zeros((0, belief.workflow.space.dim))
        if len(x) < 2:
            x = belief.workflow.space.sobol(64, seed=0)
            values = belief.worlds(x, self.goal.quantity, self.seed, count=_MEAN_WORLDS).values
            raw = self._computed(self.goal.quantity, values, x)
            raw = raw[np.isfinite(raw)]
            return float(np.quantile(raw, 0.02)) if len(raw) else 0.0
        means = {q: belief.mean(q, x)[None, :] for q in self.measured}
        raw = self._computed(self.goal.quantity, means, x)
        raw = raw[np.isfinite(raw)]
        return float(raw.min()) if len(raw) else 0.0
