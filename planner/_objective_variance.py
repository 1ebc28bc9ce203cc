"""Know a quantity everywhere: the fall of its integrated variance, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from ._closed import Asked, Closed, explained, explained_by
from ._gp import Vector
from ._moments import Moments
from ._worlds import Indices, Probe, Worlds


@final
class IntegratedVariance(Closed):
    """Gains are falls of the root of the variance integrated over the space.

    With covariance c(x, y) of the quantity at x with a measurement of variance s, the variance at x
    falls by c(x, y)^2 / s whatever is measured (Sacks et al. 1989; Cohn 1996). ``grid`` are the
    pool points (G,) over which is integrated; the root has the quantity's unit and puts the
    measurements of one price in the same order as the integral itself.
    """

    def __init__(self, worlds: Worlds, moments: Moments, grid: Indices) -> None:
        super().__init__(worlds, (worlds.goal,))
        self.moments, self.grid = moments, grid
        self._left = float(moments.variance(worlds.goal, grid).mean())

    @property
    def spread(self) -> float:
        """Root-mean-square standard deviation over the space."""
        return float(np.sqrt(self._left))

    def several(self, asked: Sequence[Asked], points: Indices) -> Vector:
        fall = explained(self.moments, self.worlds.goal, self.grid, asked, points).mean(0)
        return self.spread - np.sqrt(np.maximum(self._left - fall, 0.0))

    def joint(self, probes: Sequence[Probe]) -> float:
        if not probes:
            return 0.0
        fall = float(explained_by(self.moments, self.worlds.goal, self.grid, probes).mean())
        return self.spread - float(np.sqrt(max(self._left - fall, 0.0)))

    def given(self, probes: Sequence[Probe]) -> IntegratedVariance:
        return IntegratedVariance(self.worlds, self.moments.given(probes), self.grid)

    def ceiling(self) -> float:
        return self.spread
