"""What a measurement at each place is worth: in the largest value, and in what becomes known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from scipy.stats import norm

from ..workflow import Wishes
from ._gp import Vector
from ._session_gp import Prediction


@final
@dataclass(frozen=True)
class LocalValue:
    """Gains of single measurements, in standard deviations of the reward.

    Attributes
    ----------
    mean, std
        Belief of the smooth part at all candidates (N,).
    scatter
        What pixels vary by beyond it.
    best
        The largest believed value of a place that was measured; None before the first.
    unit
        Standard deviation of the reward.
    liking
        Factor (N,) by which people like places more than others.
    """

    mean: Vector
    std: Vector
    scatter: float
    best: float | None
    unit: float
    liking: Vector

    def gain(self, wishes: Wishes, noise: float) -> Vector:
        """Of a measurement with so much noise at every candidate, (N,)."""
        if wishes.exploit:
            low = float(self.mean.min())
            return (self.mean - low) / self.unit * self.liking
        total = np.zeros(len(self.mean))
        if wishes.maximize:
            total += wishes.maximize * self._improvement(noise)
        if wishes.explore:
            total += wishes.explore * self._learnt(noise)
        return total / self.unit * self.liking

    def _improvement(self, noise: float) -> Vector:
        """Expected rise of the largest believed value (knowledge gradient of a single place).

        The value of a place is its smooth part plus its scatter; noise makes less of it known.
        """
        value_std = np.hypot(self.std, self.scatter)
        shown = value_std**2 / np.hypot(value_std, noise)
        best = float(self.mean.max()) if self.best is None else self.best
        z = (self.mean - best) / shown
        return shown * (z * norm.cdf(z) + norm.pdf(z))

    def _learnt(self, noise: float) -> Vector:
        """Fall of the standard deviation of the smooth part at the place itself."""
        other = noise**2 + self.scatter**2
        after = self.std * np.sqrt(other / (self.std**2 + other + 1e-300))
        return self.std - after

    def given(self, row: int, covariance: Vector, noise: float) -> LocalValue:
        """After a measurement that will show what is believed there."""
        own = max(float(covariance[row]), 1e-300)
        shared = np.clip(covariance**2 / (own * np.maximum(self.std**2, 1e-300)), 0.0, 1.0)
        known = self.std[row] ** 2 / (self.std[row] ** 2 + noise**2 + self.scatter**2)
        std = self.std * np.sqrt(np.maximum(1.0 - shared * known, 1e-6))
        return replace(self, std=std)


def value_of(belief: Prediction, best: float | None, unit: float, liking: Vector) -> LocalValue:
    """From a belief of all candidates."""
    return LocalValue(belief.mean, belief.std, belief.scatter, best, unit, liking)
