"""Learn the scale of quantities before anything that depends on it is weighed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from ._belief import Belief
from ._closed import Asked, Closed, explained, explained_by
from ._gp import Vector
from ._moments import Moments
from ._worlds import Indices, Probe

_LEAST = 3


def without_scale(belief: Belief, quantities: Sequence[str]) -> tuple[str, ...]:
    """Quantities with neither a prior nor enough measurements to tell their mean and spread."""
    enough = max(_LEAST, belief.workflow.space.dim + 1)
    sizes = {q: len(belief.data[q].y) if q in belief.data else 0 for q in quantities}
    return tuple(q for q in quantities if q not in belief.workflow.priors and sizes[q] < enough)


@final
class Unscaled(Closed):
    """A goal about values, while nobody knows in which range they lie.

    Gains are shares of the integrated variance of the quantities without a scale: space-filling
    measurements. ``goal`` is the objective that takes over, and that answers meanwhile.
    """

    def __init__(
        self, goal: Closed, moments: Moments, unknown: Sequence[str], grid: Indices
    ) -> None:
        super().__init__(goal.worlds, goal.quantities)
        self.goal, self.moments, self._unknown, self._grid = goal, moments, tuple(unknown), grid

    def _spread(self, quantity: str) -> float:
        return max(float(self.moments.variance(quantity, self._grid).mean()), 1e-300)

    def several(self, asked: Sequence[Asked], points: Indices) -> Vector:
        shares = [
            explained(self.moments, q, self._grid, asked, points).mean(0) / self._spread(q)
            for q in self._unknown
        ]
        return np.asarray(np.mean(shares, axis=0))

    def joint(self, probes: Sequence[Probe]) -> float:
        if not probes:
            return 0.0
        shares = [
            float(explained_by(self.moments, q, self._grid, probes).mean()) / self._spread(q)
            for q in self._unknown
        ]
        return float(np.mean(shares))

    def given(self, probes: Sequence[Probe]) -> Unscaled:
        return Unscaled(self.goal, self.moments.given(probes), self._unknown, self._grid)

    def ceiling(self) -> float:
        return 1.0
